"""What an oracle decided, and why: typed, counted, logged, kept for whoever asks."""

import logging
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from penstock.pricing.index import Dropped
from penstock.protocol.quantities import MICRO
from penstock.venue.oracle.steps import Price

log = logging.getLogger(__name__)

KEPT: Final = 256
CROSSED: Final = "TOO_SOON"
"""The objection when two proposals of one slot cross on their way: one of them is enough, so it is no alarm."""
FOLDED: Final = "ended contracts"
"""The market under which decisions about contracts that ended are counted."""


class Outcome(StrEnum):
    """What came of it."""

    PUBLISHED = "published"
    """A proposal of this oracle with a quorum's signatures, and the venue took it."""
    COSIGNED = "cosigned"
    """Another's proposal, signed."""
    OBJECTED = "objected"
    """Another's proposal, not signed."""
    WITHHELD = "withheld"
    """Nothing was published although it was this oracle's turn, or nothing could be, for want of a view."""
    REFUSED = "refused"
    """The venue refused a publication that a quorum had signed."""
    DROPPED = "dropped"
    """An index was taken without some of the sources; said when they change."""
    PEER_FAILED = "peer failed"
    """A peer gave no signature, or one that is none."""
    TAKEN_UP = "taken up"
    """A contract that was listed is priced from now on."""
    DELISTED = "delisted"
    """The venue says when a perpetual ends."""
    ENDED = "ended"
    """A market reached its expiry: nothing is proposed or signed of it any more."""
    IGNORED = "ignored"
    """What the venue calls a contract is none that the genesis foresees, or an end is none; said once."""


_AS_WISHED: Final = (Outcome.PUBLISHED, Outcome.COSIGNED, Outcome.TAKEN_UP, Outcome.ENDED)


class Withheld(StrEnum):
    """Why nothing is published."""

    STARTING = "this oracle has only begun"
    NO_INDEX = "too few sources live, or too few in agreement"
    OUT_OF_RANGE = "the price is not 1 to 2^40 - 1 price units"
    FAR_FROM_COMMITTED = "further from the venue's price than is walked to"
    NO_STEP = "no mark is both one step from the venue's and in the band of the index"
    VIEW_STALE = "the own view is too old"
    VENUE_SILENT = "the venue does not answer, or not sensibly"
    NO_QUORUM = "too few signatures"
    NO_VOLATILITY = "no volatility is stated for the option's base"
    NO_MARK = "the stated surface gives no mark"
    CLOCKS_APART = "venue time is too far from this oracle's clock"
    LATE = "the proposal waited for others until its slot was over"
    FAILED = "this oracle failed at it, in a way that nobody foresaw"


class Decision(Struct, frozen=True):
    """One decision about one market. `time` is µs since 1970; `reason` a name where it is not as wished."""

    time: int
    market: str
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    price: Price | None = None
    dropped: tuple[Dropped, ...] = ()


class Decisions:
    """The newest decisions and how many there were of each kind. `listener` hears every one; what it raises is logged,
    the first time."""

    def __init__(self, listener: Callable[[Decision], object] | None = None) -> None:
        self.newest: deque[Decision] = deque(maxlen=KEPT)
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._listener = listener
        self._is_listener_sound = True
        self._last: dict[tuple[str, Outcome], tuple[str, tuple[Dropped, ...]]] = {}
        self._withheld: dict[str, tuple[int, int]] = {}

    def add(self, decision: Decision) -> None:
        """Count and keep it; log it loud where something of its kind is new, quietly where it goes on as it was.

        The first publication of a market after something was withheld is said too; what goes wrong then is new again.
        """
        self.newest.append(decision)
        self.counts[decision.market, decision.outcome, decision.reason] += 1
        if decision.outcome == Outcome.PUBLISHED and decision.market in self._withheld:
            first, times = self._withheld.pop(decision.market)
            seconds = (decision.time - first) / MICRO
            log.info("%s publishes again, after %d withheld in %.0f s", decision.market, times, seconds)
            for market in (decision.market, ""):
                self._last.pop((market, Outcome.WITHHELD), None)
        if decision.outcome == Outcome.WITHHELD and decision.market and decision.reason != Withheld.STARTING.name:
            first, times = self._withheld.get(decision.market, (decision.time, 0))
            self._withheld[decision.market] = (first, times + 1)
        kind = (decision.market, decision.outcome)
        said = (decision.reason, decision.dropped)
        log.log(
            self._level(decision, kind, said), "%s %s %s %s %s", decision.market or "venue", decision.outcome,
            decision.reason, decision.detail, ", ".join(f"{source.name}: {source.flaw}" for source in decision.dropped),
        )  # fmt: skip
        self._last[kind] = said
        if self._listener is not None:
            self._tell(self._listener, decision)

    def _tell(self, listener: Callable[[Decision], object], decision: Decision) -> None:
        try:
            listener(decision)
        except Exception:  # who listens has no part in deciding
            if self._is_listener_sound:
                log.exception("whoever hears the decisions failed; said once")
            self._is_listener_sound = False

    def _level(self, decision: Decision, kind: tuple[str, Outcome], said: tuple[str, tuple[Dropped, ...]]) -> int:
        if decision.outcome in _AS_WISHED or decision.reason == CROSSED or self._last.get(kind) == said:
            return logging.DEBUG
        return logging.INFO if decision.reason == Withheld.STARTING.name else logging.WARNING

    def fold(self, market: str) -> None:
        """Count what there was of a market that ended with all the others that did: contracts come and go every day."""
        for key in [key for key in self.counts if key[0] == market]:
            self.counts[FOLDED, key[1], key[2]] += self.counts.pop(key)
        self._last = {kind: said for kind, said in self._last.items() if kind[0] != market}
        self._withheld.pop(market, None)

    def count(self, outcome: Outcome, reason: str | None = None) -> int:
        """How many decisions had this outcome, of any market; and this reason, if one is given."""
        return sum(
            times for (_, happened, why), times in self.counts.items() if happened == outcome and reason in (None, why)
        )

    def shown(self) -> list[dict[str, Any]]:
        """The counts as rows for JSON."""
        return [
            {"market": market, "outcome": outcome, "reason": reason, "count": times}
            for (market, outcome, reason), times in sorted(self.counts.items())
        ]
