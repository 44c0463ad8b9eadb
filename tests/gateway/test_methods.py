"""What each method answers."""

import asyncio
import os
import threading

import pytest

from penstock import __version__
from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MICRO
from penstock.settlement.exits import Claim
from penstock.venue.clock import DevClock
from penstock.venue.gateway.batches import ClaimProof, PostedBatch, SettlementRoot
from venue.harness import BTC, ETH, GENESIS, SEPARATOR, START, Pen, connected, credit, owner, running, submit

PRICE = 600_000
PARAMETERS = {
    "penstock/get_subaccount": {"subaccount": 1},
    "penstock/get_nonces": {"subaccount": 1, "slots": "31"},
}


class PretendBatches:
    """One posted batch and one subaccount in it."""

    def __init__(self):
        self.batch = PostedBatch(1, 1, 9, 4, b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, 12, "posted", 330_000)
        self.told = None

    def newest(self, count):
        return [self.batch][:count]

    async def settlement_root(self, sequence):
        return SettlementRoot(sequence, b"\x05" * 32, 4)

    async def proof(self, subaccount):
        if subaccount != 1:
            return None
        return ClaimProof(1, b"leaf", [b"\x06" * 32], *(bytes([i]) * 32 for i in range(7, 11)))

    def watch(self, told):
        self.told = told


@pytest.fixture
async def node(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0), batches=PretendBatches(), unsafe=("Dev keys",)) as one:
        yield one


async def result(node, method, **params):
    async with connected(node) as client:
        response = await client.call(method, **params)
        assert "result" in response, response
        return response["result"]


async def error(node, method, **params):
    async with connected(node) as client:
        return (await client.call(method, **params))["error"]


async def trade(node, pen, price=PRICE, size=1_000):
    await submit(node, pen.seal(pen.order(1, SELL, price, size, 30)))
    await submit(node, pen.seal(pen.order(2, BUY, price, size, 30)))


async def test_the_node_says_its_time_version_engine_and_what_is_unsafe(node):
    node.clock.advance_to(START + 5_000_000)
    assert await result(node, "public/get_time") == (START + 5_000_000) // 1000
    assert await result(node, "public/test") == {"version": __version__}
    status = await result(node, "public/status")
    engine = node.engine.name
    assert engine in {"native", "spec"}
    unsafe = ["Dev keys", "Dev clock", "no signed receipts"]
    assert status == {"locked": "false", "engine": engine, "unsafe": unsafe, "reason": None}


async def test_every_response_carries_what_deribits_clients_read(node):
    async with connected(node) as client:
        response = await client.call("public/test")
    assert response["jsonrpc"] == "2.0" and response["testnet"] is True
    assert response["usOut"] - response["usIn"] == response["usDiff"] >= 0


async def test_instruments_are_listed_in_units_a_client_can_trade_in(node):
    listed = await result(node, "public/get_instruments")
    assert [one["instrument_name"] for one in listed] == [BTC, ETH]
    btc = await result(node, "public/get_instrument", instrument_name=BTC)
    assert btc == listed[0]
    assert (btc["tick_size"], btc["min_trade_amount"], btc["price_unit"], btc["size_unit"]) == (
        0.1, 0.001, "0.1", "0.00001",
    )  # fmt: skip
    assert (btc["kind"], btc["settlement_period"], btc["taker_commission"]) == ("future", "perpetual", 0.0003)
    assert [i["base_currency"] for i in await result(node, "public/get_instruments", currency="ETH")] == ["ETH"]
    assert await result(node, "public/get_instruments", kind="option") == []
    unknown = await error(node, "public/get_instrument", instrument_name="DOGE")
    assert (unknown["code"], unknown["data"]["reason"]) == (13020, "no instrument 'DOGE'")
    for wrong, allowed in (
        ({"kind": "spot"}, "future, option or any"),
        ({"currency": "doge"}, "BTC, ETH, USDC or any"),
    ):
        refused = await error(node, "public/get_instruments", **wrong)
        assert (refused["code"], refused["data"]["param"], refused["data"]["allowed"]) == (-32602, *wrong, allowed)
        assert repr(*wrong.values()) in refused["data"]["reason"]


async def test_ccxts_deribit_reads_the_markets_of_another_url(node):
    ccxt = pytest.importorskip("ccxt")
    await trade(node, Pen())
    pen = Pen(START + 100)
    await submit(node, pen.seal(pen.order(1, BUY, PRICE - 1, 100)))

    def read():
        exchange = ccxt.deribit({"urls": {"api": {"rest": node.url.rstrip("/")}}})
        exchange.load_markets()
        symbol = exchange.markets_by_id[BTC][0]["symbol"]
        book, [traded] = exchange.fetch_order_book(symbol), exchange.fetch_trades(symbol)
        return symbol, exchange.fetch_ticker(symbol)["last"], book["bids"], traded["price"]

    assert await asyncio.to_thread(read) == ("BTC/USDC:USDC", 60_000.0, [[59_999.9, 0.001]], 60_000.0)


async def test_the_order_book_is_best_first_and_cut_at_the_depth(node):
    pen = Pen()
    for at in range(5):
        await submit(node, pen.seal(pen.order(1, BUY, PRICE - 1 - at, 100 * (at + 1), 16 + at)))
        await submit(node, pen.seal(pen.order(2, SELL, PRICE + 1 + at, 100, 16 + at)))
    book = await result(node, "public/get_order_book", instrument_name=BTC, depth=2)
    assert book["bids"] == [[59999.9, 0.001], [59999.8, 0.002]]
    assert book["asks"] == [[60000.1, 0.001], [60000.2, 0.001]]
    assert (book["best_bid_price"], book["best_ask_amount"], book["mark_price"]) == (59999.9, 0.001, 60000.0)
    assert book["change_id"] == 10


async def test_the_ticker_of_an_empty_book_has_nulls_and_no_made_up_prices(node):
    ticker = await result(node, "public/ticker", instrument_name=ETH)
    assert (ticker["best_bid_price"], ticker["best_ask_price"], ticker["last_price"]) == (None, None, None)
    assert ticker["stats"]["high"] is None and ticker["index_price"] == 3000.0
    assert "bids" not in ticker


async def test_trades_come_newest_first_and_the_ticker_sums_the_day(node):
    pen = Pen()
    for price in (PRICE, PRICE + 10, PRICE - 10):
        await trade(node, pen, price)
    trades = await result(node, "public/get_last_trades_by_instrument", instrument_name=BTC, count=2)
    assert trades["has_more"] is True
    assert [(t["price"], t["amount"], t["direction"]) for t in trades["trades"]] == [
        (59999.0, 0.01, "buy"), (60001.0, 0.01, "buy"),
    ]  # fmt: skip
    last = node.sequencer.sequence
    assert [t["trade_seq"] for t in trades["trades"]] == [last << 8, last - 2 << 8]
    assert [t["trade_id"] for t in trades["trades"]] == [str(last << 8), str(last - 2 << 8)]
    ticker = await result(node, "public/ticker", instrument_name=BTC)
    assert ticker["last_price"] == 59999.0 and ticker["open_interest"] == 0.03
    assert ticker["stats"] == {
        "high": 60001.0, "low": 59999.0, "price_change": -0.0017, "volume": 0.03, "volume_usd": 1800.0,
        "volume_notional": 1800.0,
    }  # fmt: skip


async def test_a_subaccount_is_shown_in_exact_decimals(node):
    pen = Pen()
    await trade(node, pen)
    await submit(node, pen.seal(pen.order(2, BUY, PRICE - 5, 700, 31)))
    account = await result(node, "penstock/get_subaccount", subaccount=2)
    assert account["owner"] == "0x" + owner(2).address.hex()
    assert account["cash"] == "999999.820000", "a million less 0.03 % of 600 USD"
    assert account["positions"] == [
        {
            "instrument_name": BTC, "size": "0.01000", "entry": "600.000000", "unrealised": "0.000000",
            "unsettled_funding": "0.000000",
        }
    ]  # fmt: skip
    [order] = account["orders"]
    assert (order["slot"], order["side"], order["price"], order["amount"]) == (31, "buy", "59999.5", "0.00700")
    assert (await error(node, "penstock/get_subaccount", subaccount=99))["code"] == 13020
    assert (await error(node, "penstock/get_subaccount", subaccount=1 << 24))["code"] == -32602


@pytest.mark.parametrize("method", ["penstock/get_subaccount", "penstock/get_nonces", "penstock/get_roots"])
async def test_a_read_of_the_engine_waits_until_what_it_shows_is_durable(node, method, monkeypatch):
    """The engine runs ahead of the disk: a read must not show what a power cut could still undo."""
    held, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: held.wait(5) and sync(descriptor))
    pen = Pen()
    ordered = asyncio.create_task(submit(node, pen.seal(pen.order(1, BUY, PRICE - 5, 100, 31))))
    await asyncio.sleep(0.02)
    assert node.engine.account(1).orders, "executed, and not durable yet"
    reading = asyncio.create_task(result(node, method, **PARAMETERS.get(method, {})))
    done, _ = await asyncio.wait({reading, ordered}, timeout=0.2)
    held.set()
    assert not done
    assert await reading and (await ordered).sequence == node.sequencer.durable_sequence


async def test_guard_nonces_are_given_per_slot(node):
    pen = Pen()
    order = pen.order(1, BUY, PRICE - 5, 700, 31)
    await submit(node, pen.seal(order))
    assert await result(node, "penstock/get_nonces", subaccount=1, slots="31,32") == {"31": order.nonce, "32": 0}
    for slots in ("", "4096", "1,,2", "-1", "x"):
        assert (await error(node, "penstock/get_nonces", subaccount=1, slots=slots))["data"]["param"] == "slots"


async def test_the_domain_is_what_wallets_sign_under(node):
    domain = await result(node, "penstock/get_domain")
    assert domain["separator"] == "0x" + SEPARATOR.hex() and domain["ruleset"] == "0x" + GENESIS.ruleset().hex()
    assert (domain["name"], domain["version"], domain["chain_id"]) == ("Penstock", "1", 31337)


async def test_what_is_not_an_envelopes_hex_is_refused_with_what_is(node):
    for envelope in ("zz", "0", "0xzz"):
        refused = await error(node, "penstock/submit", envelope=envelope)
        assert (refused["code"], refused["data"]["param"]) == (-32602, "envelope")
        assert refused["data"]["allowed"] == "hex of one envelope of at most 65,536 bytes, 0x or not"


async def test_what_a_fill_in_a_market_without_a_price_would_leave_is_not_counted_at_a_mark_of_0(tmp_path):
    async with running(tmp_path, funded=False) as node:
        await credit(node, 1)
        for given in ({}, {"price": PRICE}):
            refused = await error(node, "penstock/what_if", subaccount=1, instrument_name=BTC, size=1_000, **given)
            assert (refused["code"], refused["data"]["param"]) == (-32602, "price")
            assert refused["data"]["reason"].startswith("PRICE_STALE: the market has no price yet")
        as_it_is = await result(node, "penstock/what_if", subaccount=1, instrument_name=BTC)
        assert (as_it_is["initial_margin"], as_it_is["state"]) == ("0.000000", "stale")


async def test_roots_are_the_engines_at_the_sequence_they_name(node):
    roots = await result(node, "penstock/get_roots")
    assert roots == {
        "sequence": node.sequencer.sequence,
        "engine_root": "0x" + node.engine.engine_root().hex(),
        "settlement_root": "0x" + "05" * 32,
        "ledger_entries": 4,
    }


async def test_batches_and_proofs_come_from_their_provider_in_hex(node):
    [batch] = await result(node, "penstock/get_batches", count=5)
    assert (batch["number"], batch["settlement_root"], batch["status"]) == (1, "0x" + "01" * 32, "posted")
    proof = await result(node, "penstock/get_proof", subaccount=1)
    assert (proof["number"], proof["leaf"], proof["forced_head"]) == (1, "0x" + b"leaf".hex(), "0x" + "0a" * 32)
    assert tuple(proof) == Claim.__struct_fields__, "in the order of the contract's arguments"
    assert (await error(node, "penstock/get_proof", subaccount=2))["code"] == 13020


async def test_a_batch_is_told_to_who_subscribed(node):
    async with connected(node) as client:
        await client.call("public/subscribe", channels=["penstock.batches"])
        node.batches.told(node.batches.batch)
        assert (await client.next_push("penstock.batches"))["number"] == 1
    assert (await result(node, "penstock/get_statistics"))["batches"] == 1


async def test_statistics_count_what_happened(node):
    pen = Pen()
    await trade(node, pen)
    await submit(node, pen.seal(pen.cancel(1, 40)))
    counted = await result(node, "penstock/get_statistics")
    assert (counted["orders"], counted["cancels"], counted["trades"], counted["volume"]) == (2, 1, 1, 600.0)
    assert counted["refused"] == {"ORDER_UNKNOWN": 1}


async def test_a_driven_clock_is_moved_forward_and_never_back(node):
    later = START + 90 * MICRO
    assert await result(node, "dev/set_clock", time=later) == later
    refused = await error(node, "dev/set_clock", time=later - 1)
    assert (refused["code"], refused["data"]["param"]) == (-32602, "time")


async def test_a_clock_that_is_not_driven_cannot_be_set(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 1)) as node:
        assert (await error(node, "dev/set_clock", time=START * 2))["code"] == -32601


async def test_a_node_without_batches_lists_none(tmp_path):
    async with running(tmp_path) as node:
        assert await result(node, "penstock/get_batches") == []
        assert (await result(node, "penstock/get_roots"))["settlement_root"] is None
        assert (await error(node, "penstock/get_proof", subaccount=1))["code"] == 13020
