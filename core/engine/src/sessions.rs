//! Deciding session keys: grant and revoke, by the owner only.

use penstock_protocol::events::{Event, SessionGranted, SessionRevoked};
use penstock_protocol::quantities::{ALL_SCOPES, Hash, MAX_SESSIONS, MICRO, SLOTS};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{GrantSession, RevokeSession};
use penstock_state::{Account, State, lives};

use crate::moment::{Moment, Scratch};

/// Give a key its place among the subaccount's 64; a live key keeps its place and its resting orders.
pub fn decide_grant(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &GrantSession,
    record_hash: &Hash,
) -> Result<(), Reason> {
    let account = state.account(command.subaccount);
    if command.key == [0; 20] || command.key == account.owner {
        return Err(Reason::SessionKeyInvalid);
    }
    check_terms(moment, account, command)?;
    let mut since = moment.sequence;
    let place = match account.session_of(&command.key) {
        None => free_place(moment, account)?,
        Some(place) => {
            let session = &account.sessions[usize::from(place)];
            if lives(session, moment.time) {
                since = session.from_sequence;
            }
            place
        }
    };
    scratch.events.push(Event::SessionGranted(SessionGranted {
        sequence: moment.sequence,
        member: moment.member,
        subaccount: command.subaccount,
        session: place,
        key: command.key,
        expiry: command.expiry,
        slot_first: command.slot_first,
        slot_last: command.slot_last,
        scopes: command.scopes,
        underlyings: command.underlyings,
        kinds: command.kinds,
        from_sequence: since,
        record_hash: *record_hash,
    }));
    Ok(())
}

/// End a live key.
pub fn decide_revoke(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &RevokeSession,
    record_hash: &Hash,
) -> Result<(), Reason> {
    let account = state.account(command.subaccount);
    let found = account.session_of(&command.key);
    let living = found.filter(|&place| lives(&account.sessions[usize::from(place)], moment.time));
    scratch.events.push(Event::SessionRevoked(SessionRevoked {
        sequence: moment.sequence,
        member: moment.member,
        subaccount: command.subaccount,
        session: living.ok_or(Reason::SessionUnknown)?,
        key: command.key,
        record_hash: *record_hash,
    }));
    Ok(())
}

fn check_terms(moment: &Moment, account: &Account, command: &GrantSession) -> Result<(), Reason> {
    let ordered = command.slot_first <= command.slot_last && command.slot_last < SLOTS;
    let scoped = command.scopes != 0 && command.scopes & !ALL_SCOPES == 0;
    let disjoint = account
        .sessions
        .iter()
        .filter(|other| other.key != command.key && lives(other, moment.time))
        .all(|other| command.slot_last < other.slot_first || other.slot_last < command.slot_first);
    if !(ordered && scoped && disjoint) || command.expiry * MICRO <= moment.time {
        return Err(Reason::SessionTermsInvalid);
    }
    Ok(())
}

/// The lowest place never used, else the lowest whose key is dead.
fn free_place(moment: &Moment, account: &Account) -> Result<u8, Reason> {
    if account.sessions.len() < MAX_SESSIONS {
        return Ok(account.sessions.len() as u8);
    }
    let dead = account.sessions.iter().position(|session| !lives(session, moment.time));
    dead.map(|place| place as u8).ok_or(Reason::SessionLimit)
}
