"""The recorded market's order book, rebuilt: the touch from best bid and ask, what lies behind from depth."""

from bisect import bisect_left, bisect_right

from msgspec import Struct

from penstock.simulation.recording import Depth, Level, Quote, Snapshot


class Target(Struct, frozen=True):
    """What a mirror should show: price -> size a side, best first, never crossed.

    With `changed` (the prices that may differ from the last target, bids and asks) the order of the levels is any,
    the dictionaries stay the recorded book's own, and the touch is stated; without it everything is to be compared.
    """

    bids: dict[int, int]
    asks: dict[int, int]
    changed: tuple[set[int], set[int]] | None = None
    touch: tuple[int, int] | None = None

    @property
    def best_bid(self) -> int | None:
        """The highest bid; None without bids."""
        return self.touch[0] if self.touch else next(iter(self.bids), None)

    @property
    def best_ask(self) -> int | None:
        """The lowest ask; None without asks."""
        return self.touch[1] if self.touch else next(iter(self.asks), None)

    def mid(self) -> float:
        """Middle of the touch, in price units. Raises ValueError when a side is empty."""
        if self.best_bid is None or self.best_ask is None:
            raise ValueError("a side of the target is empty")
        return (self.best_bid + self.best_ask) / 2


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
        self._shown: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._dirty: tuple[set[int], set[int]] = (set(), set())

    @property
    def ready(self) -> bool:
        """Whether both the snapshot and a best bid and ask have been seen."""
        return self._last is not None and self._quote is not None

    def apply(self, event: Quote | Depth | Snapshot) -> None:
        """Advance by one recorded change."""
        if isinstance(event, Quote):
            self._soil_between(self._quote, event)
            self._quote = event
        elif isinstance(event, Snapshot):
            self._restart(event)
        elif self._last is None:
            self._waiting.append(event)
        else:
            self._apply_diff(event)

    def target(self, levels: int | None = 20) -> Target:
        """The touch by best bid and ask, then up to `levels` - 1 depth levels a side strictly behind it.

        None means all levels: then only what has changed since the last such target is looked at. Raises
        ValueError before the book is ready.
        """
        quote = self._quote
        if quote is None or self._last is None:
            raise ValueError("the recorded book has no snapshot or no best bid and ask yet")
        if levels is None:
            return self._whole(quote)
        behind = levels - 1
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

    def _whole(self, quote: Quote) -> Target:
        changed, self._dirty = self._dirty, (set(), set())
        for side, (touch, size, ladder) in enumerate(
            ((quote.bid, quote.bid_size, self._bids), (quote.ask, quote.ask_size, self._asks))
        ):
            shown = self._shown[side]
            for price in changed[side]:
                behind = price < touch if side == 0 else price > touch
                wanted = size if price == touch else ladder.sizes.get(price, 0) if behind else 0
                if wanted:
                    shown[price] = wanted
                else:
                    shown.pop(price, None)
        return Target(*self._shown, changed, (quote.bid, quote.ask))

    def _soil_between(self, old: Quote | None, new: Quote) -> None:
        """The touch itself and what it passes over will show or vanish."""
        ends = ((old or new).bid, new.bid), ((old or new).ask, new.ask)
        for side, (first, last) in enumerate(ends):
            self._dirty[side].update((first, last))
            if first != last:
                prices = (self._bids, self._asks)[side].prices
                low, high = min(first, last), max(first, last)
                self._dirty[side].update(prices[bisect_left(prices, low) : bisect_right(prices, high)])

    def depth_best(self) -> tuple[Level, Level]:
        """(best bid, best ask) by depth alone. Raises ValueError when a side is empty."""
        if not self._bids.prices or not self._asks.prices:
            raise ValueError("the depth book has an empty side")
        bid, ask = self._bids.prices[-1], self._asks.prices[0]
        return (bid, self._bids.sizes[bid]), (ask, self._asks.sizes[ask])

    def _restart(self, snapshot: Snapshot) -> None:
        for dirty, ladder in zip(self._dirty, (self._bids, self._asks), strict=True):
            dirty.update(ladder.prices)
        self._bids, self._asks = _Ladder(), _Ladder()
        for price, size in snapshot.bids:
            self._bids.put(price, size)
        for price, size in snapshot.asks:
            self._asks.put(price, size)
        for dirty, ladder in zip(self._dirty, (self._bids, self._asks), strict=True):
            dirty.update(ladder.prices)
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
        self._dirty[0].update(price for price, _ in diff.bids)
        self._dirty[1].update(price for price, _ in diff.asks)
