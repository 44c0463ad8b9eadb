//! Short options: the standard formulas of Deribit for linear options, on top of the mark that equity counts already.

use crate::requirement::{Schedule, crowded};

/// What a short option's requirement follows: price units, and 1e-4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortOption {
    pub call: bool,
    pub strike: u64,
    pub index: u64,
    pub mark: u64,
    pub crowding: u16,
}

impl ShortOption {
    /// Initial requirement of `size` units sold: max(i × index − out of the money, ⅔ i × index), at least maintenance.
    ///
    /// With i = 15 %, m = 7.5 % those are Deribit's; ⅔ of 15 % is its floor of 10 %.
    pub fn initial(&self, schedule: &Schedule, size: u64) -> u128 {
        let (size, maintenance) = (u128::from(size), self.maintenance(schedule, size));
        let notional = size * u128::from(self.index);
        let tiered = schedule.initial(notional);
        let out =
            if self.call { self.strike.saturating_sub(self.index) } else { self.index.saturating_sub(self.strike) };
        let initial = tiered.saturating_sub(size * u128::from(out)).max(two_thirds(tiered)).max(maintenance);
        crowded(initial, notional, self.crowding)
    }

    /// Maintenance requirement: m × index, a put's m × max(index, mark).
    pub fn maintenance(&self, schedule: &Schedule, size: u64) -> u128 {
        let base = if self.call { self.index } else { self.index.max(self.mark) };
        schedule.maintenance(u128::from(size) * u128::from(base))
    }
}

#[inline]
fn two_thirds(tiered: u128) -> u128 {
    match u64::try_from(2 * tiered) {
        Ok(small) => small.div_ceil(3).into(),
        Err(_) => (2 * tiered).div_ceil(3),
    }
}
