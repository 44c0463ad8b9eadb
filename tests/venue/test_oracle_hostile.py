"""An oracle outlives whatever its venue, its sources and its own faults do, says so, and goes on when they are well."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from penstock.pricing.index import Flaw
from penstock.protocol.commands import PublishPrice
from penstock.protocol.signing import seal
from penstock.simulation import oracle_run
from penstock.simulation.oracle_run import GatewayVenue
from penstock.venue.oracle.cosigning import Objected
from penstock.venue.oracle.decisions import Decision, Decisions, Outcome, Withheld
from penstock.venue.oracle.endpoint import MOST_CONNECTIONS, Endpoint, ask_status
from penstock.venue.oracle.oracle import Oracle
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Quote, wall_clock
from penstock.venue.oracle.telling import MOST_TOLD, printable, told_by
from penstock.venue.oracle.viewing import NoView, Viewer

from .loopback import serving
from .oracles import GENESIS, KEYS, RULES, SEPARATOR, TERMS, UNITS, USD, Told, quorum, told

HUGE = "1" + "0" * 400
BOOK = {"index_price": USD, "mark_price": USD, "bids": [], "asks": [], "last_price": None, "open_interest": 0}
PERPETUAL = {
    "instrument_name": TERMS.name, "instrument_id": 0, "kind": "future", "base_currency": "BTC",
    "settlement_period": "perpetual", "expiration_timestamp": 32_503_708_800_000,
}  # fmt: skip
FAST = replace(RULES, venue_timeout=0.2, list_every=0.1)


class Answers:
    """A venue's gateway that answers what a test wants: JSON by method, or one frame to everything, or nothing."""

    def __init__(self):
        self.url = ""
        self.by_method = {}
        self.frame = None
        self.is_silent = False
        self.sockets = []
        self.asked = 0

    async def serve(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        # What a connection was silent on it stays silent on: a peer that is gone does not come back on the same one.
        is_silent = self.is_silent
        async for message in socket:
            self.asked += 1
            call = json.loads(message.data)
            is_silent = is_silent or self.is_silent
            if is_silent:
                continue
            with suppress(ConnectionError):
                await socket.send_str(self.frame or f'{{"id":{call["id"]},"result":{self.result(call["method"])}}}')
        return socket

    def result(self, method):
        sane = {
            "public/get_time": str(wall_clock() // 1_000), "public/get_order_book": json.dumps(BOOK),
            "public/get_instrument": json.dumps(PERPETUAL), "public/get_instruments": "[]",
        }  # fmt: skip
        return self.by_method.get(method, sane.get(method, "null"))


@asynccontextmanager
async def answers():
    """The gateway, listening on loopback."""
    found = Answers()
    async with serving("GET", "/ws/api/v2", found.serve) as found.url:
        yield found


@asynccontextmanager
async def oracle_at(venue, **options):
    """An oracle that runs; gives it and its task."""
    oracle = Oracle(KEYS[0], GENESIS, told(), venue, rules=FAST, **options)
    task = asyncio.create_task(oracle.run())
    try:
        yield oracle, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if isinstance(venue, GatewayVenue):
            await venue.close()


async def until(condition, seconds=5.0):
    """Wait for a condition. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def book(**changes):
    return json.dumps(BOOK | changes)


INSANE = {
    **{f"time {said[:9]}": ("public/get_time", said)
       for said in ('"abc"', "null", "{}", "1e308", str(1 << 63), "-5", "true", "1.5", HUGE)},
    **{f"last {said!r}": ("public/get_order_book", book(last_price=said)) for said in ("x", {}, [1], True, -1.0, 0)},
    "last huge": ("public/get_order_book", book().replace("null", HUGE)),
    **{f"{name} {said!r}": ("public/get_order_book", book(**{name: said}))
       for name in ("index_price", "mark_price") for said in (-5.0, 1.7e308, "x")},
    **{f"interest {said!r}": ("public/get_order_book", book(open_interest=said)) for said in ("x", None, [])},
    "levels": ("public/get_order_book", book(bids=[[[1], [2]]])),
    "end": ("public/get_instrument", json.dumps(PERPETUAL | {"expiration_timestamp": 1 << 62})),
}  # fmt: skip


@pytest.mark.parametrize("name", INSANE)
async def test_what_no_venue_answers_is_no_answer(name):
    method, result = INSANE[name]
    async with answers() as gateway:
        venue = GatewayVenue(gateway.url)
        await venue.time()
        gateway.by_method[method] = result
        with pytest.raises(ConnectionError, match="no venue"):
            await {
                "public/get_time": venue.time, "public/get_order_book": lambda: venue.look(TERMS),
                "public/get_instrument": lambda: venue.ends(TERMS),
            }[method]()  # fmt: skip
        await venue.close()
        if method == "public/get_time":
            with pytest.raises(ConnectionError, match="no venue"):
                await venue.time()
        await venue.close()


@pytest.mark.parametrize(
    ("method", "result"),
    [("public/get_time", '"abc"'), ("public/get_time", str(1 << 63)), ("public/get_order_book", book(last_price={}))],
)
async def test_an_oracle_outlives_an_insane_venue_and_goes_on_with_a_sane_one(method, result):
    async with answers() as gateway, oracle_at(GatewayVenue(gateway.url)) as (oracle, task):
        gateway.by_method[method] = result
        await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "VENUE_SILENT") >= 2 or task.done())
        gateway.by_method.clear()
        await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "NO_QUORUM") or task.done())
        assert not task.done()
        assert oracle.decisions.count(Outcome.WITHHELD, "FAILED") == 0


@pytest.mark.parametrize("frame", ["}{", '{"id":1,"result":1e999}', '{"id":1,"error":{"message":[1]}}'])
async def test_a_connection_that_cannot_be_opened_is_closed_again(frame):
    async with answers() as gateway:
        gateway.frame = frame
        venue = GatewayVenue(gateway.url)
        before = len(asyncio.all_tasks())
        for _ in range(3):
            async with asyncio.timeout(2):
                with pytest.raises(ConnectionError):
                    await venue.time()
        await until(lambda: all(socket.closed for socket in gateway.sockets))
        assert len(gateway.sockets) == 3
        await until(lambda: len(asyncio.all_tasks()) <= before)
        await venue.close()


async def test_a_venue_that_took_the_connection_and_said_nothing_is_connected_to_anew():
    async with answers() as gateway:
        gateway.is_silent = True
        venue = GatewayVenue(gateway.url, patience=0.3)
        with pytest.raises(ConnectionError, match=r"did not answer as a venue in 0\.3 s"):
            await venue.time()
        gateway.is_silent = False
        assert await venue.time() > 0
        await venue.close()


async def test_a_connection_on_which_nothing_is_answered_any_more_is_given_up_for_a_new_one():
    async with answers() as gateway:
        venue = GatewayVenue(gateway.url, patience=0.3)
        await venue.time()
        gateway.is_silent = True
        began = asyncio.get_running_loop().time()
        while venue._client is not None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await venue.time()
            assert asyncio.get_running_loop().time() - began < 2, "never given up"
        assert asyncio.get_running_loop().time() - began >= 0.3, "one call that is late is no reason"
        gateway.is_silent = False
        assert await venue.time() > 0
        assert len(gateway.sockets) == 2
        await venue.close()


async def test_calls_that_are_late_between_others_that_are_answered_cost_no_connection():
    async with answers() as gateway:
        venue = GatewayVenue(gateway.url, patience=0.2)
        client = None
        for _ in range(4):
            await venue.time()
            client = client or venue._client
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.08):
                    with venue._watched(client):
                        await asyncio.sleep(1)
        assert venue._client is client and len(gateway.sockets) == 1
        await venue.close()


async def test_a_peer_that_answers_no_heartbeat_is_lost(monkeypatch):
    asked = []
    connect = oracle_run.GatewayClient.connect

    async def noting(url, **options):
        asked.append(options)
        return await connect(url, **options)

    monkeypatch.setattr(oracle_run.GatewayClient, "connect", noting)
    async with answers() as gateway:
        venue = GatewayVenue(gateway.url, patience=7.0)
        await venue.time()
        await venue.close()
    assert asked == [{"heartbeat": 7.0}]


class Mute(Exception):
    """An error whose text raises."""

    def __str__(self):
        raise ZeroDivisionError("no text")


SILENT = {
    "a time too large": (Quote(USD, USD, 10**400), "ValueError: time_us is out of range, wants -2^63 to 2^63 - 1"),
    "a time too small": (Quote(USD, USD, -(10**400)), "ValueError: time_us is out of range, wants -2^63 to 2^63 - 1"),
    "a price too large": (Quote(10**400, 10**400, 1), "OverflowError: int too large to convert to float"),
    "an error without a text": (Mute(), "Mute: Mute without a text (ZeroDivisionError)"),
    "a lone surrogate": (RuntimeError("\ud800"), "RuntimeError: ?"),
    "a long error": (RuntimeError("x" * 10**6), "RuntimeError: " + "x" * 185 + "…"),
}


@pytest.mark.parametrize("name", SILENT)
async def test_whatever_a_source_says_it_is_silent_and_the_status_says_so(name):
    said, told_of_it = SILENT[name]
    async with answers() as gateway, oracle_at(GatewayVenue(gateway.url)) as (oracle, task):
        for source in oracle._viewers[0]._sources[:1]:
            source.say = said
        await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "NO_INDEX") or task.done())
        assert not task.done()
        endpoint = Endpoint(oracle)
        await endpoint.start("127.0.0.1", 0)
        shown = (await ask_status(endpoint.url))["markets"][TERMS.name]
        await endpoint.stop()
        assert shown["dropped"] == [{"name": "north", "flaw": Flaw.SILENT}]
        assert shown["silent"] == {"north": told_of_it}


async def test_a_source_that_cancels_itself_is_silent_and_one_that_is_cancelled_is_not_held_up():
    async def cancelled():
        raise asyncio.CancelledError

    viewer = Viewer(TERMS, [Told("a", lambda _: cancelled()), *told()], None, OracleRules(), wall_clock)
    assert await viewer._ask("a", viewer._sources[0]) is None
    assert viewer.silences == {"a": "CancelledError: its own doing"}
    viewer._sources[0].say = lambda _: asyncio.sleep(60)
    looking = asyncio.create_task(viewer.look())
    await asyncio.sleep(0.01)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


@pytest.mark.parametrize(("count", "reason"), [(3, Withheld.OUT_OF_RANGE), (4, Withheld.NO_INDEX)])
async def test_prices_as_large_as_numbers_get_give_no_view_and_leave_nothing_behind(count, reason):
    async with answers() as gateway:
        venue = GatewayVenue(gateway.url)
        sources = [Told(str(i), 1.7e308) for i in range(count)]
        viewer = Viewer(TERMS, sources, venue, OracleRules(), wall_clock)
        view = await viewer.look()
        assert isinstance(view, NoView) and view.reason is reason
        for source in sources:
            source.say = USD
        assert (await viewer.look()).price.mark == UNITS
        await venue.close()


class Broken:
    """A venue whose every answer is a fault of this program."""

    def __getattr__(self, name):
        async def fail(*_):
            raise LookupError(f"no {name}")

        return fail


async def test_what_nobody_foresaw_is_said_and_logged_once_and_every_loop_goes_on(caplog):
    with caplog.at_level(logging.ERROR):
        async with oracle_at(Broken()) as (oracle, task):
            await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "FAILED") >= 9 or task.done())
            assert not task.done()
    said = {one.detail for one in oracle.decisions.newest if one.reason == "FAILED"}
    assert said == {
        "looking: LookupError: no look", "listing: LookupError: no ends", "turns: LookupError: no time"
    }  # fmt: skip
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == ["listing", "looking", "turns"]
    assert all(record.exc_info for record in caplog.records)


async def test_a_proposal_that_fails_costs_that_proposal():
    async with answers() as gateway, oracle_at(GatewayVenue(gateway.url)) as (oracle, task):
        oracle._publish = Broken().publish
        await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "FAILED") >= 2 or task.done())
        assert not task.done() and oracle._under_way == set()
        assert any(one.market == TERMS.name for one in oracle.decisions.newest if one.reason == "FAILED")


async def test_a_peer_that_fails_in_a_way_nobody_foresaw_is_a_peer_that_failed():
    peer = Broken()
    peer.name = "north"
    async with answers() as gateway, oracle_at(GatewayVenue(gateway.url), peers=[peer]) as (oracle, _):
        await until(lambda: oracle.decisions.count(Outcome.PEER_FAILED, "FAILED"))
        await until(lambda: oracle.decisions.count(Outcome.WITHHELD, "NO_QUORUM"))


async def test_a_proposal_at_which_this_oracle_fails_is_objected_to_by_name():
    oracle = Oracle(KEYS[0], GENESIS, told(), Broken(), rules=RULES)
    at = oracle._turns.begins(KEYS[1].address, TERMS, 10)
    with pytest.raises(Objected, match=r"FAILED: .*cosigning: LookupError: no look"):
        await oracle.cosign(seal(SEPARATOR, PublishPrice(0, at, UNITS, UNITS), [KEYS[1]]))
    assert oracle.decisions.count(Outcome.OBJECTED, "FAILED") == 1


def test_a_listener_that_fails_is_said_once_and_stops_no_decision(caplog):
    def deaf(_):
        raise OSError("gone")

    decisions = Decisions(deaf)
    for _ in range(3):
        decisions.add(Decision(0, "BTC", Outcome.COSIGNED))
    assert decisions.count(Outcome.COSIGNED) == 3
    assert [record.getMessage() for record in caplog.records] == ["whoever hears the decisions failed; said once"]


def test_what_is_told_can_always_be_sent():
    assert told_by(ConnectionError("a\udfffb")) == "a?b"
    assert told_by(TimeoutError()) == "timed out" and told_by(KeyError()) == "KeyError"
    assert printable("x" * MOST_TOLD) == "x" * MOST_TOLD
    assert printable("x" * 2_000) == "x" * (MOST_TOLD - 1) + "…"


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("x", 415), ("identity", 409)])
async def test_a_proposal_that_is_compressed_is_not_read(coding, status):
    endpoint = Endpoint(Oracle(KEYS[0], GENESIS, told(), None, rules=RULES))
    await endpoint.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        options = {"data": b"no gzip", "headers": {"Content-Encoding": coding}, "skip_auto_headers": ["Content-Type"]}
        async with http.post(endpoint.url + "/proposals", **options) as answer:
            assert answer.status == status
            assert (await answer.json())["reason"] == "NOT_A_PROPOSAL"
    await endpoint.stop()


async def test_a_body_that_is_none_is_refused():
    endpoint = Endpoint(Oracle(KEYS[0], GENESIS, told(), None, rules=RULES))
    await endpoint.start("127.0.0.1", 0)
    host, port = endpoint.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /proposals HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    await asyncio.sleep(0.05)
    writer.write(b"ZZ\r\n")
    status = await asyncio.wait_for(reader.readline(), 5)
    assert status.startswith(b"HTTP/1.1 4"), "no fault of this side"
    writer.close()
    await endpoint.stop()


async def test_connections_that_ask_nothing_give_way_to_a_peer(tmp_path):
    async with quorum(tmp_path, start=False) as q, aiohttp.ClientSession() as http:
        url = q.seats[0].endpoint.url
        host, port = url.removeprefix("http://").split(":")
        crowd = [await asyncio.open_connection(host, int(port)) for _ in range(MOST_CONNECTIONS + 20)]
        async with http.get(url + "/status") as answer:
            assert answer.status == 200
        for _, writer in crowd:
            writer.close()
