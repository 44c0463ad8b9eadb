"""Whoever says what dated contracts are worth: a quorum's signatures under one publication a contract and round."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.participants.client import GatewayClient
from penstock.pricing.delivery import Delivery
from penstock.protocol.commands import PublishPrice
from penstock.protocol.instruments import FUTURE, OPTION
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer, seal
from penstock.simulation.dated.plan import Contract
from penstock.simulation.dated.statistics import DatedStatistics
from penstock.simulation.dated.worth import Pricer, towards

STEP_PPM: Final = {FUTURE: 9_000, OPTION: 18_000}
"""How far one publication moves a mark: a little less than the venue takes."""
IN_FLIGHT: Final = 64


class DatedOracle:
    """Keeps what the venue has of each contract and never steps further from it than is taken."""

    def __init__(
        self, client: GatewayClient, separator: bytes, quorum: Sequence[Signer], statistics: DatedStatistics
    ) -> None:
        self.doubted: set[int] = set()
        """Markets that refused a price: what they have is to be read again, and told to `begin`."""
        self._client = client
        self._separator = separator
        self._quorum = list(quorum)
        self._statistics = statistics
        self._pricer = Pricer()
        self._prices: dict[int, tuple[int, int]] = {}
        self._deliveries: dict[int, Delivery] = {}

    def begin(self, contract: Contract, index: int, mark: int, now: int) -> None:
        """Go on from the venue's present price of a contract (price units; zeros when it has none) at `now` (µs)."""
        self._prices[contract.market] = (index, mark)
        self.doubted.discard(contract.market)
        if contract.market not in self._deliveries:
            self._deliveries[contract.market] = Delivery(contract.expiry * MICRO)
            if index:
                self._deliveries[contract.market].take(index, now)

    def mark(self, contract: Contract) -> int:
        """The mark last published, in price units; 0 for none."""
        return self._prices[contract.market][1]

    def vegas(self, contracts: Sequence[Contract], now: int) -> dict[int, float]:
        """Market → price units for one point of volatility, of options."""
        indexed = {contract.market: self._prices[contract.market][0] for contract in contracts}
        return self._pricer.vegas(contracts, self._forwards(indexed, now), now)

    async def publish(self, contracts: Sequence[Contract], indices: Mapping[str, int], now: int) -> None:
        """Send the next price of each contract, stamped `now`; `indices` by coin in price units."""
        indexed = {
            c.market: towards(indices[c.base], self._prices[c.market][0], STEP_PPM[FUTURE], self._prices[c.market][0])
            for c in contracts
        }
        wanted = self._pricer.marks(contracts, self._forwards(indexed, now), now)
        for contract in contracts:
            market, index = contract.market, indexed[contract.market]
            last = self._prices[market][1]
            mark = towards(wanted[market], last, STEP_PPM[contract.kind], index if contract.kind == OPTION else last)
            self._prices[market] = (index, mark)
            await self._client.room(IN_FLIGHT)
            self._send(PublishPrice(market, now, index, mark))
        self._statistics.prices += len(contracts)

    def _forwards(self, indexed: Mapping[int, int], now: int) -> dict[int, float]:
        return {market: self._deliveries[market].expected(index, now) for market, index in indexed.items()}

    def _send(self, price: PublishPrice) -> None:
        def answered(done: "asyncio.Future[Any]") -> None:
            if done.cancelled() or done.exception() is not None:
                return
            if done.result().reasons:
                self._statistics.refused.update(done.result().reasons)
                self.doubted.add(price.market)
            else:
                self._deliveries[price.market].take(price.index_price, price.published_at)

        self._client.send(seal(self._separator, price, self._quorum)).add_done_callback(answered)
