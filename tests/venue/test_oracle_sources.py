"""Where prices come from: an exchange through ccxt, against a local server in its place, and a recording."""

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from penstock.pricing.index import Flaw
from penstock.simulation.oracle_run import GatewayVenue
from penstock.simulation.recorded_sources import RecordedSource, sources_of
from penstock.simulation.recording import BTC, IndexPrice, Recording, RecordingError, Snapshot
from penstock.simulation.recording import Quote as RecordedQuote
from penstock.venue.oracle.exchange import ExchangeMissing, ExchangeSource
from penstock.venue.oracle.port import Seen
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import FixedSource, Quote, wall_clock
from penstock.venue.oracle.steps import Price
from penstock.venue.oracle.viewing import NoView, Viewer

from .harness import running
from .loopback import serving
from .oracles import TERMS, Told

MARKET = {
    "name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "base_decimals": 8, "counter_currency": "USD",
    "counter_decimals": 0, "minimum_order_value": "10", "trading": "Enabled", "instant_order_counter_decimals": 2,
    "instant_and_market_orders": "Enabled", "description": "Bitcoin / U.S. dollar", "market_type": "SPOT",
}  # fmt: skip


class Bitstamp:
    """What of one exchange's REST interface a quote needs."""

    def __init__(self):
        self.book = {"bids": [["60000", "1"]], "asks": [["60010", "1"]]}
        self.status = 200
        self.asked = []
        self.delay = 0.0
        self.url = ""

    async def answer(self, request):
        self.asked.append(request.path)
        await asyncio.sleep(self.delay)
        if request.path.endswith("/markets/"):
            return web.json_response([MARKET])
        if self.status != 200:
            return web.Response(status=self.status, text="<html>busy</html>")
        now = time.time()
        stamp = {"timestamp": str(int(now)), "microtimestamp": str(int(now * 1e6))}
        return web.Response(text=json.dumps(self.book | stamp), content_type="application/json")

    def source(self, **options):
        urls = {"public": self.url + "/api", "private": self.url + "/api"}
        return ExchangeSource("bitstamp", {"BTC": "BTC/USD"}, urls=urls, **options)


@asynccontextmanager
async def bitstamp():
    """The stand-in, listening on loopback."""
    found = Bitstamp()
    async with serving("*", "/{path:.*}", found.answer) as found.url:
        yield found


async def test_an_exchange_says_its_best_levels_and_when():
    async with bitstamp() as exchange:
        quote = await exchange.source().quote("BTC")
        assert (quote.bid, quote.ask) == (60_000, 60_010)
        assert abs(quote.time_us - wall_clock()) < 5_000_000
        assert exchange.asked[-1] == "/api/v2/order_book/btcusd/"


async def test_a_coin_without_a_symbol_and_an_empty_book_have_no_quote():
    async with bitstamp() as exchange:
        source = exchange.source()
        assert await source.quote("ETH") is None
        exchange.book = {"bids": [], "asks": []}
        assert await source.quote("BTC") is None


async def test_a_book_without_a_time_is_as_old_as_it_has_stood():
    moments = iter([1_000, 2_000, 3_000])
    source = ExchangeSource("bitstamp", {"BTC": "BTC/USD"}, clock=lambda: next(moments))
    book = {"bids": [[60_000, 1]], "asks": [[60_010, 1]], "timestamp": None}
    source._exchange.fetch_order_book = lambda symbol, depth: book
    assert [(await source.quote("BTC")).time_us for _ in range(2)] == [1_000, 1_000]
    book["bids"] = [[60_001, 1]]
    assert (await source.quote("BTC")).time_us == 2_000


async def test_an_exchange_without_books_is_asked_for_its_ticker():
    async with bitstamp() as exchange:
        source = exchange.source()
        source._exchange.has["fetchOrderBook"] = False
        exchange.book = {"bid": "60000", "ask": "60010", "last": "60005"}
        quote = await source.quote("BTC")
        assert (quote.bid, quote.ask) == (60_000, 60_010)
        exchange.book = {"last": "60005"}
        assert await source.quote("BTC") is None


@pytest.mark.parametrize("trouble", ["down", "busy", "nonsense", "slow", "torn"])
async def test_an_exchange_in_trouble_is_silent_in_bounded_time_and_blocks_nobody(trouble):
    async with bitstamp() as exchange:
        rules = OracleRules(source_timeout=0.5)
        source = exchange.source(timeout=1.0)
        others = [FixedSource("a", {"BTC": 60_000.0}), FixedSource("b", {"BTC": 60_000.0})]
        if trouble == "down":
            source._exchange.urls["api"] = {"public": "http://127.0.0.1:1/api", "private": "http://127.0.0.1:1/api"}
        elif trouble == "slow":
            exchange.delay = 1.0
        elif trouble == "torn":
            exchange.book = {"bids": [["sixty", "1"]], "asks": [["60010", "1"]]}
        else:
            exchange.status = 503 if trouble == "busy" else 200
            exchange.book = {"bids": "x"} if trouble == "nonsense" else exchange.book
        began = time.perf_counter()
        viewer = Viewer(TERMS, [source, *others], None, rules, wall_clock)
        view = await viewer.look()
        assert time.perf_counter() - began < 1.0
        assert isinstance(view, NoView)
        assert view.detail == "2 of 3 sources live, 3 wanted"
        assert [(one.name, one.flaw) for one in view.dropped] == [("bitstamp", Flaw.SILENT)]
        assert viewer.silences["bitstamp"]


def test_an_exchange_nobody_knows_is_refused_by_name():
    with pytest.raises(ExchangeMissing, match="no exchange 'nowhere'"):
        ExchangeSource("nowhere", {})


def test_without_ccxt_the_source_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ExchangeMissing, match=r"penstock\[exchanges\]"):
        ExchangeSource("bitstamp", {})


def recorded(now):
    """A recording of ten seconds that began at 100 s, played by a clock that says `now`."""
    levels = [(1, 1)]
    events = [
        Snapshot(100_000_000, 1, levels, levels),
        RecordedQuote(101_000_000, 600_000, 1, 600_010, 1),
        RecordedQuote(110_000_000, 610_000, 1, 610_010, 1),
    ]
    index = [IndexPrice(99_000_000, 600_005), IndexPrice(105_000_000, 605_005)]
    name = BTC.instrument
    return sources_of(Recording({name: BTC}, {name: events}, {name: index}), lambda: now)


async def test_a_recording_plays_its_spot_and_perpetual_in_a_loop_anchored_at_1970():
    spot, perpetual = recorded(1_000_000_000 + 2_000_000)
    assert await spot.quote("BTC") == Quote(60_000.5, 60_000.5, 999_000_000)
    assert await perpetual.quote("BTC") == Quote(60_000.0, 60_001.0, 1_001_000_000)
    spot, _ = recorded(1_000_000_000 + 7_000_000)
    assert await spot.quote("BTC") == Quote(60_500.5, 60_500.5, 1_005_000_000)
    assert await spot.quote("ETH") is None


async def test_before_its_first_price_a_recording_has_none():
    _, perpetual = recorded(1_000_000_000)
    assert await perpetual.quote("BTC") is None


def test_a_recording_without_quotes_or_without_length_is_refused():
    name = BTC.instrument
    snapshot = Snapshot(1, 1, [(1, 1)], [(1, 1)])
    with pytest.raises(RecordingError, match="no quotes"):
        sources_of(Recording({name: BTC}, {name: [snapshot]}, {name: [IndexPrice(1, 1)]}))
    with pytest.raises(ValueError, match="end_us"):
        RecordedSource("spot", {}, 5, 5)


async def test_a_venue_whose_book_makes_no_sense_gives_no_view():
    class Crooked:
        async def look(self, terms):
            return Seen(Price(0, 0), bids=((60_000.0, 1.0), (60_001.0, 1.0), (59_000.0, 1.0)))

    view = await Viewer(TERMS, [Told("a"), Told("b"), Told("c")], Crooked(), OracleRules(), wall_clock).look()
    assert isinstance(view, NoView)
    assert view.detail.startswith("no sensible book: prices")


async def test_a_venue_lost_on_the_way_is_found_again(tmp_path):
    async with running(tmp_path / "one") as node:
        port = int(node.url.rstrip("/").rpartition(":")[2])
        venue = GatewayVenue(node.url)
        assert (await venue.look(TERMS)).committed.index == 600_000
    with pytest.raises(ConnectionError):
        await venue.time()
    with pytest.raises(ConnectionError):
        await venue.time()
    async with running(tmp_path / "two", port=port):
        assert await venue.time() > 0
        assert await venue.submit(b"nonsense") == ["MESSAGE_TRUNCATED"]
        await venue.close()
