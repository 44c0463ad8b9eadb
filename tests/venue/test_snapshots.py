"""Snapshots: a restart from one ends where the journal ends, and never begins at what does not read back."""

import asyncio
import random
from pathlib import Path

import pytest

from penstock.protocol.commands import BUY, SELL
from penstock.venue.engine_port import open_engine
from penstock.venue.journal import JournalCorrupt
from penstock.venue.recovery import bring_up, take_snapshot
from penstock.venue.snapshots import KEPT, Snapshots, SnapshotWrong

from .harness import GENESIS, SEPARATOR, Pen, running, submit

ENGINES = ["spec", pytest.param("native", marks=pytest.mark.needs_native)]


async def trade(node, pen, count, seed=1):
    """So many orders of three accounts around one price, some of which trade."""
    dice = random.Random(seed)
    for _ in range(count):
        order = pen.order(
            dice.randint(1, 3),
            dice.choice((BUY, SELL)),
            600_000 + dice.randint(-40, 40) * 100,
            100,
            16 + dice.randrange(60),
        )
        await submit(node, pen.seal(order))


def books(node):
    return {
        (number, side): node.market_data.markets[number].sides[side].top()
        for number in node.market_data.markets
        for side in (BUY, SELL)
    }


def snapshots_of(home: Path) -> Snapshots:
    return Snapshots(home, GENESIS.ruleset(), SEPARATOR)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_restart_from_a_snapshot_ends_at_the_same_roots_books_and_sequence(tmp_path, engine):
    pen = Pen()
    async with running(tmp_path, engine=open_engine(GENESIS, engine)) as node:
        await trade(node, pen, 150)
        taken = take_snapshot(tmp_path, GENESIS, engine)
        await trade(node, pen, 100, seed=2)
        expected = node.engine.engine_root(), node.sequencer.sequence, books(node)
    begun = []
    async with running(
        tmp_path, funded=False, engine=open_engine(GENESIS, engine), observed_tail=20, restored=begun.append
    ) as node:
        assert (node.engine.engine_root(), node.sequencer.sequence, books(node)) == expected
        assert taken.sequence < begun[0] <= node.sequencer.sequence - 20
        await trade(node, pen, 50, seed=3)
        extended = node.engine.engine_root()
    whole = open_engine(GENESIS, engine)
    async with running(tmp_path, funded=False, engine=whole, observed_tail=1 << 30) as node:
        assert node.engine.engine_root() == extended


async def test_a_snapshot_is_the_same_whichever_engine_takes_it(tmp_path):
    pytest.importorskip("penstock_core")
    async with running(tmp_path) as node:
        await trade(node, Pen(), 120)
    taken = take_snapshot(tmp_path, GENESIS, "native")
    content = taken.path.read_bytes()
    taken.path.unlink()
    again = take_snapshot(tmp_path, GENESIS, "spec")
    assert again == taken and again.path.read_bytes() == content


async def test_snapshots_are_taken_beside_a_node_that_goes_on(tmp_path):
    async with running(tmp_path, snapshot_every=100) as node:
        pen = Pen()
        await trade(node, pen, 120)
        while not snapshots_of(tmp_path).listed():
            await trade(node, pen, 5)
            await asyncio.sleep(0.02)
        assert node.sequencer.failure is None
    path = snapshots_of(tmp_path).listed()[0]
    assert snapshots_of(tmp_path).read(path)[0].sequence >= 100


async def two_snapshots(home):
    async with running(home) as node:
        pen = Pen()
        await trade(node, pen, 60)
        older = take_snapshot(home, GENESIS)
        await trade(node, pen, 60, seed=2)
        newer = take_snapshot(home, GENESIS)
        return older, newer, node.engine.engine_root()


async def test_a_damaged_snapshot_is_passed_over_for_the_one_before_it_and_stays(tmp_path):
    older, newer, root = await two_snapshots(tmp_path)
    damaged = bytearray(newer.path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newer.path.write_bytes(damaged)
    async with running(tmp_path, funded=False, observed_tail=0) as node:
        assert node.engine.engine_root() == root
    assert newer.path.read_bytes() == damaged
    older.path.write_bytes(b"nothing")
    async with running(tmp_path, funded=False, observed_tail=0) as node:
        assert node.engine.engine_root() == root
    assert older.path.read_bytes() == b"nothing"


async def test_a_snapshot_ahead_of_the_journal_stops_the_node(tmp_path):
    _, newer, _ = await two_snapshots(tmp_path / "one")
    async with running(tmp_path / "other") as node:
        await trade(node, Pen(), 10)
    (tmp_path / "other" / "snapshots").mkdir()
    (tmp_path / "other" / "snapshots" / newer.path.name).write_bytes(newer.path.read_bytes())
    with pytest.raises(JournalCorrupt, match=f"a snapshot of sequence {newer.sequence}, but the journal ends at"):
        async with running(tmp_path / "other", funded=False):
            pass


async def test_every_flipped_bit_and_every_cut_of_a_snapshot_is_refused(tmp_path):
    older, _, _ = await two_snapshots(tmp_path)
    content, kept = older.path.read_bytes(), snapshots_of(tmp_path)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        older.path.write_bytes(flipped)
        with pytest.raises(SnapshotWrong):
            kept.read(older.path)
    for length in range(len(content)):
        older.path.write_bytes(content[:length])
        with pytest.raises(SnapshotWrong):
            kept.read(older.path)


async def test_a_snapshot_of_another_venue_format_or_name_is_refused_by_name(tmp_path):
    older, _, _ = await two_snapshots(tmp_path)
    with pytest.raises(SnapshotWrong, match="another venue"):
        Snapshots(tmp_path, GENESIS.ruleset(), bytes(32)).read(older.path)
    with pytest.raises(SnapshotWrong, match="another venue, or of other rules"):
        Snapshots(tmp_path, bytes(32), SEPARATOR).read(older.path)
    renamed = older.path.with_name(f"{older.sequence + 1:016}-{older.engine_root.hex()}.snapshot")
    older.path.rename(renamed)
    with pytest.raises(SnapshotWrong, match="its name is not what it holds"):
        snapshots_of(tmp_path).read(renamed)


async def test_only_the_newest_few_good_ones_are_kept_and_no_damaged_one_is_removed(tmp_path):
    async with running(tmp_path) as node:
        pen = Pen()
        taken = []
        for seed in range(KEPT + 2):
            await trade(node, pen, 10, seed)
            taken.append(take_snapshot(tmp_path, GENESIS))
            if seed == 0:
                taken[0].path.write_bytes(b"damaged")
    left = snapshots_of(tmp_path).listed()
    assert left == [snapshot.path for snapshot in reversed(taken[-KEPT:])] + [taken[0].path]


async def test_an_empty_journal_has_no_snapshot_and_an_unchanged_one_no_second(tmp_path):
    async with running(tmp_path, funded=False):
        assert take_snapshot(tmp_path, GENESIS) is None
    async with running(tmp_path):
        first = take_snapshot(tmp_path, GENESIS)
        assert take_snapshot(tmp_path, GENESIS) == first


async def test_bringing_up_stops_at_the_last_whole_group_before_a_sequence(tmp_path):
    async with running(tmp_path) as node:
        await trade(node, Pen(), 40)
        journal = node._journal
        engine = open_engine(GENESIS)
        reached = bring_up(engine, journal, snapshots_of(tmp_path), before=30)
        ends = [group.last_sequence for group in journal.groups()]
        assert reached.sequence == max(end for end in ends if end <= 30)
