//! Asking early for what commands a few places ahead will need, so that several misses of the cache run side by side.

use penstock_protocol::records::{PlaceOrder, Record};
use penstock_protocol::wire::Command;
use penstock_state::{Account, Handle, State};

use crate::prefetch::ask;

const ACCOUNT_AHEAD: usize = 8;
const SLOT_AHEAD: usize = 6;
const ORDER_AHEAD: usize = 4;
const NODE_AHEAD: usize = 2;

/// Before command `at` is applied.
#[inline]
pub fn touch(state: &State, batch: &[Command], at: usize) {
    if let Some((account, _)) = target(state, batch, at + ACCOUNT_AHEAD) {
        ask(account);
    }
    if let Some((account, slot)) = target(state, batch, at + SLOT_AHEAD) {
        ask(state.slot(account, slot));
        ask_stakes(account);
        account.sessions.first().into_iter().for_each(ask);
        for handle in met(state, batch, at + SLOT_AHEAD) {
            ask(&state.orders[handle]);
        }
    }
    if let Some((account, slot)) = target(state, batch, at + ORDER_AHEAD) {
        let slot = state.slot(account, slot);
        if slot.order != 0 {
            ask(&state.orders[slot.order]);
        }
        for handle in met(state, batch, at + ORDER_AHEAD) {
            ask(state.account(state.orders[handle].subaccount));
        }
    }
    if let Some((account, slot)) = target(state, batch, at + NODE_AHEAD) {
        if let Some((_, order)) = state.order_in(account, slot)
            && let Some(ticket) = order.ticket
        {
            state.market(order.market).book.with_node(ticket, ask);
        }
        for handle in met(state, batch, at + NODE_AHEAD) {
            let order = &state.orders[handle];
            let account = state.account(order.subaccount);
            ask(state.slot(account, order.slot));
            ask_stakes(account);
        }
    }
    if let Some((account, slot)) = target(state, batch, at + 1)
        && let Some((_, order)) = state.order_in(account, slot)
        && let Some(ticket) = order.ticket
    {
        state.market(order.market).book.with_neighbours(ticket, ask);
    }
}

/// Positions, two to a cache line, and what orders reserve.
#[inline]
fn ask_stakes(account: &Account) {
    let held = account.exposures.held();
    held.iter().step_by(2).chain(held.last()).for_each(ask);
    account.exposures.reserved().iter().for_each(ask);
}

/// The first orders that an immediate order would meet.
#[inline]
fn met<'a>(state: &'a State, batch: &'a [Command], at: usize) -> impl Iterator<Item = Handle> + 'a {
    let place: Option<&'a PlaceOrder> = match &batch[at].message.head.record {
        Record::PlaceOrder(place) if place.time_in_force == 1 => Some(place),
        _ => None,
    };
    let market = place.and_then(|place| state.market_index(place.market)).map(|index| state.market(index));
    let mut next = market.and_then(|market| market.book.best(1 - place?.side.min(1)));
    std::iter::from_fn(move || {
        let (ticket, book) = (next?, &market?.book);
        next = book.after(ticket);
        Some(book.order(ticket).0)
    })
    .take(4)
}

#[inline]
fn target<'a>(state: &'a State, batch: &[Command], at: usize) -> Option<(&'a Account, u16)> {
    let (subaccount, slot) = match &batch.get(at)?.message.head.record {
        Record::PlaceOrder(place) => (place.subaccount, place.slot),
        Record::CancelOrder(cancel) => (cancel.subaccount, cancel.slot),
        _ => return None,
    };
    Some((state.accounts.get(subaccount as usize)?, slot))
}
