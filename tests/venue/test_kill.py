"""kill -9 at any instant: what was acknowledged is there."""

import asyncio
import random
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from penstock.protocol.commands import BUY
from penstock.venue.journal import Journal
from penstock.venue.sequencer import WAITING_LIMIT

from .harness import GENESIS, SEPARATOR, Client, Pen, running, submit

TESTS = Path(__file__).parent.parent


@pytest.mark.slow
async def test_every_acknowledged_command_survives_kill_9_again_and_again(tmp_path, request):
    """Orders fly when the process dies, twenty times on one home (`--kills N`: more); nothing acknowledged is lost."""
    dice, pen, acknowledged = random.Random(1), Pen(), []
    for _ in range(request.config.getoption("--kills")):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "venue.child", str(tmp_path), cwd=TESTS, stdout=asyncio.subprocess.PIPE
        )
        try:
            url = (await asyncio.wait_for(child.stdout.readline(), 60)).decode().strip()
            acknowledged += await trade_until_killed(url, child, dice, pen)
        except BaseException:
            # Only here: a second kill of a dead child reaps it behind the event loop's back and loses its exit code.
            child.kill()
            raise
        finally:
            await child.wait()
        assert child.returncode == -signal.SIGKILL
    assert len(acknowledged) >= 20 * request.config.getoption("--kills")
    async with running(tmp_path, funded=False) as node:
        before = node.sequencer.sequence
        assert before >= max(reply["sequence"] for _, reply in acknowledged)
        kept = {r.sequence: (r.time, r.envelope) for r in node._journal.read()}
        for envelope, reply in acknowledged:
            assert kept[reply["sequence"]] == (reply["time"], envelope)
            if reply["sequence"] > before - WAITING_LIMIT:
                answer = await submit(node, envelope)
                assert (answer.sequence, answer.time) == (reply["sequence"], reply["time"])
        assert node.sequencer.sequence == before, "no acknowledged command may be executed twice"
    journal = Journal(tmp_path, GENESIS.ruleset(), SEPARATOR, read_only=True)
    assert len({reply["sequence"] for _, reply in acknowledged}) == len(acknowledged)
    assert journal.chain.epoch >= request.config.getoption("--kills"), "each start opened an epoch"
    journal.close()


async def trade_until_killed(url, child, dice, pen):
    envelopes, acknowledged = [], []
    kill_after = dice.randrange(20, 120)
    async with aiohttp.ClientSession() as session, session.ws_connect(url + "ws/api/v2") as socket:
        client = Client(socket)
        for tag in range(600):
            subaccount, slot = 1 + tag % 3, 16 + tag // 3
            envelopes.append(pen.seal(pen.order(subaccount, BUY, 599_000 - tag, 100, slot)))
            await socket.send_bytes(tag.to_bytes(8, "big") + envelopes[-1])
        while True:
            try:
                reply = await client.receive()
            except AssertionError:
                return acknowledged
            if "sequence" in reply:
                acknowledged.append((envelopes[reply["tag"]], reply))
            if len(acknowledged) == kill_after:
                child.kill()
