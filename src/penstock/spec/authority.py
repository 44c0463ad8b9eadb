"""Who may say what for a subaccount, and each message once."""

from penstock.protocol.commands import (
    SCOPE_CANCEL,
    SCOPE_TRADE,
    SCOPE_WITHDRAW,
    CancelAll,
    CancelOrder,
    GrantSession,
    PlaceOrder,
    RevokeSession,
    SlotCommand,
)
from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.quantities import FIRST_ORDER_SLOT, MAX_NONCE_AHEAD, SLOTS
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec.matching import Moment
from penstock.spec.state import Account, Session

_SCOPES = {PlaceOrder: SCOPE_TRADE, CancelOrder: SCOPE_CANCEL, CancelAll: SCOPE_CANCEL}


def authenticate(moment: Moment, command: SlotCommand, signers: tuple[bytes, ...]) -> int:
    """The session (or BY_OWNER_KEY) that signed. Raises Refusal; then nothing changes, not even the guard."""
    account = moment.state.accounts.get(command.subaccount)
    if account is None:
        raise Refusal(Reason.SUBACCOUNT_UNKNOWN)
    if not _slot_fits(command):
        raise Refusal(Reason.SLOT_OUT_OF_RANGE)
    session = BY_OWNER_KEY
    if signers != (account.owner,):
        session = _session(moment, account, command, signers)
    if command.nonce <= account.guards.get(command.slot, 0):
        raise Refusal(Reason.NONCE_USED)
    if command.nonce > moment.time + MAX_NONCE_AHEAD:
        raise Refusal(Reason.NONCE_TOO_FAR_AHEAD)
    return session


def _slot_fits(command: SlotCommand) -> bool:
    if isinstance(command, (PlaceOrder, CancelOrder)):
        return FIRST_ORDER_SLOT <= command.slot < SLOTS
    return command.slot < (SLOTS if isinstance(command, CancelAll) else FIRST_ORDER_SLOT)


def _session(moment: Moment, account: Account, command: SlotCommand, signers: tuple[bytes, ...]) -> int:
    index = account.session_of.get(signers[0]) if len(signers) == 1 else None
    if index is None:
        raise Refusal(Reason.SIGNER_UNKNOWN)
    session = account.sessions[index]
    if session.revoked_at:
        raise Refusal(Reason.SESSION_REVOKED)
    if not session.lives(moment.time):
        raise Refusal(Reason.SESSION_EXPIRED)
    if isinstance(command, (GrantSession, RevokeSession)):
        raise Refusal(Reason.OWNER_ONLY)
    if not session.scopes & _SCOPES.get(type(command), SCOPE_WITHDRAW):
        raise Refusal(Reason.SESSION_SCOPE_MISSING)
    if not session.slot_first <= command.slot <= session.slot_last:
        raise Refusal(Reason.SESSION_SLOT_FORBIDDEN)
    if isinstance(command, PlaceOrder):
        _check_market(moment, session, command)
    return index


def _check_market(moment: Moment, session: Session, order: PlaceOrder) -> None:
    market = moment.state.markets.get(order.market)
    if market is None:
        return  # refused as MARKET_UNKNOWN once the guard has risen
    if not session.underlyings >> market.terms.underlying & 1 or not session.kinds & market.terms.kind:
        raise Refusal(Reason.SESSION_MARKET_FORBIDDEN)
