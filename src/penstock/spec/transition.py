"""The state transition. Checks, in order, are the order of `schema/reasons.txt`.

apply(state, sequence, time, message)
  for each member:           one, or a bundle's 1 to 64
    decide  → events         reads; may refuse
    evolve  ← events         writes; never refuses
    record  → ledger entry   for each event that moves money, keys or prices
"""

from msgspec import Struct, field

from penstock.protocol.commands import (
    AccrueFunding,
    Bundle,
    CancelAll,
    CancelOrder,
    CreditDeposit,
    DelistMarket,
    ExpireMarket,
    ExpirePosition,
    GrantSession,
    Liquidate,
    ListMarket,
    MarkStale,
    PayBuilder,
    PlaceOrder,
    PublishPrice,
    Record,
    RemoveDeadOrder,
    ReopenMarket,
    RevokeSession,
    SetMarketStatus,
    SlotCommand,
    SweepFees,
    Withdraw,
)
from penstock.protocol.events import LEDGER_EVENTS, Event, Refused, SlotGuarded
from penstock.protocol.ledger import Entry
from penstock.protocol.quantities import NO_DEADLINE
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import Member, Verified
from penstock.spec.authority import authenticate
from penstock.spec.evolve import evolve
from penstock.spec.expiry import decide_expiry, decide_listing, decide_position_expiry
from penstock.spec.ledger import record_entry
from penstock.spec.liquidation import decide_liquidation, decide_removal
from penstock.spec.matching import Moment
from penstock.spec.money import decide_builder, decide_deposit, decide_sweep, decide_withdraw
from penstock.spec.orders import decide_cancel, decide_cancel_all, decide_place
from penstock.spec.prices import decide_funding, decide_price, decide_stale
from penstock.spec.sessions import decide_grant, decide_revoke
from penstock.spec.state import State
from penstock.spec.status import decide_delisting, decide_reopening, decide_status


class Applied(Struct):
    """What a command did: events in order, and the ledger entries they wrote with the leaf versions left behind."""

    events: list[Event] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def apply(state: State, sequence: int, time: int, message: Verified) -> Applied:
    """Advance the state by one sequenced command. Total: a refusal is an event, an exception is a bug.

    `sequence` counts from 1 and `time` (venue µs) never decreases: the caller's duty.
    """
    applied = Applied()
    moment = Moment(state, sequence, time)
    deadline = message.record.deadline if isinstance(message.record, Bundle) else NO_DEADLINE
    members = message.members or (Member(message.record, message.record_hash),)
    for index, member in enumerate(members):
        moment.member = index
        _execute(moment, member.record, member.record_hash, message.signers, deadline, applied)
    return applied


def _execute(
    moment: Moment, record: Record, record_hash: bytes, signers: tuple[bytes, ...], deadline: int, applied: Applied
) -> None:
    """One member: authenticate, guard its slot, decide, and write."""
    try:
        session = 0
        if isinstance(record, SlotCommand):
            session = authenticate(moment, record, signers)
            _write(moment, SlotGuarded(record.subaccount, record.slot, record.nonce), applied)
            if moment.time > min(record.deadline, deadline):
                raise Refusal(Reason.DEADLINE_PASSED)
        events = _decide(moment, record, record_hash, signers, session)
    except Refusal as refusal:
        events = [Refused(moment.member, refusal.reason)]
    for event in events:
        _write(moment, event, applied)


def _decide(  # long: the table of contents, one line a command
    moment: Moment, record: Record, record_hash: bytes, signers: tuple[bytes, ...], session: int
) -> list[Event]:
    match record:
        case PlaceOrder():
            return decide_place(moment, record, record_hash, session)
        case CancelOrder():
            return decide_cancel(moment, record)
        case CancelAll():
            return decide_cancel_all(moment, record)
        case Withdraw():
            return decide_withdraw(moment, record, record_hash)
        case GrantSession():
            return decide_grant(moment, record, record_hash)
        case RevokeSession():
            return decide_revoke(moment, record, record_hash)
        case PublishPrice():
            return decide_price(moment, record, signers)
        case CreditDeposit():
            return decide_deposit(moment, record)
        case Liquidate():
            return decide_liquidation(moment, record)
        case AccrueFunding():
            return decide_funding(moment, record)
        case SweepFees():
            return decide_sweep(moment, record)
        case RemoveDeadOrder():
            return decide_removal(moment, record)
        case SetMarketStatus():
            return decide_status(moment, record, signers)
        case DelistMarket():
            return decide_delisting(moment, record, signers)
        case ListMarket():
            return decide_listing(moment, record)
        case ExpireMarket():
            return decide_expiry(moment, record)
        case ExpirePosition():
            return decide_position_expiry(moment, record)
        case ReopenMarket():
            return decide_reopening(moment, record)
        case MarkStale():
            return decide_stale(moment, record)
        case PayBuilder():
            return decide_builder(moment, record)
        case Bundle():
            raise Refusal(Reason.BUNDLE_MEMBER_REFUSED)


def _write(moment: Moment, event: Event, applied: Applied) -> None:
    evolve(moment.state, event)
    applied.events.append(event)
    if isinstance(event, LEDGER_EVENTS):
        applied.entries.append(record_entry(moment.state, event, moment.member, len(applied.entries)))
