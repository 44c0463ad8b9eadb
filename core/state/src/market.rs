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

/// In one cache line, what a position adds to equity, and the most it may require initially.
/// `State::gauge` keeps it equal to the market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Gauge {
    funding_index: i128,
    mark_price: u64,
    /// The most that a size unit, long and short, requires initially; in 2^-RATE_SHIFT.
    rates: [u64; 2],
    /// Up to which size that holds, and products fit.
    limit: u64,
    /// The market's id.
    pub market: u32,
}

/// Rates are rounded up to this many binary places.
const RATE_SHIFT: u32 = 12;
/// By how much requirements are rounded up at the most: an option's two thirds of what was rounded before.
const ROUNDING: u64 = 2;
/// Products of sizes and prices or rates stay below this.
const NARROW: u64 = 1 << 62;

impl Gauge {
    pub(crate) fn of(market: &Market) -> Gauge {
        let (rates, dearest) = market.rates();
        let first = if market.expired() { NARROW } else { market.schedule.first().0 };
        let mark_price = market.leaf.mark_price;
        let limits = [NARROW / mark_price.max(1), NARROW / rates[0].max(rates[1]).max(1), first / dearest.max(1)];
        Gauge {
            funding_index: market.leaf.funding_index,
            mark_price,
            rates,
            // In the crowd requirements are not linear.
            limit: if market.leaf.crowding == 0 { limits.into_iter().min().unwrap_or(0) } else { 0 },
            market: market.terms.market,
        }
    }

    /// What a position adds to equity.
    #[inline]
    pub fn worth(&self, position: &Position) -> i128 {
        position.worth(self.mark_price, self.funding_index)
    }

    /// What a position adds to equity and the most it may require, where this line tells.
    #[inline(always)]
    pub(crate) fn weigh(&self, size: i64, entry: i128, funding: i128) -> Option<(i128, u64)> {
        if size.unsigned_abs() > self.limit || funding != self.funding_index {
            return None;
        }
        Some((i128::from(size * self.mark_price as i64) - entry, self.most(size)))
    }

    /// The most that a size may require initially, where this line tells. Nothing is required of nothing.
    #[inline(always)]
    pub(crate) fn most_of(&self, size: i64) -> Option<u64> {
        match size {
            0 => Some(0),
            size if size.unsigned_abs() <= self.limit => Some(self.most(size)),
            _ => None,
        }
    }

    #[inline(always)]
    fn most(&self, size: i64) -> u64 {
        ((size.unsigned_abs() * self.rates[usize::from(size < 0)]) >> RATE_SHIFT) + ROUNDING
    }
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

    /// The most that a size unit, long and short, requires initially inside the first tier with nothing crowded, in
    /// 2^-RATE_SHIFT, rounded up; and the price whose product with a size the first tier must hold.
    fn rates(&self) -> ([u64; 2], u64) {
        let (_, initial, maintenance) = self.schedule.first();
        let (mark, index) = (self.leaf.mark_price, self.leaf.index_price);
        let part = |price: u64, ppm: u64| {
            ((u128::from(price) * u128::from(ppm)) << RATE_SHIFT).div_ceil(u128::from(PPM)) as u64
        };
        if self.expired() {
            return ([0, 0], 0);
        }
        if !self.is_option() {
            return ([part(mark, initial); 2], mark);
        }
        let ShortOption { call, strike, .. } = self.short_option();
        let (base, out) =
            if call { (index, strike.saturating_sub(index)) } else { (index.max(mark), index.saturating_sub(strike)) };
        let tiered = part(index, initial);
        let short = tiered.saturating_sub(out << RATE_SHIFT).max((2 * tiered).div_ceil(3)).max(part(base, maintenance));
        ([mark << RATE_SHIFT, short], base)
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
    use penstock_protocol::instruments::{CALL, FUTURE, OPTION, PERPETUAL, PUT};
    use penstock_protocol::leaves::flag;
    use penstock_protocol::terms::{MarketTerms, TERMS, Tier};

    use super::{Gauge, Market, NARROW};

    #[test]
    fn a_gauge_is_one_cache_line() {
        assert_eq!(size_of::<Gauge>(), 64);
    }

    /// xorshift64*, never 0.
    struct Dice(u64);

    impl Dice {
        fn number(&mut self, bits: u32) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> (64 - bits)
        }

        /// As often small as large.
        fn any(&mut self, bits: u32) -> u64 {
            let width = 1 + self.number(8) as u32 % bits;
            self.number(width)
        }
    }

    fn market(dice: &mut Dice) -> Market {
        let mut terms = MarketTerms::unpack(&[0; TERMS]).expect("zeroed terms");
        let (kind, option_type) = [(PERPETUAL, 0), (FUTURE, 0), (OPTION, CALL), (OPTION, PUT)][dice.number(2) as usize];
        let initial_ppm = 1 + dice.any(19);
        let maintenance_ppm = 1 + dice.any(19) % initial_ppm;
        let tier = |notional| Tier { notional, initial_ppm, maintenance_ppm };
        terms.tiers = vec![tier(1 + u128::from(dice.any(50))), tier((1 << 95) - 1)];
        (terms.tick, terms.kind, terms.option_type, terms.strike) = (1, kind, option_type, dice.any(40));
        let mut market = Market::new(terms, 0);
        (market.leaf.index_price, market.leaf.mark_price) = (dice.any(40), dice.any(40));
        market.leaf.crowding = if dice.number(3) == 0 { 1 + dice.number(13) as u16 } else { 0 };
        market.leaf.flags = if dice.number(3) == 0 { flag::EXPIRED } else { 0 };
        market
    }

    #[test]
    fn a_gauge_never_tells_less_than_is_required_and_hardly_more() {
        let (mut dice, mut told) = (Dice(7), 0);
        for _ in 0..200_000 {
            let market = market(&mut dice);
            let gauge = Gauge::of(&market);
            let size = dice.any(55) as i64 * [1, -1][dice.number(1) as usize];
            let Some(most) = gauge.most_of(size) else { continue };
            let (required, worth) = (market.initial(size), u128::from(size.unsigned_abs()));
            let slack = if size == 0 { 0 } else { 3 + worth / 2048 };
            assert!(u128::from(most) >= required, "{most} of {size} in {market:?}");
            assert!(u128::from(most) <= required + slack, "{most} of {size}, {required} required, in {market:?}");
            told += usize::from(size != 0 && required != 0);
        }
        assert!(told > 20_000, "{told} of 200,000 are worth asking");
    }

    #[test]
    fn what_a_gauge_multiplies_stays_narrow() {
        let mut dice = Dice(11);
        for _ in 0..100_000 {
            let gauge = Gauge::of(&market(&mut dice));
            let limit = u128::from(gauge.limit);
            assert!(limit * u128::from(gauge.mark_price) <= NARROW.into());
            assert!(gauge.rates.iter().all(|&rate| limit * u128::from(rate) <= NARROW.into()));
        }
    }
}
