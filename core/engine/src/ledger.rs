//! The ledger: for each event that moves money, keys or prices, one packed entry and the leaf versions it leaves.
//!
//! ```text
//! written  length u8 · packed entry · accounts u8 · account write each · markets u8 · (market u24 · leaf b192) each
//!          · flags u8 (1: global leaf, 2: deposit head) · global leaf b64 · deposit head b32
//! account write  subaccount u24 · head b64 · positions u8 · word b32 each · slots u8 · (slot u16 · leaf b64) each
//!          · sessions u8 · (session u8 · leaf b64) each
//! ```

use penstock_protocol::events::Event;
use penstock_protocol::leaves::{AccountHead, PositionWord};
use penstock_protocol::quantities::{Hash, INSURANCE_FUND, NO_SLOT};
use penstock_protocol::wire::Output;
use penstock_state::State;

/// Write the entry of an event that has just been written into `state`; none for events the ledger does not list.
#[inline]
pub fn record(state: &State, event: &Event, member: u8, out: &mut Output) {
    let index = out.entry_count;
    match event {
        Event::Traded(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            out.push(2);
            account(state, event.maker, Some(event.maker_slot), None, out);
            account(state, event.taker, Some(event.taker_slot).filter(|&slot| slot != NO_SLOT), None, out);
            market(state, event.market, out);
            globals(None, None, out);
        }),
        Event::DepositCredited(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            accounts(state, &[event.subaccount], out);
            out.push(0);
            globals(Some(state), Some(&event.head), out);
        }),
        Event::CashWithdrawn(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            accounts(state, &[event.subaccount], out);
            out.push(0);
            globals(Some(state), None, out);
        }),
        Event::PricePublished(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::FundingAccrued(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::FeesSwept(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[INSURANCE_FUND], event.market, out);
        }),
        Event::SessionGranted(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_key(state, event.subaccount, event.session, out);
        }),
        Event::SessionRevoked(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_key(state, event.subaccount, event.session, out);
        }),
        Event::ShortfallCovered(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[event.subaccount, INSURANCE_FUND], event.market, out);
        }),
        Event::MarketListed(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::MarketFlagged(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::MarketDelisted(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::MarketExpired(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[], event.market, out);
        }),
        Event::PositionExpired(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[event.subaccount], event.market, out);
        }),
        Event::BuilderPaid(event) => out.entry(|out| {
            entry(out, &event.entry(member, index).pack());
            of_market(state, &[event.subaccount], event.market, out);
        }),
        _ => {}
    }
}

#[inline]
fn entry(out: &mut Vec<u8>, packed: &[u8]) {
    out.push(packed.len() as u8);
    out.extend_from_slice(packed);
}

/// Account heads and positions, then one market.
fn of_market(state: &State, subaccounts: &[u32], id: u32, out: &mut Vec<u8>) {
    accounts(state, subaccounts, out);
    market(state, id, out);
    globals(None, None, out);
}

/// One account with a session key.
fn of_key(state: &State, subaccount: u32, session: u8, out: &mut Vec<u8>) {
    out.push(1);
    account(state, subaccount, None, Some(session), out);
    out.push(0);
    globals(None, None, out);
}

fn accounts(state: &State, subaccounts: &[u32], out: &mut Vec<u8>) {
    out.push(subaccounts.len() as u8);
    for &subaccount in subaccounts {
        account(state, subaccount, None, None, out);
    }
}

/// The present version of an account leaf with the named slot and session leaves.
#[inline]
fn account(state: &State, subaccount: u32, slot: Option<u16>, session: Option<u8>, out: &mut Vec<u8>) {
    holding(state, subaccount, out);
    let account = state.account(subaccount);
    out.push(slot.is_some().into());
    if let Some(slot) = slot {
        out.extend_from_slice(&slot.to_be_bytes());
        out.extend_from_slice(&state.filled[state.slot(account, slot).filled].0.pack());
    }
    out.push(session.is_some().into());
    if let Some(session) = session {
        out.push(session);
        out.extend_from_slice(&account.sessions[usize::from(session)].pack());
    }
}

/// The account write up to its slots: subaccount, head and positions.
#[inline]
pub fn holding(state: &State, subaccount: u32, out: &mut Vec<u8>) {
    let account = state.account(subaccount);
    let count = account.exposures.held().len() as u8;
    let head = AccountHead {
        owner: account.owner,
        flags: 0,
        positions: count,
        cash: account.cash,
        withdrawn: account.withdrawn,
        spare: 0,
    };
    out.extend_from_slice(&subaccount.to_be_bytes()[1..]);
    out.extend_from_slice(&head.pack());
    out.push(count);
    for held in account.exposures.held() {
        let position = held.position();
        let word = PositionWord {
            market: state.gauge(held.market).market,
            size: position.size,
            entry: position.entry,
            funding: position.funding,
        };
        out.extend_from_slice(&word.pack());
    }
}

#[inline]
fn market(state: &State, market: u32, out: &mut Vec<u8>) {
    let index = state.market_index(market).expect("events name listed markets");
    out.push(1);
    out.extend_from_slice(&market.to_be_bytes()[1..]);
    out.extend_from_slice(&state.market(index).leaf.pack());
}

#[inline]
fn globals(state: Option<&State>, deposit_head: Option<&Hash>, out: &mut Vec<u8>) {
    out.push(u8::from(state.is_some()) | u8::from(deposit_head.is_some()) << 1);
    if let Some(state) = state {
        out.extend_from_slice(&state.globals().pack());
    }
    if let Some(head) = deposit_head {
        out.extend_from_slice(head);
    }
}
