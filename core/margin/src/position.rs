//! Arithmetic of one position: funding, opening, closing.

use penstock_protocol::quantities::{CASH_BITS, FUNDING_SHIFT, POSITION_BITS, PPM, div_ceil, fits};
use penstock_protocol::wide::Wide;

/// Signed size (size units; 0 is no position), entry cost (1e-6 USDC, signed like size × price), and the funding index
/// when last touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub entry: i128,
    pub funding: i128,
    pub size: i64,
}

impl Position {
    /// Profit at the mark not yet in cash, before funding.
    #[inline]
    pub fn unrealised(&self, mark_price: u64) -> i128 {
        i128::from(self.size) * i128::from(mark_price) - self.entry
    }

    /// |size| × mark.
    #[inline]
    pub fn notional(&self, mark_price: u64) -> u128 {
        u128::from(self.size.unsigned_abs()) * u128::from(mark_price)
    }

    /// What the position adds to equity: profit at the mark less unsettled funding.
    #[inline]
    pub fn worth(&self, mark_price: u64, funding_index: i128) -> i128 {
        self.unrealised(mark_price) - funding_owed(self, funding_index).0
    }

    /// What the position adds to its market's Σ size × funding index.
    #[inline]
    pub fn size_funding(&self) -> Wide {
        Wide::product(self.size.into(), self.funding)
    }

    /// Settle the position's funding, then add `change` size units at `price`, then take the fee; all in `cash`.
    ///
    /// Opening adds change × price to the entry cost and moves no cash; closing c of S releases
    /// div_trunc(entry × c, S) and realises the difference. A flip closes everything first. Returns the dust.
    #[inline]
    pub fn fill(&mut self, cash: &mut i128, change: i64, price: u64, fee: i128, funding_index: i128) -> i128 {
        if self.size == 0 {
            *self = Position { entry: 0, funding: funding_index, size: 0 };
        }
        let (owed, dust) = funding_owed(self, funding_index);
        self.funding = funding_index;
        let (mut closing, mut realised) = (0, 0);
        if self.size != 0 && (self.size > 0) != (change > 0) {
            let closed = change.unsigned_abs().min(self.size.unsigned_abs());
            let released = released(self.entry, closed, self.size.unsigned_abs());
            closing = if change > 0 { closed as i64 } else { -(closed as i64) };
            realised = -(i128::from(closing) * i128::from(price)) - released;
            self.entry -= released;
            self.size += closing;
        }
        self.size += change - closing;
        self.entry += i128::from(change - closing) * i128::from(price);
        *cash += realised - owed - fee;
        dust
    }
}

/// div_trunc(entry × closed, size) for closed ≤ size: the product may take 150 bits, the quotient is at most `entry`.
#[inline]
fn released(entry: i128, closed: u64, size: u64) -> i128 {
    if closed == size {
        return entry;
    }
    let cost = entry.unsigned_abs();
    let share = match u64::try_from(cost) {
        Ok(cost) => {
            let rest = u128::from(cost % size) * u128::from(closed);
            let last = u64::try_from(rest).map_or_else(|_| rest / u128::from(size), |rest| (rest / size).into());
            u128::from(cost / size) * u128::from(closed) + last
        }
        Err(_) => {
            let (closed, size) = (u128::from(closed), u128::from(size));
            cost / size * closed + cost % size * closed / size
        }
    };
    if entry < 0 { -(share as i128) } else { share as i128 }
}

/// What the holder pays (negative: receives) in 1e-6 USDC, rounded against the holder, and the dust of that rounding
/// in 2^-32.
#[inline]
pub fn funding_owed(position: &Position, funding_index: i128) -> (i128, i128) {
    let difference = funding_index - position.funding;
    if difference == 0 {
        return (0, 0);
    }
    // size × difference has up to 134 bits; its whole multiples of 2^32 need no rounding.
    let size = i128::from(position.size);
    let (whole, part) = (difference >> FUNDING_SHIFT, difference & ((1 << FUNDING_SHIFT) - 1));
    let rounded = div_ceil_shift(size * part);
    (size * whole + rounded, (rounded << FUNDING_SHIFT) - size * part)
}

#[inline]
fn div_ceil_shift(numerator: i128) -> i128 {
    -((-numerator) >> FUNDING_SHIFT)
}

/// Fee in 1e-6 USDC, rounded up; a negative rate is a rebate, so rounded towards zero.
#[inline]
pub fn fee_of(notional: u128, fee_ppm: i32) -> i128 {
    let rate = fee_ppm.unsigned_abs();
    if fee_ppm < 0 {
        return -((notional * u128::from(rate) / u128::from(PPM)) as i128);
    }
    match u64::try_from(notional).ok().and_then(|small| small.checked_mul(rate.into())) {
        Some(product) => product.div_ceil(PPM).into(),
        None => div_ceil((notional * u128::from(rate)) as i128, PPM.into()),
    }
}

/// What an expired position leaves in its market's Σ size × funding, so that money stays conserved to the last bit:
/// size × (index − its index) − size × settlement price, in 2^-32.
pub fn claim_left(position: &Position, mark_price: u64, funding_index: i128) -> Wide {
    let settled = i128::from(mark_price) << FUNDING_SHIFT;
    Wide::product(position.size.into(), funding_index - position.funding - settled)
}

/// Whether a position's signed size moved away from zero, or through it.
#[inline]
pub fn grew_or_flipped(before: i64, after: i64) -> bool {
    after != 0 && (after.abs() > before.abs() || (before > 0) != (after > 0))
}

/// Whether cash and a position are inside their widths.
#[inline]
pub fn in_range(cash: i128, position: &Position) -> bool {
    let whole = position.size == 0 || (fits(position.size.into(), POSITION_BITS) && fits(position.entry, CASH_BITS));
    fits(cash, CASH_BITS) && whole
}
