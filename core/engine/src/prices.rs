//! Deciding prices and funding: what the oracle quorum may say, and what follows from it.

use penstock_margin::{funding_change, funding_rate, within};
use penstock_protocol::events::{Event, FundingAccrued, PricePublished};
use penstock_protocol::quantities::{Address, CASH_BITS, FUNDING_BITS, fits};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{AccrueFunding, PublishPrice};
use penstock_state::{Market, State};

use crate::moment::{Moment, Scratch};

/// Take a price signed by the quorum, newer than the last, within one step of it, mark near index.
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
    let (leaf, terms) = (&market.leaf, &market.terms);
    if command.index_price == 0 || command.mark_price == 0 {
        return Err(Reason::PriceNotPositive);
    }
    if command.published_at <= leaf.priced_at {
        return Err(Reason::PriceNotNewer);
    }
    let stale = command.published_at.saturating_add(terms.stale_after) < moment.time;
    if stale || command.published_at > moment.time {
        return Err(Reason::PriceTimeInvalid);
    }
    let near = within(command.index_price, leaf.index_price, terms.price_step_ppm)
        && within(command.mark_price, leaf.mark_price, terms.price_step_ppm);
    if leaf.mark_price != 0 && !near {
        return Err(Reason::PriceStepTooLarge);
    }
    if !within(command.mark_price, command.index_price, terms.mark_band_ppm) {
        return Err(Reason::MarkOutOfBand);
    }
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
        rate_time,
        signers: signers.len() as u8,
    }));
    Ok(())
}

/// Rate × time of the sample that ends now; a sample counts no longer than it is fresh.
fn gathered(market: &Market, until: u64) -> i128 {
    let (leaf, terms) = (&market.leaf, &market.terms);
    if leaf.priced_at == 0 {
        return 0;
    }
    let counted = until.saturating_sub(leaf.priced_at).min(terms.stale_after);
    funding_rate(leaf.index_price, leaf.mark_price, terms.funding_cap) * i128::from(counted)
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
    if leaf.rate_time == 0 || u128::from(moment.time) < due {
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
