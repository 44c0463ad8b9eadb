"""The page on a real venue: chain, node and replay, and a contract's end, looked at by a real browser."""

import asyncio

import pytest
from msgspec.structs import replace

from console.page import visit
from console.venue import CONSOLE
from penstock.protocol.commands import ExpireMarket, ListMarket, PublishPrice
from penstock.protocol.instruments import CALL
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import seal
from penstock.protocol.terms import default_templates
from penstock.simulation.demo import Demo, DemoOptions, problems
from penstock.venue.clock import DevClock
from venue.harness import GENESIS, ORACLES, SEPARATOR, START, running, submit

pytestmark = pytest.mark.needs_browser

DAY = 86_400
EXPIRY = (START // MICRO // DAY + 1) * DAY + 8 * 3_600
"""08:00 on 15 November 2023, ten hours ahead."""
OPTION = "BTC_USDC-15NOV23-60000-C"
INDEX, STRIKE, MARK = 604_567, 600_000, 5_003


async def test_the_page_shows_the_demo_while_it_runs(screenshot_folder):
    seen: dict[str, str] = {}
    complaints: list[str] = []
    external: list[str] = []

    async def watch(demo: Demo) -> None:
        while len(demo.venue.batcher.posted) < 3 or demo.progress["phase"] != "replaying":
            await asyncio.sleep(0.1)
        async with visit(demo.venue.node.url) as view:
            await asyncio.sleep(3)
            seen["text"] = await view.page.inner_text("body")
            await view.page.screenshot(path=str(screenshot_folder / "venue.png"))
            complaints.extend(view.complaints)
            external.extend(view.external)

    report = await Demo(DemoOptions(seconds=22, port=0), lambda _: None).run(watch)
    assert problems(report) == []
    assert "Not audited; not for real money" in seen["text"]
    assert "BTC_USDC-PERPETUAL" in seen["text"]
    assert "development keys" in seen["text"]
    assert external == []
    assert [line for line in complaints if "404" not in line] == []
    assert (screenshot_folder / "venue.png").stat().st_size > 50_000


async def test_the_page_follows_an_option_from_its_last_minutes_to_what_it_pays(tmp_path):
    clock = DevClock((EXPIRY - 1_800) * MICRO, 0)
    dated = replace(GENESIS, templates=default_templates())
    async with running(tmp_path, genesis=dated, clock=clock, console=CONSOLE) as node:
        listed = ListMarket(1, EXPIRY, STRIKE, CALL)
        assert (await node.sequencer.submit_local(listed)).outcomes[0].reason is None
        number = next(n for n, market in node.market_data.markets.items() if market.terms.name == OPTION)

        async def publish(market, mark):
            record = PublishPrice(market, clock.now(), INDEX, mark)
            assert (await submit(node, seal(SEPARATOR, record, ORACLES))).outcomes[0].reason is None

        clock.advance_to(clock.now() + MICRO)
        await publish(number, MARK)
        async with visit(f"{node.url}#{OPTION}") as seen:
            page = seen.page
            await page.wait_for_selector("#mark:text-is('500.3')")
            assert await page.inner_text("#expiry") == "29 m 59 s"
            while clock.now() < EXPIRY * MICRO:
                clock.advance_to(min(clock.now() + 10 * MICRO, EXPIRY * MICRO))
                await publish(0, INDEX)
            await page.wait_for_selector("#state:text-is('settlement')")
            await page.wait_for_selector("#expiry:text-is('over')")
            assert (await node.sequencer.submit_local(ExpireMarket(number))).outcomes[0].reason is None
            await page.wait_for_selector("#state:text-is('expired')")
            told = f"{OPTION} has expired: settled at 60,456.7, pays 456.7 USDC a BTC."
            assert await page.inner_text("#outcome") == told
        async with visit(f"{node.url}#{OPTION}") as later:
            await later.page.wait_for_selector("#outcome:visible")
            assert await later.page.inner_text("#outcome") == told
            assert await later.page.inner_text("#mark") == "456.7"
        async with visit(f"{node.url}#BTC_USDC-15NOV23-61000-C") as lost:
            assert "No instrument is called" in await lost.page.inner_text("#unknown")
