//! One market: prices and sums, terms and book; whether it trades, and what its positions require.

use std::collections::BTreeMap;

use penstock_book::Book;
use penstock_margin::{Position, Risk, Schedule, ShortOption, crowded, fee_of, funding_rate};
use penstock_protocol::instruments::{CALL, OPTION, PERPETUAL};
use penstock_protocol::leaves::{MarketLeaf, flag};
use penstock_protocol::quantities::{CROWDING_SCALE, MICRO, PPM};
use penstock_protocol::terms::MarketTerms;

/// An option's fee is at most an eighth of its premium.
const PREMIUM_SHARE: u128 = 8;

/// A market's prices and running sums, terms and book.
///
/// `until` is when a status of the guardian's may end, `flagged_at` when it last gave one (µs); `builders` what each
/// builder is owed. `template` is NO_TEMPLATE for a market of genesis.
#[derive(Clone, Debug)]
pub struct Market {
    pub leaf: MarketLeaf,
    pub schedule: Schedule,
    pub terms: MarketTerms,
    pub book: Book,
    pub template: u16,
    pub until: u64,
    pub flagged_at: u64,
    pub builders: BTreeMap<u32, i128>,
    /// Not zero for an option.
    optional: u16,
}

/// In one cache line, what weighing a position usually reads of its market. `State::gauge` keeps it equal to the market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Gauge {
    funding_index: i128,
    mark_price: u64,
    index_price: u64,
    strike: u64,
    first: u64,
    first_initial: u32,
    first_maintenance: u32,
    /// The market's id.
    pub market: u32,
    kind: Kind,
}

/// What is required besides the tiers. `Unusual`: ask the market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unusual,
    Plain,
    Call,
    Put,
}

impl Gauge {
    pub(crate) fn of(market: &Market) -> Gauge {
        let (first, first_initial, first_maintenance) = market.schedule.first();
        let kind = if market.is_plain() {
            Kind::Plain
        } else if market.expired() || market.leaf.crowding != 0 {
            Kind::Unusual
        } else if market.terms.option_type == CALL {
            Kind::Call
        } else {
            Kind::Put
        };
        Gauge {
            funding_index: market.leaf.funding_index,
            mark_price: market.leaf.mark_price,
            index_price: market.leaf.index_price,
            strike: market.terms.strike,
            first,
            first_initial: first_initial as u32,
            first_maintenance: first_maintenance as u32,
            market: market.terms.market,
            kind,
        }
    }

    /// What a position adds to equity.
    #[inline]
    pub fn worth(&self, position: &Position) -> i128 {
        position.worth(self.mark_price, self.funding_index)
    }

    /// Whether positions require the tiers on their notional and nothing else.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.kind == Kind::Plain
    }

    /// `Market::initial` of a plain market inside the first tier.
    #[inline]
    pub fn plain_initial(&self, size: i64) -> Option<u128> {
        let worth = notional(size, self.mark_price);
        (self.is_plain() && worth <= u128::from(self.first)).then(|| part(worth, self.first_initial))
    }

    /// `Market::initial` where no more than this line is needed for it.
    #[inline]
    pub fn initial(&self, size: i64) -> Option<u128> {
        let worth = notional(size, self.mark_price);
        match self.kind {
            Kind::Unusual => None,
            Kind::Plain => self.plain_initial(size),
            Kind::Call | Kind::Put if size >= 0 => Some(worth),
            kind => self.short_option(size, kind == Kind::Call),
        }
    }

    /// `ShortOption::initial` inside the first tier, with nothing crowded.
    #[inline]
    fn short_option(&self, size: i64, call: bool) -> Option<u128> {
        let (strike, index) = (self.strike, self.index_price);
        let (base, out) = if call {
            (index, strike.saturating_sub(index))
        } else {
            (index.max(self.mark_price), index.saturating_sub(strike))
        };
        if notional(size, base) > u128::from(self.first) {
            return None;
        }
        let maintenance = part(notional(size, base), self.first_maintenance);
        let tiered = part(notional(size, index), self.first_initial);
        let floor = u128::from((2 * tiered as u64).div_ceil(3));
        Some(tiered.saturating_sub(notional(size, out)).max(floor).max(maintenance))
    }
}

/// So many parts per million of a notional inside the first tier, rounded up.
#[inline]
fn part(notional: u128, ppm: u32) -> u128 {
    (notional as u64 * u64::from(ppm)).div_ceil(PPM).into()
}

impl Market {
    /// A market before its first price.
    pub fn new(terms: MarketTerms, template: u16) -> Market {
        Market {
            leaf: MarketLeaf { parameters: terms.digest(), ..MarketLeaf::default() },
            schedule: Schedule::new(&terms.tiers),
            book: Book::new(terms.tick),
            template,
            until: 0,
            flagged_at: 0,
            builders: BTreeMap::new(),
            optional: u16::from(terms.kind == OPTION),
            terms,
        }
    }

    /// Whether only reduce-only orders are taken, whatever the price.
    #[inline]
    pub fn reduce_only(&self) -> bool {
        self.leaf.flags & (flag::SHORTFALL_BOOKED | flag::RESTRICTED) != 0
    }

    /// Whether nothing but cancels is taken.
    #[inline]
    pub fn halted(&self) -> bool {
        self.leaf.flags & flag::HALTED != 0
    }

    /// Whether the settlement price is fixed.
    #[inline]
    pub fn expired(&self) -> bool {
        self.leaf.flags & flag::EXPIRED != 0
    }

    /// Whether venue time has reached the market's expiry: nothing trades any more.
    #[inline]
    pub fn over(&self, time: u64) -> bool {
        self.terms.expiry != 0 && self.terms.expiry * MICRO <= time
    }

    /// Whether the market has a price not older than its terms allow; a settlement price does not age.
    #[inline]
    pub fn fresh(&self, time: u64) -> bool {
        let young = self.leaf.mark_price > 0 && time.saturating_sub(self.leaf.priced_at) <= self.terms.stale_after;
        young || self.expired()
    }

    pub fn is_option(&self) -> bool {
        self.optional != 0
    }

    /// Whether positions require the tiers on their notional and nothing else.
    #[inline]
    fn is_plain(&self) -> bool {
        self.leaf.crowding | (self.leaf.flags & flag::EXPIRED) | self.optional == 0
    }

    /// Initial requirement of a position of signed `size`, in 1e-6 USDC.
    #[inline]
    pub fn initial(&self, size: i64) -> u128 {
        if self.is_plain() {
            return self.schedule.initial(notional(size, self.leaf.mark_price));
        }
        self.unusual_initial(size)
    }

    /// Maintenance requirement of a position of signed `size`, in 1e-6 USDC.
    #[inline]
    pub fn maintenance(&self, size: i64) -> u128 {
        if self.is_plain() {
            return self.schedule.maintenance(notional(size, self.leaf.mark_price));
        }
        self.unusual_maintenance(size)
    }

    /// The larger initial requirement of two signed sizes.
    #[inline]
    pub fn worse_initial(&self, one: i64, other: i64) -> u128 {
        if self.is_plain() {
            let larger = u128::from(one.unsigned_abs().max(other.unsigned_abs()));
            return self.schedule.initial(larger * u128::from(self.leaf.mark_price));
        }
        self.unusual_initial(one).max(self.unusual_initial(other))
    }

    /// What has expired needs none. A long option: what it is worth, which is all it can lose. In the crowd, initial
    /// margin of anything else grows to the whole notional.
    fn unusual_initial(&self, size: i64) -> u128 {
        if size == 0 || self.expired() {
            return 0;
        }
        let worth = notional(size, self.leaf.mark_price);
        if !self.is_option() {
            return crowded(self.schedule.initial(worth), worth, self.leaf.crowding);
        }
        if size > 0 { worth } else { self.short_option().initial(&self.schedule, size.unsigned_abs()) }
    }

    fn unusual_maintenance(&self, size: i64) -> u128 {
        if size == 0 || self.expired() {
            return 0;
        }
        let worth = notional(size, self.leaf.mark_price);
        if !self.is_option() {
            return self.schedule.maintenance(worth);
        }
        if size > 0 { worth } else { self.short_option().maintenance(&self.schedule, size.unsigned_abs()) }
    }

    fn short_option(&self) -> ShortOption {
        ShortOption {
            call: self.terms.option_type == CALL,
            strike: self.terms.strike,
            index: self.leaf.index_price,
            mark: self.leaf.mark_price,
            crowding: self.leaf.crowding,
        }
    }

    /// Both requirements of a position, beside what it is worth.
    #[inline]
    pub fn risk(&self, size: i64, equity: i128) -> Risk {
        Risk { equity, initial: self.initial(size), maintenance: self.maintenance(size) }
    }

    /// Fee of a fill in 1e-6 USDC: on what changes hands; of an option on the index, at most 12.5 % of the premium.
    ///
    /// The most is rounded like the fee: up, and a rebate's towards zero.
    #[inline]
    pub fn trading_fee(&self, size: u64, price: u64, fee_ppm: i32) -> i128 {
        let premium = u128::from(size) * u128::from(price);
        if !self.is_option() {
            return fee_of(premium, fee_ppm);
        }
        let fee = fee_of(u128::from(size) * u128::from(self.leaf.index_price), fee_ppm);
        fee.clamp(-((premium / PREMIUM_SHARE) as i128), premium.div_ceil(PREMIUM_SHARE) as i128)
    }

    /// What bands and slices of a liquidation are measured in: an option's index, else the mark.
    pub fn reference_price(&self) -> u64 {
        if self.is_option() { self.leaf.index_price } else { self.leaf.mark_price }
    }

    /// Rate of the present sample, parts in 1e9 per eight hours; a dated market has none.
    pub fn funding_rate(&self) -> i128 {
        let MarketTerms { kind, funding_interest, funding_clamp, funding_cap, .. } = self.terms;
        if kind != PERPETUAL || self.leaf.index_price == 0 {
            return 0;
        }
        funding_rate(self.leaf.premium, funding_interest, funding_clamp, funding_cap)
    }

    /// How far open interest is on its way from `crowded_from` to its cap, in 1e-4, rounded up.
    pub fn crowding(&self) -> u16 {
        let (from, cap) = (i128::from(self.terms.crowded_from), i128::from(self.terms.open_interest_cap));
        let (above, way) = (self.leaf.open_interest - from, cap - from);
        if above <= 0 {
            return 0;
        }
        if above >= way {
            return CROWDING_SCALE as u16;
        }
        (above.unsigned_abs() * CROWDING_SCALE).div_ceil(way.unsigned_abs()) as u16
    }
}

/// |size| × price.
#[inline]
fn notional(size: i64, price: u64) -> u128 {
    u128::from(size.unsigned_abs()) * u128::from(price)
}

#[cfg(test)]
mod tests {
    use super::Gauge;

    #[test]
    fn a_gauge_is_one_cache_line() {
        assert_eq!(size_of::<Gauge>(), 64);
    }
}
