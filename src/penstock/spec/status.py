"""Deciding what guardian and governor may do, and what ends by itself: halts, reduce-only, delisting."""

from typing import Final

from penstock.protocol.commands import HALTED as HALT
from penstock.protocol.commands import OPEN, DelistMarket, ReopenMarket, SetMarketStatus
from penstock.protocol.commands import REDUCE_ONLY as RESTRICT
from penstock.protocol.events import Event, MarketDelisted, MarketFlagged
from penstock.protocol.quantities import MAX_NONCE_AHEAD, MICRO
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec.matching import Moment
from penstock.spec.state import HALTED, RESTRICTED, Market

LONGEST: Final = 72 * 3_600 * MICRO
"""A status of the guardian's may be ended by anybody after this long."""
REST: Final = 30 * 24 * 3_600 * MICRO
"""The guardian acts on a market once in this long."""
REOPENING: Final = 5 * 60 * MICRO
"""A halt that the guardian ends goes on for this long, for cancels only."""
NOTICE: Final = 7 * 24 * 3_600 * MICRO
"""A delisting is known at least this long ahead."""
_FLAGS: Final = {RESTRICT: RESTRICTED, HALT: HALTED}


def decide_status(moment: Moment, command: SetMarketStatus, signers: tuple[bytes, ...]) -> list[Event]:
    """The guardian restricts or halts a market, sharpens that, or lets it end."""
    state = moment.state
    if signers != (state.genesis.guardian,):
        raise Refusal(Reason.GUARDIAN_ONLY)
    _check_nonce(moment, command.nonce, state.guardian_nonce)
    market = _market(moment, command.market)
    if command.status not in (OPEN, RESTRICT, HALT):
        raise Refusal(Reason.FIELD_UNKNOWN_VALUE)
    flags, until, flagged_at = market.flags, market.until, market.flagged_at
    given = flags & (RESTRICTED | HALTED)
    if command.status == OPEN:
        if not given:
            raise Refusal(Reason.STATUS_UNCHANGED)
        if market.halted:
            until = min(until, moment.time + REOPENING)
        else:
            flags, until = flags & ~RESTRICTED, 0
    elif given:
        if given >= _FLAGS[command.status]:
            raise Refusal(Reason.STATUS_UNCHANGED)
        flags |= HALTED
    else:
        if flagged_at and moment.time < flagged_at + REST:
            raise Refusal(Reason.STATUS_TOO_SOON)
        flags, until, flagged_at = flags | _FLAGS[command.status], moment.time + LONGEST, moment.time
    return [MarketFlagged(moment.sequence, command.market, flags, until, flagged_at, command.nonce)]


def decide_reopening(moment: Moment, command: ReopenMarket) -> list[Event]:
    """End what the guardian asked for, once its time is over."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if not market.flags & (RESTRICTED | HALTED) or moment.time < market.until:
        raise Refusal(Reason.STATUS_NOT_OVER)
    flags = market.flags & ~(RESTRICTED | HALTED)
    return [MarketFlagged(moment.sequence, command.market, flags, 0, market.flagged_at, 0)]


def decide_delisting(moment: Moment, command: DelistMarket, signers: tuple[bytes, ...]) -> list[Event]:
    """The governor gives a perpetual an expiry, once, with notice."""
    state = moment.state
    if signers != (state.genesis.governor,):
        raise Refusal(Reason.GOVERNOR_ONLY)
    _check_nonce(moment, command.nonce, state.governor_nonce)
    market = _market(moment, command.market)
    if market.terms.expiry:
        raise Refusal(Reason.MARKET_ALREADY_DATED)
    if command.expiry * MICRO < moment.time + NOTICE:
        raise Refusal(Reason.NOTICE_TOO_SHORT)
    return [MarketDelisted(moment.sequence, command.market, command.expiry, command.nonce)]


def _check_nonce(moment: Moment, nonce: int, last: int) -> None:
    """Above the role's last, not ahead of venue time and a minute behind it at most.

    So a refused command cannot be kept for later: the role's next one has a higher nonce.
    """
    if nonce <= last:
        raise Refusal(Reason.NONCE_USED)
    if nonce > moment.time:
        raise Refusal(Reason.NONCE_TOO_FAR_AHEAD)
    if nonce + MAX_NONCE_AHEAD < moment.time:
        raise Refusal(Reason.DEADLINE_PASSED)


def _market(moment: Moment, number: int) -> Market:
    market = moment.state.markets.get(number)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.over(moment.time):
        raise Refusal(Reason.MARKET_EXPIRED)
    return market
