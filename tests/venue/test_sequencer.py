"""One order, nothing before it is durable, and what happens when the disk or the engine gives way."""

import asyncio
import errno
import os
import threading

import pytest
from msgspec import Struct

from penstock.protocol.commands import BUY, SELL, AccrueFunding, CreditDeposit
from penstock.protocol.events import Refused
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import seal
from penstock.venue.clock import DevClock
from penstock.venue.engine_port import SpecEngine
from penstock.venue.journal import Journal, JournalBroken, JournalCorrupt, JournalFull
from penstock.venue.node import Node
from penstock.venue.outcomes import ACCEPTED, Declined, Recorded, Unavailable
from penstock.venue.sequencer import NodeStopped, Sequencer

from .harness import GENESIS, SEPARATOR, START, Pen, config, owner, running, submit

PRICE = 600_000


class Applied(Struct):
    """What the pretend engine says."""

    events: list
    entries: list


class PretendEngine(SpecEngine):
    """Verifies, then accepts everything, refuses every third sequence, and breaks at one if told to."""

    name = "pretend"

    def __init__(self, breaks_at=0, together=1):
        super().__init__(GENESIS)
        self.applied = []
        self.breaks_at, self.together = breaks_at, together

    def apply(self, commands):
        for sequence, time, message in commands:
            if sequence == self.breaks_at:
                raise ZeroDivisionError("a bug")
            self.applied.append((sequence, time, message))
            yield Applied([Refused(0, Reason.NONCE_USED)] if sequence % 3 == 0 else [], [])

    def market(self, _):
        return None

    def markets(self):
        return []


def no_space(_):
    raise JournalFull("no space left")


class Bench:
    """A sequencer on a real journal with a pretend engine."""

    def __init__(self, home, engine=None, segment_bytes=1 << 20, **limits):
        self.engine = engine or PretendEngine()
        self.journal = Journal(home, GENESIS.ruleset(), SEPARATOR, segment_bytes=segment_bytes)
        self.clock = DevClock(START, 0)
        self.failures = []
        self.groups = []
        limits = {"disk_reserve": 0, **limits}
        self.sequencer = Sequencer(
            self.engine, self.journal, self.clock, SEPARATOR, on_stop=self.failures.append, **limits
        )
        self.sequencer.observe(lambda group: self.groups.append([e.sequence for e in group]))
        self.pen = Pen()

    def order(self):
        return self.pen.seal(self.pen.order(1, BUY, PRICE, 100))

    def send(self, envelope):
        answered = asyncio.get_running_loop().create_future()
        self.sequencer.submit(envelope, lambda a: answered.done() or answered.set_result(a))
        return answered

    async def close(self):
        await self.sequencer.stop()
        self.journal.close()


@pytest.fixture
async def bench(tmp_path):
    made = []

    def make(engine=None, **limits):
        made.append(Bench(tmp_path, engine, **limits))
        made[-1].sequencer.start()
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_commands_are_numbered_from_one_and_stamped_by_the_clock(bench):
    desk = bench()
    first, second = desk.send(desk.order()), desk.send(desk.order())
    assert await first == Recorded(1, START, (ACCEPTED,))
    desk.clock.advance_to(START + 7)
    third = desk.send(desk.order())
    assert (await second).time == START
    answer = await third
    assert (answer.sequence, answer.time, answer.outcomes[0].reason) == (3, START + 7, "NONCE_USED")
    assert [at for at, _, _ in desk.engine.applied] == [1, 2, 3]


async def test_nothing_leaves_before_its_group_is_on_disk_and_then_in_order(bench, monkeypatch):
    desk = bench()
    allowed = asyncio.Event()
    loop = asyncio.get_running_loop()
    sync = os.fdatasync

    def slow(descriptor):
        asyncio.run_coroutine_threadsafe(allowed.wait(), loop).result()
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    answers = []
    envelopes = [desk.order() for _ in range(5)]
    for envelope in envelopes:
        desk.sequencer.submit(envelope, lambda a: answers.append(a.sequence))
    await asyncio.sleep(0.05)
    assert len(desk.engine.applied) == 5, "the engine runs ahead"
    assert answers == [] and desk.groups == []
    allowed.set()
    await desk.sequencer.durable()
    assert answers == [1, 2, 3, 4, 5]
    assert [s for group in desk.groups for s in group] == [1, 2, 3, 4, 5]
    assert [r.envelope for r in desk.journal.read()] == envelopes


async def test_the_same_envelope_again_gets_the_recorded_outcome_and_no_number(bench):
    desk = bench()
    envelope = desk.order()
    while_flying = desk.send(envelope), desk.send(envelope)
    first, second = [await answer for answer in while_flying]
    assert first == second == await desk.send(envelope)
    assert desk.sequencer.sequence == 1


async def test_outcomes_are_remembered_up_to_the_limit(bench):
    desk = bench(remembered=3)
    envelopes = [desk.order() for _ in range(4)]
    for envelope in envelopes:
        await desk.send(envelope)
    assert (await desk.send(envelopes[1])).sequence == 2, "asked for again, so the youngest now"
    await desk.send(desk.order())
    assert (await desk.send(envelopes[1])).sequence == 2
    assert (await desk.send(envelopes[2])).sequence == 6, "forgotten: the engine's nonce guard is the next line"


async def test_a_poke_is_never_taken_for_the_same_message_again(bench):
    desk = bench()
    first = await desk.sequencer.submit_local(AccrueFunding(0))
    second = await desk.sequencer.submit_local(AccrueFunding(0))
    assert (first.sequence, second.sequence) == (1, 2)


async def test_a_refusal_before_sequencing_is_answered_soon_and_gets_no_number(bench):
    desk = bench()
    answers = []
    desk.sequencer.submit(b"\xff" + desk.order()[1:], answers.append)
    await asyncio.sleep(0.01)
    assert answers == [Declined(Reason.DOMAIN_WRONG)]
    deposit = seal(SEPARATOR, CreditDeposit(0, 1, owner(1).address, 5, 1), [])
    desk.sequencer.submit(deposit, answers.append)
    await asyncio.sleep(0.01)
    assert answers[1:] == [Declined(Reason.COMMAND_NOT_FOR_CLIENTS)]
    assert desk.sequencer.sequence == 0 and desk.sequencer.waiting == 0


async def test_a_full_queue_answers_unavailable_and_recovers(bench):
    desk = bench(waiting_limit=4)
    answers = [desk.send(desk.order()) for _ in range(6)]
    assert [a.done() and a.result() for a in answers] == [False] * 4 + [Unavailable("queue full")] * 2
    assert [(await a).sequence for a in answers[:4]] == [1, 2, 3, 4]
    assert (await desk.send(desk.order())).sequence == 5


async def test_a_nearly_full_disk_refuses_commands_until_there_is_space(bench, monkeypatch):
    desk = bench(disk_reserve=1_000)
    space = 500
    monkeypatch.setattr(Journal, "free_space", lambda _: space)
    assert (await desk.send(desk.order())).sequence == 1
    assert await desk.send(desk.order()) == Unavailable("disk full")
    await desk.sequencer.durable()
    space = 5_000
    desk.sequencer.look_at_disk()
    assert (await desk.send(desk.order())).sequence == 2


async def test_a_disk_without_space_for_a_segment_refuses_before_executing_and_loses_nothing(bench, monkeypatch):
    desk = bench(segment_bytes=1 << 14)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "prepare", no_space)
        answers = [await desk.send(desk.order()) for _ in range(40)]
        taken = [answer for answer in answers if isinstance(answer, Recorded)]
        assert 10 <= len(taken) < 20 and answers[: len(taken)] == taken
        assert answers[len(taken) :] == [Unavailable("disk full")] * (40 - len(taken))
        assert [sequence for sequence, _, _ in desk.engine.applied] == [answer.sequence for answer in taken]
        assert desk.sequencer.unavailable() == "disk full"
        await desk.sequencer.durable()
        assert desk.failures == [] and desk.sequencer.failure is None, "reads go on"
    desk.sequencer.look_at_disk()
    await asyncio.sleep(0.1)
    assert desk.sequencer.unavailable() is None
    assert (await desk.send(desk.order())).sequence == len(taken) + 1, "taken again without a restart"
    assert [r.sequence for r in desk.journal.read()] == list(range(1, len(taken) + 2))


async def test_a_burst_beyond_the_room_there_is_is_turned_away_and_what_was_taken_fits(bench):
    desk = bench(segment_bytes=1 << 14)
    answers = [desk.send(desk.order()) for _ in range(40)]
    refused = [answer.result() for answer in answers if answer.done()]
    assert refused == [Unavailable("queue full")] * len(refused) and 20 < len(refused) < 35
    taken = [await answer for answer in answers[: 40 - len(refused)]]
    assert [answer.sequence for answer in taken] == list(range(1, len(taken) + 1))
    for _ in range(60):
        answer = await desk.send(desk.order())
        if answer == Unavailable("queue full"):
            await asyncio.sleep(0.05)
    assert len(desk.journal.segments) >= 3, "segments are made while commands go on"
    assert desk.failures == []


async def test_a_disk_that_fails_while_a_segment_is_made_stops_the_node(bench, monkeypatch):
    desk = bench(segment_bytes=1 << 14)
    monkeypatch.setattr(Journal, "prepare", lambda _: (_ for _ in ()).throw(JournalBroken("the disk is gone")))
    for _ in range(15):
        desk.send(desk.order())
        await asyncio.sleep(0.005)
    assert isinstance(desk.failures[0], JournalBroken)
    assert await desk.send(desk.order()) == Unavailable("stopped")


async def test_an_engine_does_not_take_a_journal_that_begins_elsewhere(tmp_path):
    journal = Journal(tmp_path, GENESIS.ruleset(), SEPARATOR, segment_bytes=1 << 14, first_sequence=7)
    journal.append(7, START, (), b"")
    journal.sync()
    journal.close()
    desk = Bench(tmp_path)
    with pytest.raises(NodeStopped, match="the journal goes on at sequence 7, the engine at 0"):
        desk.sequencer.recover()
    desk.journal.close()


async def test_a_failed_sync_stops_the_node_and_acknowledges_nothing(bench, monkeypatch):
    desk = bench()
    monkeypatch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "gone")))
    answer = desk.send(desk.order())
    await asyncio.sleep(0.05)
    assert not answer.done() and desk.groups == []
    assert len(desk.failures) == 1 and "gone" in str(desk.failures[0])
    assert await desk.send(desk.order()) == Unavailable("stopped")


async def test_an_exception_in_the_engine_stops_the_node_and_acknowledges_nothing(bench, tmp_path, caplog):
    desk = bench(PretendEngine(breaks_at=3))
    answers = [desk.send(desk.order()) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert [a.done() for a in answers] == [False] * 5
    assert isinstance(desk.failures[0], ZeroDivisionError) and "sequence 3" in caplog.text
    assert await desk.send(desk.order()) == Unavailable("stopped")
    await desk.close()
    fixed, still_broken = PretendEngine(), PretendEngine(breaks_at=3)
    again = Bench(tmp_path, still_broken)
    with pytest.raises(NodeStopped, match="sequence 3"):
        again.sequencer.recover()
    again.journal.close()
    released = Bench(tmp_path, fixed)
    assert released.sequencer.recover() == 3, "a fixed release replays up to the command that failed"
    desk.journal = released.journal


async def test_a_group_on_its_way_to_disk_when_the_engine_fails_is_not_acknowledged(bench, monkeypatch):
    desk = bench(PretendEngine(breaks_at=2))
    held, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: held.wait(5) and sync(descriptor))
    first = desk.send(desk.order())
    await asyncio.sleep(0.05)
    second = desk.send(desk.order())
    await asyncio.sleep(0.05)
    assert isinstance(desk.sequencer.failure, ZeroDivisionError)
    held.set()
    await asyncio.sleep(0.1)
    assert not first.done() and not second.done() and desk.groups == []
    assert [r.sequence for r in desk.journal.read()] == [1, 2], "both are there for a fixed release to replay"


async def test_recovery_hands_the_engine_the_same_messages_and_remembers_the_outcomes(bench, tmp_path):
    desk = bench()
    pen = desk.pen
    envelopes = [desk.order(), pen.seal_all([pen.order(1, SELL, PRICE, 100, slot) for slot in (17, 18)]), desk.order()]
    answers = [await desk.send(envelope) for envelope in envelopes]
    await desk.close()
    again = Bench(tmp_path)
    desk.journal = again.journal
    assert again.sequencer.recover() == 3
    assert again.engine.applied == desk.engine.applied
    assert [s for group in again.groups for s in group] == [1, 2, 3]
    again.sequencer.start()
    assert [await again.send(envelope) for envelope in envelopes] == answers
    assert (await again.send(again.pen.seal(again.pen.order(2, BUY, PRICE, 100)))).sequence == 4
    await again.sequencer.stop()


async def test_time_never_goes_back_over_a_restart(bench, tmp_path):
    desk = bench()
    desk.clock.advance_to(START + 1_000)
    await desk.send(desk.order())
    await desk.close()
    again = Bench(tmp_path)
    desk.journal = again.journal
    again.sequencer.recover()
    again.sequencer.start()
    assert again.clock.now() == START + 1_000, "its own clock began at START"
    assert (await again.send(again.pen.seal(again.pen.order(2, BUY, PRICE, 100)))).time == START + 1_000
    await again.sequencer.stop()


async def test_a_restarted_node_has_the_same_engine_root_and_the_same_books(tmp_path):
    pen = Pen()
    async with running(tmp_path) as node:
        for slot in range(16, 40):
            side = slot % 2
            order = pen.order(1 + slot % 3, side, PRICE + (1 if side else -1) * (slot % 5), 100 * slot, slot)
            await submit(node, pen.seal(order))
        await submit(node, pen.seal(pen.cancel_all(2)))
        root, sequence = node.engine.engine_root(), node.sequencer.sequence
        books = [side.top() for side in node.market_data.markets[0].sides]
        assert all(books)
    async with running(tmp_path, funded=False) as node:
        assert (node.engine.engine_root(), node.sequencer.sequence) == (root, sequence)
        assert [side.top() for side in node.market_data.markets[0].sides] == books


async def test_a_node_whose_engine_breaks_exits_with_one_and_refuses_to_start_again(tmp_path):
    class Breaking(SpecEngine):
        def apply(self, commands):
            for command in commands:
                if command[0] == 6:
                    raise KeyError("a bug")
                yield from super().apply([command])

    pen = Pen()
    async with running(tmp_path, engine=Breaking(GENESIS)) as node:
        waiting = asyncio.create_task(node.run())
        answer = asyncio.create_task(submit(node, pen.seal(pen.order(1, BUY, PRICE, 100))))
        assert await asyncio.wait_for(waiting, 5) == 1
        assert not answer.done()
        answer.cancel()
    again = Node(config(tmp_path), clock=DevClock(START), engine=Breaking(GENESIS))
    with pytest.raises(NodeStopped, match="sequence 6"):
        await again.start()
    async with running(tmp_path, funded=False) as fixed:
        assert fixed.sequencer.sequence == 6


async def test_a_node_with_a_damaged_journal_does_not_start(tmp_path):
    async with running(tmp_path):
        pass
    segment = tmp_path / "journal" / "00000001.segment"
    whole = bytearray(segment.read_bytes())
    whole[700] ^= 1
    segment.write_bytes(whole)
    with pytest.raises(JournalCorrupt, match="damaged at byte"):
        async with running(tmp_path):
            raise AssertionError("it must not start")
