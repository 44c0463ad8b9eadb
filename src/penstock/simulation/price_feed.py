"""The oracle of a replayed world: index, mark and its premium, in steps the venue accepts, signed by a quorum."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct

from penstock.participants.client import Answer, GatewayClient
from penstock.protocol.commands import PublishPrice
from penstock.protocol.quantities import PPM, RATE_SCALE, div_trunc
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import PRICE_INTERVAL
from penstock.simulation.replay_statistics import ReplayStatistics

STEP_PPM: Final = 9_000
"""Largest move of index or mark in one publication; the venue refuses more than 10,000."""
BAND_PPM: Final = 4_000
"""Largest distance of the mark from the index."""
EVERY_US: Final = 250_000
"""Venue time between publications of a market."""


class _Price(Struct):
    """A market's last published and next wanted price (price units)."""

    index: int = 0
    mark: int = 0
    published_at: int = 0
    wanted_index: int = 0
    wanted_mark: int = 0
    asked_at: int = 0

    def step(self) -> tuple[int, int]:
        """The next (index, mark) on the way to the wanted ones."""
        index = _within(self.wanted_index, self.index, STEP_PPM)
        mark = _within(self.wanted_mark, self.mark, STEP_PPM)
        return index, _within(mark, index, BAND_PPM)

    def arrived(self) -> bool:
        return self.step() == (self.index, self.mark)


class PriceFeed:
    """Publishes per market; knows the last price it got through and never steps further than allowed from it."""

    def __init__(
        self, client: GatewayClient, separator: bytes, quorum: list[Signer], statistics: ReplayStatistics
    ) -> None:
        self._client = client
        self._separator = separator
        self._quorum = quorum
        self._statistics = statistics
        self._prices: dict[int, _Price] = {}

    def begin(self, market: int, index: int, mark: int) -> None:
        """The venue's present price of a market; zeros when it has none."""
        self._prices[market] = _Price(index, mark)

    def want(self, market: int, *, index: int | None = None, mark: int | None = None) -> None:
        """What the market's price should be; takes effect at its next publication."""
        price = self._prices[market]
        price.wanted_index = price.wanted_index if index is None else index
        price.wanted_mark = price.wanted_mark if mark is None else mark

    def publish_due(self, now_us: int) -> None:
        """Queue a publication for every market whose last was `EVERY_US` ago; `now_us` is any steady clock."""
        for market, price in self._prices.items():
            due = now_us - price.asked_at >= EVERY_US and self._may_follow(price)
            if due and price.wanted_index and price.wanted_mark:
                price.asked_at = now_us
                self._publish(market, price)

    def _may_follow(self, price: _Price) -> bool:
        """Whether the venue would take a price stamped now."""
        return self._client.venue_time >= price.published_at + PRICE_INTERVAL

    def restart(self) -> None:
        """The steady clock of `publish_due` starts over."""
        for price in self._prices.values():
            price.asked_at = 0

    async def arrive(self, tick: Callable[[], Awaitable[None]]) -> None:
        """Publish step by step until every market is where it is wanted. Raises ValueError if one is refused.

        `tick` lets a little venue time pass; no two publications of a market may carry the same.
        """
        for market, price in self._prices.items():
            while True:
                while not self._may_follow(price):
                    await tick()
                answer = await self._publish(market, price)
                if answer.reasons:
                    raise ValueError(f"market {market}: the venue refused a price: {', '.join(answer.reasons)}")
                if price.arrived():
                    break

    def _publish(self, market: int, price: _Price) -> asyncio.Future[Answer]:
        index, mark = price.step()
        before = (price.index, price.mark)
        price.published_at = self._client.venue_time
        price.index, price.mark = index, mark
        premium = div_trunc((mark - index) * RATE_SCALE, index)
        record = PublishPrice(market, price.published_at, index, mark, premium)
        future = self._client.send(seal(self._separator, record, self._quorum))
        self._statistics.prices += 1

        def answered(done: asyncio.Future[Any]) -> None:
            if done.cancelled() or done.exception() is not None:
                return
            self._statistics.count(done.result())
            if done.result().reasons and (price.index, price.mark) == (index, mark):
                price.index, price.mark = before

        future.add_done_callback(answered)
        return future


def _within(wanted: int, reference: int, ppm: int) -> int:
    """`wanted`, or the nearest price within `ppm` of `reference`; anything goes from a reference of 0."""
    if reference == 0:
        return wanted
    reach = reference * ppm // PPM
    return min(max(wanted, reference - reach), reference + reach)
