//! Who may say what for a subaccount, and each message once.

use penstock_protocol::quantities::{
    Address, BY_OWNER_KEY, FIRST_ORDER_SLOT, MAX_NONCE_AHEAD, SCOPE_CANCEL, SCOPE_TRADE, SCOPE_WITHDRAW, SLOTS,
};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::Record;
use penstock_state::{Account, State, lives};

use crate::moment::Moment;

/// What every message that names a slot begins with.
#[derive(Clone, Copy, Debug)]
pub struct SlotCommand {
    pub subaccount: u32,
    pub slot: u16,
    pub nonce: u64,
    pub deadline: u64,
}

impl SlotCommand {
    /// None for prices, deposits, pokes and bundles.
    #[inline]
    pub fn of(record: &Record) -> Option<SlotCommand> {
        macro_rules! head {
            ($command:expr) => {{
                let command = $command;
                let (subaccount, slot) = (command.subaccount, command.slot);
                Some(SlotCommand { subaccount, slot, nonce: command.nonce, deadline: command.deadline })
            }};
        }
        match record {
            Record::PlaceOrder(command) => head!(command),
            Record::CancelOrder(command) => head!(command),
            Record::CancelAll(command) => head!(command),
            Record::Withdraw(command) => head!(command),
            Record::GrantSession(command) => head!(command),
            Record::RevokeSession(command) => head!(command),
            _ => None,
        }
    }
}

/// The session (or BY_OWNER_KEY) that signed. Refused here, nothing changes, not even the guard.
#[inline]
pub fn authenticate(
    state: &State,
    moment: &Moment,
    command: &SlotCommand,
    record: &Record,
    signers: &[Address],
) -> Result<u8, Reason> {
    let account = state.accounts.get(command.subaccount as usize).ok_or(Reason::SubaccountUnknown)?;
    if !slot_fits(record, command.slot) {
        return Err(Reason::SlotOutOfRange);
    }
    let by_owner = matches!(signers, [signer] if *signer == account.owner);
    let session = if by_owner { BY_OWNER_KEY } else { session_of(state, moment, account, command, record, signers)? };
    if command.nonce <= state.slot(account, command.slot).guard {
        return Err(Reason::NonceUsed);
    }
    if command.nonce > moment.time.saturating_add(MAX_NONCE_AHEAD) {
        return Err(Reason::NonceTooFarAhead);
    }
    Ok(session)
}

#[inline]
fn slot_fits(record: &Record, slot: u16) -> bool {
    match record {
        Record::PlaceOrder(_) | Record::CancelOrder(_) => (FIRST_ORDER_SLOT..SLOTS).contains(&slot),
        Record::CancelAll(_) => slot < SLOTS,
        _ => slot < FIRST_ORDER_SLOT,
    }
}

fn session_of(
    state: &State,
    moment: &Moment,
    account: &Account,
    command: &SlotCommand,
    record: &Record,
    signers: &[Address],
) -> Result<u8, Reason> {
    let [signer] = signers else {
        return Err(Reason::SignerUnknown);
    };
    let place = account.session_of(signer).ok_or(Reason::SignerUnknown)?;
    let session = &account.sessions[usize::from(place)];
    if session.revoked_at != 0 {
        return Err(Reason::SessionRevoked);
    }
    if !lives(session, moment.time) {
        return Err(Reason::SessionExpired);
    }
    let scope = match record {
        Record::GrantSession(_) | Record::RevokeSession(_) => return Err(Reason::OwnerOnly),
        Record::PlaceOrder(_) => SCOPE_TRADE,
        Record::CancelOrder(_) | Record::CancelAll(_) => SCOPE_CANCEL,
        _ => SCOPE_WITHDRAW,
    };
    if session.scopes & scope == 0 {
        return Err(Reason::SessionScopeMissing);
    }
    if !(session.slot_first..=session.slot_last).contains(&command.slot) {
        return Err(Reason::SessionSlotForbidden);
    }
    // An unlisted market is refused as MARKET_UNKNOWN once the guard has risen.
    if let Record::PlaceOrder(order) = record
        && let Some(market) = state.market_index(order.market)
    {
        let terms = &state.market(market).terms;
        if session.underlyings >> terms.underlying & 1 == 0 || session.kinds & terms.kind == 0 {
            return Err(Reason::SessionMarketForbidden);
        }
    }
    Ok(place)
}
