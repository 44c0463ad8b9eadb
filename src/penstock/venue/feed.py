"""The journal as a stream, for followers: every durable group as it was written, and the engine's root now and then.

A follower opens `/ws/journal` and sends `number u64 · hash b32`, the last group it has (0 and its chain's beginning for
none). It gets binary frames, each with a letter before it:

    H  format u16 · genesis as JSON
    G  epoch u32 · number u64 · first sequence u64 · last sequence u64 · time u64 · previous hash b32 · hash b32
       · records
    M  sequence u64 · engine root b32: the leader's root there, sent before any group that goes beyond it
    E  why there will be no more, as text
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from struct import Struct as Layout
from typing import Final

import msgspec
from aiohttp import WSMsgType, web

from penstock.protocol.terms import Genesis
from penstock.venue.disk.groups import Group, chain_start, pack_record
from penstock.venue.journal import Journal
from penstock.venue.sequencer import Executed

log = logging.getLogger(__name__)

FORMAT: Final = 1
PATH: Final = "/ws/journal"
HELLO: Final = b"H"
GROUP: Final = b"G"
MARK: Final = b"M"
ENDED: Final = b"E"
MOST_FOLLOWERS: Final = 64
MOST_WAITING: Final = 64 << 20
"""Bytes that may wait for a follower before it is cut off: it comes back and goes on from its own journal."""
_BEGIN: Final = Layout(">Q32s")
_GROUP: Final = Layout(">IQQQQ32s32s")
_MARK: Final = Layout(">Q32s")


class Feed:
    """The leader's side: it hears of durable groups and marks, and passes them on to whoever follows."""

    def __init__(self, journal: Journal, genesis: Genesis, separator: bytes) -> None:
        self._journal = journal
        self._genesis = genesis
        self._start = chain_start(genesis.ruleset(), separator, 1)
        self._followers: set[_Follower] = set()

    def follow(self, group: Group, executed: Sequence[Executed]) -> None:
        """Take note of a durable group."""
        if self._followers:
            records = b"".join(pack_record(c.sequence, c.time, c.message.signers, c.envelope) for c in executed)
            self._tell(pack_frame(group, records), group.number)

    def mark(self, sequence: int, engine_root: bytes) -> None:
        """Tell the engine's root at `sequence`, where the engine stands now."""
        if self._followers:
            self._tell(MARK + _MARK.pack(sequence, engine_root), None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One follower, as long as it stays."""
        if len(self._followers) >= MOST_FOLLOWERS:
            raise web.HTTPServiceUnavailable(text="too many followers\n")
        socket = web.WebSocketResponse(max_msg_size=1 << 10, compress=False, heartbeat=30.0)
        await socket.prepare(request)
        follower = _Follower()
        self._followers.add(follower)
        listening = asyncio.create_task(self._listen(socket, follower))
        try:
            await self._send(socket, follower)
        except ConnectionError:
            log.info("feed: the follower left while it was written to")
        finally:
            self._followers.discard(follower)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await socket.close()
        return socket

    def _tell(self, frame: bytes, number: int | None) -> None:
        for follower in self._followers:
            follower.put(frame, number)

    async def _listen(self, socket: web.WebSocketResponse, follower: "_Follower") -> None:
        """Hand the first message on, and say when the connection ends."""
        async for message in socket:
            if message.type is WSMsgType.BINARY and not follower.begun.done():
                follower.begun.set_result(message.data)
        follower.leave()

    async def _send(self, socket: web.WebSocketResponse, follower: "_Follower") -> None:
        await socket.send_bytes(HELLO + FORMAT.to_bytes(2, "big") + msgspec.json.encode(self._genesis))
        asked = await follower.begun
        refused = await asyncio.to_thread(self._refusal, asked)
        if refused:
            await socket.send_bytes(ENDED + refused.encode())
            return
        number = _BEGIN.unpack(asked)[0]
        history = await asyncio.to_thread(self._history, number)
        while frame := await asyncio.to_thread(next, history, None):
            number = frame[0]
            await socket.send_bytes(frame[1])
        async for frame_number, content in follower.frames():
            if frame_number is None or frame_number > number:
                await socket.send_bytes(content)
        if follower.behind:
            await socket.send_bytes(ENDED + b"too far behind: connect again")

    def _history(self, number: int) -> Iterator[tuple[int, bytes]]:
        first = next((g.first_sequence for g in self._journal.groups() if g.number == number + 1), None)
        if first is None:
            return
        for group, records in self._journal.read_raw(first):
            yield group.number, pack_frame(group, records)

    def _refusal(self, asked: bytes) -> str | None:
        """Why a follower that has this group cannot go on from here; None when it can."""
        if len(asked) != _BEGIN.size:
            return f"the first message has {len(asked)} bytes, wants {_BEGIN.size}: number u64, hash b32"
        number, group_hash = _BEGIN.unpack(asked)
        own = self._start.group_hash if number == 0 else None
        own = own or next((g.group_hash for g in self._journal.groups() if g.number == number), None)
        if own is None:
            return f"the follower has group {number}, the leader ends at {self._journal.chain.number}"
        if own != group_hash:
            return f"group {number} has hash {group_hash.hex()} at the follower, {own.hex()} at the leader"
        return None


class _Follower:
    """What waits to be sent to one follower, bounded."""

    def __init__(self) -> None:
        self.begun: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.behind = False
        self._waiting: asyncio.Queue[tuple[int | None, bytes] | None] = asyncio.Queue()
        self._bytes = 0

    def put(self, frame: bytes, number: int | None) -> None:
        if self.behind:
            return
        self._bytes += len(frame)
        if self._bytes > MOST_WAITING:
            self.behind = True
            self._waiting.put_nowait(None)
        else:
            self._waiting.put_nowait((number, frame))

    def leave(self) -> None:
        if not self.begun.done():
            self.begun.set_result(b"")
        self._waiting.put_nowait(None)

    async def frames(self) -> AsyncIterator[tuple[int | None, bytes]]:
        while (frame := await self._waiting.get()) is not None and not self.behind:
            self._bytes -= len(frame[1])
            yield frame


def pack_begin(number: int, group_hash: bytes) -> bytes:
    """A follower's first message: the last group it has."""
    return _BEGIN.pack(number, group_hash)


def pack_frame(group: Group, records: bytes) -> bytes:
    """A group's frame."""
    fields = _GROUP.pack(
        group.epoch, group.number, group.first_sequence, group.last_sequence, group.time, group.previous_hash,
        group.group_hash,
    )  # fmt: skip
    return GROUP + fields + records


def unpack_frame(frame: bytes) -> tuple[Group, bytes]:
    """A group's frame, taken apart. Raises ValueError for one that is cut off."""
    if len(frame) < 1 + _GROUP.size:
        raise ValueError(f"a group's frame of {len(frame)} bytes")
    epoch, number, first, last, time, previous, group_hash = _GROUP.unpack_from(frame, 1)
    return Group(epoch, number, first, last, previous, group_hash, time), frame[1 + _GROUP.size :]


def unpack_mark(frame: bytes) -> tuple[int, bytes]:
    """Sequence and engine root of a mark. Raises ValueError for another length."""
    if len(frame) != 1 + _MARK.size:
        raise ValueError(f"a mark of {len(frame)} bytes")
    sequence, root = _MARK.unpack_from(frame, 1)
    return sequence, root
