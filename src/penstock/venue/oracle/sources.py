"""Where an oracle's prices come from: anything that can tell best bid and ask of a coin in USD, and since when."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

Clock = Callable[[], int]
"""µs since 1970, on the clock that sources stamp with."""


class Quote(Struct, frozen=True):
    """Best bid and ask (USD) of one coin, as they were at `time_us` (µs since 1970)."""

    bid: float
    ask: float
    time_us: int


class Source(Protocol):
    """One outside market. It may be slow, fail, or lie: the oracle gives it a time, and believes no single one."""

    name: str
    weight: float

    async def quote(self, base: str) -> Quote | None:
        """The newest quote of a coin, or None where it has none. May raise anything: it then counts as silent."""


class FixedSource:
    """Says one price a coin for ever, always as if just heard. For trying things out, and for tests."""

    def __init__(self, name: str, prices: Mapping[str, float], weight: float = 1.0, clock: Clock | None = None) -> None:
        self.name = name
        self.weight = weight
        self.prices = dict(prices)
        self._clock = clock or wall_clock

    async def quote(self, base: str) -> Quote | None:
        """The fixed price as bid and ask."""
        price = self.prices.get(base)
        return None if price is None else Quote(price, price, self._clock())


def wall_clock() -> int:
    """µs since 1970 by the machine's clock."""
    return time.time_ns() // 1_000
