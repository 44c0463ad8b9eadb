"""A node in a process of its own, to be killed: `python -m venue.child HOME` prints its URL."""

import asyncio
import logging
import sys
from pathlib import Path

from penstock.venue.clock import DevClock
from penstock.venue.node import Node

from .harness import START, config, fund


async def main(home):
    node = Node(config(home), clock=DevClock(START))
    await node.start()
    if node.sequencer.sequence == 0:
        await fund(node)
    print(node.url, flush=True)
    await node.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(Path(sys.argv[1])))
