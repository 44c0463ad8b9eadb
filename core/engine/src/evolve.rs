//! Writing what events say. Never refuses, reads no command; the events alone rebuild the state.

use penstock_protocol::events as say;
use penstock_protocol::events::Event;
use penstock_protocol::leaves::flag::SHORTFALL_BOOKED;
use penstock_protocol::leaves::{SessionLeaf, SlotLeaf};
use penstock_protocol::quantities::{FUNDING_SHIFT, INSURANCE_FUND, NO_SLOT, signed, stamp};
use penstock_state::{Account, FilledSlot, Market, MarketIndex, Order, State};

use crate::evolve_markets as markets;

/// Write one event into the state.
#[inline]
pub fn evolve(state: &mut State, event: &Event) {
    match event {
        Event::SlotGuarded(event) => state.slot_mut(event.subaccount, event.slot).guard = event.nonce,
        Event::Refused(_) | Event::RemainderCancelled(_) => {}
        Event::DepositCredited(event) => deposit(state, event),
        Event::CashWithdrawn(event) => withdraw(state, event),
        Event::SessionGranted(event) => grant(state, event),
        Event::SessionRevoked(event) => revoke(state, event),
        Event::OrderRested(event) => rest(state, event),
        Event::OrderAmended(event) => amend(state, event),
        Event::OrderCancelled(event) => cancel(state, event),
        Event::AllCancelled(event) => cancel_all(state, event),
        Event::Traded(event) => trade(state, event),
        Event::PricePublished(event) => markets::price(state, event),
        Event::FundingAccrued(event) => markets::funding(state, event),
        Event::FeesSwept(event) => sweep(state, event),
        Event::ShortfallCovered(event) => shortfall(state, event),
        Event::MarketListed(event) => markets::list(state, event),
        Event::MarketFlagged(event) => markets::flag(state, event),
        Event::MarketDelisted(event) => markets::delist(state, event),
        Event::MarketExpired(event) => markets::expire(state, event),
        Event::PositionExpired(event) => markets::expire_position(state, event),
        Event::BuilderPaid(event) => markets::pay_builder(state, event),
    }
}

pub(crate) fn index_of(state: &State, market: u32) -> MarketIndex {
    state.market_index(market).expect("events name listed markets")
}

pub(crate) fn market(state: &mut State, market: u32) -> &mut Market {
    let index = index_of(state, market);
    &mut state.markets[usize::from(index)]
}

pub(crate) fn account(state: &mut State, subaccount: u32) -> &mut Account {
    &mut state.accounts[subaccount as usize]
}

fn deposit(state: &mut State, event: &say::DepositCredited) {
    if event.subaccount as usize == state.accounts.len() {
        state.accounts.push(Account::new(event.owner));
    }
    account(state, event.subaccount).cash += event.amount;
    state.deposits = event.deposit + 1;
    state.deposit_head = event.head;
    state.deposited += event.amount;
}

fn withdraw(state: &mut State, event: &say::CashWithdrawn) {
    let account = account(state, event.subaccount);
    account.cash -= event.amount;
    account.withdrawn += event.amount;
    state.withdrawn += event.amount;
}

fn grant(state: &mut State, event: &say::SessionGranted) {
    let sessions = &mut account(state, event.subaccount).sessions;
    let granted = SessionLeaf {
        key: event.key,
        expiry: event.expiry,
        slot_first: event.slot_first,
        slot_last: event.slot_last,
        scopes: event.scopes,
        underlyings: event.underlyings,
        kinds: event.kinds,
        from_sequence: event.from_sequence,
        revoked_at: 0,
    };
    match sessions.get_mut(usize::from(event.session)) {
        Some(session) => *session = granted,
        None => sessions.push(granted),
    }
}

fn revoke(state: &mut State, event: &say::SessionRevoked) {
    account(state, event.subaccount).sessions[usize::from(event.session)].revoked_at = event.sequence;
}

#[inline]
fn rest(state: &mut State, event: &say::OrderRested) {
    let index = index_of(state, event.market);
    let mut order = Order {
        record_hash: event.record_hash,
        nonce: event.nonce,
        first_nonce: event.first_nonce,
        price: event.price,
        size: event.size,
        filled: event.filled,
        priority: event.sequence,
        accepted: stamp(event.sequence, event.member),
        subaccount: event.subaccount,
        ticket: None,
        slot: event.slot,
        market: index,
        side: event.side,
        member: event.member,
        session: event.session,
        post_only: event.post_only,
        reduce_only: event.reduce_only,
    };
    reserve(account(state, event.subaccount), &order, order.size as i64, 1);
    let handle = state.orders.insert(order);
    order.ticket = Some(state.markets[usize::from(index)].book.add(event.side, event.price, handle));
    state.orders[handle].ticket = order.ticket;
    state.slot_mut(event.subaccount, event.slot).order = handle;
}

fn amend(state: &mut State, event: &say::OrderAmended) {
    let handle = state.slot_mut(event.subaccount, event.slot).order;
    let before = state.orders[handle];
    reserve(account(state, event.subaccount), &before, event.size as i64 - before.size as i64, 0);
    let order = &mut state.orders[handle];
    (order.nonce, order.size, order.filled) = (event.nonce, event.size, 0);
    (order.accepted, order.session) = (event.accepted, event.session);
    (order.post_only, order.record_hash) = (event.post_only, event.record_hash);
}

#[inline]
fn cancel(state: &mut State, event: &say::OrderCancelled) {
    let order = take_off(state, event.subaccount, event.slot);
    reserve(account(state, event.subaccount), &order, -(order.size as i64), -1);
}

/// Out of its slot and out of the book.
#[inline]
fn take_off(state: &mut State, subaccount: u32, slot: u16) -> Order {
    let handle = std::mem::take(&mut state.slot_mut(subaccount, slot).order);
    let order = state.orders[handle];
    state.orders.remove(handle);
    if let Some(ticket) = order.ticket {
        state.markets[usize::from(order.market)].book.remove(ticket);
    }
    order
}

fn cancel_all(state: &mut State, event: &say::AllCancelled) {
    let account = account(state, event.subaccount);
    account.cancelled_before = event.stamp;
    account.open_orders = 0;
    account.exposures.forget_orders();
}

/// Add to what open orders reserve; orders a mass cancel killed were forgotten with it.
#[inline]
fn reserve(account: &mut Account, order: &Order, size: i64, count: i32) {
    if order.accepted < account.cancelled_before {
        return;
    }
    account.open_orders = account.open_orders.saturating_add_signed(count);
    account.exposures.reserve(order.market, |reserved| {
        if order.reduce_only {
            reserved.reduce_only = reserved.reduce_only.saturating_add_signed(count as i16);
        } else {
            let lots = &mut reserved.lots[usize::from(order.side)];
            *lots = lots.saturating_add_signed(size);
        }
    });
}

#[inline]
fn trade(state: &mut State, event: &say::Traded) {
    let index = index_of(state, event.market);
    let change = signed(event.taker_side, event.size);
    fill(state, index, event.maker, event, -change, event.maker_fee);
    fill(state, index, event.taker, event, change, event.taker_fee + event.builder_fee);
    let market = &mut state.markets[usize::from(index)];
    market.leaf.fees += event.maker_fee + event.taker_fee;
    if event.builder_fee != 0 {
        *market.builders.entry(event.builder).or_default() += event.builder_fee;
        market.leaf.builder_fees += event.builder_fee;
    }
    let handle = state.slot_mut(event.maker, event.maker_slot).order;
    let order = &mut state.orders[handle];
    order.size -= event.size;
    order.filled += event.size;
    let order = *order;
    let flags = order.side | u8::from(order.post_only) << 2 | u8::from(order.reduce_only) << 3;
    let leaf = SlotLeaf {
        nonce: order.nonce,
        filled: order.filled,
        price: order.price,
        priority_sequence: order.priority,
        member: order.member,
        flags: flags.into(),
        order_hash: order.record_hash,
    };
    set_filled(state, event.maker, event.maker_slot, leaf);
    let gone = order.size == 0;
    reserve(account(state, event.maker), &order, -(event.size as i64), -i32::from(gone));
    if gone {
        take_off(state, event.maker, event.maker_slot);
    }
    if event.taker_slot != NO_SLOT {
        fill_taker_slot(state, event);
    }
}

/// One side of a trade on the state, and the market's running sums with it.
#[inline]
fn fill(state: &mut State, index: MarketIndex, subaccount: u32, event: &say::Traded, change: i64, fee: i128) {
    let leaf = &mut state.markets[usize::from(index)].leaf;
    let account = &mut state.accounts[subaccount as usize];
    let mut position = account.exposures.position(index);
    leaf.size_funding = leaf.size_funding - position.size_funding();
    leaf.entry_total -= position.entry;
    leaf.open_interest -= i128::from(position.size.max(0));
    leaf.dust += position.fill(&mut account.cash, change, event.price, fee, leaf.funding_index);
    if position.size != 0 {
        leaf.size_funding = leaf.size_funding + position.size_funding();
        leaf.entry_total += position.entry;
        leaf.open_interest += i128::from(position.size.max(0));
    }
    account.exposures.hold(index, &position);
}

fn set_filled(state: &mut State, subaccount: u32, slot: u16, leaf: SlotLeaf) {
    let handle = state.slot_mut(subaccount, slot).filled;
    if handle == 0 {
        let handle = state.filled.insert(FilledSlot(leaf));
        state.slot_mut(subaccount, slot).filled = handle;
    } else {
        state.filled[handle].0 = leaf;
    }
}

fn fill_taker_slot(state: &mut State, event: &say::Traded) {
    let handle = state.slot_mut(event.taker, event.taker_slot).filled;
    if handle != 0 && state.filled[handle].0.nonce == event.taker_nonce {
        state.filled[handle].0.filled += event.size;
        return;
    }
    let leaf = SlotLeaf {
        nonce: event.taker_nonce,
        filled: event.size,
        price: event.taker_price,
        priority_sequence: event.sequence,
        member: event.member,
        flags: event.taker_flags,
        order_hash: event.taker_hash,
    };
    set_filled(state, event.taker, event.taker_slot, leaf);
}

fn sweep(state: &mut State, event: &say::FeesSwept) {
    account(state, INSURANCE_FUND).cash += event.fees + event.dust - event.repaid;
    let leaf = &mut market(state, event.market).leaf;
    leaf.fees -= event.fees;
    leaf.dust -= event.dust << FUNDING_SHIFT;
    leaf.shortfall -= event.repaid;
    if leaf.shortfall == 0 {
        leaf.flags &= !SHORTFALL_BOOKED;
    }
}

fn shortfall(state: &mut State, event: &say::ShortfallCovered) {
    account(state, event.subaccount).cash += event.from_fees + event.covered + event.booked;
    account(state, INSURANCE_FUND).cash -= event.covered;
    let leaf = &mut market(state, event.market).leaf;
    leaf.fees -= event.from_fees;
    leaf.shortfall += event.booked;
    if event.booked != 0 {
        leaf.flags |= SHORTFALL_BOOKED;
    }
}
