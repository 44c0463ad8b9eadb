//! Every leaf of the settlement tree at once: what a tree is built from where no entries lead to the state.
//!
//! ```text
//! accounts u32 · account write each · markets u32 · (market u24 · leaf b192 · length u16 · terms · tier each) each
//! · globals b64 · deposit head b32
//! ```
//!
//! An account with more than 255 filled slots takes several account writes.

use penstock_state::State;

use crate::ledger;

/// The leaves of a state, packed.
pub fn snapshot(state: &State) -> Vec<u8> {
    let mut writes = Vec::new();
    let mut count = 0_u32;
    for subaccount in 0..state.accounts.len() as u32 {
        let account = state.account(subaccount);
        let filled: Vec<_> = state.slots.used(&account.slots).filter(|(_, slot)| slot.filled != 0).collect();
        let mut rest = filled.as_slice();
        loop {
            let (now, later) = rest.split_at(rest.len().min(255));
            ledger::holding(state, subaccount, &mut writes);
            writes.push(now.len() as u8);
            for (number, slot) in now {
                writes.extend_from_slice(&number.to_be_bytes());
                writes.extend_from_slice(&state.filled[slot.filled].0.pack());
            }
            writes.push(account.sessions.len() as u8);
            for (place, session) in account.sessions.iter().enumerate() {
                writes.push(place as u8);
                writes.extend_from_slice(&session.pack());
            }
            count += 1;
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    }
    let mut out = count.to_be_bytes().to_vec();
    out.append(&mut writes);
    out.extend_from_slice(&(state.markets.len() as u32).to_be_bytes());
    for market in &state.markets {
        out.extend_from_slice(&market.terms.market.to_be_bytes()[1..]);
        out.extend_from_slice(&market.leaf.pack());
        let terms = market.terms.pack();
        out.extend_from_slice(&(terms.len() as u16).to_be_bytes());
        out.extend_from_slice(&terms);
    }
    out.extend_from_slice(&state.globals().pack());
    out.extend_from_slice(&state.deposit_head);
    out
}
