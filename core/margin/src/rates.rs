//! Funding: the rate of a sample, and how far gathered rate × time moves the index.

use penstock_protocol::quantities::{FUNDING_PERIOD, FUNDING_SHIFT, PPM, RATE_SCALE, div_trunc};

/// 0.025 % per eight hours, in parts per 1e9.
const DEAD_ZONE: i128 = 250_000;
/// 2^22 divides both the scale of the index and what it is divided by.
const COMMON_SHIFT: u32 = 22;

/// |price − reference| ≤ reference × ppm / 1e6, or one price unit where that is more.
pub fn within(price: u64, reference: u64, ppm: u32) -> bool {
    price.abs_diff(reference) * PPM <= (reference * u64::from(ppm)).max(PPM)
}

/// Rate of the present sample, parts in 1e9 per eight hours: premium outside the dead zone, capped.
///
/// max(0.025 %, premium) + min(−0.025 %, premium), premium = (mark − index) / index, rounded towards zero.
pub fn funding_rate(index_price: u64, mark_price: u64, cap: u32) -> i128 {
    if index_price == 0 {
        return 0;
    }
    let premium = div_trunc((i128::from(mark_price) - i128::from(index_price)) * RATE_SCALE, index_price.into());
    let rate = premium.max(DEAD_ZONE) + premium.min(-DEAD_ZONE);
    rate.clamp(-i128::from(cap), cap.into())
}

/// div_trunc(index price × rate × time × 2^32, 1e9 × 8 h): the product may take 167 bits, so the time is divided first.
pub fn funding_change(index_price: u64, rate_time: i128) -> i128 {
    const DIVISOR: u128 = (RATE_SCALE * FUNDING_PERIOD) as u128 >> COMMON_SHIFT;
    let factor = u128::from(index_price) << (FUNDING_SHIFT - COMMON_SHIFT);
    let gathered = rate_time.unsigned_abs();
    let change = gathered / DIVISOR * factor + gathered % DIVISOR * factor / DIVISOR;
    if rate_time < 0 { -(change as i128) } else { change as i128 }
}
