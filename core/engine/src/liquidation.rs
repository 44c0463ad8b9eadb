//! Deciding the pokes nobody has discretion in: liquidate (first rung) and remove a dead order.
//!
//! First rung: cancel the subaccount's orders, then close through the book inside a band around the mark, one slice of
//! one position a poke. What of the loss the account cannot pay is paid from the fees that market holds, then by the
//! insurance fund; the rest is booked on the market, which then takes reduce-only orders only.

use std::cmp::Reverse;

use penstock_protocol::events::{AllCancelled, Event, ShortfallCovered};
use penstock_protocol::quantities::{
    BUY, BY_OWNER_KEY, CASH_BITS, INSURANCE_FUND, NO_SLOT, PPM, PRICE_BITS, SELL, fits, stamp,
};
use penstock_protocol::reasons::{Cause, Reason};
use penstock_protocol::records::{Liquidate, RemoveDeadOrder};
use penstock_state::{Account, Market, MarketIndex, State};

use crate::drafts::Draft;
use crate::matching::{Match, Taker, cancelled, walk};
use crate::moment::{Moment, Scratch};

/// A position above the slice notional is closed by a fifth at a time.
const SLICE_PPM: u64 = 200_000;

/// An option is closed no further from its mark than this part of the mark, or a tick where that is more.
const OPTION_BAND_PPM: u64 = 250_000;

/// Cancel, then close a slice. Refused unless equity is below maintenance margin, what has no fresh price counted in
/// the holder's favour.
pub fn decide_liquidation(
    state: &State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    command: &Liquidate,
) -> Result<(), Reason> {
    let subaccount = command.subaccount;
    let found = state.accounts.get(subaccount as usize).filter(|_| subaccount != INSURANCE_FUND);
    let account = found.ok_or(Reason::SubaccountUnknown)?;
    if account.exposures.held().iter().any(|held| state.market(held.market).over(moment.time)) {
        // What has reached its expiry cannot be traded, and what it pays is not known or not booked yet.
        return Err(Reason::ExpiryPending);
    }
    let risk = state.favoured(account, moment.time);
    if risk.equity >= risk.maintenance as i128 {
        let fresh = state.all_fresh(account, moment.time);
        return Err(if fresh { Reason::NotLiquidatable } else { Reason::PriceStale });
    }
    if account.exposures.held().is_empty() {
        let market = state.market(0);
        let covered = shortfall(state, moment, subaccount, -account.cash, market, market.leaf.fees)?;
        scratch.events.push(covered);
        return Ok(());
    }
    if account.open_orders != 0 {
        let all = AllCancelled { subaccount, stamp: stamp(moment.sequence, moment.member) };
        scratch.events.push(Event::AllCancelled(all));
    }
    for index in largest_first(state, account, moment.time) {
        let met = scratch.events.len();
        let result = close(state, scratch, moment, subaccount, account, index)?;
        let walked = scratch.events.len() > met;
        let left = scratch.drafts.taker();
        let equity = (left.count() != 0).then(|| left.equity(state.market(index)) + state.favour(account, moment.time));
        let missing = lacking(account.cash, left.cash, equity);
        if missing > 0 {
            let covered = shortfall(state, moment, subaccount, missing, state.market(index), result.sums.fees)?;
            scratch.events.push(covered);
        }
        if walked {
            break;
        }
    }
    if scratch.events.is_empty() { Err(Reason::LiquidityMissing) } else { Ok(()) }
}

/// What an account cannot pay itself after a forced closing that led its cash from `before` to `left`: its negative cash;
/// while it holds other positions, and has `equity` as a liquidation looks at it, as much of the loss just made as that
/// is below 0. Nothing is missing below 1.
///
/// So a loss is booked where it arose, and not kept open by a scrap that nobody can close.
pub fn lacking(before: i128, left: i128, equity: Option<i128>) -> i128 {
    equity.map_or(-left, |equity| (-left).min(before - left).min(-equity))
}

/// Take an order out of the book that a mass cancel, a revocation or an expiry has killed.
pub fn decide_removal(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &RemoveDeadOrder,
) -> Result<(), Reason> {
    let account = state.accounts.get(command.subaccount as usize).ok_or(Reason::SubaccountUnknown)?;
    let found = state.order_in(account, command.slot).map(|(_, order)| order);
    let order = found.filter(|order| state.is_dead(account, order, moment.time)).ok_or(Reason::OrderNotDead)?;
    scratch.events.push(cancelled(state, order, order.size, Cause::Dead));
    Ok(())
}

/// The markets held that trade at a fresh price, largest maintenance requirement first, then lowest id.
///
/// A long option needs what it is worth, which selling it does not free: it counts as 0.
fn largest_first(state: &State, account: &Account, time: u64) -> Vec<MarketIndex> {
    let mut held = account.exposures.held().to_vec();
    held.sort_by_key(|held| {
        let market = state.market(held.market);
        let needs = if market.is_option() && held.size > 0 { 0 } else { market.maintenance(held.size) };
        (Reverse(needs), held.market)
    });
    let trades = |market: &MarketIndex| !state.market(*market).halted() && state.market(*market).fresh(time);
    held.iter().map(|held| held.market).filter(trades).collect()
}

/// Match one slice of the position inside the band, as a taker without an order.
fn close(
    state: &State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    subaccount: u32,
    account: &Account,
    index: MarketIndex,
) -> Result<Match, Reason> {
    let market = state.market(index);
    let draft = Draft::of(state, account, index);
    let side = if draft.position.size > 0 { SELL } else { BUY };
    let mut slice = draft.position.size.unsigned_abs();
    if draft.position.notional(market.reference_price()) > market.terms.liquidation_slice {
        let (lot, ppm) = (u128::from(market.terms.lot), u128::from(PPM));
        let fifth = (u128::from(slice) * u128::from(SLICE_PPM)).div_ceil(ppm);
        slice = slice.min((fifth.div_ceil(lot) * lot) as u64);
    }
    scratch.drafts.begin(subaccount, draft);
    let taker = Taker {
        subaccount,
        market: index,
        side,
        price: band_price(market, side),
        slot: NO_SLOT,
        nonce: 0,
        flags: side.into(),
        reduce_only: true,
        fee_ppm: market.terms.liquidation_fee_ppm,
        session: BY_OWNER_KEY,
        record_hash: [0; 32],
        builder: 0,
        builder_fee_ppm: 0,
        liquidation: true,
    };
    walk(state, scratch, moment, &taker, slice, None)
}

/// The worst price a liquidation of `side` may take: mark ∓ band of the reference, rounded to the tick towards the mark,
/// and at least a tick. An option's band is a quarter of its mark at most, or a tick where that is more.
fn band_price(market: &Market, side: u8) -> u64 {
    let (mark, tick) = (market.leaf.mark_price * PPM, market.terms.tick);
    let mut band = market.reference_price() * u64::from(market.terms.liquidation_band_ppm);
    if market.is_option() {
        band = band.min((market.leaf.mark_price * OPTION_BAND_PPM).max(tick * PPM));
    }
    if side == BUY {
        return ((mark + band) / (PPM * tick) * tick).min((1 << PRICE_BITS) - 1);
    }
    (mark.saturating_sub(band).div_ceil(PPM * tick) * tick).max(tick)
}

/// Pay what an account lacks: from the fees the market holds, then from the fund; book the rest.
pub fn shortfall(
    state: &State,
    moment: &Moment,
    subaccount: u32,
    missing: i128,
    market: &Market,
    fees: i128,
) -> Result<Event, Reason> {
    let from_fees = missing.min(fees.max(0));
    let covered = (missing - from_fees).min(state.account(INSURANCE_FUND).cash);
    let booked = missing - from_fees - covered;
    if !fits(market.leaf.shortfall + booked, CASH_BITS) {
        return Err(Reason::OutOfRange);
    }
    let (sequence, market) = (moment.sequence, market.terms.market);
    Ok(Event::ShortfallCovered(ShortfallCovered { sequence, subaccount, market, from_fees, covered, booked }))
}
