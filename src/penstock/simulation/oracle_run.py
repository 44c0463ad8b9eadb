"""An oracle at a running venue: wired to its gateway, to its peers, and listening."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, TypeVar

import aiohttp
import msgspec
from msgspec import Meta, Struct

from penstock.participants.client import ConnectionLost, GatewayClient, GatewayError, time_of
from penstock.pricing.marks import Volatility
from penstock.protocol.instruments import CALL, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.signing import Signer
from penstock.protocol.terms import Genesis, MarketTerms
from penstock.venue.gateway.figures import NEVER
from penstock.venue.oracle.decisions import Decision
from penstock.venue.oracle.endpoint import Endpoint, HttpPeer
from penstock.venue.oracle.oracle import Oracle
from penstock.venue.oracle.port import Listed, Seen
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Source
from penstock.venue.oracle.steps import Price

PATIENCE: Final = 10.0
"""Seconds without an answer after which a connection to a venue is given up, at the least."""
_TIMEOUTS: Final = 3
_DEPTH: Final = 200
_SHOWN: Final = 200
_RIGHTS: Final = {"": NO_OPTION, "call": CALL, "put": PUT}
_T = TypeVar("_T")
_Price = Annotated[float, Meta(ge=0, lt=1e15)]
"""USD; no price of a record is as large."""
_Moment = Annotated[int, Meta(ge=0, lt=1 << 53)]
"""ms since 1970."""


class _Instrument(Struct, frozen=True):
    """What of an instrument an oracle reads."""

    instrument_name: str
    instrument_id: int
    kind: Literal["future", "option"]
    base_currency: str
    settlement_period: str
    expiration_timestamp: _Moment
    strike: float = 0.0
    option_type: Literal["", "call", "put"] = ""
    state: str = ""

    def listed(self) -> Listed:
        return Listed(
            self.instrument_id, self.instrument_name, self.base_currency, OPTION if self.kind == "option" else FUTURE,
            self.expiration_timestamp // 1_000, self.strike, _RIGHTS[self.option_type], self.state == "expired",
        )  # fmt: skip


class _Book(Struct, frozen=True):
    """What of a market's book an oracle reads."""

    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    open_interest: float
    index_price: _Price | None = None
    mark_price: _Price | None = None
    last_price: Annotated[float, Meta(gt=0)] | None = None

    def seen(self, unit: float) -> Seen:
        """The same with the committed price in units of `unit` USD."""
        index, mark = (round((price or 0.0) / unit) for price in (self.index_price, self.mark_price))
        return Seen(Price(index, mark), tuple(self.bids), tuple(self.asks), self.last_price, self.open_interest > 0)


class GatewayVenue:
    """A venue behind its gateway's socket; connects when it is needed, and again after it was lost.

    What of an answer is not as a venue says it raises ConnectionError. In `patience` (s) a connection must be there;
    and one on which calls were given up, and none was answered for so long, is given up as well.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._client: GatewayClient | None = None
        self._opening: asyncio.Task[GatewayClient] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._silent_since: float | None = None

    async def time(self) -> int:
        """Venue time, µs, to the millisecond. Raises ConnectionError."""
        return time_of(await self._call("public/get_time", {}))

    async def look(self, terms: MarketTerms) -> Seen:
        """The market's committed price, book and last price. Raises ConnectionError."""
        shown = await self._call("public/get_order_book", {"instrument_name": terms.name, "depth": _DEPTH})
        return self._read(shown, _Book).seen(float(terms.price_unit))

    async def listed(self) -> tuple[list[Listed], list[str]]:
        """The dated contracts told by `public/get_instruments`, and what of its answer tells none. Raises
        ConnectionError."""
        shown = await self._call("public/get_instruments", {"currency": "any"})
        if not isinstance(shown, list):
            raise ConnectionError(f"{self._url} is no venue: instruments are no list")
        found: list[Listed] = []
        unread: list[str] = []
        for each in shown:
            try:
                one = msgspec.convert(each, _Instrument)
                if one.settlement_period != "perpetual":
                    found.append(one.listed())
            except msgspec.ValidationError as error:
                unread.append(f"{str(each)[:_SHOWN]}: {error}")
        return found, unread

    async def ends(self, terms: MarketTerms) -> int:
        """When a perpetual ends (s), as `public/get_instrument` tells it also after that; 0 for never. Raises
        ConnectionError."""
        shown = await self._call("public/get_instrument", {"instrument_name": terms.name})
        expiry = self._read(shown, _Instrument).expiration_timestamp
        return 0 if expiry == NEVER else expiry // 1_000

    async def submit(self, envelope: bytes) -> list[str]:
        """The reasons for which an envelope was refused. Raises ConnectionError; its outcome is then unknown."""
        client = await self._connected()
        with self._watched(client):
            return (await client.submit(envelope)).reasons

    async def close(self) -> None:
        """Leave."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._client is not None:
            self._drop(self._client)
        await asyncio.gather(*self._closing)

    def _read(self, shown: Any, kind: type[_T]) -> _T:
        try:
            return msgspec.convert(shown, kind)
        except msgspec.ValidationError as error:
            raise ConnectionError(f"{self._url} is no venue: {error}") from error

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        client = await self._connected()
        with self._watched(client):
            try:
                return await client.call(method, parameters)
            except GatewayError as error:
                raise ConnectionError(f"{method}: {error}") from error

    @contextmanager
    def _watched(self, client: GatewayClient) -> Iterator[None]:
        """A call on a connection: drops it when it is lost, or when nobody has had an answer on it for too long."""
        now = asyncio.get_running_loop().time
        if self._silent_since is None:
            self._silent_since = now()
        try:
            yield
        except ConnectionLost:
            self._drop(client)
            raise
        except asyncio.CancelledError:
            if self._silent_since is not None and now() - self._silent_since >= self._patience:
                self._drop(client)
            raise
        except ConnectionError:
            self._silent_since = None
            raise
        self._silent_since = None

    def _drop(self, client: GatewayClient) -> None:
        if self._client is client:
            self._client = self._silent_since = None
            # Not waited for: whoever asked has a time of its own, and a goodbye may take longer.
            task = asyncio.create_task(client.close(), name="oracle's farewell")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _open(self) -> GatewayClient:
        try:
            async with asyncio.timeout(self._patience):
                return await GatewayClient.connect(self._url, heartbeat=self._patience)
        except TimeoutError as error:
            raise ConnectionError(f"{self._url} did not answer as a venue in {self._patience:g} s") from error

    async def _connected(self) -> GatewayClient:
        if self._client is not None:
            return self._client
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="oracle's venue")
        opening = self._opening
        # Whoever runs out of time leaves; the attempt goes on for the next one who asks.
        await asyncio.wait([opening])
        is_newest = self._opening is opening
        if is_newest:
            self._opening = None
        if opening.cancelled():
            raise ConnectionError(f"{self._url} was left")
        try:
            client = opening.result()
        except GatewayError as error:
            raise ConnectionError(str(error)) from error
        if is_newest:
            self._client, self._silent_since = client, None
        return client


class OracleConfig(Struct, frozen=True, kw_only=True):
    """Where an oracle finds its venue and its peers, where it listens, and under what rules it runs."""

    venue: str
    peers: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    rules: OracleRules = OracleRules()


async def run_oracle(
    config: OracleConfig,
    signer: Signer,
    genesis: Genesis,
    sources: Sequence[Source],
    stop: asyncio.Event,
    *,
    volatilities: Mapping[str, Volatility] | None = None,
    started: Callable[[Endpoint], object] = lambda _: None,
    listener: Callable[[Decision], object] | None = None,
) -> dict[str, Any]:
    """Run one oracle until `stop` is set; returns its last status. `started` hears where it listens; `volatilities` has
    the stated surface of each base whose options are priced.

    Raises ValueError for a key, rule or weight that is wrong, OSError when it cannot listen.
    """
    venue = GatewayVenue(config.venue, max(PATIENCE, _TIMEOUTS * config.rules.venue_timeout))
    # How long it waits for a peer, an oracle decides itself; this is for what outlasts every turn.
    patience = max(config.rules.every, config.rules.contracts_every)
    async with aiohttp.ClientSession() as http:
        peers = [HttpPeer(http, url, patience) for url in config.peers]
        oracle = Oracle(
            signer, genesis, sources, venue, peers, config.rules, volatilities=volatilities, listener=listener
        )
        endpoint = Endpoint(oracle)
        await endpoint.start(config.host, config.port)
        running = asyncio.create_task(oracle.run(), name="oracle")
        try:
            started(endpoint)
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await endpoint.stop()
            await venue.close()
        return oracle.status()
