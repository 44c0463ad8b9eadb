"""What a sender is told: the outcome of each member of a sequenced command, or why there is none."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from penstock.protocol.events import Event, Refused, Traded
from penstock.protocol.reasons import Reason

FOLLOWING: Final = "following"
"""Why a follower takes no command."""


class Outcome(Struct, frozen=True):
    """One member: refused or not, how much it filled as a taker (size units), at which mean price (price units)."""

    reason: str | None
    filled: int
    average_price: float | None


class Recorded(Struct, frozen=True):
    """The command is durable at `sequence`, stamped `time` (venue µs), with one outcome a member."""

    sequence: int
    time: int
    outcomes: tuple[Outcome, ...]


class Declined(Struct, frozen=True):
    """Refused before sequencing: it has no number and changed nothing."""

    reason: Reason


class Unavailable(Struct, frozen=True):
    """Not executed, for no fault of the sender's: `reason` is `queue full`, `disk full`, `stopped` or `following`."""

    reason: str


Answer = Recorded | Declined | Unavailable
Reply = Callable[[Answer], None]

ACCEPTED: Final = Outcome(None, 0, None)
REFUSED: Final = {reason: Outcome(reason.name, 0, None) for reason in Reason}
# Most members neither trade nor are refused: sharing these keeps 65,536 remembered bundles small.


def outcomes_of(events: Sequence[Event], members: int) -> tuple[Outcome, ...]:
    """The outcome of each of `members`, from the events of their command."""
    outcomes = [ACCEPTED] * members
    fills: dict[int, list[int]] | None = None
    for event in events:
        kind = type(event)
        if kind is Refused:
            outcomes[event.member] = REFUSED[event.reason]  # type: ignore[union-attr]
        elif kind is Traded:
            fills = fills or {}
            fill = fills.setdefault(event.member, [0, 0])  # type: ignore[union-attr]
            fill[0] += event.size  # type: ignore[union-attr]
            fill[1] += event.size * event.price  # type: ignore[union-attr]
    for member, (size, notional) in (fills or {}).items():
        outcomes[member] = Outcome(outcomes[member].reason, size, notional / size)
    return tuple(outcomes)
