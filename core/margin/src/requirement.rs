//! Cross margin tiered by size and open interest: requirements, and what a voluntary act may leave behind.

use penstock_protocol::quantities::{CROWDING_SCALE, PPM};
use penstock_protocol::terms::Tier;
use penstock_protocol::wide::Wide;

/// Below this a notional times a million fits 64 bits.
const SMALL: u128 = 1 << 44;

/// Equity and requirements in 1e-6 USDC. `initial` and `maintenance` are of positions alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    pub equity: i128,
    pub initial: u128,
    pub maintenance: u128,
}

/// A market's margin tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    first: u64,
    first_initial: u64,
    first_maintenance: u64,
    tiers: Vec<Tier>,
}

impl Schedule {
    /// Tiers rise; the last reaches 2^95 - 1 at least.
    pub fn new(tiers: &[Tier]) -> Schedule {
        let first = tiers.first().copied().unwrap_or_default();
        Schedule {
            first: first.notional.min(SMALL - 1) as u64,
            first_initial: first.initial_ppm,
            first_maintenance: first.maintenance_ppm,
            tiers: tiers.to_vec(),
        }
    }

    /// Up to which notional the first tier's initial and maintenance parts per million are all there is.
    pub fn first(&self) -> (u64, u64, u64) {
        (self.first, self.first_initial, self.first_maintenance)
    }

    /// Initial requirement of a notional.
    #[inline]
    pub fn initial(&self, notional: u128) -> u128 {
        if notional <= u128::from(self.first) {
            return (notional as u64 * self.first_initial).div_ceil(PPM).into();
        }
        self.tiered(notional, |tier| tier.initial_ppm)
    }

    /// Maintenance requirement of a notional.
    #[inline]
    pub fn maintenance(&self, notional: u128) -> u128 {
        if notional <= u128::from(self.first) {
            return (notional as u64 * self.first_maintenance).div_ceil(PPM).into();
        }
        self.tiered(notional, |tier| tier.maintenance_ppm)
    }

    /// Each tier's fraction on the notional inside it, summed, rounded up once.
    fn tiered(&self, notional: u128, fraction: impl Fn(&Tier) -> u64) -> u128 {
        let (mut total, mut below) = (0, 0);
        for tier in &self.tiers {
            let top = notional.min(tier.notional);
            if top <= below {
                break;
            }
            total += (top - below) * u128::from(fraction(tier));
            below = tier.notional;
        }
        match u64::try_from(total) {
            Ok(small) => small.div_ceil(PPM).into(),
            Err(_) => total.div_ceil(PPM.into()),
        }
    }
}

/// In the crowd, an initial requirement grows in a straight line to the whole notional.
#[inline]
pub fn crowded(initial: u128, notional: u128, crowding: u16) -> u128 {
    if crowding == 0 {
        return initial;
    }
    initial + (notional.saturating_sub(initial) * u128::from(crowding)).div_ceil(CROWDING_SCALE)
}

/// StarkEx's rule: well margined, or no position grew or flipped and equity over requirement did not fall.
#[inline]
pub fn is_legal(before: &Risk, after: &Risk, grew: bool) -> bool {
    if after.equity >= 0 && after.equity.unsigned_abs() >= after.initial {
        return true;
    }
    if grew || (before.equity < 0 && after.equity < before.equity) {
        return false;
    }
    Wide::product(after.equity, before.initial as i128) >= Wide::product(before.equity, after.initial as i128)
}
