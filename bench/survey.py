"""Reading what applied frames say without building events: how many trades and refusals, and the written entries."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from penstock.protocol.events import Refused, Traded
from penstock.protocol.wire import EVENT_FORMS

_LENGTHS: Final = [0] + [1 + form.length for _, form in EVENT_FORMS.values()]
_NUMBERS: Final = {event: number for number, (event, _) in EVENT_FORMS.items()}
TRADED: Final = _NUMBERS[Traded]
REFUSED: Final = _NUMBERS[Refused]


class Survey:
    """Counts over applied frames."""

    def __init__(self) -> None:
        self.commands = 0
        self.refused_commands: list[int] = []
        """Which commands were refused, counted from 0."""
        self.reasons: Counter[int] = Counter()
        self.trades = 0
        self.entries = 0

    def read(self, applied: bytes) -> None:
        """Count one batch of applied frames."""
        at, lengths = 0, _LENGTHS
        while at < len(applied):
            end = at + 4 + int.from_bytes(applied[at : at + 4], "big")
            place = at + 6
            for _ in range(applied[at + 4] << 8 | applied[at + 5]):
                kind = applied[place]
                if kind == TRADED:
                    self.trades += 1
                elif kind == REFUSED:
                    self.reasons[applied[place + 2]] += 1
                    self.refused_commands.append(self.commands)
                place += lengths[kind]
            self.entries += applied[place] << 8 | applied[place + 1]
            self.commands += 1
            at = end


def entries_of(applied: bytes) -> Iterator[bytes]:
    """The written ledger entries of a batch of applied frames, in order."""
    at = 0
    while at < len(applied):
        end = at + 4 + int.from_bytes(applied[at : at + 4], "big")
        place = at + 6
        for _ in range(applied[at + 4] << 8 | applied[at + 5]):
            place += _LENGTHS[applied[place]]
        place += 2
        while place < end:
            first = place + 4
            place = first + int.from_bytes(applied[place:first], "big")
            yield applied[first:place]
        at = end
