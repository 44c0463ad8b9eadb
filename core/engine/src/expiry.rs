//! Deciding how contracts begin and end: listing from a template, expiry of a market, then of each position in it.

use penstock_margin::{claim_left, funding_change};
use penstock_protocol::events::{Event, MarketExpired, MarketListed, PositionExpired};
use penstock_protocol::instruments::{CALL, NO_OPTION, OPTION, PUT, is_listable};
use penstock_protocol::quantities::{
    CASH_BITS, FUNDING_BITS, MAX_MARKETS, MICRO, PPM, SETTLEMENT_WINDOW, SIZE_FUNDING_BITS, WITHDRAWN_BITS, fits,
};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{ExpireMarket, ExpirePosition, ListMarket};
use penstock_protocol::terms::Template;
use penstock_state::{Market, State};

use crate::liquidation::{lacking, shortfall};
use crate::moment::{Moment, Scratch};
use crate::prices::{gathered, in_window};

/// List a contract that its template foresees, under the number after the last.
pub fn decide_listing(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &ListMarket,
) -> Result<(), Reason> {
    let &ListMarket { template, expiry, strike, option_type } = command;
    let found = state.template(template).ok_or(Reason::TemplateUnknown)?;
    if !is_listable(found.dates, expiry, moment.time / MICRO) {
        return Err(Reason::ExpiryNotListable);
    }
    check_strike(state, moment, found, command)?;
    let terms = &found.terms;
    if state.contracts.contains(&(terms.underlying, terms.kind, expiry, strike, option_type)) {
        return Err(Reason::MarketListed);
    }
    let market = state.markets.last().map_or(0, |last| last.terms.market + 1);
    if market >= MAX_MARKETS {
        return Err(Reason::MarketLimit);
    }
    let sequence = moment.sequence;
    let listed = MarketListed { sequence, market, template, expiry, strike, option_type };
    scratch.events.push(Event::MarketListed(listed));
    Ok(())
}

/// An option's strike: a multiple of the step, near the index of the market that the template looks at.
fn check_strike(state: &State, moment: &Moment, template: &Template, command: &ListMarket) -> Result<(), Reason> {
    let strike = command.strike;
    if template.terms.kind != OPTION {
        let none = (strike, command.option_type) == (0, NO_OPTION);
        return if none { Ok(()) } else { Err(Reason::StrikeNotListable) };
    }
    let known = matches!(command.option_type, CALL | PUT);
    if !known || strike == 0 || !strike.is_multiple_of(template.strike_step) {
        return Err(Reason::StrikeNotListable);
    }
    let index_market = state.market_index(template.index_market).ok_or(Reason::PriceStale)?;
    let looked_at = state.market(index_market);
    if looked_at.expired() || !looked_at.fresh(moment.time) {
        return Err(Reason::PriceStale);
    }
    let index = looked_at.leaf.index_price;
    let (away, band) = (u128::from(strike.abs_diff(index)), u128::from(template.strike_band_ppm));
    if away * u128::from(PPM) > u128::from(index) * band {
        return Err(Reason::StrikeNotListable);
    }
    Ok(())
}

/// Fix what one unit pays: by the mean index of the last 30 minutes before expiry, rounded down.
///
/// Each committed price counts from its own time to the next one's; the time that had a price is what the sum is
/// divided by. A market that never had one ends at 0, and nobody can hold a position in it.
pub fn decide_expiry(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &ExpireMarket,
) -> Result<(), Reason> {
    let market = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    if market.expired() || !market.over(moment.time) {
        return Err(Reason::ExpiryNotDue);
    }
    let leaf = &market.leaf;
    let index_price = settlement_index(market);
    let last = (market.terms.expiry * MICRO).max(leaf.priced_at);
    let moved = leaf.funding_index + funding_change(leaf.index_price, leaf.rate_time + gathered(market, last));
    scratch.events.push(Event::MarketExpired(MarketExpired {
        sequence: moment.sequence,
        market: command.market,
        index_price,
        mark_price: market.terms.payoff(index_price),
        funding_index: if fits(moved, FUNDING_BITS) { moved } else { leaf.funding_index },
    }));
    Ok(())
}

/// Σ index × time in the window ÷ the time in it that had a price, rounded down; price units.
fn settlement_index(market: &Market) -> u64 {
    let leaf = &market.leaf;
    let expiry = market.terms.expiry * MICRO;
    let covered = expiry.saturating_sub(leaf.priced_since.max(expiry.saturating_sub(SETTLEMENT_WINDOW)));
    if leaf.priced_at == 0 || covered == 0 {
        return 0;
    }
    ((leaf.window_sum + in_window(market, expiry)) / u128::from(covered)) as u64
}

/// Close a position of an expired market at its settlement price, and cover what the account then lacks.
pub fn decide_position_expiry(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &ExpirePosition,
) -> Result<(), Reason> {
    let &ExpirePosition { subaccount, market: number } = command;
    let account = state.accounts.get(subaccount as usize).ok_or(Reason::SubaccountUnknown)?;
    let index = state.market_index(number).ok_or(Reason::MarketUnknown)?;
    let market = state.market(index);
    let position = account.exposures.position(index);
    if position.size == 0 {
        return Err(Reason::PositionUnknown);
    }
    if !market.expired() {
        return Err(if market.over(moment.time) { Reason::ExpiryPending } else { Reason::ExpiryNotDue });
    }
    let leaf = &market.leaf;
    let (mut closed, mut cash) = (position, account.cash);
    let dust = closed.fill(&mut cash, -position.size, leaf.mark_price, 0, leaf.funding_index);
    let claims = leaf.size_funding + claim_left(&position, leaf.mark_price, leaf.funding_index);
    let sums_fit = fits(cash, CASH_BITS)
        && fits(cash - account.cash, CASH_BITS)
        && claims.fits(SIZE_FUNDING_BITS)
        && fits(leaf.entry_total - position.entry, CASH_BITS)
        && leaf.dust + dust < 1 << WITHDRAWN_BITS;
    if !sums_fit {
        return Err(Reason::OutOfRange);
    }
    scratch.events.push(Event::PositionExpired(PositionExpired {
        sequence: moment.sequence,
        subaccount,
        market: number,
        size: position.size,
        cash: cash - account.cash,
    }));
    // An expired position counts at its settlement price already: closing it leaves equity where it is.
    let others = account.exposures.held().len() > 1;
    let missing = lacking(account.cash, cash, others.then(|| state.favoured(account, moment.time).equity));
    if missing > 0 {
        let covered = shortfall(state, moment, subaccount, missing, market, leaf.fees)?;
        scratch.events.push(covered);
    }
    Ok(())
}
