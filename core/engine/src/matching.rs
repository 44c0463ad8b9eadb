//! Price, then time: one taker against a book, decided on drafts, nothing written.

use penstock_margin::{Risk, fee_of, grew_or_flipped, in_range, is_legal};
use penstock_protocol::events::{Event, OrderCancelled, Traded};
use penstock_protocol::quantities::{
    BUILDER_FEES_BITS, BUY, CASH_BITS, Hash, MAX_POSITIONS, OPEN_INTEREST_BITS, SIZE_FUNDING_BITS, fits, signed,
};
use penstock_protocol::reasons::{Cause, Reason};
use penstock_state::{Handle, Market, MarketIndex, Order, State};

use crate::drafts::{Draft, Sums};
use crate::moment::{Moment, Scratch};

/// What arrives at a book.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    pub subaccount: u32,
    pub market: MarketIndex,
    pub side: u8,
    pub price: u64,
    pub slot: u16,
    pub nonce: u64,
    pub flags: u32,
    pub reduce_only: bool,
    pub fee_ppm: u32,
    pub session: u8,
    pub record_hash: Hash,
    pub builder: u32,
    pub builder_fee_ppm: u32,
    pub liquidation: bool,
}

/// What a walk through the book would do, beside its events and drafts: the taker's remainder, the market's sums, and
/// the taker's risk and position before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Match {
    pub remaining: u64,
    pub risk: Risk,
    pub held: i64,
    pub sums: Sums,
    /// A reduce-only taker has nothing left to reduce.
    pub spent: bool,
    pub filled: bool,
}

/// Whether a taker of `side` with `limit` may trade at a resting `price`.
#[inline]
pub fn crosses(side: u8, limit: u64, price: u64) -> bool {
    if side == BUY { price <= limit } else { price >= limit }
}

/// Walk the opposite side while it crosses. Dead, own and unaffordable orders met are cancelled and skipped.
///
/// `leaving` is the order this very command replaces: it is as good as gone. The taker's draft has begun.
#[inline]
pub fn walk(
    state: &State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    taker: &Taker,
    size: u64,
    leaving: Option<Handle>,
) -> Result<Match, Reason> {
    let market = state.market(taker.market);
    let owner = &state.account(taker.subaccount).owner;
    let mut result = Match {
        remaining: size,
        held: scratch.drafts.taker().position.size,
        sums: Sums::of(market),
        ..Match::default()
    };
    let mut next = market.book.best(1 - taker.side);
    while let Some(ticket) = next {
        let (handle, price) = market.book.order(ticket);
        if result.remaining == 0 || moment.exhausted() || !crosses(taker.side, taker.price, price) {
            break;
        }
        next = market.book.after(ticket);
        if leaving == Some(handle) {
            continue;
        }
        if is_spent(taker, scratch) {
            break;
        }
        let order = &state.orders[handle];
        let maker = state.account(order.subaccount);
        moment.removed += 1;
        // Nobody walks the book of a market that is over.
        if maker.has_killed(order, moment.time) {
            scratch.events.push(cancelled(state, order, order.size, Cause::Dead));
        } else if taker.liquidation && order.subaccount == taker.subaccount {
            // A liquidation has just killed the account's own orders: they are met dead.
            scratch.events.push(cancelled(state, order, order.size, Cause::Dead));
        } else if maker.owner == *owner && !taker.liquidation {
            scratch.events.push(cancelled(state, order, order.size, Cause::SelfTrade));
        } else {
            meet(state, scratch, moment, market, taker, order, &mut result)?;
        }
    }
    result.spent = result.remaining > 0 && is_spent(taker, scratch);
    if result.filled {
        mark_the_last(&mut scratch.events);
    }
    Ok(result)
}

/// The taker is judged at its last fill, which says so.
fn mark_the_last(events: &mut [Event]) {
    for event in events.iter_mut().rev() {
        if let Event::Traded(traded) = event {
            traded.last = true;
            return;
        }
    }
}

/// Whether a reduce-only taker has nothing left to reduce.
#[inline]
fn is_spent(taker: &Taker, scratch: &Scratch) -> bool {
    taker.reduce_only && scratch.drafts.taker().reducible(taker.side) == 0
}

/// The event that takes a resting order out of its book.
#[inline]
pub fn cancelled(state: &State, order: &Order, size: u64, cause: Cause) -> Event {
    Event::OrderCancelled(OrderCancelled {
        subaccount: order.subaccount,
        slot: order.slot,
        nonce: order.nonce,
        market: state.market(order.market).terms.market,
        side: order.side,
        price: order.price,
        size,
        cause,
    })
}

/// Fill against one live order of somebody else, or cancel it if its owner cannot afford the fill.
#[inline]
fn meet(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    market: &Market,
    taker: &Taker,
    order: &Order,
    result: &mut Match,
) -> Result<(), Reason> {
    let making = match scratch.drafts.get(order.subaccount) {
        Some(draft) => *draft,
        None => Draft::of(state, state.account(order.subaccount), taker.market),
    };
    let taking = *scratch.drafts.taker();
    let mut size = result.remaining.min(order.size);
    if taker.reduce_only {
        size = size.min(taking.reducible(taker.side));
    }
    let mut clamped = size;
    if order.reduce_only {
        clamped = size.min(making.reducible(order.side));
        if clamped == 0 {
            scratch.events.push(cancelled(state, order, order.size, Cause::ReduceOnlySpent));
            return Ok(());
        }
    }
    let change = signed(taker.side, clamped);
    let mut taker_fee = market.trading_fee(clamped, order.price, taker.fee_ppm as i32);
    if taker.liquidation {
        taker_fee = bearable_fee(market, &taking, change, order.price, taker_fee);
    }
    // A rebate comes out of the taker's fee of the same trade.
    let maker_fee = market.trading_fee(clamped, order.price, market.terms.maker_fee_ppm).max(-taker_fee);
    let builder_fee = match taker.builder_fee_ppm {
        0 => 0,
        rate => fee_of(u128::from(clamped) * u128::from(order.price), rate as i32),
    };
    let Some(made) = affordable(state, taker.market, order, &making, clamped, maker_fee) else {
        scratch.events.push(cancelled(state, order, order.size, Cause::MakerMargin));
        return Ok(());
    };
    let mut taken = taking;
    taken.position.fill(&mut taken.cash, change, order.price, taker_fee + builder_fee, market.leaf.funding_index);
    let sums = &mut result.sums;
    sums.subtract(&taking.share());
    sums.subtract(&making.share());
    sums.add(&taken.share());
    sums.add(&made.share());
    sums.fees += maker_fee + taker_fee;
    sums.builder_fees += builder_fee;
    if !in_range(taken.cash, &taken.position) || !sums_in_range(sums) {
        return Err(Reason::OutOfRange);
    }
    if !result.filled {
        let others = state.initial_elsewhere(state.account(taker.subaccount), taker.market);
        result.risk = taking.risk(market, others);
        result.filled = true;
    }
    scratch.drafts.set(order.subaccount, made);
    *scratch.drafts.taker_mut() = taken;
    result.remaining -= clamped;
    scratch.events.push(Event::Traded(Traded {
        sequence: moment.sequence,
        member: moment.member,
        market: market.terms.market,
        price: order.price,
        size: clamped,
        taker_side: taker.side,
        maker: order.subaccount,
        maker_slot: order.slot,
        maker_nonce: order.nonce,
        maker_session: order.session,
        maker_accepted: order.accepted,
        maker_priority: order.priority,
        maker_priority_member: order.member,
        maker_fee,
        taker: taker.subaccount,
        taker_slot: taker.slot,
        taker_nonce: taker.nonce,
        taker_session: taker.session,
        taker_price: taker.price,
        taker_flags: taker.flags,
        taker_fee,
        taker_equity: result.risk.equity,
        taker_initial: result.risk.initial,
        taker_held: result.held,
        builder: taker.builder,
        builder_fee,
        liquidation: taker.liquidation,
        last: false,
        maker_hash: order.record_hash,
        taker_hash: taker.record_hash,
    }));
    if clamped < size {
        // The rest of a clamped reduce-only maker order can never fill: it leaves the book at once.
        scratch.events.push(cancelled(state, order, order.size - clamped, Cause::ReduceOnlySpent));
    }
    Ok(())
}

/// The maker's holding after the fill, or None if that would be illegal, too wide or large, or a 33rd position.
#[inline]
fn affordable(state: &State, index: MarketIndex, order: &Order, making: &Draft, size: u64, fee: i128) -> Option<Draft> {
    let market = state.market(index);
    let before = making.position.size;
    if before == 0 && making.others_count >= MAX_POSITIONS {
        return None;
    }
    let mut after = *making;
    let change = signed(order.side, size);
    after.position.fill(&mut after.cash, change, order.price, fee, market.leaf.funding_index);
    let grew = grew_or_flipped(before, before + change);
    if grew && (before + change).unsigned_abs() > market.terms.position_cap {
        return None;
    }
    if !in_range(after.cash, &after.position) {
        return None;
    }
    // What is enough for the most that may be required is enough; only else is it counted exactly.
    let most = after.others_most() + state.most(index, after.position.size);
    if after.equity(market) >= most as i128 {
        return Some(after);
    }
    let others = state.initial_elsewhere(state.account(order.subaccount), index);
    is_legal(&making.risk(market, others), &after.risk(market, others), grew).then_some(after)
}

/// A liquidation fee takes at most the equity that is left after the fill.
fn bearable_fee(market: &Market, taking: &Draft, change: i64, price: u64, fee: i128) -> i128 {
    let mut trial = *taking;
    trial.position.fill(&mut trial.cash, change, price, 0, market.leaf.funding_index);
    fee.min(trial.equity(market).max(0))
}

/// Whether every sum is inside its width.
#[inline]
fn sums_in_range(sums: &Sums) -> bool {
    fits(sums.fees, CASH_BITS)
        && fits(sums.entry_total, CASH_BITS)
        && sums.size_funding.fits(SIZE_FUNDING_BITS)
        && fits(sums.open_interest, OPEN_INTEREST_BITS)
        && fits(sums.builder_fees, BUILDER_FEES_BITS)
}
