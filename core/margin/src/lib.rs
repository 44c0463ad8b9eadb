//! Arithmetic of positions and margin: funding, opening and closing, fees, requirements, and what an act may leave.
//!
//! Legal products, each with its bits: size (55) × price (40) = entry or notional (95); with open orders' lots the size
//! takes 58, its notional 98; notional (98) × ppm (20) or crowding (14); size (55) × funding index difference (79) and
//! equity (108) × requirement (101) are wider than 127 bits.

#![forbid(unsafe_code)]

mod option;
mod position;
mod rates;
mod requirement;

pub use option::ShortOption;
pub use position::{Position, claim_left, fee_of, funding_owed, grew_or_flipped, in_range};
pub use rates::{funding_change, funding_rate, within};
pub use requirement::{Risk, Schedule, crowded, is_legal};
