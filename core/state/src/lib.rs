//! Everything `apply` can read, laid out for speed; its digest, its views, and the settlement tree beside it.

#![forbid(unsafe_code)]

mod digest;
pub mod exposures;
pub mod pool;
mod queries;
mod risk;
pub mod roots;
pub mod saved;
pub mod slots;
pub mod state;
pub mod tree;
pub mod witness;
mod words;

pub use exposures::{Exposure, MarketIndex};
pub use pool::Handle;
pub use risk::Change;
pub use state::{Account, FilledSlot, Market, Order, State, lives};
