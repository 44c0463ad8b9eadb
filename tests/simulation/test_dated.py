"""Futures and options played at a real node over real sockets, beside a guest, strangers and somebody who lists."""

import asyncio
import sys
from collections import Counter

import pytest
from dated_venue import EXPIRY, INDICES, open_venue, owner_session, playing, price, take, until

from penstock.participants.client import GatewayClient
from penstock.protocol.commands import ListMarket
from penstock.protocol.instruments import CALL
from penstock.protocol.signing import seal
from penstock.simulation.accounts import dated_traders, everybody, guest
from penstock.simulation.dated.run import run_dated
from venue.harness import SEPARATOR

OPTION, FUTURE = "BTC_USDC-15NOV23-60000-C", "BTC_USDC-15NOV23"
OURS = {trader.subaccount for trader in dated_traders()}


async def quoted(client, name):
    ticker = await client.call("public/ticker", {"instrument_name": name})
    return ticker["best_ask_price"] is not None


async def positions(client, subaccount):
    account = await client.call("penstock/get_subaccount", {"subaccount": subaccount})
    return {one["instrument_name"]: float(one["size"]) for one in account["positions"]}


async def test_the_guests_option_is_closed_and_its_money_withdrawn_with_everybody(tmp_path):
    async with open_venue(tmp_path) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        async with playing(node) as (_, end):
            await until(lambda: quoted_if_listed(client, OPTION))
            assert await take(client, owner_session(client, guest()), OPTION) > 0
            assert OPTION in await positions(client, guest().subaccount)
            found = await end()
        assert (found["closed"]["flat"], found["closed"]["left"], found["closed"]["strangers"]) == (True, 0, {})
        assert await positions(client, guest().subaccount) == {}
        account = await client.call("penstock/get_subaccount", {"subaccount": guest().subaccount})
        assert (float(account["cash"]), account["orders"]) == (0, [])


async def test_what_a_stranger_holds_the_other_side_of_is_told_and_no_failure(tmp_path):
    stranger = everybody()[0]
    async with open_venue(tmp_path) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        async with playing(node) as (_, end):
            await until(lambda: quoted_if_listed(client, OPTION))
            bought = await take(client, owner_session(client, stranger), OPTION)
            found = await end()
        closed = found["closed"]
        assert closed["flat"] and closed["left"] == 0
        assert closed["strangers"] == {OPTION: pytest.approx(-bought)}
        assert await positions(client, stranger.subaccount) == {OPTION: pytest.approx(bought)}


async def quoted_if_listed(client, name):
    listed = await client.call("public/get_instruments", {"currency": "any"})
    return name in {one["instrument_name"] for one in listed} and await quoted(client, name)


async def test_a_contract_that_somebody_lists_later_is_priced_and_quoted(tmp_path):
    async with open_venue(tmp_path) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        async with playing(node) as (figures, end):
            await until(lambda: figures.get("prices"))
            assert figures["listed"] == {"futures": 6, "options": 40}
            answer = await client.submit(seal(SEPARATOR, ListMarket(1, EXPIRY, 650_000, CALL), []))
            assert answer.reasons == []
            await until(lambda: quoted(client, "BTC_USDC-15NOV23-65000-C"))
            found = await end()
        assert found["listed"] == {"futures": 6, "options": 41}
        assert found["refused"].keys() <= {"POST_ONLY_WOULD_TRADE"}


async def test_a_position_is_held_over_the_expiry_and_the_mark_has_walked_to_what_it_pays(tmp_path):
    async with open_venue(tmp_path, before=10) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        marks = []
        async with playing(node) as (figures, end):
            await until(lambda: quoted_if_listed(client, OPTION))
            assert await take(client, owner_session(client, guest()), OPTION) > 0
            await until(lambda: node.clock.now() > (EXPIRY - 4) * 1_000_000)
            for step in range(1, 3):  # 0.9 % a publication, so late that the mean hardly follows
                await price(node, {market: index + step * 9 * index // 1_000 for market, index in INDICES.items()})
                await asyncio.sleep(0.4)
            while node.clock.now() < EXPIRY * 1_000_000:
                ticker = await client.call("public/ticker", {"instrument_name": FUTURE})
                marks.append((ticker["mark_price"], ticker["index_price"]))
                await asyncio.sleep(0.1)

            async def paid_out():
                return OPTION not in await positions(client, guest().subaccount)

            await until(paid_out)
            await asyncio.sleep(0.6)  # figures are half a second old at most
            before = dict(figures)
            await until(lambda: figures["prices"] >= before["prices"] + 48)
            late = [one["refused"].get("MARKET_EXPIRED", 0) for one in (before, figures)]
            assert late[0] == late[1], "what has ended is priced, quoted and taken no more"
            found = await end()
        ended = {one["instrument"]: one for one in found["expired"]}
        pays = ended[FUTURE]["pays"]
        last_mark, last_index = marks[-1]
        assert last_index - pays > 300, "the index is far above its mean"
        assert abs(last_mark - pays) < 60, "the mark is a second's share off it at most"
        assert ended[OPTION]["pays"] == pytest.approx(pays - 60_000, abs=0.01)
        assert len(ended) == 22 and found["closed"]["flat"] and found["taker_fills"]
        assert not {"PRICE_STEP_TOO_LARGE", "MARK_OUT_OF_BAND"} & found["refused"].keys()


async def test_a_second_run_goes_on_where_the_first_kept_everything_and_is_refused_where_it_withdrew(tmp_path):
    async with open_venue(tmp_path) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        for _ in range(2):
            async with playing(node, close=False) as (figures, end):
                await until(lambda figures=figures: figures.get("taker_fills", {}).get("options"))
                found = await end()
            assert "closed" not in found and "MARKET_LISTED" not in found["refused"]
            assert not {"PRICE_STEP_TOO_LARGE", "NONCE_USED"} & found["refused"].keys()
            accounts = [await client.call("penstock/get_subaccount", {"subaccount": one}) for one in sorted(OURS)]
            assert all(float(account["cash"]) > 0 for account in accounts)
            assert sum(len(account["orders"]) for account in accounts) > 40
        async with playing(node) as (figures, end):
            await until(lambda: figures.get("taker_fills"))
            assert (await end())["closed"]["flat"]
        with pytest.raises(ValueError, match=r"^subaccounts 30, 31, 32, 33 have no money: .*--keep"):
            await run_dated(node.url, asyncio.Event(), lambda _: None)


async def test_without_prices_it_says_what_it_waits_for_and_ends_with_one_line(tmp_path):
    async with open_venue(tmp_path) as node:
        command = [sys.executable, "-m", "penstock", "dated", "run", "--url", node.url, "--seconds", "4"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, why = (text.decode().splitlines() for text in await process.communicate())
        assert (process.returncode, said) == (1, [])
        assert why == [
            "dated: preparing",
            "waiting for prices of BTC, ETH",
            "dated: stopped before there were prices of BTC, ETH; penstock replay run --keep brings some",
        ]
        waited = Counter()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(1.5, stop.set)
        await price(node, {0: INDICES[0]})
        with pytest.raises(ValueError, match="prices of ETH;"):
            await run_dated(node.url, stop, lambda _: None, lambda line: waited.update([line]))
        assert waited == {"waiting for prices of ETH": 1}


async def test_a_run_that_keeps_everything_tells_what_expired_and_has_its_builder_paid(tmp_path):
    async with open_venue(tmp_path, before=6) as node, await GatewayClient.connect(node.url) as client:
        await price(node)
        async with playing(node, close=False) as (figures, end):
            await until(lambda: quoted_if_listed(client, OPTION))
            await take(client, owner_session(client, guest()), OPTION)
            await until(lambda: figures.get("taker_fills"))
            await until(lambda: ended(client, OPTION))
            found = await end()
        assert OPTION in {one["instrument"] for one in found["expired"]}
        assert found["builder_paid"] > 0 and "closed" not in found


async def ended(client, name):
    return (await client.call("public/ticker", {"instrument_name": name}))["state"] == "expired"
