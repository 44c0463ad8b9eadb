"""The console in a real browser, against the pretend venue."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from penstock.simulation.local_venue import UNSAFE as DEMO_UNSAFE

from .market import FakeMarket
from .page import screenshot, visit
from .venue import UNSAFE, FakeVenue

pytestmark = pytest.mark.needs_browser

BITCOIN = "BTC_USDC-PERPETUAL"
ETHER = "ETH_USDC-PERPETUAL"
OPTION = "BTC_USDC-25NOV26-62000-C"
LIBRARY_MISSING = "Failed to load resource: the server responded with a status of 404 (Not Found)"
LADDER_LEVELS = 20
PNG = b"\x89PNG\r\n\x1a\n"


async def texts(page: Page, selector: str) -> list[str]:
    return [text.strip() for text in await page.locator(selector).all_text_contents()]


def list_option(venue: FakeVenue, name: str = OPTION, **told: Any) -> FakeMarket:
    """One more market, with a coarse tick, whose ticker also says what is `told`."""
    option = FakeMarket(name, len(venue.markets) + 1, 5, 400, random.Random(7), trades=True)
    option.told = told
    venue.markets[name] = option
    return option


async def ladder(page: Page, side: str) -> list[tuple[float, float]]:
    """The side's levels as drawn, best first."""
    prices = await texts(page, f"#{side} td:nth-child(1)")
    amounts = await texts(page, f"#{side} td:nth-child(2)")
    levels = [
        (float(price.replace(",", "")), float(amount.replace(",", "")))
        for price, amount in zip(prices, amounts, strict=True)
        if price != ""
    ]
    return levels[::-1] if side == "asks" else levels


def best(venue: FakeVenue, side: str, name: str = BITCOIN) -> list[tuple[float, float]]:
    market = venue.markets[name]
    levels = sorted(getattr(market, side).items(), reverse=side == "bids")[:LADDER_LEVELS]
    return [(price * market.tick, amount) for price, amount in levels]


async def until_drawn(page: Page, change_id: int) -> None:
    await page.wait_for_selector(f"#ladder[data-change-id='{change_id}']", timeout=5_000)


async def evaluate(page: Page, script: str) -> Any:
    return await page.evaluate(f"async () => {{ {script} }}")


async def test_the_ladder_shows_the_twenty_best_levels_and_follows_every_change(venue: FakeVenue):
    async with visit(venue.url) as seen:
        for _ in range(30):
            await venue.step()
        await until_drawn(seen.page, venue.markets[BITCOIN].change_id)
        assert await ladder(seen.page, "bids") == best(venue, "bids")
        assert await ladder(seen.page, "asks") == best(venue, "asks")
        assert await seen.page.get_attribute("#ladder", "data-resubscriptions") == "0"


async def test_trades_are_drawn_once_each_newest_first(venue: FakeVenue):
    async with visit(venue.url) as seen:
        for _ in range(30):
            await venue.step()
        await until_drawn(seen.page, venue.markets[BITCOIN].change_id)
        newest = venue.markets[BITCOIN].trades[:-61:-1]
        assert await texts(seen.page, "#trades td:nth-child(1)") == [f"{trade['price']:,.1f}" for trade in newest]
        assert await texts(seen.page, "#trades td:nth-child(2)") == [f"{trade['amount']:,.3f}" for trade in newest]


async def test_a_batch_lands_on_top_and_an_older_one_turns_final(venue: FakeVenue):
    async with visit(venue.url) as seen:
        assert (await texts(seen.page, "#batches td:first-child"))[:2] == ["#12", "#11"]
        batch = await venue.post_batch()
        await seen.page.wait_for_selector("#batches tr.landed[data-number='13'][data-status='posted']")
        await seen.page.wait_for_selector("#batches tr.finalised[data-number='10'][data-status='final']")
        root = batch["settlement_root"]
        assert await texts(seen.page, "#batches tbody tr:first-child td") == [
            "#13",
            f"{batch['first_sequence']:,} – {batch['last_sequence']:,}",
            str(batch["entries"]),
            f"{root[:8]}…{root[-4:]}",
            f"{batch['engine_root'][:8]}…{batch['engine_root'][-4:]}",
            f"{batch['transaction'][:8]}…{batch['transaction'][-4:]}",
            str(batch["block"]),
            f"{batch['gas']:,}",
            "posted",
        ]
        assert await seen.page.get_attribute("#batches tbody tr:first-child td:nth-child(4)", "title") == root


async def test_a_gap_in_the_change_ids_brings_a_fresh_snapshot(venue: FakeVenue):
    channel = f"book.{BITCOIN}.100ms"
    async with visit(venue.url) as seen:
        await venue.step()
        venue.lose_a_change(BITCOIN)
        await venue.step()
        await until_drawn(seen.page, venue.markets[BITCOIN].change_id)
        assert await ladder(seen.page, "bids") == best(venue, "bids")
        assert await ladder(seen.page, "asks") == best(venue, "asks")
        assert await seen.page.get_attribute("#ladder", "data-resubscriptions") == "1"
    assert venue.count("public/unsubscribe", channel) == 1
    assert venue.count("public/subscribe", channel) == 2


async def test_a_lost_connection_comes_back_with_its_channels_and_the_trades_missed(venue: FakeVenue):
    async with visit(venue.url) as seen:
        await venue.drop_connections()
        await seen.page.wait_for_selector("#connection[data-state='lost']")
        for _ in range(20):
            await venue.step()
        await seen.page.wait_for_selector("#connection[data-state='live']")
        await until_drawn(seen.page, venue.markets[BITCOIN].change_id)
        await seen.page.wait_for_timeout(300)
        newest = venue.markets[BITCOIN].trades[:-61:-1]
        assert await texts(seen.page, "#trades td:nth-child(1)") == [f"{trade['price']:,.1f}" for trade in newest]
        assert await ladder(seen.page, "bids") == best(venue, "bids")


async def test_the_keyboard_picks_another_instrument_and_its_ticks_set_the_decimals(venue: FakeVenue):
    async with visit(venue.url) as seen:
        await seen.page.focus("#instrument")
        await seen.page.keyboard.type("ETH")
        await until_drawn(seen.page, venue.markets[ETHER].change_id)
        price = best(venue, "bids", ETHER)[0][0]
        assert (await texts(seen.page, "#bids td:first-child"))[0] == f"{price:,.2f}"
        assert seen.page.url.endswith(f"#{ETHER}")
    assert venue.count("public/unsubscribe", f"trades.{BITCOIN}.100ms") == 1


async def test_an_option_listed_meanwhile_is_offered_and_told_of_and_kept_while_it_is_picked(venue: FakeVenue):
    name = "BTC_USDC-26JUN26-90000-C"
    async with visit(venue.url) as seen:
        page = seen.page
        option = list_option(venue, name, mark_iv=52.31, greeks={"delta": 0.514})
        await page.wait_for_selector(f"#instrument option[value='{name}']", state="attached", timeout=15_000)
        assert await page.input_value("#instrument") == BITCOIN
        await page.select_option("#instrument", name)
        await venue.step()
        await until_drawn(page, option.change_id)
        assert await page.text_content("#rate-name") == "IV · delta"
        assert await page.text_content("#rate") == "52.3 % · 0.51"
        assert await page.is_hidden("#state")
        option.told = {"mark_iv": None, "state": "settlement"}
        await venue.step()
        await page.wait_for_selector("#state:has-text('settlement')")
        assert await page.text_content("#rate") == "–"
        option.ended = venue.markets["BTC_USDC-26JUN26"].ended = True
        await page.wait_for_selector("#instrument option[value='BTC_USDC-26JUN26']", state="detached", timeout=15_000)
        assert await page.input_value("#instrument") == name
        assert seen.complaints == [LIBRARY_MISSING]


async def test_a_dated_contract_counts_down_by_venue_time_and_a_perpetual_has_funding_instead(venue: FakeVenue):
    async with visit(venue.url) as seen:
        page = seen.page
        assert await page.is_visible("#rate")
        assert await page.is_hidden("#expiry")
        await page.select_option("#instrument", "BTC_USDC-26JUN26")
        assert await page.is_hidden("#rate")
        assert await page.get_attribute("#expiry", "title") == "2026-06-26 08:00:00 UTC"
        expiry = venue.markets["BTC_USDC-26JUN26"].expiry
        day, hour, minute = 86_400_000, 3_600_000, 60_000
        for left, text in [
            (3 * day + 4 * hour + 12 * minute, "3 d 4 h 12 m"),
            (4 * hour + 58_001, "4 h 0 m"),
            (12 * minute + 4_001, "12 m 5 s"),
            (0, "over"),
        ]:
            venue.markets[BITCOIN].time = expiry - left  # the venue's time is that of its first market
            await page.wait_for_selector(f"#expiry:text-is('{text}')", timeout=5_000)


async def test_an_expired_option_says_what_it_settled_at_and_what_it_pays(venue: FakeVenue):
    option = list_option(venue, mark_iv=52.31, mark_price=441.6, index_price=62_345.7)
    async with visit(f"{venue.url}#{OPTION}") as seen:
        page = seen.page
        assert await texts(page, "#mark, #index") == ["441.6", "62,345.7"]
        assert await page.is_visible("#rate")
        assert await page.is_visible("#expiry")
        assert await page.is_hidden("#outcome")
        option.told["state"] = "settlement"
        await venue.step()
        await page.wait_for_selector("#state:text-is('settlement')")
        assert "no longer trades" in await page.inner_text("#outcome")
        option.told |= {"state": "expired", "mark_iv": None, "mark_price": 345.7}
        await venue.step()
        await page.wait_for_selector("#state:text-is('expired')")
        assert await page.inner_text("#outcome") == f"{OPTION} has expired: settled at 62,345.7, pays 345.7 USDC a BTC."
        assert await texts(page, "#expiry") == ["over"]
        await page.select_option("#instrument", BITCOIN)
        await page.wait_for_selector("#outcome", state="hidden")


async def test_a_market_without_a_fresh_price_says_that_only_reduce_only_orders_trade(venue: FakeVenue):
    option = list_option(venue, state="stale", mark_price=None, index_price=None)
    async with visit(f"{venue.url}#{OPTION}") as seen:
        assert await seen.page.inner_text("#outcome") == (
            f"{OPTION} has no price yet: only reduce-only orders trade until the next one."
        )
        option.told["mark_price"] = 441.6
        await venue.step()
        await seen.page.wait_for_selector("#outcome:has-text('has no fresh price')")


async def test_nothing_is_said_of_trades_before_the_first_answer(venue: FakeVenue):
    async with visit(venue.url, wait_ready=False) as seen:
        shown = await evaluate(
            seen.page,
            """
            const { Trades } = await import("/console/trades.js");
            const { Tape } = await import("/console/tape.js");
            const trades = new Trades(() => {});
            const tape = new Tape(() => {});
            const text = () => document.getElementById("trades-empty").textContent;
            tape.show({ trades, instrument: { tick_size: 1, min_trade_amount: 1 } });
            tape.draw();
            const before = text();
            trades.seed([]);
            tape.draw();
            return [before, text()];
            """,
        )
    assert shown == ["Loading.", "No trade yet."]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1920, 1080), (500, 900)])
async def test_the_order_book_has_no_scrollbar_where_it_fits_and_never_an_empty_area(
    venue: FakeVenue, width: int, height: int
):
    venue.unsafe = [*DEMO_UNSAFE, "Dev clock"]
    market = venue.markets[BITCOIN]
    if width == 500:
        for side, best_price in ((market.bids, max(market.bids)), (market.asks, min(market.asks))):
            for price in set(side) - {best_price}:
                del side[price]
    async with visit(venue.url, width, height) as seen:
        panel = "document.querySelector('.ladder-panel')"
        scrolled, tall = await seen.page.evaluate(f"[{panel}.scrollHeight, {panel}.clientHeight]")
        assert scrolled <= tall
        style = f"getComputedStyle({panel})"
        assert await seen.page.evaluate(f"{style}.scrollbarWidth") == "thin"
        if width == 500:
            assert await seen.page.evaluate("document.getElementById('asks').offsetHeight") < 40


async def test_a_link_to_a_contract_that_ended_shows_it_also_after_a_reconnection(venue: FakeVenue):
    option = list_option(venue, state="expired", mark_price=345.7, index_price=62_345.7)
    option.ended = True
    async with visit(f"{venue.url}#{OPTION}") as seen:
        page = seen.page
        await page.wait_for_selector("#outcome:visible")
        assert await ladder(page, "bids") == best(venue, "bids", OPTION)
        assert await page.title() == f"{OPTION} · Penstock"
        await venue.drop_connections()
        await page.wait_for_selector("#connection[data-state='lost']")
        await page.wait_for_selector("#connection[data-state='live']")
        await until_drawn(page, option.change_id)
        assert await page.input_value("#instrument") == OPTION
        assert await page.is_hidden("#unknown")
        assert seen.complaints == [LIBRARY_MISSING]


async def test_an_unknown_name_in_the_address_is_said_and_the_first_perpetual_shown(venue: FakeVenue):
    async with visit(f"{venue.url}#BTC_USDC-NOPE") as seen:
        page = seen.page
        assert await page.inner_text("#unknown") == f"No instrument is called BTC_USDC-NOPE. This is {BITCOIN}."
        assert await ladder(page, "bids") == best(venue, "bids")
        assert page.url.endswith(f"#{BITCOIN}")
        await page.select_option("#instrument", ETHER)
        assert await page.is_hidden("#unknown")
        await page.evaluate("location.hash = '#%'")
        await page.wait_for_selector("#unknown:has-text('called %.')")
        assert await page.input_value("#instrument") == BITCOIN
        await page.evaluate(f"location.hash = '#{ETHER}'")
        await page.wait_for_selector("#unknown", state="hidden")
        assert await page.input_value("#instrument") == ETHER
        assert seen.complaints == [LIBRARY_MISSING]


async def test_the_picker_groups_by_coin_kind_and_expiry_with_perpetuals_first(venue: FakeVenue):
    for contract in ("ETH_USDC-26JUN26-3000-P", "BTC_USDC-26JUN26-100000-C", OPTION):
        list_option(venue, contract)
    for strike, letter in ((90_000, "P"), (90_000, "C")):
        list_option(venue, f"BTC_USDC-26JUN26-{strike}-{letter}")
    async with visit(venue.url) as seen:
        groups = await seen.page.evaluate(
            "[...document.querySelectorAll('optgroup')].map((g) => [g.label, [...g.children].map((o) => o.value)])"
        )
    assert groups == [
        ["BTC perpetuals", [BITCOIN]],
        ["ETH perpetuals", [ETHER]],
        ["BTC futures", ["BTC_USDC-26JUN26"]],
        [
            "BTC options, 26 Jun 26",
            ["BTC_USDC-26JUN26-90000-C", "BTC_USDC-26JUN26-90000-P", "BTC_USDC-26JUN26-100000-C"],
        ],
        ["BTC options, 25 Nov 26", [OPTION]],
        ["ETH options, 26 Jun 26", ["ETH_USDC-26JUN26-3000-P"]],
    ]


async def test_the_banner_names_everything_unsafe(venue: FakeVenue):
    async with visit(venue.url) as seen:
        assert await seen.page.is_visible("text=Not audited; not for real money")
        assert await texts(seen.page, "#unsafe li") == UNSAFE
        assert await texts(seen.page, "#engine") == ["spec"]


async def test_without_the_chart_library_the_page_says_so_and_shows_the_ladder(venue: FakeVenue):
    async with visit(venue.url) as seen:
        await seen.page.wait_for_selector("#chart-notice:visible")
        assert await seen.page.is_hidden("#chart-panel")
        assert await ladder(seen.page, "bids") == best(venue, "bids")
        assert (seen.complaints, seen.external) == ([LIBRARY_MISSING], [])


async def test_the_chart_draws_with_its_attribution_and_nothing_comes_from_elsewhere(moving_venue: FakeVenue):
    async with visit(moving_venue.url) as seen:
        await seen.page.wait_for_selector("#chart canvas")
        await seen.page.wait_for_selector("#chart #tv-attr-logo", state="attached")
        await seen.page.click("text=5 s")
        await seen.page.select_option("#instrument", ETHER)
        await seen.page.wait_for_timeout(1_000)
        assert await seen.page.is_hidden("#chart-notice")
        assert (seen.complaints, seen.external) == ([], [])


async def test_a_venue_without_trades_is_ready_after_two_seconds():
    quiet = FakeVenue(trades=False)
    await quiet.start(moving=False)
    async with visit(quiet.url) as seen:
        assert await seen.page.is_visible("text=No trade yet.")
        assert await texts(seen.page, "#last-price") == ["–"]
    await quiet.stop()


async def test_drawing_is_coalesced_to_thirty_frames_a_second(venue: FakeVenue):
    async with visit(venue.url) as seen:
        drawn = await evaluate(
            seen.page,
            """
            const { redraw } = await import("/console/frame.js");
            const counted = { draws: 0, draw() { this.draws += 1; } };
            const asking = setInterval(() => redraw(counted), 2);
            await new Promise((resolve) => setTimeout(resolve, 1000));
            clearInterval(asking);
            return counted.draws;
            """,
        )
    assert 5 <= drawn <= 31


async def test_candles_and_numbers_follow_their_definitions(venue: FakeVenue):
    async with visit(venue.url) as seen:
        candles, numbers = await evaluate(
            seen.page,
            """
            const { Candles } = await import("/console/candles.js");
            const { compact, decimalsOf, inStepsOf, percent, short } = await import("/console/format.js");
            const candles = new Candles(5);
            const trades = [[1000, 10, 1], [4999, 12, 2], [4999, 9, 1], [5000, 11, 4]];
            for (const [timestamp, price, amount] of trades) candles.add({ timestamp, price, amount });
            const numbers = [decimalsOf(0.5), decimalsOf(1e-7), decimalsOf(1), inStepsOf(0.05)(1234.5),
              inStepsOf(1)(null), percent(-0.25), percent(0), short("ab".repeat(32)),
              compact(0.018, 0.001), compact(0, 0.001), compact(5183.412, 0.001)];
            return [candles.list, numbers];
            """,
        )
    assert candles == [
        {"time": 0, "open": 10, "high": 12, "low": 9, "close": 9, "volume": 4},
        {"time": 5, "open": 11, "high": 11, "low": 11, "close": 11, "volume": 4},
    ]
    assert numbers == [1, 7, 0, "1,234.50", "–", "−0.25 %", "0.00 %", "0xababab…abab",
                       "0.018", "0", "5,183.4"]  # fmt: skip


async def test_what_the_venue_says_is_text_and_never_markup(venue: FakeVenue):
    venue.unsafe = ["<b>bold</b>"]
    async with visit(venue.url) as seen:
        assert await texts(seen.page, "#unsafe li") == ["<b>bold</b>"]


BEYOND_THE_WINDOW = """
    return [...document.querySelectorAll("header *, .strip *")]
      .filter((element) => element.getBoundingClientRect().right > window.innerWidth)
      .map((element) => element.id || element.textContent);
"""
TOUCHING_THE_BORDER = """
    const text = document.createRange();
    return [...document.querySelectorAll("#batches tr > :last-child")].filter((cell) => {
      text.selectNodeContents(cell);
      return text.getBoundingClientRect().right > cell.getBoundingClientRect().right - 10;
    }).length;
"""


@pytest.mark.parametrize("name", [BITCOIN, OPTION])
@pytest.mark.parametrize(
    ("width", "height"), [(1920, 1080), (1440, 900), (1366, 768), (1280, 800), (1280, 720), (1181, 900)]
)
async def test_the_page_fits_the_window_without_scrolling(venue: FakeVenue, width: int, height: int, name: str):
    list_option(venue, mark_iv=152.31, greeks={"delta": -0.514}, state="settlement", mark_price=12_441.6)
    venue.unsafe = [*DEMO_UNSAFE, "Dev clock"]
    async with visit(f"{venue.url}#{name}", width, height) as view:
        root = "document.documentElement"
        assert await view.page.evaluate(f"[{root}.scrollWidth, {root}.scrollHeight]") == [width, height]
        assert await evaluate(view.page, BEYOND_THE_WINDOW) == []
        assert await evaluate(view.page, TOUCHING_THE_BORDER) == 0
        if width >= 1280:  # one line of figures, at most two of warnings
            assert await view.page.evaluate("document.querySelector('header').offsetHeight") == 54
            assert await view.page.evaluate("document.querySelector('.strip').offsetHeight") < 60


async def test_a_screenshot_is_a_png_of_the_whole_window(moving_venue: FakeVenue, screenshot_folder: Path):
    path = await asyncio.to_thread(screenshot, moving_venue.url, screenshot_folder / "console.png")
    picture = path.read_bytes()
    assert picture.startswith(PNG)
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1440, 900)
