"""Dated futures and options over real sockets: listed, quoted, halted, asked about, ended and paid out."""

import asyncio

import aiohttp
import pytest
from msgspec.structs import replace

from penstock.pricing.greeks import greeks
from penstock.protocol.commands import (
    BUY,
    HALTED,
    OPEN,
    REDUCE_ONLY,
    SELL,
    ListMarket,
    PublishPrice,
    SetMarketStatus,
)
from penstock.protocol.instruments import CALL, NO_OPTION, PUT
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import default_templates
from penstock.venue.clock import DevClock
from penstock.venue.keepers import KeeperPace, Keepers
from venue.harness import BTC, ETH, GENESIS, ORACLES, SEPARATOR, START, Pen, connected, running, submit

GUARDIAN = Signer(b"\x6a" * 32)
DATED = replace(GENESIS, templates=default_templates(), guardian=GUARDIAN.address)
DAY = 86_400
EXPIRY = (START // MICRO // DAY + 1) * DAY + 8 * 3_600
"""08:00 on 15 November 2023, ten hours ahead."""
BEGIN = (EXPIRY - 3_600) * MICRO
"""An hour before it."""
INDEX, STRIKE, MARK = 600_000, 600_000, 3_000
FUTURE, CALL_OPTION, PUT_OPTION = "BTC_USDC-15NOV23", "BTC_USDC-15NOV23-60000-C", "BTC_USDC-15NOV23-60000-P"


@pytest.fixture
async def node(tmp_path):
    clock = DevClock(BEGIN, 0)
    async with running(tmp_path, genesis=DATED, clock=clock) as one:
        for template, strike, option_type in ((0, 0, NO_OPTION), (1, STRIKE, CALL), (1, STRIKE, PUT)):
            answer = await one.sequencer.submit_local(ListMarket(template, EXPIRY, strike, option_type))
            assert answer.outcomes[0].reason is None
        yield one


async def call(node, method, **params):
    async with connected(node) as client:
        return await client.call(method, **params)


async def ticker(node, name):
    return (await call(node, "public/ticker", instrument_name=name))["result"]


def number_of(node, name):
    return next(number for number, market in node.market_data.markets.items() if market.terms.name == name)


async def publish(node, name, mark):
    node.clock.advance_to(node.clock.now() + MICRO)
    record = PublishPrice(number_of(node, name), node.clock.now(), INDEX, mark)
    answer = await submit(node, seal(SEPARATOR, record, ORACLES))
    assert answer.outcomes[0].reason is None


async def set_status(node, name, status):
    node.clock.advance_to(node.clock.now() + MICRO)
    record = SetMarketStatus(number_of(node, name), node.clock.now(), status)
    answer = await submit(node, seal(SEPARATOR, record, [GUARDIAN]))
    assert answer.outcomes[0].reason is None


async def trade(node, name, price, size=100_000):
    """Account 2 buys of account 1."""
    pen = Pen(node.clock.now())
    market = number_of(node, name)
    for record in (pen.order(1, SELL, price, size, 30), pen.order(2, BUY, price, size, 30)):
        answer = await submit(node, pen.seal(replace(record, market=market)))
        assert answer.outcomes[0].reason is None
    assert answer.outcomes[0].filled == size


async def round_of(node, keeper):
    """One round of a keeper, to its end."""
    keepers = Keepers(node.sequencer, node.engine, node.market_data, node.clock, KeeperPace())
    getattr(keepers, keeper)()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await node.sequencer.durable()
    await asyncio.sleep(0)
    assert not keepers.refused
    return dict(keepers.sent)


async def by_get(node, method, **params):
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}api/v2/{method}", params=params) as answer:
        return await answer.json()


async def test_a_get_takes_every_parameter_that_a_post_takes(node):
    await publish(node, FUTURE, INDEX)
    asked = {"subaccount": 1, "instrument_name": FUTURE, "size": -10_000, "price": 590_000}
    by_post = (await call(node, "penstock/what_if", **asked))["result"]
    assert (await by_get(node, "penstock/what_if", **asked))["result"] == by_post
    assert (await by_get(node, "public/get_instruments", expired="true"))["result"] == []
    assert len((await by_get(node, "public/get_instruments", expired="false", kind="option"))["result"]) == 2
    for params, allowed in (
        ({"expired": "1"}, "true or false"),
        ({"kind": "foo"}, "future, option or any"),
    ):
        assert (await by_get(node, "public/get_instruments", **params))["error"]["data"]["allowed"] == allowed
    refused = await by_get(node, "penstock/what_if", **(asked | {"price": "3e5"}))
    assert refused["error"]["data"] == {
        "reason": "Expected int | null, got str", "param": "price", "allowed": "price units, 0 to 2^40 - 1"
    }  # fmt: skip


async def test_a_contract_without_a_price_is_stale_and_has_none(node):
    shown = await ticker(node, FUTURE)
    assert (shown["state"], shown["mark_price"], shown["index_price"]) == ("stale", None, None)
    found = (await call(node, "penstock/what_if", subaccount=1, instrument_name=FUTURE))["result"]
    assert found["state"] == "stale"


async def test_what_was_listed_is_told_in_deribits_words(node):
    found = (await call(node, "public/get_instruments", currency="BTC"))["result"]
    assert [one["instrument_name"] for one in found] == [BTC, FUTURE, CALL_OPTION, PUT_OPTION]
    options = (await call(node, "public/get_instruments", kind="option"))["result"]
    assert [(one["strike"], one["option_type"]) for one in options] == [(60_000.0, "call"), (60_000.0, "put")]
    assert {one["expiration_timestamp"] for one in options} == {EXPIRY * 1_000}
    assert {one["settlement_period"] for one in options} == {"day"}


async def test_an_options_ticker_tells_the_volatility_its_mark_implies(node):
    await publish(node, CALL_OPTION, MARK)
    shown = await ticker(node, CALL_OPTION)
    years = (EXPIRY * MICRO - node.clock.now()) / (365 * DAY * MICRO)
    sigma = shown["mark_iv"] / 100
    of = greeks(60_000.0, 60_000.0, sigma, years, is_call=True)
    assert shown["greeks"]["delta"] == pytest.approx(float(of.delta), abs=1e-4)
    assert shown["greeks"]["vega"] == pytest.approx(float(of.vega) / 100, rel=1e-3)
    assert shown["greeks"]["theta"] == pytest.approx(float(of.theta) / 365, rel=1e-3)
    assert shown["greeks"]["gamma"] == pytest.approx(float(of.gamma), rel=1e-3)
    assert (shown["underlying_price"], shown["mark_price"], shown["state"]) == (60_000.0, 300.0, "open")
    assert "greeks" not in await ticker(node, PUT_OPTION), "no price yet, no volatility"
    assert (await ticker(node, PUT_OPTION))["mark_iv"] is None


async def test_a_mark_that_no_volatility_explains_has_none(node):
    answer = await node.sequencer.submit_local(ListMarket(1, EXPIRY, STRIKE - 10_000, CALL))
    assert answer.outcomes[0].reason is None
    below_intrinsic = "BTC_USDC-15NOV23-59000-C"
    await publish(node, below_intrinsic, 9_999)
    shown = await ticker(node, below_intrinsic)
    assert shown["mark_iv"] is None and "greeks" not in shown


@pytest.mark.parametrize(
    ("strike", "option_type", "mark", "told"),
    [
        (500_000, CALL, 100_000, False),  # all intrinsic: any low volatility gives it
        (500_000, CALL, 100_002, False),  # two units of time value: several points of volatility give as many
        (700_000, CALL, 1, False),  # one unit is also said of what is worth nothing
        (700_000, CALL, 2, False),
        (610_000, CALL, 1_000, True),
        (590_000, PUT, 1_000, True),
    ],
)
async def test_a_volatility_is_told_only_where_the_rounded_mark_leaves_it_known(node, strike, option_type, mark, told):
    answer = await node.sequencer.submit_local(ListMarket(1, EXPIRY, strike, option_type))
    assert answer.outcomes[0].reason is None
    name = f"BTC_USDC-15NOV23-{strike // 10}-{'C' if option_type == CALL else 'P'}"
    await publish(node, name, mark)
    shown = await ticker(node, name)
    assert (shown["mark_iv"] is not None, "greeks" in shown) == (told, told)


async def test_no_volatility_is_told_of_a_mark_that_follows_the_mean_of_the_last_half_hour(node):
    node.clock.advance_to((EXPIRY - 1_802) * MICRO)
    await publish(node, CALL_OPTION, MARK)
    assert (await ticker(node, CALL_OPTION))["mark_iv"] is not None
    await publish(node, CALL_OPTION, MARK)
    shown = await ticker(node, CALL_OPTION)
    assert shown["mark_iv"] is None and "greeks" not in shown


async def test_a_sold_option_needs_the_standard_margin_and_what_if_says_so_before(node):
    await publish(node, CALL_OPTION, MARK)
    asked = {"subaccount": 1, "instrument_name": CALL_OPTION, "size": -100_000}
    before = (await call(node, "penstock/what_if", **asked))["result"]
    # Deribit's 15 % and 7.5 % of the index for one coin at the money; equity has counted the mark.
    assert (before["initial_margin"], before["maintenance_margin"]) == ("9000.000000", "4500.000000")
    assert before["margin_allows"] and before["liquidation_price"] is None
    await trade(node, CALL_OPTION, MARK)
    account = (await call(node, "penstock/get_subaccount", subaccount=1))["result"]
    assert account["initial_margin"] == before["initial_margin"]
    assert account["maintenance_margin"] == before["maintenance_margin"]


async def test_what_if_says_at_which_mark_a_future_would_be_liquidated(node):
    await publish(node, FUTURE, INDEX)
    asked = {"subaccount": 1, "instrument_name": FUTURE, "size": 10_000_000}
    found = (await call(node, "penstock/what_if", **asked))["result"]
    assert 40_000 < float(found["liquidation_price"]) < 60_000
    too_large = (await call(node, "penstock/what_if", **(asked | {"size": 1_000_000_000})))["result"]
    assert not too_large["margin_allows"]
    for wrong in ({"size": 1 << 55}, {"size": 1, "price": 1 << 40}, {"subaccount": -1}, {"size": 0.5}):
        assert (await call(node, "penstock/what_if", **(asked | wrong)))["error"]["code"] == -32602
    assert (await call(node, "penstock/what_if", **(asked | {"subaccount": 77})))["error"]["message"] == "not_found"


async def test_the_state_of_a_market_is_told(node):
    await publish(node, FUTURE, INDEX)
    assert (await ticker(node, FUTURE))["state"] == "open"
    await set_status(node, FUTURE, REDUCE_ONLY)
    assert (await ticker(node, FUTURE))["state"] == "closed"
    await set_status(node, FUTURE, HALTED)
    assert (await ticker(node, FUTURE))["state"] == "halted"
    await set_status(node, FUTURE, OPEN)
    assert (await ticker(node, FUTURE))["state"] == "halted", "five minutes of cancels"
    node.clock.advance_to(node.clock.now() + 301 * MICRO)
    sent = await round_of(node, "end_contracts")
    # The perpetuals and the future have had no price for five minutes.
    assert sent == {"ReopenMarket": 1, "MarkStale": 2}
    assert (await ticker(node, BTC))["state"] == (await ticker(node, ETH))["state"] == "stale"
    assert await round_of(node, "end_contracts") == {"MarkStale": 1}
    assert (await ticker(node, FUTURE))["state"] == "stale"


async def test_keepers_end_a_market_at_its_time_and_pay_every_position_out(node):
    await publish(node, CALL_OPTION, MARK)
    await trade(node, CALL_OPTION, MARK)
    before = [node.engine.account(who).cash for who in (1, 2)]
    step = 10 * MICRO
    end = EXPIRY * MICRO
    node.clock.advance_to(end - 1_800 * MICRO)
    while node.clock.now() < end - step:
        node.clock.advance_to(node.clock.now() + step)
        record = PublishPrice(0, node.clock.now(), INDEX, INDEX)
        assert (await submit(node, seal(SEPARATOR, record, ORACLES))).outcomes[0].reason is None
        record = PublishPrice(number_of(node, CALL_OPTION), node.clock.now(), INDEX, MARK)
        assert (await submit(node, seal(SEPARATOR, record, ORACLES))).outcomes[0].reason is None
    node.clock.advance_to(end)
    await submit(node, seal(SEPARATOR, PublishPrice(0, end, INDEX, INDEX), ORACLES))
    assert (await ticker(node, CALL_OPTION))["state"] == "settlement"
    ending = (await call(node, "public/get_instrument", instrument_name=CALL_OPTION))["result"]
    assert not ending["is_active"]
    pen = Pen(node.clock.now())
    late = replace(pen.order(1, BUY, MARK, 1_000, 31), market=number_of(node, CALL_OPTION))
    assert (await submit(node, pen.seal(late))).outcomes[0].reason == "MARKET_EXPIRED"
    sent = await round_of(node, "end_contracts")
    # Positions are paid out once their market is over, a round later.
    assert sent["ExpireMarket"] == 3
    sent = await round_of(node, "end_contracts")
    assert sent == {"ExpirePosition": 2}
    shown = await ticker(node, CALL_OPTION)
    assert (shown["state"], shown["delivery_price"], shown["mark_price"]) == ("expired", 60_000.0, 0.0)
    assert [node.engine.account(who).positions for who in (1, 2)] == [[], []]
    # At the money: settled at 0, so that the buyer has lost the premium of 300 USD and the seller has it.
    paid = [node.engine.account(who).cash - cash for who, cash in zip((1, 2), before, strict=True)]
    assert paid == [300 * MICRO, -300 * MICRO]
    told = (await call(node, "public/get_last_settlements_by_instrument", instrument_name=CALL_OPTION))["result"]
    assert not told["has_more"]
    shown = [(one["subaccount"], one["position"], one["profit_loss"], one["type"]) for one in told["settlements"]]
    assert sorted(shown) == [(1, -1.0, "300.000000", "delivery"), (2, 1.0, "-300.000000", "delivery")]
    assert {(one["index_price"], one["mark_price"]) for one in told["settlements"]} == {(60_000.0, 0.0)}
    live = (await call(node, "public/get_instruments", currency="BTC"))["result"]
    assert [one["instrument_name"] for one in live] == [BTC]
    ended = (await call(node, "public/get_instruments", currency="BTC", expired=True))["result"]
    assert {one["instrument_name"] for one in ended} == {FUTURE, CALL_OPTION, PUT_OPTION}
    assert {one["is_active"] for one in ended} == {False}
