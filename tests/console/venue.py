"""A small pretend gateway for the console: the public methods and channels the page uses, over a random walk.

It matches nothing and checks nothing. `cd tests; python -m console.venue PORT [LIBRARY]` serves it by hand.
"""

import asyncio
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from .market import FakeMarket

CONSOLE = Path(__file__).parents[2] / "console"
UNSAFE = ["development keys", "Dev settlement windows", "Dev clock"]
FINAL_AFTER = 3  # a batch is final once this many newer ones are posted
STEP_SECONDS = 0.1


class NoSuchInstrument(Exception):
    """Nothing has the name asked for."""


class FakeVenue:
    """Serve the console and its API. `chart_library` is the path of the library, or None for a 404."""

    def __init__(self, chart_library: Path | None = None, seed: int = 1, trades: bool = True) -> None:
        self.chart_library = chart_library
        self.unsafe = list(UNSAFE)
        self.markets = {market.name: market for market in FakeMarket.three(seed, trades)}
        self.random = random.Random(seed)
        self.batches: list[dict[str, Any]] = []
        self.sockets: dict[web.WebSocketResponse, set[str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.runner: web.AppRunner | None = None
        self.stepping: asyncio.Task[None] | None = None
        self.url = ""
        for _ in range(12):
            self._append_batch()

    async def start(self, port: int = 0, moving: bool = True) -> None:
        application = web.Application()
        application.router.add_get("/", self._index)
        application.router.add_get("/vendor/lightweight-charts.mjs", self._chart_library)
        application.router.add_get("/ws/api/v2", self._socket)
        application.router.add_static("/console/", CONSOLE)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", port)
        await site.start()
        self.url = "http://{}:{}/".format(*self.runner.addresses[0])
        if moving:
            self.stepping = asyncio.create_task(self._step_forever())

    async def stop(self) -> None:
        if self.stepping is not None:
            self.stepping.cancel()
        await self.drop_connections()
        if self.runner is not None:
            await self.runner.cleanup()

    # What a test does to the venue.

    async def step(self) -> None:
        """Move every market once and say so on its channels."""
        for market in self.markets.values():
            change, trades = market.step()
            await self.publish(f"book.{market.name}.100ms", change)
            if trades:
                await self.publish(f"trades.{market.name}.100ms", trades)
            await self.publish(f"ticker.{market.name}.100ms", market.ticker())

    async def post_batch(self) -> dict[str, Any]:
        """Post one batch, and make an older one final."""
        batch = self._append_batch()
        await self.publish("penstock.batches", batch)
        if len(self.batches) > FINAL_AFTER:
            await self.publish("penstock.batches", self.batches[-1 - FINAL_AFTER])
        return batch

    def lose_a_change(self, name: str) -> None:
        """Let the book move without telling anybody: the next change has a gap before it."""
        self.markets[name].step()

    async def drop_connections(self) -> None:
        for socket in list(self.sockets):
            await socket.close()

    async def publish(self, channel: str, said: Any) -> None:
        for socket, channels in list(self.sockets.items()):
            if channel in channels and not socket.closed:
                await self._push(socket, channel, said)

    def count(self, method: str, channel: str) -> int:
        """How often the page called `method` for `channel`."""
        return sum(1 for called, params in self.calls if called == method and channel in params.get("channels", []))

    # The API.

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(CONSOLE / "index.html")

    async def _chart_library(self, _: web.Request) -> web.StreamResponse:
        if self.chart_library is None:
            raise web.HTTPNotFound
        return web.FileResponse(self.chart_library, headers={"Content-Type": "text/javascript"})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, message.json())
        finally:
            del self.sockets[socket]
        return socket

    async def _answer(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        method, params = request["method"], request.get("params", {})
        self.calls.append((method, params))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"], "testnet": True}
        if method in {"public/subscribe", "public/unsubscribe"}:
            answer["result"] = params["channels"]
        elif method in METHODS:
            try:
                answer["result"] = METHODS[method](self, params)
            except NoSuchInstrument:
                answer["error"] = {"code": 13020, "message": "not_found"}
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        await socket.send_json(answer)
        if method == "public/subscribe":
            await self._subscribe(socket, params["channels"])
        elif method == "public/unsubscribe":
            self.sockets[socket] -= set(params["channels"])

    async def _subscribe(self, socket: web.WebSocketResponse, channels: list[str]) -> None:
        self.sockets[socket] |= set(channels)
        for channel in channels:
            if channel.startswith("book."):
                await self._push(socket, channel, self.markets[channel.split(".")[1]].snapshot())

    async def _push(self, socket: web.WebSocketResponse, channel: str, said: Any) -> None:
        params = {"channel": channel, "data": said}
        try:
            await socket.send_json({"jsonrpc": "2.0", "method": "subscription", "params": params})
        except ConnectionError:
            await socket.close()

    def _market(self, params: dict[str, Any]) -> FakeMarket:
        market = self.markets.get(params["instrument_name"])
        if market is None:
            raise NoSuchInstrument
        return market

    def _listed(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        ended = params.get("expired", False)
        return [market.instrument() for market in self.markets.values() if market.ended == ended]

    def _append_batch(self) -> dict[str, Any]:
        """One more batch, posted; the one that is old enough becomes final."""
        number = len(self.batches) + 1
        first = self.batches[-1]["last_sequence"] + 1 if self.batches else 1
        self.batches.append(
            {
                "number": number,
                "first_sequence": first,
                "last_sequence": first + self.random.randrange(900, 1024),
                "entries": self.random.randrange(120, 400),
                "settlement_root": f"0x{self.random.randbytes(32).hex()}",
                "engine_root": f"0x{self.random.randbytes(32).hex()}",
                "transaction": f"0x{self.random.randbytes(32).hex()}",
                "block": 40 + 2 * number,
                "status": "posted",
                "gas": self.random.randrange(310_000, 360_000),
            }
        )
        if number > FINAL_AFTER:
            self.batches[-1 - FINAL_AFTER]["status"] = "final"
        return self.batches[-1]

    async def _step_forever(self) -> None:
        steps = 0
        while True:
            await asyncio.sleep(STEP_SECONDS)
            await self.step()
            steps += 1
            if steps % 40 == 0:
                await self.post_batch()


METHODS: dict[str, Callable[[FakeVenue, dict[str, Any]], Any]] = {
    "public/get_time": lambda venue, _: next(iter(venue.markets.values())).time,
    "public/status": lambda venue, _: {"locked": "false", "engine": "spec", "unsafe": venue.unsafe},
    "public/get_instruments": lambda venue, params: venue._listed(params),
    "public/get_instrument": lambda venue, params: venue._market(params).instrument(),
    "public/ticker": lambda venue, params: venue._market(params).ticker(),
    "public/get_last_trades_by_instrument": lambda venue, params: {
        "trades": venue._market(params).trades[: -params["count"] - 1 : -1],
        "has_more": False,
    },
    "penstock/get_batches": lambda venue, params: venue.batches[: -params["count"] - 1 : -1],
}


async def serve(chart_library: Path | None, port: int) -> None:
    """Serve until interrupted, for looking at the page by hand."""
    venue = FakeVenue(chart_library)
    await venue.start(port)
    print(venue.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], "8080"]
    asyncio.run(serve(Path(arguments[1]) if len(sys.argv) > 2 else None, int(arguments[0])))
