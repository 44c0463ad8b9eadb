//! The state transition. Checks, in order, are the order of `schema/reasons.txt`.

use penstock_protocol::events::{Event, Refused, SlotGuarded};
use penstock_protocol::quantities::{Address, NO_DEADLINE};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::Record;
use penstock_protocol::wire::{Member, Message, Output};
use penstock_state::State;

use crate::authority::{SlotCommand, authenticate};
use crate::evolve::evolve;
use crate::expiry::{decide_expiry, decide_listing, decide_position_expiry};
use crate::ledger::record;
use crate::liquidation::{decide_liquidation, decide_removal};
use crate::moment::{Moment, Scratch};
use crate::money::{decide_builder, decide_deposit, decide_sweep, decide_withdraw};
use crate::orders::{decide_cancel, decide_cancel_all, decide_place};
use crate::prices::{decide_funding, decide_price, decide_stale};
use crate::sessions::{decide_grant, decide_revoke};
use crate::status::{decide_delisting, decide_reopening, decide_status};

/// Advance the state by one sequenced command.
pub fn apply(state: &mut State, scratch: &mut Scratch, sequence: u64, time: u64, message: &Message, out: &mut Output) {
    let mut moment = Moment { sequence, time, member: 0, removed: 0 };
    let Message { head, signers, members } = message;
    let deadline = if let Record::Bundle(bundle) = &head.record { bundle.deadline } else { NO_DEADLINE };
    if members.is_empty() {
        return execute(state, scratch, &mut moment, head, signers, deadline, out);
    }
    for (index, member) in members.iter().enumerate() {
        moment.member = index as u8;
        execute(state, scratch, &mut moment, member, signers, deadline, out);
    }
}

/// One member: authenticate, guard its slot, decide, and write.
#[inline]
fn execute(
    state: &mut State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    member: &Member,
    signers: &[Address],
    deadline: u64,
    out: &mut Output,
) {
    scratch.events.clear();
    let decided = guarded(state, moment, member, signers, deadline, out)
        .and_then(|session| decide(state, scratch, moment, member, signers, session));
    if let Err(reason) = decided {
        scratch.events.clear();
        scratch.events.push(Event::Refused(Refused { member: moment.member, reason }));
    }
    for event in &scratch.events {
        write(state, moment, event, out);
    }
}

/// The session that signed a slot command, once its slot's guard has risen; 0 for other records.
#[inline]
fn guarded(
    state: &mut State,
    moment: &Moment,
    member: &Member,
    signers: &[Address],
    deadline: u64,
    out: &mut Output,
) -> Result<u8, Reason> {
    let Some(command) = SlotCommand::of(&member.record) else {
        return Ok(0);
    };
    let session = authenticate(state, moment, &command, &member.record, signers)?;
    let SlotCommand { subaccount, slot, nonce, .. } = command;
    write(state, moment, &Event::SlotGuarded(SlotGuarded { subaccount, slot, nonce }), out);
    if moment.time > command.deadline.min(deadline) {
        return Err(Reason::DeadlinePassed);
    }
    Ok(session)
}

#[inline]
fn decide(
    state: &State,
    scratch: &mut Scratch,
    moment: &mut Moment,
    member: &Member,
    signers: &[Address],
    session: u8,
) -> Result<(), Reason> {
    let hash = &member.record_hash;
    match &member.record {
        Record::PlaceOrder(command) => decide_place(state, scratch, moment, command, hash, session),
        Record::CancelOrder(command) => decide_cancel(state, scratch, moment, command),
        Record::CancelAll(command) => decide_cancel_all(scratch, moment, command),
        Record::Withdraw(command) => decide_withdraw(state, scratch, moment, command, hash),
        Record::GrantSession(command) => decide_grant(state, scratch, moment, command, hash),
        Record::RevokeSession(command) => decide_revoke(state, scratch, moment, command, hash),
        Record::PublishPrice(command) => decide_price(state, scratch, moment, command, signers),
        Record::CreditDeposit(command) => decide_deposit(state, scratch, moment, command),
        Record::Liquidate(command) => decide_liquidation(state, scratch, moment, command),
        Record::AccrueFunding(command) => decide_funding(state, scratch, moment, command),
        Record::SweepFees(command) => decide_sweep(state, scratch, moment, command),
        Record::RemoveDeadOrder(command) => decide_removal(state, scratch, moment, command),
        Record::SetMarketStatus(command) => decide_status(state, scratch, moment, command, signers),
        Record::DelistMarket(command) => decide_delisting(state, scratch, moment, command, signers),
        Record::ListMarket(command) => decide_listing(state, scratch, moment, command),
        Record::ExpireMarket(command) => decide_expiry(state, scratch, moment, command),
        Record::ExpirePosition(command) => decide_position_expiry(state, scratch, moment, command),
        Record::ReopenMarket(command) => decide_reopening(state, scratch, moment, command),
        Record::MarkStale(command) => decide_stale(state, scratch, moment, command),
        Record::PayBuilder(command) => decide_builder(state, scratch, moment, command),
        Record::Bundle(_) => Err(Reason::BundleMemberRefused),
    }
}

#[inline]
fn write(state: &mut State, moment: &Moment, event: &Event, out: &mut Output) {
    evolve(state, event);
    out.event(event);
    record(state, event, moment.member, out);
}
