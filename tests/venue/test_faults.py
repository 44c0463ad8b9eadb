"""The real node on real files, with a faulty disk, stopped, doubled or killed: what was acknowledged is there."""

import asyncio
import os
import random
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from penstock.protocol.commands import BUY
from penstock.venue.clock import DevClock
from penstock.venue.journal import JournalBusy
from penstock.venue.node import Node

from .faulty import POINTS
from .harness import START, Client, Pen, config, running, submit

TESTS = Path(__file__).parent.parent


@asynccontextmanager
async def faulty(home, *options):
    """A faulty node's process and its URL; killed at the end if it lives."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "venue.faulty", str(home), *options, cwd=TESTS, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child, (await asyncio.wait_for(child.stdout.readline(), 60)).decode().strip()
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def flood(url, pen, count, together=None):
    """Send so many orders, `together` at a time; (envelope, reply) of each answered until the connection ends."""
    acknowledged = []
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(url + "ws/api/v2") as socket:
            client = Client(socket)
            for first in range(0, count, together or count):
                acknowledged += await exchange(client, pen, range(first, min(count, first + (together or count))))
                if socket.closed:
                    break
    except aiohttp.ClientError:
        await asyncio.sleep(0.01)  # the node is gone
    return acknowledged


async def exchange(client, pen, tags):
    envelopes = {
        tag: pen.seal(pen.order(1 + tag % 3, BUY, 599_000 - tag % 500, 100, 16 + tag // 3 % 300)) for tag in tags
    }
    acknowledged, answered = [], 0
    try:
        for tag, envelope in envelopes.items():
            await client.socket.send_bytes(tag.to_bytes(8, "big") + envelope)
        while answered < len(envelopes):
            reply = await client.receive()
            answered += "tag" in reply
            if "sequence" in reply:
                acknowledged.append((envelopes[reply["tag"]], reply))
    except (AssertionError, ConnectionError):
        await client.socket.close()  # the node is gone
    return acknowledged


async def check_kept(home, acknowledged):
    """Every acknowledged command is where it was, the latest have the outcome they had, and none is executed again."""
    async with running(home, funded=False) as node:
        kept = {r.sequence: (r.time, r.envelope) for r in node._journal.read()}
        for envelope, reply in acknowledged:
            assert kept[reply["sequence"]] == (reply["time"], envelope)
        before = node.sequencer.sequence
        for envelope, reply in acknowledged[-2_000:]:
            answer = await submit(node, envelope)
            assert (answer.sequence, answer.time) == (reply["sequence"], reply["time"])
        assert node.sequencer.sequence == before


@pytest.mark.parametrize("point", POINTS)
async def test_a_node_that_dies_at_a_named_point_comes_back_with_all_it_acknowledged(tmp_path, point):
    acknowledged = []
    segment = str(64 << 10)
    for nth in (3, 7) if "segment" not in point else (1, 2):
        pen = Pen(START + 1_000 * (len(acknowledged) + nth))
        async with faulty(tmp_path, "--die", f"{point}:{nth}", "--segment", segment) as (child, url):
            if url:
                acknowledged += await flood(url, pen, 600, 20)
            assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL
    await check_kept(tmp_path, acknowledged)


async def test_a_power_loss_costs_nothing_that_was_acknowledged(tmp_path):
    """What was not synced is lost, torn and in any order, each time the process dies."""
    dice, acknowledged, pen = random.Random(5), [], Pen()
    for seed in range(6):
        async with faulty(tmp_path, "--lossy", str(seed), "--segment", str(128 << 10)) as (child, url):
            assert url, (await child.stderr.read()).decode()
            dying = asyncio.get_running_loop().call_later(0.3 + dice.random(), child.kill)
            while child.returncode is None:
                acknowledged += await flood(url, pen, 1_000)
            dying.cancel()
    assert len(acknowledged) > 500
    await check_kept(tmp_path, acknowledged)


@pytest.mark.parametrize(
    "point", ["after a group is synced", "after a group is written", "before the watermark is written"]
)
async def test_a_disk_error_stops_the_node_with_a_sentence_and_is_never_acknowledged(tmp_path, point):
    async with faulty(tmp_path, "--fail", f"{point}:12") as (child, url):
        acknowledged = await flood(url, Pen(), 2_000, 20)
        assert await asyncio.wait_for(child.wait(), 30) == 1
        assert "Input/output error" in (await child.stderr.read()).decode()
    assert len(acknowledged) < 2_000
    await check_kept(tmp_path, acknowledged)


async def test_a_slow_disk_sheds_load_and_loses_nothing(tmp_path):
    async with faulty(tmp_path, "--slow", "0.2") as (_, url):
        acknowledged = await flood(url, Pen(), 900)
    assert len(acknowledged) == 900
    await check_kept(tmp_path, acknowledged)


async def test_a_second_node_on_a_home_is_refused_also_while_the_first_is_stopped(tmp_path):
    async with faulty(tmp_path) as (child, url):
        pen = Pen()
        acknowledged = await flood(url, pen, 60)
        os.kill(child.pid, signal.SIGSTOP)
        try:
            with pytest.raises(JournalBusy, match="another node"):
                await Node(config(tmp_path), clock=DevClock(START)).start()
        finally:
            os.kill(child.pid, signal.SIGCONT)
        acknowledged += await flood(url, pen, 60)
        assert len(acknowledged) == 120
    await check_kept(tmp_path, acknowledged)


async def test_a_clock_that_jumps_back_or_ahead_between_starts_never_moves_time_back(tmp_path):
    times = []
    for jump in (0, -3_600, 86_400, -86_400):
        async with running(tmp_path, funded=not times, clock=DevClock(START + jump * 1_000_000)) as node:
            answer = await submit(node, Pen(node.clock.now()).seal(Pen(node.clock.now()).order(1, BUY, 590_000, 100)))
            times.append(answer.time)
    assert times == sorted(times)


async def test_a_node_killed_while_snapshots_are_taken_is_never_misled_by_one(tmp_path):
    pen, acknowledged, folder = Pen(), [], tmp_path / "snapshots"
    for taken in range(1, 4):
        async with faulty(tmp_path, "--snapshots", "50") as (child, url):
            # The first dies once there is a snapshot, the others at the first sign of one being written.
            while len(list(folder.glob("*.snapshot" if taken == 1 else "*"))) < taken:
                acknowledged += await flood(url, pen, 60)
            child.kill()
    await check_kept(tmp_path, acknowledged)
