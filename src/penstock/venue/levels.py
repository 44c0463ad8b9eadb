"""One side of a public book, and one day of trades: the small sums that market data is made of."""

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import BUY
from penstock.protocol.quantities import MICRO

MINUTE: Final = 60 * MICRO
MINUTES_A_DAY: Final = 1440


class Side:
    """Total resting size per price, with the prices in ascending order."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.sizes: dict[int, int] = {}
        self._prices: list[int] = []

    def shift(self, price: int, by: int) -> int:
        """Add `by` (size units, either sign) at `price`. Returns the total before. Raises ValueError below zero."""
        before = self.sizes.get(price, 0)
        after = before + by
        if after < 0:
            raise ValueError(f"the public book would hold {after} at {price}")
        if after:
            self.sizes[price] = after
            if not before:
                insort(self._prices, price)
        elif before:
            del self.sizes[price]
            del self._prices[bisect_left(self._prices, price)]
        return before

    def best(self) -> int | None:
        """The highest bid or the lowest ask; None when the side is empty."""
        if not self._prices:
            return None
        return self._prices[-1] if self.side == BUY else self._prices[0]

    def top(self, depth: int | None = None) -> list[tuple[int, int]]:
        """(price, size) of the `depth` best levels, best first; all of them without `depth`."""
        if self.side == BUY:
            prices = self._prices[: -depth - 1 : -1] if depth else self._prices[::-1]
        else:
            prices = self._prices[:depth]
        return [(price, self.sizes[price]) for price in prices]


class Minute(Struct):
    """Trades of one minute of venue time: prices in price units, `notional` in 1e-6 USDC."""

    number: int
    first: int
    high: int
    low: int
    volume: int
    notional: int


class Day:
    """The last 24 hours of one market's trades, by the minute."""

    def __init__(self) -> None:
        self.volume = 0
        self.notional = 0
        self.high: int | None = None
        self.low: int | None = None
        self._minutes: deque[Minute] = deque()

    def add(self, time: int, price: int, size: int) -> None:
        """Count one trade at venue time `time` (µs)."""
        self.forget(time)
        number = time // MINUTE
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(Minute(number, price, price, price, 0, 0))
        minute = self._minutes[-1]
        minute.high, minute.low = max(minute.high, price), min(minute.low, price)
        minute.volume += size
        minute.notional += size * price
        self.volume += size
        self.notional += size * price
        self.high = price if self.high is None else max(self.high, price)
        self.low = price if self.low is None else min(self.low, price)

    def forget(self, time: int) -> None:
        """Let go of what is more than 24 hours before `time` (µs)."""
        oldest = time // MINUTE - MINUTES_A_DAY
        gone = False
        while self._minutes and self._minutes[0].number <= oldest:
            minute = self._minutes.popleft()
            self.volume -= minute.volume
            self.notional -= minute.notional
            gone = True
        if gone:
            self.high = max((m.high for m in self._minutes), default=None)
            self.low = min((m.low for m in self._minutes), default=None)

    def first(self) -> int | None:
        """The price 24 hours ago, or the first since; None without trades."""
        return self._minutes[0].first if self._minutes else None
