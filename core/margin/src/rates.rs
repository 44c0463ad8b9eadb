//! Funding: the rate of a sample, and how far gathered rate × time moves the index.

use penstock_protocol::quantities::{FUNDING_PERIOD, FUNDING_SHIFT, PPM, RATE_SCALE};

/// 2^22 divides both the scale of the index and what it is divided by.
const COMMON_SHIFT: u32 = 22;

/// |price − reference| ≤ `of` × ppm / 1e6, or one price unit where that is more.
pub fn within(price: u64, reference: u64, ppm: u32, of: u64) -> bool {
    price.abs_diff(reference) * PPM <= (of * u64::from(ppm)).max(PPM)
}

/// Rate of a sample, parts in 1e9 per eight hours: premium + clamp(interest − premium, ± clamp), within ± cap.
pub fn funding_rate(premium: i32, interest: i32, clamp: u32, cap: u32) -> i128 {
    let (clamp, cap, premium) = (i128::from(clamp), i128::from(cap), i128::from(premium));
    let pull = (i128::from(interest) - premium).clamp(-clamp, clamp);
    (premium + pull).clamp(-cap, cap)
}

/// div_trunc(index price × rate × time × 2^32, 1e9 × 8 h): the product may take 167 bits, so the time is divided first.
pub fn funding_change(index_price: u64, rate_time: i128) -> i128 {
    const DIVISOR: u128 = (RATE_SCALE * FUNDING_PERIOD) as u128 >> COMMON_SHIFT;
    let factor = u128::from(index_price) << (FUNDING_SHIFT - COMMON_SHIFT);
    let gathered = rate_time.unsigned_abs();
    let change = gathered / DIVISOR * factor + gathered % DIVISOR * factor / DIVISOR;
    if rate_time < 0 { -(change as i128) } else { change as i128 }
}
