"""One run of futures and options at a venue, from connecting to the last withdrawal, reporting as it goes."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from penstock.participants.client import GatewayClient
from penstock.simulation.dated.play import DatedPlay, Say

REPORT_SECONDS: Final = 0.5
Report = Callable[[dict[str, Any]], None]


async def run_dated(
    url: str, stop: asyncio.Event, report: Report, say: Say = lambda _: None, *, close: bool = True
) -> dict[str, Any]:
    """Play until `stop` is set, then, with `close`, close and withdraw. Returns the summary, with `closed` if it did.

    `report` gets a phase and figures about twice a second, `say` a line about what is waited for. Raises GatewayError,
    ConnectionError, and ValueError for accounts without money or when it is stopped before there are prices.
    """
    async with await GatewayClient.connect(url) as client:
        domain = await client.call("penstock/get_domain")
        play = DatedPlay(client, bytes.fromhex(domain["separator"].removeprefix("0x")))
        watch = asyncio.create_task(_watch(play, stop, report))
        try:
            await play.prepare(say)
            await play.run()
        finally:
            watch.cancel()
        if not close:
            await play.settle()
            return play.statistics.summary()
        report({"phase": "closing", **play.statistics.summary()})
        closed = await play.close_out()
        return {**play.statistics.summary(), "closed": closed}


async def _watch(play: DatedPlay, stop: asyncio.Event, report: Report) -> None:
    while True:
        report({"phase": "trading" if play.trading else "preparing", **play.statistics.summary()})
        try:
            await asyncio.wait_for(stop.wait(), REPORT_SECONDS)
        except TimeoutError:
            continue
        play.stop()
        return
