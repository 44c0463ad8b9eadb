"""Orders, withdrawals, books and trades by hand, against a node."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.protocol.commands import SCOPE_CANCEL, SCOPE_TRADE
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import default_templates
from venue.harness import BTC, ETH, GENESIS, START, Pen, running, submit

KEYS = {number: bytes([0x10 + number]) * 32 for number in (1, 2)}


@asynccontextmanager
async def command_line(tmp_path, **changes):
    """Runs commands at a node; each with the exit code it wants, without a traceback, as (stdout, stderr)."""
    for number, secret in KEYS.items():
        (tmp_path / f"{number}.key").write_text("0x" + secret.hex() + "\n")

    async with running(tmp_path / "home", **changes) as node:

        async def run(*words, exit_code=0, signer=None):
            words = [str(word) for word in words]
            if signer:
                words += ["--subaccount", str(signer), "--key", str(tmp_path / f"{signer}.key")]
            shown = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--url", node.url])
            assert shown.exit_code == exit_code, shown.output
            assert "Traceback" not in shown.output
            return shown.stdout, shown.stderr.replace("\n", " ")

        run.node = node
        yield run


async def test_an_order_says_shortly_what_became_of_it_and_the_whole_as_json(tmp_path):
    async with command_line(tmp_path) as run:
        said, _ = await run("order", "place", BTC, "sell", "0.5", "60000", signer=1)
        assert said == "sequence 6: slot 4000: filled 0 of 0.5\n"
        said, _ = await run("order", "place", BTC, "buy", "0.2", "60010", "--ioc", signer=2)
        assert said == "sequence 7: slot 4000: filled 0.2 of 0.2 at 60000 on average\n"
        said, _ = await run("order", "place", BTC, "buy", "0.1", "60000", "--json", signer=2)
        assert json.loads(said)["outcomes"] == [{"reason": None, "filled": 10_000, "average_price": 600_000.0}]
        assert (await run("order", "cancel", signer=1))[0] == "sequence 9: cancelled the order in slot 4000\n"
        assert (await run("order", "cancel-all", signer=1))[0] == "sequence 10: cancelled every order\n"
        assert (await run("order", "withdraw", "12.5", signer=1))[0] == "sequence 11: withdrew 12.5 USDC\n"
        for verb in (["cancel-all"], ["withdraw", "1"]):
            assert json.loads((await run("order", *verb, "--json", signer=1))[0])["outcomes"][0]["reason"] is None


async def test_a_refusal_is_named_and_in_a_sentence(tmp_path):
    async with command_line(tmp_path) as run:
        said, why = await run("order", "cancel", signer=1, exit_code=1)
        assert (said, why) == ("", "refused: ORDER_UNKNOWN: No live order in the slot. ")
        said, why = await run("order", "cancel", "--json", signer=1, exit_code=1)
        assert json.loads(said)["outcomes"][0]["reason"] == "ORDER_UNKNOWN"


async def test_a_refusal_names_what_the_market_and_the_account_allow(tmp_path):
    async with command_line(tmp_path) as run:
        place = ["order", "place", BTC, "buy"]
        for amount, price, said in (
            ("-0.1", "60000", "amount '-0.1': a positive multiple of 0.001"),
            ("0.1", "60000.01", "price '60000.01': a positive multiple of 0.1"),
            ("0.1", "1000000000000", "at most 109951162777.5 USD"),
            ("9999999999", "60000", "at most 2814749767.10655 BTC"),
        ):
            _, why = await run(*place, amount, price, exit_code=2)
            assert said in " ".join(why.replace("│", " ").split())
        _, why = await run(*place, "0.0001", "60000", signer=1, exit_code=1)
        assert why == "refused: SIZE_OFF_LOT: The size is not a multiple of the lot. (tick 0.1 USD, lot 0.001 BTC) "
        _, why = await run(*place, "900", "60000", signer=1, exit_code=1)
        assert why.startswith("refused: MARGIN_TOO_LOW: ") and "`penstock account what-if`" in why
        _, why = await run("order", "withdraw", "1000000.5", signer=1, exit_code=1)
        assert why.endswith(" By this account 1000000.000000 USDC is withdrawable. ")
        for words in (["order", "place", "DOGE", "buy", "1", "1"], ["market", "book", "DOGE"]):
            assert (await run(*words, exit_code=1))[1] == "no instrument 'DOGE'; see `penstock market list` "
        assert (await run("account", "show", "77", exit_code=1))[1] == "no such subaccount: 77 "


async def test_a_withdrawal_beside_a_position_without_a_fresh_price_says_what_to_do(tmp_path):
    async with command_line(tmp_path) as run:
        pen = Pen()
        for order in (pen.order(1, 1, 600_000, 100_000), pen.order(2, 0, 600_000, 30_000)):
            await submit(run.node, pen.seal(order))
        run.node.clock.not_before(START + 3_600 * MICRO)
        _, why = await run("order", "withdraw", "1", signer=1, exit_code=1)
        assert why == (
            "refused: PRICE_STALE: A position is in a market without a fresh price: "
            "withdraw after its next price, or close it. "
        )


async def test_an_account_is_shown_in_dates_words_and_units(tmp_path):
    async with command_line(tmp_path) as run:
        pen = Pen()
        all_of_it = {"underlyings": (1 << 64) - 1, "kinds": 255}
        grant = replace(pen.grant(1, 1_700_003_600), scopes=SCOPE_TRADE | SCOPE_CANCEL, **all_of_it)
        await submit(run.node, pen.seal(grant))
        for order in (pen.order(1, 1, 600_000, 100_000), pen.order(2, 0, 600_000, 30_000)):
            await submit(run.node, pen.seal(order))
        said, _ = await run("account", "show", 1)
        [position] = [line for line in said.splitlines() if "-0.30000" in line]
        assert [cell.strip() for cell in position.split("│")[2:5]] == ["-0.30000", "60000.0", "60000.0"]
        [session] = [line for line in said.splitlines() if "trade+cancel" in line]
        assert "2023-11-14 23:13:20" in session and session.count(" all ") == 2 and session.rstrip(" │").endswith("–")
        assert f"{'initial_margin':<28} " in said and said.count(" USDC\n") == 6, (
            "the five, and the title of the positions"
        )
        assert json.loads((await run("account", "show", 1, "--json"))[0])["positions"][0]["entry"] == "-18000.000000"
        await submit(run.node, pen.seal(replace(pen.grant(2, 1_700_003_600), kinds=5)))
        [session] = [line for line in (await run("account", "show", 2))[0].splitlines() if "trade+cancel+" in line]
        assert [cell.strip() for cell in session.split("│")[5:8]] == [
            "trade+cancel+withdraw",
            "0x3",
            "perpetual+option",
        ]
        assert "2023-11-14 22:13:2" in (await run("market", "trades", BTC))[0]
        shown = (await run("market", "show", ETH))[0]
        assert f"{'last_price':<28} –" in shown and "2023-11-14 22:13:2" in shown and "None" not in shown
        assert (await run("market", "settlements", BTC))[0] == f"{BTC} has not ended\n"


async def test_a_contract_that_a_template_foresees_is_listed_by_its_name(tmp_path):
    dated = replace(GENESIS, templates=default_templates())
    async with command_line(tmp_path, genesis=dated) as run:
        for name in ("BTC_USDC-16NOV23", "BTC_USDC-16NOV23-61000-C"):
            said, _ = await run("market", "list-contract", name)
            assert said.endswith(f": listed {name}; it trades once the oracles have priced it\n")
            assert json.loads((await run("market", "show", name, "--json"))[0])["state"] == "stale"
        _, why = await run("market", "list-contract", "BTC_USDC-16NOV23", exit_code=1)
        assert why.startswith("refused: MARKET_LISTED: ")
        _, why = await run("market", "list-contract", "BTC_USDC-16NOV23-61001-C", exit_code=1)
        assert why.startswith("refused: STRIKE_NOT_LISTABLE: ")
        for name, what in (("BTC", "COIN_USDC-DAY"), ("DOGE_USDC-16NOV23", "templates for BTC, ETH"),
                           ("BTC_USDC-16NOV23-0d01-C", "a multiple of 0.1 USD")):  # fmt: skip
            _, why = await run("market", "list-contract", name, exit_code=2)
            assert what in " ".join(why.replace("│", " ").split())


async def test_books_and_trades_are_shown_whole_where_no_terminal_is(tmp_path):
    async with command_line(tmp_path) as run:
        pen = Pen()
        for order in (pen.order(1, 1, 600_000, 100_000), pen.order(2, 0, 600_000, 30_000)):
            await submit(run.node, pen.seal(order))
        assert "60000.0" in (await run("market", "book", BTC))[0]
        [row] = [line for line in (await run("market", "trades", BTC))[0].splitlines() if "buy" in line]
        assert [cell.strip() for cell in row.split("│")[2:6]][1:] == ["buy", "60000.0", "0.3"]
        assert json.loads((await run("market", "trades", BTC, "--json"))[0])["trades"][0]["amount"] == 0.3
        listed = (await run("market", "list"))[0]
        assert "maker_commission" in listed and "open" in listed and "taker_commission" in listed and "…" not in listed
        _, why = await run("market", "book", BTC, "--depth", "0", exit_code=1)
        assert "depth" in why and "1 to 1000" in why


async def test_what_if_says_what_an_act_would_leave_and_sends_nothing(tmp_path):
    async with command_line(tmp_path) as run:
        before = run.node.sequencer.sequence
        said, _ = await run("account", "what-if", 1, BTC, "--buy", "1.5", "--price", "60000", "--json")
        found = json.loads(said)
        assert found["equity"] == "1000000.000000" and found["margin_allows"]
        assert float(found["initial_margin"]) > float(found["maintenance_margin"]) > 0
        as_text, _ = await run("account", "what-if", 1, BTC, "--sell", "1.5")
        assert f"{'liquidation_price':<28} " in as_text and " USD\n" in as_text and as_text.count(" USDC\n") == 3
        assert json.loads((await run("account", "what-if", 1, BTC, "--json"))[0])["initial_margin"] == "0.000000"
        _, why = await run("account", "what-if", 1, BTC, "--buy", "0.000001", exit_code=2)
        assert "a positive multiple of 0.00001" in why
        _, why = await run("account", "what-if", 1, BTC, "--buy", "1", "--sell", "1", exit_code=2)
        assert "one of them" in why
        _, why = await run("account", "what-if", 77, BTC, exit_code=1)
        assert "no such subaccount" in why
        assert run.node.sequencer.sequence == before
        assert "mark_price" in (await run("market", "show", BTC))[0]
        assert json.loads((await run("market", "settlements", BTC, "--json"))[0])["settlements"] == []
        assert json.loads((await run("market", "list", "--kind", "option", "--json"))[0]) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is a directory"),
        ("00" * 32, "from 1 to the order"),
        ("ff" * 32, "from 1 to the order"),
        ("11" * 31, "31 bytes, a key has 32"),
        ("no hex", "not hex"),
    ],
)
def test_what_is_no_key_is_a_usage_error_with_a_sentence(tmp_path, content, said):
    path = tmp_path / "key"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    shown = CliRunner().invoke(app, ["order", "cancel", "--key", str(path)])
    plain = " ".join(shown.stderr.replace("│", " ").split())
    assert (shown.exit_code, said in plain, "Traceback" in shown.output) == (2, True, False), plain
