"""One aiohttp server on one port: pages, JSON-RPC by GET and POST, and the WebSocket."""

import asyncio
import logging
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from penstock.protocol.quantities import MAX_ENVELOPE
from penstock.venue.door import Door
from penstock.venue.feed import PATH, Feed
from penstock.venue.gateway import signed
from penstock.venue.gateway.consumer import MOST_BYTES, MOST_MESSAGES, Consumer
from penstock.venue.gateway.pages import Pages
from penstock.venue.gateway.rpc import INVALID_REQUEST, PARSE_ERROR, Rpc, RpcError
from penstock.venue.gateway.strict_json import JsonRefusal, parse
from penstock.venue.gateway.subscriptions import Subscriptions
from penstock.venue.sequencer import Sequencer

log = logging.getLogger(__name__)

MOST_BODY: Final = 96 << 10
MOST_FRAME: Final = 1 << 20
"""Above this aiohttp closes the socket; up to it a frame that is too large is refused and the connection stays."""
BODY_TIME: Final = 10.0
"""Seconds a client has to send its body."""
LEAVING_TIME: Final = 2.0
"""Seconds the last replies have to leave when the node stops."""
PING: Final = 30.0
MOST_SOCKETS: Final = 1_024
MOST_CONNECTIONS: Final = 2_048
IDLE_TIME: Final = 30.0
"""Seconds a connection may ask nothing, or be about to."""
_encode: Final = msgspec.json.Encoder().encode
_PUBLIC_READ: Final = {"Access-Control-Allow-Origin": "*"}
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class GatewayLimits(msgspec.Struct, frozen=True):
    """How much one connection may cost, and how many there may be; `idle_time` in s."""

    queued_messages: int = MOST_MESSAGES
    queued_bytes: int = MOST_BYTES
    sockets: int = MOST_SOCKETS
    connections: int = MOST_CONNECTIONS
    idle_time: float = IDLE_TIME


class Gateway:
    """The server. `start` binds it, `stop` closes every connection."""

    def __init__(
        self,
        rpc: Rpc,
        sequencer: Sequencer,
        subscriptions: Subscriptions,
        *,
        console: Path | None = None,
        chart_library: Path | None = None,
        limits: GatewayLimits | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.url = ""
        self._rpc = rpc
        self._sequencer = sequencer
        self._subscriptions = subscriptions
        self._limits = limits or GatewayLimits()
        self._consumers: set[Consumer] = set()
        self._door = Door(self._limits.connections, self._limits.idle_time)
        application = web.Application(client_max_size=MOST_BODY, middlewares=[self._door.attend])
        application.add_routes(
            [
                web.post("/api/v2", self._post),
                web.get("/api/v2/{method:.+}", self._get),
                web.post("/api/v2/{method:.+}", self._post),
                web.get("/ws/api/v2", self._socket),
                *Pages(console, chart_library).routes(),
                *([web.get(PATH, feed.serve)] if feed else []),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, auto_decompress=False)

    async def start(self, host: str, port: int) -> str:
        """Listen; port 0 takes a free one. Returns the URL."""
        await self._runner.setup()
        assert self._runner.server is not None, "set up"
        self.url = await self._door.open(self._runner.server, host, port) + "/"
        return self.url

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        await self._door.close()
        leaving = [asyncio.ensure_future(consumer.leave()) for consumer in self._consumers]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVING_TIME)
        await self._runner.cleanup()

    async def _get(self, request: web.Request) -> web.Response:
        name, query = request.match_info["method"], request.query
        repeated = next((part for part in query if len(query.getall(part)) > 1), None)
        if repeated is not None:
            error = RpcError(PARSE_ERROR, "Parse error", "duplicate parameter", param=repeated[:64])
            return _respond(self._rpc.refuse(error), False)
        if not all(_is_utf8(part) for pair in query.items() for part in pair):
            return _respond(self._rpc.refuse(RpcError(PARSE_ERROR, "Parse error", "not UTF-8")), False)
        response, good = await self._rpc.call_by_name(name, dict(query))
        return _respond(response, good, _PUBLIC_READ if name.startswith("public/") else {})

    async def _post(self, request: web.Request) -> web.Response:
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            error = RpcError(INVALID_REQUEST, "Invalid Request", f"a body in {encoding[:32]!r}: none but plain ones")
            return _respond(self._rpc.refuse(error), False, status=415)
        try:
            body = await asyncio.wait_for(request.read(), BODY_TIME)
        except web.HTTPRequestEntityTooLarge:
            error = RpcError(INVALID_REQUEST, "Invalid Request", f"the body is over {MOST_BODY} bytes")
            return _respond(self._rpc.refuse(error), False, status=413)
        except TimeoutError:
            error = RpcError(INVALID_REQUEST, "Invalid Request", f"the body took over {BODY_TIME:.0f} s")
            return _respond(self._rpc.refuse(error), False, status=408)
        try:
            parsed = parse(body)
            self._agree_on_method(request, parsed)
        except RpcError as error:
            return _respond(self._rpc.refuse(error), False)
        except JsonRefusal as refusal:
            return _respond(self._rpc.refuse(_parse_error(refusal)), False)
        response, good = await self._rpc.call(parsed)
        return _respond(response, good)

    def _agree_on_method(self, request: web.Request, parsed: Any) -> None:
        """A method in the path fills an absent one in the body, and must not contradict it."""
        named = request.match_info.get("method")
        if named is None or not isinstance(parsed, dict):
            return
        if parsed.setdefault("method", named) != named:
            raise RpcError(INVALID_REQUEST, "Invalid Request", "path and body name different methods", param="method")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self._consumers) >= self._limits.sockets:
            raise web.HTTPServiceUnavailable(text="too many connections\n")
        # No compression: a few bytes must not become megabytes in here.
        socket = web.WebSocketResponse(max_msg_size=MOST_FRAME, compress=False, heartbeat=PING)
        await socket.prepare(request)
        consumer = Consumer(socket, self._limits.queued_messages, self._limits.queued_bytes)
        self._consumers.add(consumer)
        writing = asyncio.create_task(consumer.run(request), name="socket writer")
        try:
            await self._read(socket, consumer)
            if consumer.closed:
                await writing  # it sends the resync notice, or gives up on it
        finally:
            consumer.closed = True
            self._consumers.discard(consumer)
            self._subscriptions.forget(consumer)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        return socket

    async def _read(self, socket: web.WebSocketResponse, consumer: Consumer) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                signed.take(self._sequencer, consumer, message.data)
            elif message.type is WSMsgType.TEXT:
                await self._answer(consumer, message.data)
            else:
                log.debug("gateway: socket ended: %s", message.type)
            if consumer.closed:
                return

    async def _answer(self, consumer: Consumer, text: str) -> None:
        encoded = text.encode()
        if len(encoded) > MOST_BODY:
            error = RpcError(INVALID_REQUEST, "Invalid Request", f"the frame is over {MOST_BODY} bytes")
            consumer.send(_encode(self._rpc.refuse(error)))
            return
        try:
            parsed = parse(encoded)
        except JsonRefusal as refusal:
            consumer.send(_encode(self._rpc.refuse(_parse_error(refusal))))
            return
        response, good = await self._rpc.call(parsed, consumer)
        consumer.send(_encode(response))
        if good and parsed["method"] == "public/subscribe":
            # Behind the response, so that a client knows the channel before its first message.
            self._subscriptions.subscribe(consumer, response["result"])


def _parse_error(refusal: JsonRefusal) -> RpcError:
    more = {} if refusal.param is None else {"param": refusal.param}
    return RpcError(PARSE_ERROR, "Parse error", refusal.reason, **more)


def _is_utf8(text: str) -> bool:
    """Percent-encoded bytes that are not UTF-8 arrive as lone surrogates or replacement characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\ufffd" not in text


def _respond(
    response: dict[str, Any], good: bool, headers: dict[str, str] | None = None, *, status: int = 400
) -> web.Response:
    return web.Response(
        body=_encode(response),
        status=200 if good else status,
        content_type="application/json",
        headers=_HEADERS | (headers or {}),
    )


assert MOST_FRAME > signed.TAG + MAX_ENVELOPE, "an oversized envelope must be refused by name, not by closing"
