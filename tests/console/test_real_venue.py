"""The page on a real venue: chain, node and replay, looked at by a real browser."""

import asyncio

import pytest

from console.page import visit
from penstock.simulation.demo import Demo, DemoOptions, problems

pytestmark = pytest.mark.needs_browser


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
