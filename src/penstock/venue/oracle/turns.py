"""Whose turn it is: venue time is cut into slots, and in each slot the oracles come one after another.

The order rotates by slot and market. Who comes first proposes when the slot begins; each next one waits `patience`
longer and proposes only if it has signed nothing in that slot, so that a dead oracle costs its patience and no more.
"""

from collections.abc import Sequence

from penstock.venue.oracle.rules import OracleRules


class Turns:
    """The order of one quorum. `oracles` are its addresses, in any order; all oracles of a venue compute the same."""

    def __init__(self, oracles: Sequence[bytes], rules: OracleRules) -> None:
        self._oracles = sorted(set(oracles))
        self._slot = rules.slot_us()
        self.patience = rules.patience_us(len(self._oracles))
        """µs of venue time between one oracle's turn and the next one's in a slot."""
        self.pace = self.patience // 2
        """µs of venue time between two prices of a market that one oracle signs, at the least."""

    def slot(self, time: int) -> int:
        """The number of the slot that venue time `time` (µs) is in."""
        return time // self._slot

    def rank(self, oracle: bytes, market: int, slot: int) -> int:
        """How many come before this oracle in a slot."""
        return (self._oracles.index(oracle) - slot - market) % len(self._oracles)

    def begins(self, oracle: bytes, market: int, slot: int) -> int:
        """When an oracle's turn in a slot begins, µs of venue time."""
        return slot * self._slot + self.rank(oracle, market, slot) * self.patience

    def is_due(self, oracle: bytes, market: int, time: int) -> bool:
        """Whether an oracle may propose a price published at `time` (µs): not before those before it had their time."""
        return time >= self.begins(oracle, market, self.slot(time))
