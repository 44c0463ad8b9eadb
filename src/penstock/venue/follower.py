"""A follower: it takes another node's journal over a socket, verifies all of it again, and takes no commands itself.

Every envelope's signatures are verified, every group must continue the chain of the follower's own journal to the last
bit, and wherever the leader names its engine's root the follower's must be the same. What differs ends it, by name.
"""

import asyncio
import logging
from typing import Final

import aiohttp
import msgspec

from penstock.protocol.reasons import Reason
from penstock.protocol.terms import Genesis
from penstock.venue import feed
from penstock.venue.disk.groups import Group, JournalRecord, unpack_records
from penstock.venue.outcomes import FOLLOWING
from penstock.venue.sequencer import NodeStopped, Sequencer, Stamped, Submission

log = logging.getLogger(__name__)

PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries to reach the leader: the first, and what they grow to while it stays away."""
_LARGEST: Final = 1 << 30


class Differs(NodeStopped):
    """The leader's journal is not what it says, or does not lead where it says. The follower's own is left as it is."""


class FollowingSequencer(Sequencer):
    """A sequencer whose order is another node's."""

    def unavailable(self, space: int = 0) -> str | None:
        """See `Sequencer.unavailable`: it never takes a command."""
        return super().unavailable(space) or FOLLOWING

    async def take(self, group: Group, records: bytes, marks: dict[int, bytes]) -> None:
        """Verify a group, write it down, execute it, publish it. `marks` are the leader's roots that lie ahead.

        Raises Differs, or JournalError when it cannot be written.
        """
        self._check_link(group)
        stamped = self._open(group, records)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.copy, group, records)
        except ValueError as error:
            raise Differs(f"group {group.number}: {error}") from error
        first = 0
        for at, command in enumerate(stamped):
            if command.sequence in marks or at == len(stamped) - 1:
                self._execute(stamped[first : at + 1])
                first = at + 1
                self.compare(marks.pop(command.sequence, None))
        executed = [command.submission.executed for command in stamped]
        self._publish([one for one in executed if one is not None])
        for told in self._group_observers:
            told(group, [one for one in executed if one is not None])
        self.look_at_disk()

    def compare(self, engine_root: bytes | None) -> None:
        """Raises Differs when the engine has another root now."""
        own = None if engine_root is None else self._engine.engine_root()
        if own != engine_root and own is not None and engine_root is not None:
            raise Differs(
                f"at sequence {self.sequence} the leader's engine root is 0x{engine_root.hex()}, here 0x{own.hex()}"
            )

    def _check_link(self, group: Group) -> None:
        chain = self._journal.chain
        if (group.number, group.first_sequence) != (chain.number + 1, chain.sequence + 1):
            raise Differs(f"group {group.number} from sequence {group.first_sequence} comes after group {chain.number}")
        if group.previous_hash != chain.group_hash:
            raise Differs(f"group {group.number} does not continue the group that came before it")

    def _open(self, group: Group, records: bytes) -> list[Stamped]:
        """The group's commands, verified again."""
        try:
            found = list(unpack_records(records))
        except ValueError as error:
            raise Differs(f"group {group.number}: {error}") from error
        messages = self._engine.verify([record.envelope for record in found], [True] * len(found))
        stamped = []
        for record, message in zip(found, messages, strict=True):
            if isinstance(message, Reason):
                raise Differs(f"sequence {record.sequence} does not verify: {message.name}")
            if message.signers != record.signers:
                raise Differs(f"sequence {record.sequence} is signed by others than its record says")
            submission = Submission(None, record.envelope, False, [])
            stamped.append(Stamped(record.sequence, record.time, message, submission))
        self._check_order(group, found)
        return stamped

    def _check_order(self, group: Group, found: list[JournalRecord]) -> None:
        numbers = [record.sequence for record in found]
        times = [self.durable_time, *(record.time for record in found)]
        if numbers != list(range(group.first_sequence, group.last_sequence + 1)) or times != sorted(times):
            raise Differs(f"group {group.number}: its commands are not in order")


class Link:
    """The follower's end of the socket: it goes on from its own journal, and comes back when it is cut off."""

    def __init__(self, url: str, sequencer: FollowingSequencer, genesis: Genesis) -> None:
        self.connected = False
        self._url = url.rstrip("/") + feed.PATH
        self._sequencer = sequencer
        self._genesis = genesis
        self._marks: dict[int, bytes] = {}
        self._away = False

    async def run(self) -> None:
        """Follow for ever. Raises Differs, or JournalError when the journal cannot be written.

        That the leader is away is said once, and once that it is back; it is tried again ever more rarely.
        """
        pause = PAUSE
        async with aiohttp.ClientSession() as http:
            while True:
                why = "it closed the connection"
                try:
                    async with http.ws_connect(self._url, max_msg_size=_LARGEST, compress=0, heartbeat=30.0) as socket:
                        self.connected = True
                        await self._follow(socket)
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    why = str(error)
                finally:
                    self.connected = False
                    self._marks.clear()
                if not self._away:
                    log.warning("follower: %s: %s; trying again, ever more rarely", self._url, why)
                    self._away, pause = True, PAUSE
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        chain = self._sequencer.chain
        await socket.send_bytes(feed.pack_begin(chain.number, chain.group_hash))
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise Differs(f"the leader sent a {message.type.name} frame")
            kind, frame = message.data[:1], message.data
            if kind == feed.HELLO:
                self._check_hello(frame)
            elif kind == feed.GROUP:
                await self._take(frame)
            elif kind == feed.MARK:
                self._mark(frame)
            elif kind == feed.ENDED:
                self._end(frame[1:].decode(errors="replace"))
                return
            else:
                raise Differs(f"the leader sent a frame of kind {kind!r}")

    def _check_hello(self, frame: bytes) -> None:
        if read_hello(frame) != self._genesis:
            raise Differs("the leader has another genesis")
        if self._away:
            log.warning("follower: %s is back", self._url)
            self._away = False

    async def _take(self, frame: bytes) -> None:
        try:
            group, records = feed.unpack_frame(frame)
        except ValueError as error:
            raise Differs(str(error)) from error
        await self._sequencer.take(group, records, self._marks)

    def _mark(self, frame: bytes) -> None:
        try:
            sequence, root = feed.unpack_mark(frame)
        except ValueError as error:
            raise Differs(str(error)) from error
        if sequence < self._sequencer.sequence:
            log.info("follower: a mark of sequence %d came after %d", sequence, self._sequencer.sequence)
        elif sequence == self._sequencer.sequence:
            self._sequencer.compare(root)
        else:
            self._marks[sequence] = root

    def _end(self, why: str) -> None:
        if why.startswith("too far behind"):
            log.warning("follower: %s", why)
            return
        raise Differs(f"the leader will not be followed: {why}")


def read_hello(frame: bytes) -> Genesis:
    """The leader's genesis. Raises Differs for another format, or bytes that are none."""
    form = int.from_bytes(frame[1:3], "big")
    if form != feed.FORMAT:
        raise Differs(f"the leader speaks feed format {form}, this release speaks {feed.FORMAT}")
    try:
        return msgspec.json.decode(frame[3:], type=Genesis)
    except msgspec.MsgspecError as error:
        raise Differs(f"the leader's genesis does not read back: {error}") from error


async def ask_genesis(url: str) -> Genesis:
    """The genesis of the node at `url`. Raises ConnectionError, Differs."""
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url.rstrip("/") + feed.PATH, max_msg_size=_LARGEST, compress=0) as socket,
        ):
            return read_hello(await socket.receive_bytes(timeout=10))
    except (aiohttp.ClientError, OSError, TimeoutError, TypeError) as error:
        raise ConnectionError(f"no journal feed at {url}: {error}") from error
