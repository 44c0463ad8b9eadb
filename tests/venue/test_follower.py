"""A follower keeps the same journal and the same books, takes no commands, and says at once when something differs."""

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from msgspec.structs import replace

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MICRO
from penstock.venue import feed
from penstock.venue import follower as follower_module
from penstock.venue.engine_port import open_engine
from penstock.venue.follower import Differs, ask_genesis
from penstock.venue.outcomes import Unavailable

from .harness import GENESIS, START, Pen, connected, running, submit
from .test_snapshots import books, trade


@asynccontextmanager
async def following(home, leader, **changes):
    async with running(home, funded=False, leader=leader.url, **changes) as node:
        yield node


async def caught_up(follower, leader, seconds=10.0):
    async with asyncio.timeout(seconds):
        while follower.sequencer.durable_sequence < leader.sequencer.durable_sequence:
            assert not follower._stopped.done(), follower._stopped.result()
            await asyncio.sleep(0.01)


async def ended(follower, seconds=10.0):
    async with asyncio.timeout(seconds):
        return await asyncio.shield(follower._stopped)


async def test_a_follower_has_the_same_journal_root_books_and_trades(tmp_path):
    async with running(tmp_path / "leader") as leader:
        pen = Pen()
        await trade(leader, pen, 80)
        async with following(tmp_path / "follower", leader) as follower:
            await trade(leader, pen, 80, seed=2)
            await caught_up(follower, leader)
            assert follower.sequencer.chain == leader.sequencer.chain
            assert follower.engine.engine_root() == leader.engine.engine_root()
            assert books(follower) == books(leader)
            async with connected(follower) as client, connected(leader) as origin:
                for method in ("public/get_order_book", "public/get_last_trades_by_instrument"):
                    asked = {"instrument_name": "BTC_USDC-PERPETUAL", "count": 20, "depth": 50}
                    one, other = [await c.call(method, **asked) for c in (client, origin)]
                    same = ("bids", "asks", "trades", "last_price", "mark_price", "timestamp")
                    assert [one["result"].get(k) for k in same] == [other["result"].get(k) for k in same]
    listed = sorted(p.name for p in (tmp_path / "leader" / "journal").glob("*.segment*"))
    assert listed
    for name in listed:
        one, other = (tmp_path / side / "journal" / name for side in ("leader", "follower"))
        assert one.read_bytes() == other.read_bytes()


async def test_a_follower_takes_no_commands_and_says_why(tmp_path):
    async with running(tmp_path / "leader") as leader, following(tmp_path / "follower", leader) as follower:
        assert await submit(follower, Pen().seal(Pen().order(1, BUY, 600_000, 100))) == Unavailable("following")
        async with connected(follower) as client:
            assert (await client.call("public/status"))["result"]["reason"] == "following"


async def test_a_follower_goes_on_from_its_own_journal_after_a_restart_of_either(tmp_path):
    pen = Pen()
    async with running(tmp_path / "leader") as leader:
        await trade(leader, pen, 30)
        async with following(tmp_path / "follower", leader) as follower:
            await caught_up(follower, leader)
        await trade(leader, pen, 30, seed=2)
    async with running(tmp_path / "leader", funded=False) as leader:
        await trade(leader, pen, 30, seed=3)
        async with following(tmp_path / "follower", leader) as follower:
            await caught_up(follower, leader)
            assert follower.sequencer.chain == leader.sequencer.chain
            assert follower.sequencer.chain.epoch == 2


async def test_a_leader_that_ended_is_missed_once_and_so_is_that_it_is_back(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(follower_module, "PAUSE", 0.01)
    monkeypatch.setattr(follower_module, "LONGEST_PAUSE", 0.05)
    async with AsyncExitStack() as leading:
        leader = await leading.enter_async_context(running(tmp_path / "leader"))
        port = int(leader.url.rstrip("/").rpartition(":")[2])
        async with following(tmp_path / "follower", leader) as follower:
            await caught_up(follower, leader)
            await leading.aclose()
            await asyncio.sleep(0.4)
            assert said_by_the_link(caplog) == ["it closed the connection; trying again, ever more rarely"]
            async with running(tmp_path / "leader", funded=False, port=port) as again:
                await trade(again, Pen(START + MICRO), 5)
                await caught_up(follower, again)
            assert said_by_the_link(caplog)[1] == "is back"


def said_by_the_link(caplog):
    return [re.sub(r"^follower: \S+?journal:? ", "", record.message) for record in caplog.records
            if record.name.endswith("follower") and record.levelname == "WARNING"]  # fmt: skip


async def test_marks_are_compared_wherever_they_fall(tmp_path):
    async with running(tmp_path / "leader") as leader, following(tmp_path / "follower", leader) as follower:
        pen = Pen()
        await caught_up(follower, leader)
        for seed in range(5):
            answers = [
                submit(leader, pen.seal(pen.order(1 + at % 3, SELL if at % 2 else BUY, 600_000, 100, 16 + at)))
                for at in range(20)
            ]
            waiting = [asyncio.ensure_future(answer) for answer in answers]
            await asyncio.sleep(0)
            leader.feed.mark(leader.sequencer.sequence, leader.engine.engine_root())
            await asyncio.gather(*waiting)
            await trade(leader, pen, 3, seed)
        await caught_up(follower, leader)
        assert not follower._stopped.done()


async def test_a_wrong_root_ends_the_follower_at_once_and_names_both(tmp_path):
    async with running(tmp_path / "leader") as leader, following(tmp_path / "follower", leader) as follower:
        await caught_up(follower, leader)
        leader.feed.mark(leader.sequencer.sequence, b"\x13" * 32)
        error = await ended(follower)
    assert isinstance(error, Differs)
    assert f"at sequence {leader.sequencer.sequence}" in str(error) and "0x1313" in str(error)


def lying(monkeypatch, lie):
    """Let the leader send something else than its group."""
    whole = feed.pack_frame
    monkeypatch.setattr(feed, "pack_frame", lambda group, records: whole(*lie(group, records)))


LIES = {
    "another hash than its records have": lambda g, r: (replace(g, group_hash=bytes(32)), r),
    "a group left out": lambda g, r: (replace(g, number=g.number + 1), r),
    "another past": lambda g, r: (replace(g, previous_hash=bytes(32)), r),
    "records cut off": lambda g, r: (g, r[:-1]),
    "a record's byte changed": lambda g, r: (g, r[:-9] + bytes([r[-9] ^ 1]) + r[-8:]),
    "sequences moved": lambda g, r: (replace(g, first_sequence=g.first_sequence + 1), r),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_leader_that_lies_is_left_and_nothing_of_the_lie_is_kept(tmp_path, monkeypatch, lie):
    async with running(tmp_path / "leader") as leader, following(tmp_path / "follower", leader) as follower:
        await caught_up(follower, leader)
        before = follower.sequencer.chain
        lying(monkeypatch, lie)
        await trade(leader, Pen(), 1)
        assert isinstance(await ended(follower), Differs)
        assert follower.sequencer.chain == before


async def test_a_leader_with_another_past_is_refused(tmp_path):
    async with running(tmp_path / "one") as one, following(tmp_path / "follower", one) as follower:
        await caught_up(follower, one)
    async with running(tmp_path / "other") as other:
        await trade(other, Pen(), 5)
        async with following(tmp_path / "follower", other) as follower:
            assert isinstance(await ended(follower), Differs)


async def test_the_genesis_comes_from_the_leader(tmp_path):
    async with running(tmp_path / "leader") as leader:
        assert await ask_genesis(leader.url) == GENESIS
    with pytest.raises(ConnectionError, match="no journal feed"):
        await ask_genesis("http://127.0.0.1:9")


async def test_spec_and_native_follow_each_other(tmp_path):
    pytest.importorskip("penstock_core")
    async with running(tmp_path / "leader", engine=open_engine(GENESIS, "native")) as leader:
        engine = open_engine(GENESIS, "spec")
        async with running(tmp_path / "follower", funded=False, leader=leader.url, engine=engine) as follower:
            await trade(leader, Pen(), 60)
            leader.feed.mark(leader.sequencer.sequence, leader.engine.engine_root())
            await caught_up(follower, leader)
            assert follower.engine.engine_root() == leader.engine.engine_root()


async def test_trades_keep_their_numbers_over_a_restart_from_a_snapshot(tmp_path):
    async def numbers(node):
        return [trade.number for trade in node.market_data.markets[0].trades]

    async with running(tmp_path) as node:
        await trade(node, Pen(), 150)
        before = await numbers(node)
    async with running(tmp_path, funded=False, observed_tail=60) as node:
        after = await numbers(node)
    assert len(set(before)) == len(before) > len(after) > 0
    assert before[-len(after) :] == after
