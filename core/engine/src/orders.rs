//! Deciding orders: place, replace, cancel. Reads the state; may refuse; writes nothing.

use penstock_margin::{grew_or_flipped, is_legal};
use penstock_protocol::events::{AllCancelled, Event, OrderAmended, OrderRested, RemainderCancelled};
use penstock_protocol::quantities::{
    BUY, Hash, IMMEDIATE_OR_CANCEL, INSURANCE_FUND, MAX_BUILDER_FEE, MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_REDUCE_ONLY,
    SELL, stamp,
};
use penstock_protocol::reasons::{Cause, Reason};
use penstock_protocol::records::{CancelAll, CancelOrder, PlaceOrder};
use penstock_state::{Account, Change, Handle, Market, MarketIndex, Order, State};

use crate::drafts::Draft;
use crate::matching::{Match, Taker, cancelled, crosses, walk};
use crate::moment::{Moment, Scratch};

/// A place command with what the checks need beside it.
///
/// `old` is the live order in its slot, if any; `leaving` the order there, dead or alive, that this one ousts.
#[derive(Clone, Copy)]
struct Place<'a> {
    command: &'a PlaceOrder,
    record_hash: &'a Hash,
    session: u8,
    account: &'a Account,
    index: MarketIndex,
    market: &'a Market,
    old: Option<&'a Order>,
    leaving: Option<(Handle, &'a Order)>,
}

impl Place<'_> {
    /// Whether the leaving order still counts among the open ones: one killed by a mass cancel was forgotten with it.
    #[inline]
    fn counted(&self) -> Option<&Order> {
        self.leaving.map(|(_, order)| order).filter(|order| order.accepted >= self.account.cancelled_before)
    }
}

/// Cancel the slot's live order.
pub fn decide_cancel(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &CancelOrder,
) -> Result<(), Reason> {
    let account = state.account(command.subaccount);
    let found = state.order_in(account, command.slot).map(|(_, order)| order);
    let order = found.filter(|order| !state.is_dead(account, order, moment.time)).ok_or(Reason::OrderUnknown)?;
    scratch.events.push(cancelled(state, order, order.size, Cause::ByOwner));
    Ok(())
}

/// Kill every order placed before this command.
pub fn decide_cancel_all(scratch: &mut Scratch, moment: &Moment, command: &CancelAll) -> Result<(), Reason> {
    let all = AllCancelled { subaccount: command.subaccount, stamp: stamp(moment.sequence, moment.member) };
    scratch.events.push(Event::AllCancelled(all));
    Ok(())
}

/// Check, then amend in place, or leave the slot, match, and rest what remains.
#[inline]
pub fn decide_place(
    state: &State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    command: &PlaceOrder,
    record_hash: &Hash,
    session: u8,
) -> Result<(), Reason> {
    let index = state.market_index(command.market).ok_or(Reason::MarketUnknown)?;
    let market = state.market(index);
    if market.over(moment.time) {
        return Err(Reason::MarketExpired);
    }
    if market.halted() {
        return Err(Reason::MarketHalted);
    }
    check_fields(command, market)?;
    check_builder(state, command)?;
    if !command.reduce_only {
        if !market.fresh(moment.time) {
            return Err(Reason::PriceStale);
        }
        if market.reduce_only() {
            return Err(Reason::MarketReduceOnly);
        }
    }
    let account = state.account(command.subaccount);
    let leaving = state.order_in(account, command.slot);
    let old = leaving.map(|(_, order)| order).filter(|order| !state.is_dead(account, order, moment.time));
    if filled_since(state, account, command.slot, old) > command.fill_guard {
        return Err(Reason::FilledSince);
    }
    let place = Place { command, record_hash, session, account, index, market, old, leaving };
    if let Some(old) = old {
        if keeps_priority(&place, old) {
            scratch.events.push(amended(moment, &place));
            return Ok(());
        }
        scratch.events.push(cancelled(state, old, old.size, Cause::Replaced));
    } else if let Some((_, dead)) = leaving {
        scratch.events.push(cancelled(state, dead, dead.size, Cause::Dead));
    }
    check_counts(&place)?;
    enter(state, scratch, moment, &place)
}

/// What a fill guard is compared with: the fill of the order in the slot, or of the last one that filled there.
///
/// So a replace that arrives after its order has filled completely is refused like one after a partial fill.
#[inline]
fn filled_since(state: &State, account: &Account, slot: u16, old: Option<&Order>) -> u64 {
    match (old, state.slot(account, slot).filled) {
        (Some(old), _) => old.filled,
        (None, 0) => 0,
        (None, gone) => state.filled[gone].0.filled,
    }
}

#[inline]
fn check_fields(command: &PlaceOrder, market: &Market) -> Result<(), Reason> {
    let terms = &market.terms;
    if command.side > SELL || command.time_in_force > IMMEDIATE_OR_CANCEL {
        return Err(Reason::FieldUnknownValue);
    }
    if command.post_only && command.time_in_force == IMMEDIATE_OR_CANCEL {
        return Err(Reason::FlagsConflict);
    }
    if command.price == 0 {
        return Err(Reason::PriceNotPositive);
    }
    if !command.price.is_multiple_of(terms.tick) {
        return Err(Reason::PriceOffTick);
    }
    if command.size == 0 {
        return Err(Reason::SizeNotPositive);
    }
    if !command.size.is_multiple_of(terms.lot) {
        return Err(Reason::SizeOffLot);
    }
    // A maker's fee is at least minus the taker's.
    let making = terms.maker_fee_ppm.max(0) as u32;
    if command.max_fee_ppm < if command.post_only { making } else { making.max(terms.taker_fee_ppm) } {
        return Err(Reason::FeeAboveMaximum);
    }
    Ok(())
}

#[inline]
fn check_builder(state: &State, command: &PlaceOrder) -> Result<(), Reason> {
    if command.builder == 0 && command.builder_fee_ppm == 0 {
        return Ok(());
    }
    if command.builder == INSURANCE_FUND || command.builder as usize >= state.accounts.len() {
        return Err(Reason::BuilderUnknown);
    }
    if command.builder_fee_ppm > MAX_BUILDER_FEE {
        return Err(Reason::BuilderFeeTooHigh);
    }
    Ok(())
}

#[inline]
fn check_counts(place: &Place<'_>) -> Result<(), Reason> {
    let Place { command, account, index, .. } = place;
    let counted = place.counted();
    if command.reduce_only {
        let size = account.exposures.position(*index).size;
        if size == 0 || (size > 0) == (command.side == BUY) {
            return Err(Reason::ReduceOnlyWouldGrow);
        }
        let own = counted.is_some_and(|leaving| leaving.reduce_only && leaving.market == *index);
        if u32::from(account.exposures.reserved_in(*index).reduce_only) - u32::from(own) >= MAX_REDUCE_ONLY {
            return Err(Reason::ReduceOnlyLimit);
        }
    }
    if account.open_orders - u32::from(counted.is_some()) >= MAX_OPEN_ORDERS {
        return Err(Reason::OpenOrderLimit);
    }
    Ok(())
}

#[inline]
fn keeps_priority(place: &Place<'_>, old: &Order) -> bool {
    let command = place.command;
    old.market == place.index
        && old.side == command.side
        && old.price == command.price
        && command.size <= old.size
        && old.reduce_only == command.reduce_only
        && command.time_in_force != IMMEDIATE_OR_CANCEL
}

#[inline]
fn amended(moment: &Moment, place: &Place<'_>) -> Event {
    let command = place.command;
    Event::OrderAmended(OrderAmended {
        subaccount: command.subaccount,
        slot: command.slot,
        nonce: command.nonce,
        market: command.market,
        side: command.side,
        price: command.price,
        size: command.size,
        accepted: stamp(moment.sequence, moment.member),
        session: place.session,
        post_only: command.post_only,
        record_hash: *place.record_hash,
    })
}

/// Match what crosses, rest or cancel the remainder, and judge the subject at the end.
#[inline]
fn enter(state: &State, scratch: &mut Scratch, moment: &mut Moment, place: &Place<'_>) -> Result<(), Reason> {
    let command = place.command;
    scratch.drafts.begin(command.subaccount, Draft::of(state, place.account, place.index));
    let result = if command.post_only {
        clear_the_touch(state, scratch, moment, place)?;
        Match { remaining: command.size, ..Match::default() }
    } else {
        let leaving = place.leaving.map(|(handle, _)| handle);
        walk(state, scratch, moment, &taker(place), command.size, leaving)?
    };
    let mut rested = false;
    if result.remaining != 0 {
        let cause = why_not_rest(moment, place, &result);
        rested = cause.is_none();
        scratch.events.push(remainder(moment, place, &result, cause));
    }
    judge(state, scratch, place, &result, rested)
}

#[inline]
fn taker(place: &Place<'_>) -> Taker {
    let command = place.command;
    let flags = command.side | command.time_in_force << 1 | u8::from(command.post_only) << 2;
    Taker {
        subaccount: command.subaccount,
        market: place.index,
        side: command.side,
        price: command.price,
        slot: command.slot,
        nonce: command.nonce,
        flags: u32::from(flags | u8::from(command.reduce_only) << 3),
        reduce_only: command.reduce_only,
        fee_ppm: place.market.terms.taker_fee_ppm,
        session: place.session,
        record_hash: *place.record_hash,
        builder: command.builder,
        builder_fee_ppm: command.builder_fee_ppm,
        liquidation: false,
    }
}

/// Dead orders standing in a post-only order's way are removed; a live one refuses it.
fn clear_the_touch(state: &State, scratch: &mut Scratch, moment: &mut Moment, place: &Place<'_>) -> Result<(), Reason> {
    let (command, book) = (place.command, &place.market.book);
    let mut next = book.best(1 - command.side);
    while let Some(ticket) = next {
        let (handle, price) = book.order(ticket);
        if !crosses(command.side, command.price, price) {
            break;
        }
        next = book.after(ticket);
        if place.leaving.is_some_and(|(leaving, _)| leaving == handle) {
            continue;
        }
        let order = &state.orders[handle];
        if moment.exhausted() || !state.account(order.subaccount).has_killed(order, moment.time) {
            return Err(Reason::PostOnlyWouldTrade);
        }
        moment.removed += 1;
        scratch.events.push(cancelled(state, order, order.size, Cause::Dead));
    }
    Ok(())
}

#[inline]
fn why_not_rest(moment: &Moment, place: &Place<'_>, result: &Match) -> Option<Cause> {
    if result.spent {
        Some(Cause::ReduceOnlySpent)
    } else if place.command.time_in_force == IMMEDIATE_OR_CANCEL {
        Some(Cause::ImmediateRemainder)
    } else if moment.exhausted() && !place.command.post_only {
        Some(Cause::FillLimit)
    } else {
        None
    }
}

#[inline]
fn remainder(moment: &Moment, place: &Place<'_>, result: &Match, cause: Option<Cause>) -> Event {
    let command = place.command;
    if let Some(cause) = cause {
        return Event::RemainderCancelled(RemainderCancelled {
            subaccount: command.subaccount,
            slot: command.slot,
            nonce: command.nonce,
            market: command.market,
            side: command.side,
            price: command.price,
            size: result.remaining,
            cause,
        });
    }
    Event::OrderRested(OrderRested {
        subaccount: command.subaccount,
        slot: command.slot,
        nonce: command.nonce,
        first_nonce: place.old.map_or(command.nonce, |old| old.first_nonce),
        market: command.market,
        side: command.side,
        price: command.price,
        size: result.remaining,
        filled: command.size - result.remaining,
        sequence: moment.sequence,
        member: moment.member,
        session: place.session,
        post_only: command.post_only,
        reduce_only: command.reduce_only,
        record_hash: *place.record_hash,
    })
}

/// The subject after its last fill, and the margin its resting remainder reserves.
#[inline]
fn judge(state: &State, scratch: &Scratch, place: &Place<'_>, result: &Match, rested: bool) -> Result<(), Reason> {
    let Place { command, account, market, index, .. } = place;
    let after = scratch.drafts.taker();
    let equity = after.equity(market);
    let others = || state.initial_elsewhere(account, *index);
    // What is enough for the most that may be required is enough; only else is it counted exactly.
    let is_covered = |change: &Change| {
        equity >= state.most_after(account, change, after.others_most()) as i128
            || equity >= state.initial_after(account, change, others()) as i128
    };
    let freed = place.counted().filter(|leaving| !leaving.reduce_only);
    let mut change = Change {
        market: *index,
        size: after.position.size,
        freed: freed.map(|leaving| (leaving.market, leaving.side, leaving.size)),
        added: (command.side, 0),
    };
    if result.remaining < command.size {
        let grew = grew_or_flipped(result.held, after.position.size);
        if after.count() > MAX_POSITIONS {
            return Err(Reason::PositionLimit);
        }
        if grew && after.position.size.unsigned_abs() > market.terms.position_cap {
            return Err(Reason::PositionCap);
        }
        if result.sums.open_interest > market.leaf.open_interest.max(market.terms.open_interest_cap.into()) {
            return Err(Reason::OpenInterestCap);
        }
        if !is_covered(&change) && (grew || !is_legal(&result.risk, &after.risk(market, others()), grew)) {
            return Err(Reason::MarginTooLow);
        }
    }
    if !rested || command.reduce_only {
        return Ok(());
    }
    if after.position.size == 0 && after.count() >= MAX_POSITIONS {
        return Err(Reason::PositionLimit);
    }
    change.added.1 = result.remaining;
    let is_raised = || state.initial_after(account, &change, others()) > state.initial_with_orders(account);
    if !is_covered(&change) && is_raised() {
        return Err(Reason::MarginTooLow);
    }
    Ok(())
}
