"""The best of many prices, looked for again only after the best one has gone."""

from collections.abc import Collection

from penstock.protocol.commands import BUY


class BestPrice:
    """Watches one side's prices, a collection that others change; told of what comes and goes."""

    def __init__(self, side: int, prices: Collection[int]) -> None:
        self._highest = side == BUY
        self._prices = prices
        self._best: int | None = None

    def now(self) -> int | None:
        """The highest bid or lowest ask; None without prices."""
        if self._best is None and self._prices:
            self._best = max(self._prices) if self._highest else min(self._prices)
        return self._best

    def came(self, price: int) -> None:
        """A price is there that may not have been."""
        if self._best is not None and (price > self._best if self._highest else price < self._best):
            self._best = price

    def went(self, price: int | None = None) -> None:
        """A price is gone; without one, any may be."""
        if price is None or price == self._best:
            self._best = None
