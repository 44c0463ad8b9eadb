//! Everything `apply` can read, laid out for speed; its digest, its views, and the settlement tree beside it.

#![forbid(unsafe_code)]

mod digest;
pub mod exposures;
mod learned;
mod market;
pub mod pool;
mod queries;
mod risk;
pub mod roots;
pub mod saved;
mod saved_markets;
pub mod slots;
pub mod state;
pub mod tree;
mod what_if;
pub mod witness;
mod words;

pub use exposures::{Held, MarketIndex, Reserved};
pub use market::{Gauge, Market};
pub use pool::Handle;
pub use risk::Change;
pub use state::{Account, FilledSlot, Order, State, lives};
pub use what_if::Unfit;
