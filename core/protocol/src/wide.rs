//! A signed 256-bit integer with the few operations that 128 bits cannot hold.

use std::ops::{Add, Sub};

/// Two's complement, high half first, so that the derived order is the numbers' order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wide {
    high: i128,
    low: u128,
}

impl Wide {
    pub const ZERO: Wide = Wide { high: 0, low: 0 };

    /// The full product.
    #[inline]
    pub fn product(a: i128, b: i128) -> Wide {
        if let (Ok(a), Ok(b)) = (i64::try_from(a), i64::try_from(b)) {
            return Wide::from(i128::from(a) * i128::from(b));
        }
        let (high, low) = magnitude(a.unsigned_abs(), b.unsigned_abs());
        // |a × b| ≤ 2^254: the high half fits a signed one.
        let positive = Wide { high: high as i128, low };
        if (a < 0) == (b < 0) { positive } else { Wide::ZERO - positive }
    }

    /// Whether |value| < 2^bits, for 128 < bits < 255.
    pub fn fits(self, bits: u32) -> bool {
        let bound = 1i128 << (bits - 128);
        let above_least = self.high > -bound || (self.high == -bound && self.low > 0);
        above_least && self.high < bound
    }

    /// The number that 32 bytes of big-endian two's complement are.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Wide {
        let mut halves = [[0; 16]; 2];
        halves.as_flattened_mut().copy_from_slice(&bytes);
        Wide { high: i128::from_be_bytes(halves[0]), low: u128::from_be_bytes(halves[1]) }
    }

    /// Big-endian two's complement.
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.high.to_be_bytes());
        bytes[16..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }
}

impl From<i128> for Wide {
    fn from(value: i128) -> Wide {
        Wide { high: value >> 127, low: value as u128 }
    }
}

impl Add for Wide {
    type Output = Wide;

    fn add(self, other: Wide) -> Wide {
        let (low, carry) = self.low.overflowing_add(other.low);
        Wide { high: self.high + other.high + i128::from(carry), low }
    }
}

impl Sub for Wide {
    type Output = Wide;

    fn sub(self, other: Wide) -> Wide {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Wide { high: self.high - other.high - i128::from(borrow), low }
    }
}

/// The 256-bit product as (high, low), by halves.
fn magnitude(a: u128, b: u128) -> (u128, u128) {
    const HALF: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & HALF, b >> 64, b & HALF);
    let (low, cross, other, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
    let middle = (low >> 64) + (cross & HALF) + (other & HALF);
    (high + (cross >> 64) + (other >> 64) + (middle >> 64), middle << 64 | low & HALF)
}

#[cfg(test)]
mod tests {
    use super::Wide;

    #[test]
    fn a_product_of_extremes_is_the_sum_of_its_parts() {
        let (a, b) = (i128::MAX, -((1i128 << 100) + 7));
        let halves = Wide::product(a, -(1i128 << 100)) + Wide::product(a, -7);
        assert_eq!(Wide::product(a, b), halves);
        assert!(Wide::product(a, b) < Wide::product(a, b) + Wide::from(1));
        assert_eq!(Wide::product(a, b) - halves, Wide::ZERO);
        assert_eq!(Wide::product(i128::MIN, 1), Wide::from(i128::MIN));
    }

    #[test]
    fn a_bound_is_open_at_both_ends() {
        let bound = Wide::product(1 << 80, 1 << 79);
        let one = Wide::from(1);
        assert!(!bound.fits(159) && (bound - one).fits(159));
        let least = Wide::ZERO - bound;
        assert!(!least.fits(159) && (least + one).fits(159));
    }
}
