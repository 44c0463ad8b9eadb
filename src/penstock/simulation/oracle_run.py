"""An oracle at a running venue: wired to its gateway, to its peers, and listening."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import aiohttp
import msgspec
from msgspec import Struct

from penstock.participants.client import ConnectionLost, GatewayClient, GatewayError
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

_DEPTH: Final = 200
_SHOWN: Final = 200
_RIGHTS: Final = {"": NO_OPTION, "call": CALL, "put": PUT}


class _Instrument(Struct, frozen=True):
    """What of an instrument an oracle reads."""

    instrument_name: str
    instrument_id: int
    kind: Literal["future", "option"]
    base_currency: str
    settlement_period: str
    expiration_timestamp: int
    strike: float = 0.0
    option_type: Literal["", "call", "put"] = ""
    state: str = ""

    def listed(self) -> Listed:
        return Listed(
            self.instrument_id, self.instrument_name, self.base_currency, OPTION if self.kind == "option" else FUTURE,
            self.expiration_timestamp // 1_000, self.strike, _RIGHTS[self.option_type], self.state == "expired",
        )  # fmt: skip


class GatewayVenue:
    """A venue behind its gateway's socket; connects when it is needed, and again after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: GatewayClient | None = None
        self._opening: asyncio.Task[GatewayClient] | None = None

    async def time(self) -> int:
        """Venue time, µs, to the millisecond. Raises ConnectionError."""
        return int(await self._call("public/get_time", {})) * 1_000

    async def look(self, terms: MarketTerms) -> Seen:
        """The market's committed price, book and last price. Raises ConnectionError."""
        shown = await self._call("public/get_order_book", {"instrument_name": terms.name, "depth": _DEPTH})
        unit = float(terms.price_unit)
        try:
            committed = Price(*(round((shown[name] or 0) / unit) for name in ("index_price", "mark_price")))
            bids, asks = (tuple((float(p), float(s)) for p, s in shown[side]) for side in ("bids", "asks"))
            return Seen(committed, bids, asks, shown["last_price"], float(shown["open_interest"]) > 0)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConnectionError(f"{self._url} is no venue: {error!r}") from error

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
        try:
            expiry = msgspec.convert(shown, _Instrument).expiration_timestamp
        except msgspec.ValidationError as error:
            raise ConnectionError(f"{self._url} is no venue: {error}") from error
        return 0 if expiry == NEVER else expiry // 1_000

    async def submit(self, envelope: bytes) -> list[str]:
        """The reasons for which an envelope was refused. Raises ConnectionError; its outcome is then unknown."""
        client = await self._connected()
        try:
            return (await client.submit(envelope)).reasons
        except ConnectionLost:
            await self._drop(client)
            raise

    async def close(self) -> None:
        """Leave."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._client is not None:
            await self._drop(self._client)

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        client = await self._connected()
        try:
            return await client.call(method, parameters)
        except GatewayError as error:
            raise ConnectionError(f"{method}: {error}") from error
        except ConnectionLost:
            await self._drop(client)
            raise

    async def _drop(self, client: GatewayClient) -> None:
        if self._client is client:
            self._client = None
            await client.close()

    async def _connected(self) -> GatewayClient:
        if self._client is not None:
            return self._client
        if self._opening is None:
            self._opening = asyncio.create_task(GatewayClient.connect(self._url), name="oracle's venue")
        opening = self._opening
        try:
            # Whoever runs out of time leaves; the attempt goes on for the next one who asks.
            client = await asyncio.shield(opening)
        except (ConnectionError, GatewayError) as error:
            if self._opening is opening:
                self._opening = None
            raise ConnectionError(str(error)) from error
        self._opening, self._client = None, client
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
    venue = GatewayVenue(config.venue)
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
