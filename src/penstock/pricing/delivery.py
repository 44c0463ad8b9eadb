"""What a contract will settle at, as far as it is known: the mean of its index over the last half hour.

The same sums as the engine's (`spec/prices.py`, expected settlement): each index counts for as long as it stood in the
window, and the window begins with its first index where that came later.
"""

from penstock.pricing.marks import expiring_mark
from penstock.protocol.quantities import SETTLEMENT_WINDOW


class Delivery:
    """The mean of one contract's index so far. Indices are in any unit of price; whole ones are summed exactly.

    Whoever joins inside the window knows only what it has seen itself, and the index that stood when it came.
    """

    def __init__(self, expiry: int, before: float = 0) -> None:
        """`expiry` in µs. `before` is the index that the contract had before the first one taken here: it stands for
        all of the window that is over by then. 0: it had none, and the window begins with the first one."""
        self._expiry = expiry
        self._start = expiry - SETTLEMENT_WINDOW
        self._since = 0
        self._total: float = 0
        self._index = before
        self._taken = 0

    def take(self, index: float, now: int) -> None:
        """`index` (above 0) stands from `now` (µs) on. A time gone back counts as the last one."""
        now = max(now, self._taken)
        if self._since == 0:
            self._since = self._start if self._index else max(now, self._start)
            self._taken = self._since
        self._total += self._standing(now)
        self._index, self._taken = index, now

    def fixed(self, now: int) -> tuple[float, float]:
        """How much of the settlement is known at `now` (µs), from 0 to 1, and the average of that part (0 for none)."""
        elapsed = min(now, self._expiry) - self._since
        if self._since == 0 or elapsed <= 0:
            return 0.0, 0.0
        return elapsed / (self._expiry - self._since), (self._total + self._standing(now)) / elapsed

    def expected(self, forward: float, now: int) -> float:
        """n/N × average + (N − n)/N × `forward`: what it settles at if the index is `forward` from `now` (µs) on.

        N is the part of the window in which there was an index. Before the window, and before any index, `forward`.
        """
        share, average = self.fixed(now)
        return float(forward) if share == 0 else expiring_mark(float(forward), average, share, 1.0)

    def _standing(self, now: int) -> float:
        """Index × µs of the present sample inside the window."""
        return self._index * max(0, min(now, self._expiry) - max(self._taken, self._since))
