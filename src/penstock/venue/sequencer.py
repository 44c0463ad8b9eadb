"""One order for everything. The path of a command:

1. `submit`    the same envelope again? then its recorded outcome; else into the queue
2. `_drain`    engine.verify (a refusal is answered) → stamp (sequence, venue time) → journal.append → engine.apply
3. `_commit`   one write and one fdatasync for all that has gathered meanwhile, in a worker thread
4. `_release`  the group's receipt, then replies, then observers (market data, batches, statistics), in sequence

The engine may run ahead of the disk, but never of the room there is on it: what is taken in step 1 fits in segments
that are already made. Nothing leaves the node before step 4.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import perf_counter
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import (
    AccrueFunding,
    DelistMarket,
    ExpireMarket,
    ExpirePosition,
    Liquidate,
    MarkStale,
    PayBuilder,
    PublishPrice,
    Record,
    ReopenMarket,
    SetMarketStatus,
    SweepFees,
    encode_record,
)
from penstock.protocol.events import Event
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import pack_envelope
from penstock.protocol.views import MarketView
from penstock.protocol.words import keccak
from penstock.venue.clock import Clock
from penstock.venue.disk.groups import Chain, space_for
from penstock.venue.engine_port import Engine, Message, Written
from penstock.venue.envelopes import is_signed
from penstock.venue.journal import Group, Journal, JournalError, JournalFull
from penstock.venue.outcomes import Answer, Declined, Recorded, Reply, Unavailable, outcomes_of
from penstock.venue.receipts import Issuer

log = logging.getLogger(__name__)

WAITING_LIMIT: Final = 16_384
REMEMBERED: Final = 65_536
DISK_RESERVE: Final = 64 << 20
ONE_MARKET: Final = (
    PublishPrice, AccrueFunding, SweepFees, ExpireMarket, ExpirePosition, SetMarketStatus, ReopenMarket, MarkStale,
    DelistMarket, PayBuilder,
)  # fmt: skip
MOVING: Final = (*ONE_MARKET, Liquidate)
"""Commands after which the public figures of one market, or of any, may be others."""
ORDER_SPACE: Final = space_for(640)
"""Bytes of the journal that an ordinary order takes at most."""
SLICE: Final = 0.002
"""Seconds of commands in a row before sockets and timers get their turn."""
REPLAY_GROUP: Final = 256
MOST_ECHOES: Final = 16
"""How often one envelope may be waited for while it is on its way."""


class Executed(Struct, frozen=True):
    """A durable command and what it did. `markets` holds the markets whose prices or funding it moved, as of then."""

    sequence: int
    time: int
    envelope: bytes
    message: Message
    events: Sequence[Event]
    entries: Sequence[Written]
    markets: tuple[MarketView, ...]


Observer = Callable[[Sequence[Executed]], None]
GroupObserver = Callable[[Group, Sequence[Executed]], None]


class NodeStopped(Exception):
    """The sequencer will take no command any more; the message says why."""


class Submission(Struct):
    """One envelope on its way, who waits for it, and what it did once executed. `key` is None for a poke."""

    key: bytes | None
    envelope: bytes
    from_node: bool
    waiting: list[Reply]
    executed: Executed | None = None
    outcome: Recorded | None = None


class Stamped(Struct):
    """A verified message with its place in the order."""

    sequence: int
    time: int
    message: Message
    submission: Submission


class Sequencer:
    """Stamps, journals and executes commands, and tells the outcome only when it is durable.

    It lives on one event loop; only `journal.sync` and `journal.prepare` run elsewhere. `on_stop` is called once if
    it has to stop.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        separator: bytes,
        *,
        waiting_limit: int = WAITING_LIMIT,
        remembered: int = REMEMBERED,
        disk_reserve: int = DISK_RESERVE,
        on_stop: Callable[[BaseException], None] = lambda _: None,
        issuer: Issuer | None = None,
    ) -> None:
        self.issuer = issuer
        self.sequence = 0
        self.durable_sequence = 0
        self.durable_time = 0
        self.failure: BaseException | None = None
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._separator = separator
        self._waiting_limit = waiting_limit
        self._remembered_limit = remembered
        self._disk_reserve = disk_reserve
        self._on_stop = on_stop
        self._observers: list[Observer] = []
        self._group_observers: list[GroupObserver] = []
        self._queue: deque[Submission] = deque()
        self._flying: deque[Submission] = deque()
        self._remembered: dict[bytes, Submission | Recorded] = {}
        self._unanswered = 0
        self._draining = False
        self._closing = False
        self._queued_space = 0
        self._disk_full = False
        self._cannot_prepare = False
        self._preparing: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._durable_waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._thread = ThreadPoolExecutor(1, "journal")
        self._committing: asyncio.Task[None] | None = None

    # Before and after.

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every durable group, in order; from `recover` on if registered before it."""
        self._observers.append(observer)

    def observe_groups(self, observer: GroupObserver) -> None:
        """Call `observer` with every group that becomes durable from now on, behind the other observers."""
        self._group_observers.append(observer)

    def stand(self, sequence: int, time: int) -> None:
        """The engine was brought to durable `sequence` (venue time µs) by other means. Call it before `recover`."""
        self.sequence = self.durable_sequence = sequence
        self.durable_time = time

    def recover(self) -> int:
        """Replay the rest of the journal through the engine and the observers. Returns the last sequence.

        Raises JournalCorrupt, or NodeStopped naming the sequence the engine fails on.
        """
        records = self._journal.read(self.sequence + 1)
        while group := list(islice(records, REPLAY_GROUP)):
            if group[0].sequence != self.sequence + 1:
                raise NodeStopped(f"the journal goes on at sequence {group[0].sequence}, the engine at {self.sequence}")
            stamped = [
                Stamped(
                    r.sequence, r.time, self._engine.reopen(r.envelope, r.signers),
                    Submission(None, r.envelope, False, []),
                )
                for r in group
            ]  # fmt: skip
            try:
                self._execute(stamped)
            except Exception as error:
                raise NodeStopped(f"replaying sequence {self.sequence + 1} failed: {error!r}") from error
            executed = []
            for submission in (command.submission for command in stamped):
                assert submission.executed is not None and submission.outcome is not None
                executed.append(submission.executed)
                if is_signed(submission.envelope):
                    self._remember(keccak(submission.envelope), submission.outcome)
            self._publish(executed)
        self._clock.not_before(self.durable_time)
        return self.sequence

    def start(self) -> None:
        """Begin to commit groups. Call it on the running loop, after `recover`."""
        self._committing = asyncio.create_task(self._commit(), name="journal commits")
        self.look_at_disk()

    async def stop(self) -> None:
        """Take no more, finish what was taken, make it durable and answer it."""
        self._closing = True
        self._wake.set()
        if self._committing is not None:
            await self._committing
        if self._preparing is not None:
            await self._preparing
        self._thread.shutdown()

    # Commands in.

    @property
    def chain(self) -> Chain:
        """Where the journal's chain of durable groups stands."""
        return self._journal.chain

    @property
    def waiting(self) -> int:
        """Commands taken and not answered yet."""
        return self._unanswered

    def unavailable(self, space: int = ORDER_SPACE) -> str | None:
        """Why no command that takes `space` bytes of the journal would be taken now; None when one would."""
        if self.failure is not None or self._closing:
            return "stopped"
        if self._disk_full:
            return "disk full"
        if self._queued_space + space > self._journal.room():
            return "disk full" if self._cannot_prepare else "queue full"
        if self._unanswered >= self._waiting_limit:
            return "queue full"
        return None

    def submit(self, envelope: bytes, reply: Reply, *, from_node: bool = False) -> None:
        """Take one envelope; `reply` is called once: at once if unavailable, soon if refused, else when durable.

        If the node stops meanwhile `reply` is never called: whether the command is in the order is then unknown.
        """
        key = keccak(envelope) if is_signed(envelope) else None
        known = self._remembered.get(key) if key else None
        if key and known:
            self._answer_again(key, known, reply)
            return
        space = space_for(len(envelope))
        reason = self.unavailable(space)
        if reason:
            reply(Unavailable(reason))
            return
        self._queued_space += space
        submission = Submission(key, envelope, from_node, [reply])
        if key:
            self._remember(key, submission)
        self._unanswered += 1
        self._queue.append(submission)
        if not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def submit_local(self, record: Record) -> "asyncio.Future[Answer]":
        """Take an unsigned record of the node's own: a deposit or a poke."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.submit(pack_envelope(self._separator, encode_record(record), [], []), reply, from_node=True)
        return answered

    async def durable(self, sequence: int | None = None) -> None:
        """Wait until `sequence` (default: the newest executed) is durable. Raises NodeStopped if it never will be.

        A read of the engine's state is answered only behind this: the engine runs ahead of the disk.
        """
        wanted = self.sequence if sequence is None else sequence
        if self.failure is not None:
            raise NodeStopped(str(self.failure))
        if wanted <= self.durable_sequence:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._durable_waiters.append((wanted, waiter))
        await waiter

    # The hot path.

    def _answer_again(self, key: bytes, known: Submission | Recorded, reply: Reply) -> None:
        if isinstance(known, Recorded):
            self._remembered[key] = self._remembered.pop(key)
            reply(known)
        elif len(known.waiting) < MOST_ECHOES:
            known.waiting.append(reply)
        else:
            reply(Unavailable("queue full"))

    def _remember(self, key: bytes, found: Submission | Recorded) -> None:
        self._remembered[key] = found
        if len(self._remembered) > self._remembered_limit:
            del self._remembered[next(iter(self._remembered))]

    def _drain(self) -> None:
        until = perf_counter() + SLICE
        while self._queue and self.failure is None and perf_counter() < until:
            try:
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._engine.together))]
                stamped = self._stamp(taken)
                self._execute(stamped)
                self._flying += [command.submission for command in stamped]
            except Exception as error:
                # The command stays in the journal: a fixed release will replay it. Nobody hears of it before.
                log.critical("sequence %d: the engine failed; the node stops", self.sequence + 1, exc_info=error)
                self._fail(error)
                break
        self._draining = bool(self._queue) and self.failure is None
        if self._draining:
            asyncio.get_running_loop().call_soon(self._drain)
        self._wake.set()

    def _stamp(self, taken: list[Submission]) -> list[Stamped]:
        """Verify together; turn down what is refused; give the rest its place in the order, and journal it."""
        verified = self._engine.verify([s.envelope for s in taken], [s.from_node for s in taken])
        stamped: list[Stamped] = []
        for submission, found in zip(taken, verified, strict=True):
            if isinstance(found, Reason):
                self._decline(submission, found)
                continue
            sequence, time = self.sequence + len(stamped) + 1, self._clock.now()
            self._journal.append(sequence, time, found.signers, submission.envelope)
            self._queued_space -= space_for(len(submission.envelope))
            stamped.append(Stamped(sequence, time, found, submission))
        return stamped

    def _decline(self, submission: Submission, reason: Reason) -> None:
        if submission.key is not None and self._remembered.get(submission.key) is submission:
            del self._remembered[submission.key]
        self._unanswered -= 1
        self._queued_space -= space_for(len(submission.envelope))
        for reply in submission.waiting:
            reply(Declined(reason))

    def _execute(self, stamped: list[Stamped]) -> None:
        """Run through the engine, stopping behind each command that moves a market's public figures to see them."""
        first = 0
        for at, command in enumerate(stamped):
            if command.message.record_type in MOVING or at == len(stamped) - 1:
                self._apply(stamped[first : at + 1])
                first = at + 1

    def _apply(self, stamped: list[Stamped]) -> None:
        results = self._engine.apply([(c.sequence, c.time, c.message) for c in stamped])
        for command, applied in zip(stamped, results, strict=True):
            submission, message, events = command.submission, command.message, applied.events
            self.sequence = command.sequence
            outcomes = outcomes_of(events, len(message.member_types))
            submission.outcome = Recorded(command.sequence, command.time, outcomes)
            submission.executed = Executed(
                command.sequence, command.time, submission.envelope, message, events, applied.entries,
                self._moved(message) if message.record_type in MOVING else (),
            )  # fmt: skip

    def _moved(self, message: Message) -> tuple[MarketView, ...]:
        """The markets whose public figures the command moved, seen now, so that they go public with it."""
        record = message.record
        if isinstance(record, ONE_MARKET):
            view = self._engine.market(record.market)
            return () if view is None else (view,)
        return tuple(self._engine.markets())

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._queue and not self._flying and self.failure is None:
                continue
            if self._flying and self.failure is None:
                try:
                    groups = await loop.run_in_executor(self._thread, self._journal.sync)
                    if self.failure is None and groups:
                        self._release(groups)
                except Exception as error:
                    log.critical("the journal or an observer failed; the node stops", exc_info=error)
                    self._fail(error)
            if self.failure is not None:
                await self._keep_for_replay()
                return
            if self._closing and not self._queue and not self._flying:
                return

    async def _keep_for_replay(self) -> None:
        """Put the command the engine failed on, and those before it, on disk; nobody is told of them."""
        if isinstance(self.failure, JournalError):
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.sync)
        except JournalError as error:
            log.critical("the failed command could not be journalled: %s", error)

    def _release(self, groups: list[Group]) -> None:
        """Answer and publish what has become durable, group by group as the journal wrote it.

        The journal writes all that is appended when its thread comes to it, which may be more than flew by then.
        """
        for group in groups:
            released = [self._flying.popleft() for _ in range(group.last_sequence - group.first_sequence + 1)]
            self._issue(group, released)
            executed = []
            for submission in released:
                outcome = submission.outcome
                assert submission.executed is not None and outcome is not None
                executed.append(submission.executed)
                if submission.key in self._remembered:
                    self._remembered[submission.key] = outcome
                for reply in submission.waiting:
                    reply(outcome)
            self._unanswered -= len(released)
            self._publish(executed)
            for told in self._group_observers:
                told(group, executed)
        self.look_at_disk()

    def _issue(self, group: Group, released: Sequence[Submission]) -> None:
        """Sign the group's receipt, before any reply names it."""
        if self.issuer is None:
            return
        done = [submission.executed for submission in released if submission.executed is not None]
        messages = [(e.sequence, e.time, e.envelope) for e in done]
        issued = self.issuer.issue(messages, [e.message.record_hash for e in done])
        assert issued.receipt.group == group.number and issued.receipt.epoch == group.epoch

    def look_at_disk(self) -> None:
        """Have the next segment made when it is time, in the journal's thread; refuse commands while space is short.

        They are taken again once the device has more than the reserve and the segment could be made.
        """
        full = self._journal.free_space() < self._disk_reserve
        if full != self._disk_full:
            log.warning("disk space: commands are %s", "refused until there is more" if full else "taken again")
            self._disk_full = full
        if self._preparing is None and not self._closing and self.failure is None and self._journal.wants_segment():
            self._preparing = asyncio.create_task(self._prepare(), name="journal segment")

    async def _prepare(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._journal.wants_segment() and self.failure is None and not self._closing:
                # A slice at a time: the thread's queue is in order, so a group's sync waits for one slice at most.
                await loop.run_in_executor(self._thread, self._journal.prepare)
            if self._cannot_prepare and not self._closing:
                log.warning("journal: there is space for a segment again; commands are taken")
                self._cannot_prepare = False
        except JournalFull as error:
            if not self._cannot_prepare:
                log.critical("journal: commands are refused once what is prepared is full; reads go on: %s", error)
            self._cannot_prepare = True
        except Exception as error:
            log.critical("the journal failed; the node stops", exc_info=error)
            self._fail(error)
        finally:
            self._preparing = None

    def _publish(self, executed: Sequence[Executed]) -> None:
        self.durable_sequence, self.durable_time = executed[-1].sequence, executed[-1].time
        for observer in self._observers:
            observer(executed)
        while self._durable_waiters and self._durable_waiters[0][0] <= self.durable_sequence:
            waiter = self._durable_waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)

    # When it cannot go on.

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._forget()
            self._on_stop(error)

    def _forget(self) -> None:
        """Drop what waits unanswered. An envelope sent again finds `stopped`, never an outcome that is not durable."""
        self._queue.clear()
        self._queued_space = 0
        self._flying.clear()
        self._remembered = {key: known for key, known in self._remembered.items() if isinstance(known, Recorded)}
        self._unanswered = 0
        for _, waiter in self._durable_waiters:
            if not waiter.done():
                waiter.set_exception(NodeStopped(str(self.failure)))
        self._durable_waiters.clear()
        self._wake.set()
