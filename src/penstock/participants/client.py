"""A WebSocket client of the gateway: JSON-RPC calls, subscriptions, and signed records in a pipeline."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec
from msgspec import Raw, Struct

from penstock.participants.receipts import ReceiptBook
from penstock.protocol.receipts import SignedReceipt

log = logging.getLogger(__name__)

SOCKET_PATH: Final = "/ws/api/v2"
UNAVAILABLE: Final = "UNAVAILABLE"
"""Stands for a reason where the venue could not take an envelope now; it was not executed."""
RECEIPTS: Final = "penstock.receipts"
_RECEIPTS_AT_ONCE: Final = 1_000
_LARGEST_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one incoming frame; a snapshot of a whole book is a few megabytes."""
_FAREWELL: Final = 2.0
"""Seconds in which the other side may answer that the connection is closed."""
_LATEST: Final = 1 << 53
"""ms: no venue time is this late, and every one before it is an exact number to whoever reads JSON."""
_SHOWN: Final = 60


class ConnectionLost(ConnectionError):
    """The gateway closed the connection, or it broke; what was in flight may or may not have been sequenced."""


def time_of(told: Any) -> int:
    """Venue time (µs) as `public/get_time` told it. Raises ConnectionLost for all but 0 ≤ an integer < 2^53 (ms)."""
    if type(told) is not int or not 0 <= told < _LATEST:
        raise ConnectionLost(f"what answers is no venue: its time is {str(told)[:_SHOWN]}, wants ms, 0 to 2^53 - 1")
    return told * 1_000


class GatewayError(Exception):
    """The gateway answered a JSON-RPC call with an error: its code, and what it said of the reason.

    `param` is the parameter at fault and `allowed` what it may be, None where the gateway names none.
    """

    def __init__(
        self, code: int, message: str, reason: str | None = None, param: str | None = None, allowed: str | None = None
    ) -> None:
        said = [message, reason or "", f"{param}: {allowed}" if param and allowed else param or allowed or ""]
        super().__init__(f"{': '.join(part for part in said if part)} ({code})")
        self.code = code
        self.reason = reason
        self.param = param
        self.allowed = allowed


class Outcome(Struct, frozen=True):
    """What became of one record: why it was refused, or how much filled (size units) at which average price."""

    reason: str | None = None
    filled: int = 0
    average_price: float | None = None


class Answer(Struct, frozen=True):
    """The reply to one envelope.

    Sequenced: `sequence`, venue `time` (µs) and one outcome a record (a bundle's members in order). Refused
    before sequencing: `refused` names the reason (or is `UNAVAILABLE`: send the same envelope again later),
    `message` is its sentence, and there are no outcomes.
    `ack_s` is the time from `send` to this answer. `receipt` is the operator's, if the connection keeps a book of
    receipts and it proved the acknowledgement there.
    """

    ack_s: float
    sequence: int | None = None
    time: int | None = None
    outcomes: tuple[Outcome, ...] = ()
    refused: str | None = None
    message: str | None = None
    receipt: SignedReceipt | None = None

    @property
    def reasons(self) -> list[str]:
        """Every refusal in this answer, of the envelope or of its members."""
        if self.refused is not None:
            return [self.refused]
        return [outcome.reason for outcome in self.outcomes if outcome.reason is not None]


class _Notification(Struct):
    channel: str
    content: Any = msgspec.field(name="data", default=None)


class _Incoming(Struct):
    """Any text frame: a record's answer has `tag`, a call's `id`, a notification `params`."""

    tag: int | None = None
    sequence: int | None = None
    time: int | None = None
    outcomes: tuple[Outcome, ...] = ()
    refused: str | None = None
    unavailable: str | None = None
    message: str | None = None
    receipt: Any = None
    id: int | None = None
    result: Raw = Raw(b"null")
    error: dict[str, Any] | None = None
    params: _Notification | None = None


_decode_frame = msgspec.json.Decoder(_Incoming).decode
_Callback = Callable[[Any], None]


class GatewayClient:
    """One connection. Everything is sent in the order of the calls that asked for it, text and binary alike.

    `venue_time` (µs) is the latest venue time that the gateway has named: never ahead of the true one, whatever
    rate its clock runs at. `in_flight` counts envelopes sent and not yet answered. `receipts` is the book in which
    every acknowledgement is checked; several connections to one venue may share it.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        receipts: ReceiptBook | None = None,
    ) -> None:
        self.receipts = receipts
        self.venue_time = 0
        self.in_flight = 0
        self._http = http
        self._socket = socket
        self._numbers = itertools.count(1)
        self._envelopes: dict[int, tuple[asyncio.Future[Answer], float, bytes]] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[str, list[_Callback]] = {}
        self._outbox: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._lost: ConnectionLost | None = None
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    @classmethod
    async def connect(cls, url: str, receipts: ReceiptBook | None = None, *, heartbeat: float | None = None) -> Self:
        """Open a connection to `http://HOST:PORT` and read the venue's time. Raises ConnectionLost.

        With `receipts` it follows the venue's receipts from where that book ends, then as they are issued. With
        `heartbeat` (s) the other side is asked so often whether it is there, and the connection is lost when it is not.
        """
        http = aiohttp.ClientSession()
        try:
            socket = await http.ws_connect(
                url.rstrip("/") + SOCKET_PATH, max_msg_size=_LARGEST_FRAME, compress=0, heartbeat=heartbeat
            )
        except BaseException as error:
            await http.close()
            if isinstance(error, aiohttp.ClientError | OSError):
                raise ConnectionLost(f"no gateway at {url}: {error}") from error
            raise
        client = cls(http, socket, receipts)
        try:
            await client.read_time()
            if receipts is not None:
                await client._follow_receipts(receipts)
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; everything still waiting for an answer raises ConnectionLost."""
        self._lose("closed by this client")
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with suppress(TimeoutError):  # who does not say goodbye is left without one
                async with asyncio.timeout(_FAREWELL):
                    await self._socket.close()
        finally:
            await self._http.close()

    async def read_time(self) -> int:
        """Ask for venue time; returns µs (to the millisecond). Raises GatewayError or ConnectionLost."""
        self._note_time(time_of(await self.call("public/get_time")))
        return self.venue_time

    def call_soon(self, method: str, params: dict[str, Any] | None = None) -> asyncio.Future[Any]:
        """Queue a JSON-RPC call behind everything sent before; the future raises GatewayError or ConnectionLost."""
        number = next(self._numbers)
        future = self._new_future(self._calls, number)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self._outbox.put_nowait(msgspec.json.encode(request).decode())
        return future

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """A JSON-RPC call's result. Raises GatewayError or ConnectionLost."""
        return await self.call_soon(method, params)

    def send(self, envelope: bytes) -> asyncio.Future[Answer]:
        """Queue a signed envelope behind everything sent before; the future raises ConnectionLost only."""
        if self._lost is not None:
            raise ConnectionLost(str(self._lost))
        tag = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._envelopes[tag] = (future, time.perf_counter(), envelope)
        self.in_flight += 1
        self._outbox.put_nowait(tag.to_bytes(8, "big") + envelope)
        return future

    async def submit(self, envelope: bytes) -> Answer:
        """Send a signed envelope and wait for its answer, which is durable. Raises ConnectionLost."""
        return await self.send(envelope)

    async def room(self, limit: int) -> None:
        """Wait until fewer than `limit` envelopes are in flight. Raises ConnectionLost."""
        while self.in_flight >= limit:
            self._answered.clear()
            await self._answered.wait()
            if self._lost is not None:
                raise ConnectionLost(str(self._lost))

    async def drain(self) -> None:
        """Wait until nothing is in flight and every answer's callbacks have run. Raises ConnectionLost."""
        await self.room(1)
        await asyncio.sleep(0)

    async def listen(self, channel: str, callback: Callable[[Any], None]) -> None:
        """Subscribe; `callback` gets every notification's content. Raises GatewayError when it is refused."""
        self._listeners.setdefault(channel, []).append(callback)
        accepted = await self.call("public/subscribe", {"channels": [channel]})
        if channel not in accepted:
            self._listeners[channel].remove(callback)
            raise GatewayError(-32602, f"channel {channel} was not accepted", None)

    async def _follow_receipts(self, book: ReceiptBook) -> None:
        """Hear the receipts issued since the book's newest, that one included, then each as it is issued."""
        held: list[Any] = []
        caught_up = False

        def hear(said: Any) -> None:
            if caught_up:
                book.follow(said)
            else:
                held.append(said)

        try:
            await self.listen(RECEIPTS, hear)
        except GatewayError as error:
            log.warning("receipts: %s", error)
            book.silent()
            return
        if book.head is not None:
            await self._catch_up(book, book.head.group)
        for said in held:
            book.follow(said)
        caught_up = True

    async def _catch_up(self, book: ReceiptBook, group: int) -> None:
        asked = group
        while True:
            try:
                found = await self.call("penstock/get_receipts", {"from_group": asked, "count": _RECEIPTS_AT_ONCE})
            except GatewayError as error:
                book.lost(asked, f"the venue does not show them: {error}")
                return
            if asked == group and not found:
                book.lost(group, "the venue once signed them and does not show them any more")
            last = None
            for said in found:
                last = book.follow(said)
            asked += len(found)
            if len(found) < _RECEIPTS_AT_ONCE or last is None or last.receipt.group != asked - 1:
                return

    async def stop_listening(self, channel: str) -> None:
        """Unsubscribe all listeners of a channel."""
        self._listeners.pop(channel, None)
        await self.call("public/unsubscribe", {"channels": [channel]})

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[AsyncIterator[Any]]:
        """A channel's notifications as an async iterator, for the length of the `async with` block."""
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        await self.listen(channel, arrived.put_nowait)
        try:
            yield self._from_queue(arrived)
        finally:
            if self._lost is None:
                await self.stop_listening(channel)

    async def _from_queue(self, arrived: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        while True:
            yield await arrived.get()

    def _new_future(self, waiting: dict[int, asyncio.Future[Any]], number: int) -> asyncio.Future[Any]:
        if self._lost is not None:
            raise ConnectionLost(str(self._lost))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting[number] = future
        return future

    def _note_time(self, moment: int) -> None:
        self.venue_time = max(self.venue_time, moment)

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._outbox.get()
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                else:
                    await self._socket.send_str(frame)
        except (aiohttp.ClientError, OSError) as error:
            self._lose(f"sending failed: {error}")

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(_decode_frame(message.data))
            self._lose(f"closed by the gateway ({self._socket.close_code})")
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            self._lose(f"receiving failed: {error}")
        except Exception as error:
            # A listener's own fault ends the connection, so that whoever waits for an answer hears of it.
            self._lose(f"a listener failed: {error!r}")

    def _take(self, frame: _Incoming) -> None:
        if frame.tag is not None:
            self._take_answer(frame.tag, frame)
        elif frame.id is not None:
            self._take_result(frame.id, frame)
        elif frame.params is not None:
            for callback in self._listeners.get(frame.params.channel, ()):
                callback(frame.params.content)

    def _take_answer(self, tag: int, frame: _Incoming) -> None:
        waiting = self._envelopes.get(tag)
        if waiting is None:
            return
        future, sent, envelope = waiting
        receipt = None
        if self.receipts is not None and frame.sequence is not None:
            # Before it counts as answered: should the book's callback raise, the loss of the connection answers it.
            receipt = self.receipts.acknowledged(envelope, frame.sequence, frame.time or 0, frame.receipt)
        del self._envelopes[tag]
        self.in_flight -= 1
        if frame.time is not None:
            self._note_time(frame.time)
        if not future.done():
            refused = frame.refused if frame.unavailable is None else UNAVAILABLE
            elapsed = time.perf_counter() - sent
            future.set_result(
                Answer(elapsed, frame.sequence, frame.time, frame.outcomes, refused, frame.message, receipt)
            )
        self._answered.set()

    def _take_result(self, number: int, frame: _Incoming) -> None:
        future = self._calls.get(number)
        if future is None or future.done():
            self._calls.pop(number, None)
            return
        # It waits until its answer is read: one that cannot be read ends the connection, which answers it.
        if frame.error is None:
            future.set_result(msgspec.json.decode(frame.result))
        else:
            details = frame.error.get("data")
            told = details if isinstance(details, dict) else {}
            said = [str(told[name]) if name in told else None for name in ("reason", "param", "allowed")]
            future.set_exception(GatewayError(frame.error.get("code", 0), frame.error.get("message", ""), *said))
        del self._calls[number]

    def _lose(self, why: str) -> None:
        if self._lost is not None:
            return
        self._lost = ConnectionLost(why)
        waiting: list[asyncio.Future[Any]] = [future for future, _, _ in self._envelopes.values()]
        waiting += self._calls.values()
        self._envelopes.clear()
        self._calls.clear()
        self.in_flight = 0
        self._answered.set()
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionLost(why))
                future.exception()  # read once, so that nobody who left it is reported as careless
