//! Deciding prices and funding: what the oracle quorum may say, and what follows from it.

use penstock_margin::{funding_change, within};
use penstock_protocol::events::{Event, FundingAccrued, MarketFlagged, PricePublished};
use penstock_protocol::instruments::{CALL, PERPETUAL};
use penstock_protocol::leaves::flag;
use penstock_protocol::quantities::{Address, CASH_BITS, FUNDING_BITS, MICRO, SETTLEMENT_WINDOW, fits};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{AccrueFunding, MarkStale, PublishPrice};
use penstock_state::{Market, State};

use crate::moment::{Moment, Scratch};

/// Premiums are parts in 1e9, bands parts in 1e6.
const RATE_PER_PPM: u32 = 1_000;

/// Take a price signed by the quorum, newer than the last, within a step of it, mark and premium in their bands.
pub fn decide_price(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &PublishPrice,
    signers: &[Address],
) -> Result<(), Reason> {
    let quorum = signers.len() >= usize::from(state.oracle_threshold);
    if !quorum || !signers.iter().all(|signer| state.oracles.contains(signer)) {
        return Err(Reason::OracleQuorumMissing);
    }
    let market = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    let leaf = &market.leaf;
    check_price(market, moment, command)?;
    let rate_time = leaf.rate_time + gathered(market, command.published_at);
    if !fits(rate_time, CASH_BITS) {
        return Err(Reason::OutOfRange);
    }
    scratch.events.push(Event::PricePublished(PricePublished {
        sequence: moment.sequence,
        market: command.market,
        published_at: command.published_at,
        index_price: command.index_price,
        mark_price: command.mark_price,
        premium: command.premium,
        rate_time,
        window_sum: leaf.window_sum + in_window(market, command.published_at),
        priced_since: if leaf.priced_since == 0 { command.published_at } else { leaf.priced_since },
        crowding: market.crowding(),
        signers: signers.len() as u8,
    }));
    Ok(())
}

fn check_price(market: &Market, moment: &Moment, command: &PublishPrice) -> Result<(), Reason> {
    let (leaf, terms) = (&market.leaf, &market.terms);
    if market.over(moment.time) {
        return Err(Reason::MarketExpired);
    }
    if command.index_price == 0 || command.mark_price == 0 {
        return Err(Reason::PriceNotPositive);
    }
    let next = leaf.priced_at.saturating_add(terms.price_interval.into());
    if command.published_at <= leaf.priced_at || (leaf.priced_at > 0 && command.published_at < next) {
        return Err(Reason::PriceNotNewer);
    }
    let stale = command.published_at.saturating_add(terms.stale_after) < moment.time;
    if stale || command.published_at > moment.time {
        return Err(Reason::PriceTimeInvalid);
    }
    if leaf.mark_price != 0 && !is_one_step(market, command) {
        return Err(Reason::PriceStepTooLarge);
    }
    if !in_band(market, command) {
        return Err(Reason::MarkOutOfBand);
    }
    let band = if terms.kind == PERPETUAL { terms.mark_band_ppm * RATE_PER_PPM } else { 0 };
    if command.premium.unsigned_abs() > band {
        return Err(Reason::PremiumOutOfBand);
    }
    Ok(())
}

/// Index, mark and premium each at most a step from the last; an option's mark by a step of the index.
fn is_one_step(market: &Market, command: &PublishPrice) -> bool {
    let (leaf, step) = (&market.leaf, market.terms.price_step_ppm);
    within(command.index_price, leaf.index_price, step, leaf.index_price)
        && within(command.mark_price, leaf.mark_price, step, market.reference_price())
        && command.premium.abs_diff(leaf.premium) <= step * RATE_PER_PPM
}

/// The mark near the index; an option's between its intrinsic value and the most it can pay, a band of the index beyond
/// either. In the last half hour also near what the contract will settle at, or between the two.
fn in_band(market: &Market, command: &PublishPrice) -> bool {
    let (terms, index, mark) = (&market.terms, command.index_price, command.mark_price);
    let settles = expected_settlement(market, command.published_at, index);
    if !market.is_option() {
        let nearest = mark.clamp(index.min(settles), index.max(settles));
        return within(mark, nearest, terms.mark_band_ppm, nearest);
    }
    let intrinsic = terms.payoff(index).min(terms.payoff(settles));
    let most = if terms.option_type == CALL { index.max(settles) } else { terms.strike };
    within(mark.min(intrinsic), intrinsic, terms.mark_band_ppm, index)
        && within(mark.max(most), most, terms.mark_band_ppm, index)
}

/// The settlement index if `index` stands from `at` (µs) to expiry; outside the last 30 minutes, and of a market without
/// an end, the index itself.
fn expected_settlement(market: &Market, at: u64, index: u64) -> u64 {
    let expiry = market.terms.expiry * MICRO;
    let start = expiry.saturating_sub(SETTLEMENT_WINDOW);
    if expiry == 0 || at <= start {
        return index;
    }
    let since = if market.leaf.priced_since == 0 { at } else { market.leaf.priced_since };
    let rest = u128::from(index) * u128::from(expiry - at);
    ((market.leaf.window_sum + in_window(market, at) + rest) / u128::from(expiry - since.max(start))) as u64
}

/// Say once that the price is too old: from its age alone, whatever silenced the oracles.
pub fn decide_stale(state: &State, scratch: &mut Scratch, moment: &Moment, command: &MarkStale) -> Result<(), Reason> {
    let market = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    let flags = market.leaf.flags;
    if market.leaf.mark_price == 0 || market.fresh(moment.time) || flags & flag::STALE != 0 {
        return Err(Reason::PriceFresh);
    }
    scratch.events.push(Event::MarketFlagged(MarketFlagged {
        sequence: moment.sequence,
        market: command.market,
        flags: flags | flag::STALE,
        until: market.until,
        flagged_at: market.flagged_at,
        nonce: 0,
    }));
    Ok(())
}

/// Rate × time of the sample that ends now; one counts no longer than it is fresh, and none during a halt.
pub fn gathered(market: &Market, until: u64) -> i128 {
    let priced_at = market.leaf.priced_at;
    if priced_at == 0 || market.halted() {
        return 0;
    }
    market.funding_rate() * i128::from(until.saturating_sub(priced_at).min(market.terms.stale_after))
}

/// Index × time of the sample that ends now, as far as it lies in the 30 minutes before expiry.
pub fn in_window(market: &Market, until: u64) -> u128 {
    let (expiry, priced_at) = (market.terms.expiry * MICRO, market.leaf.priced_at);
    if expiry == 0 || priced_at == 0 {
        return 0;
    }
    let start = priced_at.max(expiry.saturating_sub(SETTLEMENT_WINDOW));
    u128::from(market.leaf.index_price) * u128::from(until.min(expiry).saturating_sub(start))
}

/// Move the funding index by index price × gathered rate × time, rounded towards zero.
pub fn decide_funding(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &AccrueFunding,
) -> Result<(), Reason> {
    let market = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    let leaf = &market.leaf;
    let due = u128::from(leaf.funded_at) + u128::from(market.terms.funding_interval);
    if market.expired() || leaf.rate_time == 0 || u128::from(moment.time) < due {
        return Err(Reason::FundingNotDue);
    }
    let funding_index = leaf.funding_index + funding_change(leaf.index_price, leaf.rate_time);
    if !fits(funding_index, FUNDING_BITS) {
        return Err(Reason::OutOfRange);
    }
    let (sequence, market, funded_at) = (moment.sequence, command.market, moment.time);
    scratch.events.push(Event::FundingAccrued(FundingAccrued { sequence, market, funded_at, funding_index }));
    Ok(())
}
