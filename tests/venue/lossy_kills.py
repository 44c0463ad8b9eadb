"""Power losses under load until so many commands were acknowledged; then the journal must hold every one of them.

`cd tests && python -m venue.lossy_kills --acknowledged 1000000` takes minutes. Whatever was not synced when the node
dies is lost, torn and out of order (`faulty.py --lossy`).
"""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from penstock.protocol.commands import BUY
from penstock.protocol.words import keccak
from penstock.venue.journal import Journal

from .harness import GENESIS, SEPARATOR, Pen

TESTS = Path(__file__).parent.parent
WINDOW = 2_000


async def lose_power_again_and_again(home, wanted, between, seed):
    """(sequence, time, hash) of every acknowledged command, and how often the power was lost."""
    dice, pen, acknowledged, losses = random.Random(seed), Pen(), [], 0
    while len(acknowledged) < wanted:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "venue.faulty", str(home), "--lossy", str(seed + losses), "--segment", str(8 << 20),
            "--snapshots", "100000", cwd=TESTS, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        url = (await child.stdout.readline()).decode().strip()
        assert url, "the node did not come back"
        try:
            await load(url, pen, acknowledged, len(acknowledged) + dice.randrange(1, 2 * between))
        finally:
            child.kill()
            await child.wait()
        losses += 1
        print(f"\r{len(acknowledged):,} acknowledged, {losses} losses", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return acknowledged, losses


async def load(url, pen, acknowledged, until):
    """Keep orders in flight; leave, with many still there, once so many are acknowledged."""
    flying, tag = {}, 0
    async with aiohttp.ClientSession() as session, session.ws_connect(url + "ws/api/v2", max_msg_size=0) as socket:
        while len(acknowledged) < until:
            while len(flying) < WINDOW:
                tag += 1
                order = pen.order(1 + tag % 3, BUY, 590_000 - tag % 900, 100, 16 + tag // 3 % 300)
                envelope = pen.seal(order)
                flying[tag] = keccak(envelope)
                await socket.send_bytes(tag.to_bytes(8, "big") + envelope)
            for _ in range(WINDOW // 2):
                reply = json.loads((await socket.receive(timeout=30)).data)
                digest = flying.pop(reply["tag"])
                if "sequence" in reply:
                    acknowledged.append((reply["sequence"], reply["time"], digest))


def lost(home, acknowledged):
    """How many of them the journal does not hold as they were acknowledged."""
    expected, kept = {sequence: (at, digest) for sequence, at, digest in acknowledged}, 0
    assert len(expected) == len(acknowledged), "a sequence number was acknowledged twice"
    journal = Journal(home, GENESIS.ruleset(), SEPARATOR, read_only=True)
    for record in journal.read():
        kept += expected.get(record.sequence) == (record.time, keccak(record.envelope))
    journal.close()
    return len(acknowledged) - kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--acknowledged", type=int, default=1_000_000)
    parser.add_argument("--between", type=int, default=20_000, help="commands between two losses, on average")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        acknowledged, losses = asyncio.run(
            lose_power_again_and_again(home, options.acknowledged, options.between, options.seed)
        )
        missing = lost(home, acknowledged)
    seconds = time.monotonic() - started
    print(f"{len(acknowledged):,} commands acknowledged over {losses} power losses in {seconds:.0f} s: {missing} lost")
    raise SystemExit(missing != 0)


if __name__ == "__main__":
    main()
