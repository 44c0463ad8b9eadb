//! Writing what events say of markets: prices, funding, status, listing, expiry, builders.

use penstock_margin::claim_left;
use penstock_protocol::events as say;
use penstock_protocol::leaves::flag;
use penstock_state::State;

use crate::evolve::{account, index_of, market};

pub fn price(state: &mut State, event: &say::PricePublished) {
    let leaf = &mut market(state, event.market).leaf;
    (leaf.index_price, leaf.mark_price, leaf.premium) = (event.index_price, event.mark_price, event.premium);
    (leaf.priced_at, leaf.rate_time) = (event.published_at, event.rate_time);
    (leaf.window_sum, leaf.priced_since) = (event.window_sum, event.priced_since);
    leaf.crowding = event.crowding;
    leaf.flags &= !flag::STALE;
    state.gauge_again(index_of(state, event.market));
}

pub fn funding(state: &mut State, event: &say::FundingAccrued) {
    let leaf = &mut market(state, event.market).leaf;
    (leaf.funding_index, leaf.funded_at, leaf.rate_time) = (event.funding_index, event.funded_at, 0);
    state.gauge_again(index_of(state, event.market));
}

pub fn list(state: &mut State, event: &say::MarketListed) {
    let template = state.template(event.template).expect("events name templates of genesis");
    let terms = template.terms.contract(event.market, event.expiry, event.strike, event.option_type);
    state.list(terms, event.template);
}

pub fn flag(state: &mut State, event: &say::MarketFlagged) {
    let market = market(state, event.market);
    (market.leaf.flags, market.until, market.flagged_at) = (event.flags, event.until, event.flagged_at);
    state.gauge_again(index_of(state, event.market));
    state.guardian_nonce = state.guardian_nonce.max(event.nonce);
}

pub fn delist(state: &mut State, event: &say::MarketDelisted) {
    state.delist(index_of(state, event.market), event.expiry);
    state.governor_nonce = event.nonce;
}

pub fn expire(state: &mut State, event: &say::MarketExpired) {
    let market = market(state, event.market);
    market.until = 0;
    let leaf = &mut market.leaf;
    (leaf.index_price, leaf.mark_price) = (event.index_price, event.mark_price);
    (leaf.funding_index, leaf.rate_time, leaf.window_sum) = (event.funding_index, 0, 0);
    (leaf.premium, leaf.crowding) = (0, 0);
    leaf.flags = leaf.flags & flag::SHORTFALL_BOOKED | flag::EXPIRED;
    state.gauge_again(index_of(state, event.market));
}

pub fn expire_position(state: &mut State, event: &say::PositionExpired) {
    let index = index_of(state, event.market);
    let leaf = &mut state.markets[usize::from(index)].leaf;
    let account = &mut state.accounts[event.subaccount as usize];
    let mut position = account.exposures.position(index);
    leaf.size_funding = leaf.size_funding + claim_left(&position, leaf.mark_price, leaf.funding_index);
    leaf.entry_total -= position.entry;
    leaf.open_interest -= i128::from(position.size.max(0));
    leaf.dust += position.fill(&mut account.cash, -position.size, leaf.mark_price, 0, leaf.funding_index);
    account.exposures.hold(index, &position);
}

pub fn pay_builder(state: &mut State, event: &say::BuilderPaid) {
    let market = market(state, event.market);
    market.builders.remove(&event.subaccount);
    market.leaf.builder_fees -= event.amount;
    account(state, event.subaccount).cash += event.amount;
}
