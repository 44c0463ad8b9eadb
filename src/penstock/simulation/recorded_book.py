"""The recorded market's order book, rebuilt: the touch from best bid and ask, what lies behind from depth."""

from bisect import bisect_left, bisect_right

from msgspec import Struct

from penstock.simulation.recording import Depth, Level, Quote, Snapshot


class Target(Struct, frozen=True):
    """What a mirror should show: price -> size a side, best first, never crossed."""

    bids: dict[int, int]
    asks: dict[int, int]

    def mid(self) -> float:
        """Middle of the touch, in price units."""
        return (next(iter(self.bids)) + next(iter(self.asks))) / 2


class _Ladder:
    """One side's levels by price, with the prices kept sorted (ascending)."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.prices: list[int] = []

    def put(self, price: int, size: int) -> None:
        """Set a level; size 0 removes it."""
        if size:
            if price not in self.sizes:
                self.prices.insert(bisect_left(self.prices, price), price)
            self.sizes[price] = size
        elif self.sizes.pop(price, 0):
            del self.prices[bisect_left(self.prices, price)]


class RecordedBook:
    """Follows a futures recording: diffs wait for the snapshot, then must chain without a gap.

    `applied` counts the depth diffs applied since the snapshot, `gaps` those whose `previous` was not the last.
    """

    def __init__(self) -> None:
        self.applied = 0
        self.gaps = 0
        self._bids = _Ladder()
        self._asks = _Ladder()
        self._quote: Quote | None = None
        self._waiting: list[Depth] = []
        self._last: int | None = None

    @property
    def ready(self) -> bool:
        """Whether both the snapshot and a best bid and ask have been seen."""
        return self._last is not None and self._quote is not None

    def apply(self, event: Quote | Depth | Snapshot) -> None:
        """Advance by one recorded change."""
        if isinstance(event, Quote):
            self._quote = event
        elif isinstance(event, Snapshot):
            self._restart(event)
        elif self._last is None:
            self._waiting.append(event)
        else:
            self._apply_diff(event)

    def target(self, levels: int | None = 20) -> Target:
        """The touch by best bid and ask, then up to `levels` - 1 depth levels a side strictly behind it.

        None means all levels. Raises ValueError before the book is ready.
        """
        quote = self._quote
        if quote is None or self._last is None:
            raise ValueError("the recorded book has no snapshot or no best bid and ask yet")
        behind = len(self._bids.prices) + len(self._asks.prices) if levels is None else levels - 1
        bids, asks = {quote.bid: quote.bid_size}, {quote.ask: quote.ask_size}
        prices, sizes = self._bids.prices, self._bids.sizes
        end = bisect_left(prices, quote.bid)
        for price in reversed(prices[max(0, end - behind) : end]):
            bids[price] = sizes[price]
        prices, sizes = self._asks.prices, self._asks.sizes
        start = bisect_right(prices, quote.ask)
        for price in prices[start : start + behind]:
            asks[price] = sizes[price]
        return Target(bids, asks)

    def depth_best(self) -> tuple[Level, Level]:
        """(best bid, best ask) by depth alone. Raises ValueError when a side is empty."""
        if not self._bids.prices or not self._asks.prices:
            raise ValueError("the depth book has an empty side")
        bid, ask = self._bids.prices[-1], self._asks.prices[0]
        return (bid, self._bids.sizes[bid]), (ask, self._asks.sizes[ask])

    def _restart(self, snapshot: Snapshot) -> None:
        self._bids, self._asks = _Ladder(), _Ladder()
        for price, size in snapshot.bids:
            self._bids.put(price, size)
        for price, size in snapshot.asks:
            self._asks.put(price, size)
        self.applied = self.gaps = 0
        self._last = snapshot.last
        waiting, self._waiting = self._waiting, []
        for diff in waiting:
            self._apply_diff(diff)

    def _apply_diff(self, diff: Depth) -> None:
        assert self._last is not None
        if diff.last < self._last:
            return
        chained = diff.first <= self._last if self.applied == 0 else diff.previous == self._last
        self.gaps += not chained
        self.applied += 1
        self._last = diff.last
        for price, size in diff.bids:
            self._bids.put(price, size)
        for price, size in diff.asks:
            self._asks.put(price, size)
