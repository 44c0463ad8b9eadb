"""Deciding session keys: grant and revoke, by the owner only."""

from penstock.protocol.commands import ALL_SCOPES, GrantSession, RevokeSession
from penstock.protocol.events import Event, SessionGranted, SessionRevoked
from penstock.protocol.quantities import MAX_SESSIONS, MICRO, SLOTS
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec.matching import Moment
from penstock.spec.state import Account


def decide_grant(moment: Moment, command: GrantSession, record_hash: bytes) -> list[Event]:
    """Give a key its place among the subaccount's 64; a live key keeps its place and its resting orders."""
    account = moment.state.accounts[command.subaccount]
    if command.key in (bytes(20), account.owner):
        raise Refusal(Reason.SESSION_KEY_INVALID)
    _check_terms(moment, account, command)
    index = account.session_of.get(command.key)
    since = moment.sequence
    if index is None:
        index = _free_place(moment, account)
    elif account.sessions[index].lives(moment.time):
        since = account.sessions[index].from_sequence
    return [
        SessionGranted(
            moment.sequence, moment.member, command.subaccount, index, command.key, command.expiry,
            command.slot_first, command.slot_last, command.scopes, command.underlyings, command.kinds,
            since, record_hash,
        )
    ]  # fmt: skip


def decide_revoke(moment: Moment, command: RevokeSession, record_hash: bytes) -> list[Event]:
    """End a live key."""
    account = moment.state.accounts[command.subaccount]
    index = account.session_of.get(command.key)
    if index is None or not account.sessions[index].lives(moment.time):
        raise Refusal(Reason.SESSION_UNKNOWN)
    return [SessionRevoked(moment.sequence, moment.member, command.subaccount, index, command.key, record_hash)]


def _check_terms(moment: Moment, account: Account, command: GrantSession) -> None:
    ordered = command.slot_first <= command.slot_last < SLOTS
    scoped = command.scopes != 0 and command.scopes & ~ALL_SCOPES == 0
    disjoint = all(
        command.slot_last < other.slot_first or other.slot_last < command.slot_first
        for other in account.sessions.values()
        if other.key != command.key and other.lives(moment.time)
    )
    if not (ordered and scoped and disjoint) or command.expiry * MICRO <= moment.time:
        raise Refusal(Reason.SESSION_TERMS_INVALID)


def _free_place(moment: Moment, account: Account) -> int:
    """The lowest place never used, else the lowest whose key is dead."""
    if len(account.sessions) < MAX_SESSIONS:
        return len(account.sessions)
    for index in range(MAX_SESSIONS):
        if not account.sessions[index].lives(moment.time):
            return index
    raise Refusal(Reason.SESSION_LIMIT)
