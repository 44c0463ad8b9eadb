"""Whose turn it is: venue time is cut into slots, and in each slot the oracles come one after another.

The order rotates by slot and market. Who comes first proposes when the slot begins; each next one waits `patience`
longer and proposes only if it has signed nothing in that slot, so that a dead oracle costs its patience and no more.
Slots of dated contracts are longer, and begin at another moment for each, so that many of them are no crowd.
"""

from collections.abc import Sequence
from typing import Final

from penstock.protocol.instruments import PERPETUAL
from penstock.protocol.quantities import PPM
from penstock.protocol.terms import MarketTerms
from penstock.venue.oracle.rules import OracleRules

_GOLDEN_PPM: Final = 618_034
"""Multiples of the golden ratio leave no large gap on a circle, however many there are."""


class Turns:
    """The order of one quorum. `oracles` are its addresses, in any order; all oracles of a venue compute the same."""

    def __init__(self, oracles: Sequence[bytes], rules: OracleRules) -> None:
        self._oracles = sorted(set(oracles))
        self._rules = rules

    def patience(self, terms: MarketTerms) -> int:
        """µs of venue time between one oracle's turn and the next one's in a slot: every oracle gets its turn."""
        return self._length(terms) // (len(self._oracles) + 1)

    def pace(self, terms: MarketTerms) -> int:
        """µs of venue time between two prices of a market that one oracle signs, at the least."""
        return self.patience(terms) // 2

    def slot(self, terms: MarketTerms, time: int) -> int:
        """The number of the market's slot that venue time `time` (µs) is in."""
        return (time - self._shift(terms)) // self._length(terms)

    def rank(self, oracle: bytes, terms: MarketTerms, slot: int) -> int:
        """How many come before this oracle in a slot."""
        return (self._oracles.index(oracle) - slot - terms.market) % len(self._oracles)

    def begins(self, oracle: bytes, terms: MarketTerms, slot: int) -> int:
        """When an oracle's turn in a slot begins, µs of venue time."""
        start = slot * self._length(terms) + self._shift(terms)
        return start + self.rank(oracle, terms, slot) * self.patience(terms)

    def is_due(self, oracle: bytes, terms: MarketTerms, time: int) -> bool:
        """Whether an oracle may propose a price published at `time` (µs): not before those before it had their time."""
        return time >= self.begins(oracle, terms, self.slot(terms, time))

    def _length(self, terms: MarketTerms) -> int:
        return self._rules.slot_us() if terms.kind == PERPETUAL else self._rules.contract_slot_us()

    def _shift(self, terms: MarketTerms) -> int:
        if terms.kind == PERPETUAL:
            return 0
        return terms.market * _GOLDEN_PPM % PPM * self._length(terms) // PPM
