//! Reading early what commands a few places ahead will need, so that several misses of the cache run side by side.
//!
//! Ordinary loads whose results are thrown away: they decide nothing.

use std::hint::black_box;

use penstock_protocol::records::Record;
use penstock_protocol::wire::Command;
use penstock_state::{Account, State};

const ACCOUNT_AHEAD: usize = 6;
const SLOT_AHEAD: usize = 4;
const ORDER_AHEAD: usize = 2;

/// Before command `at` is applied.
#[inline]
pub fn touch(state: &State, batch: &[Command], at: usize) {
    if let Some((account, _)) = target(state, batch, at + ACCOUNT_AHEAD) {
        black_box((account.cash, account.exposures.all().len(), account.sessions.len()));
    }
    if let Some((account, slot)) = target(state, batch, at + SLOT_AHEAD) {
        black_box((state.slot(account, slot).guard, account.exposures.all().last().map(|last| last.size)));
    }
    if let Some((account, slot)) = target(state, batch, at + ORDER_AHEAD)
        && let Some((_, order)) = state.order_in(account, slot)
    {
        let book = &state.market(order.market).book;
        black_box((order.nonce, order.slot, order.ticket.map(|ticket| book.touch(ticket))));
    }
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
