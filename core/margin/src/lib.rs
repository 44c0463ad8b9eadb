//! Arithmetic of positions and margin: funding, opening and closing, fees, requirements, and what an act may leave.
//!
//! Legal products, each with its bits: size (55) × price (40) = entry or notional (95); notional (95) × ppm (20);
//! size (55) × funding index difference (79) and equity (108) × requirement (101) are wider than 127 bits.

#![forbid(unsafe_code)]

mod position;
mod rates;
mod requirement;

pub use position::{Position, fee_of, funding_owed, grew_or_flipped, in_range};
pub use rates::{funding_change, funding_rate, within};
pub use requirement::{Risk, Schedule, is_legal};
