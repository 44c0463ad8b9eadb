"""`penstock oracle`: two processes make a quorum at a node; wrong words and missing things are refused by name."""

import asyncio
import json
import os
import re
import socket
import sys
from contextlib import AsyncExitStack, ExitStack

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.cli.orders import read_key
from penstock.pricing import black
from penstock.protocol.commands import ListMarket
from penstock.protocol.instruments import CALL
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer
from penstock.protocol.terms import default_templates
from penstock.simulation.accounts import development_accounts
from penstock.venue.oracle.endpoint import ask_status
from venue.harness import GENESIS, ORACLES, START, running

runner = CliRunner()
SECRETS = [bytes([0x71 + i]) * 32 for i in range(2)]


def free_ports(count):
    """Ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def key_file(folder, secret=SECRETS[0]):
    path = folder / f"{secret[0]:x}.key"
    path.write_text(secret.hex())
    return path


def fixed(count=3):
    """So many sources that agree, as options."""
    return [part for i in range(count) for part in ("--source", f"fixed:s{i}:BTC=60000,ETH=3000")]


async def spawn(*options):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "penstock", "oracle", "run", *map(str, options),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_two_processes_publish_at_a_node_and_show_their_status(tmp_path):
    ports = free_ports(2)
    async with running(tmp_path / "home") as node:
        both = []
        for i, secret in enumerate(SECRETS):
            peer = f"http://127.0.0.1:{ports[1 - i]}"
            rest = ["--venue", node.url, "--port", ports[i], "--every", "0.6", "--json"]
            both.append(await spawn("--key-file", key_file(tmp_path, secret), *fixed(), "--peer", peer, *rest))
        try:
            async with asyncio.timeout(30):
                line = b""
                while b'"published"' not in line:
                    line = await both[0].stdout.readline()
                    assert line, (await both[0].stderr.read()).decode()
            decision = json.loads(line)
            status = await ask_status(f"http://127.0.0.1:{ports[0]}")
        finally:
            for process in both:
                process.terminate()
            ended = [await process.communicate() for process in both]
        assert [process.returncode for process in both] == [0, 0], ended
        assert decision["market"] in ("BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL")
        assert decision["price"]["index"] in (600_000, 300_000)
        assert status["oracle"] in {"0x" + oracle.address.hex() for oracle in ORACLES}
        assert status["markets"]["BTC_USDC-PERPETUAL"]["view"]["index_price"] == "60000.0"
        assert b"listens at" in ended[0][1]


async def test_two_processes_with_a_stated_volatility_price_an_option_that_is_listed_meanwhile(tmp_path):
    genesis = replace(GENESIS, templates=default_templates())
    ports, expiry = free_ports(2), (START // MICRO // 86_400 + 1) * 86_400 + 8 * 3_600
    name = "BTC_USDC-15NOV23-60000-C"
    smiles = tmp_path / "smiles.json"
    smiles.write_text(json.dumps({"BTC": {"expiries": [0.01, 1.0], "at_the_money": [0.55, 0.55]}}))
    stated = (["--volatility", "BTC=0.55", "--curvature", "0.1"], ["--surfaces", smiles])
    async with running(tmp_path / "home", genesis=genesis) as node, AsyncExitStack() as stack:
        both = []
        for i, secret in enumerate(SECRETS):
            rest = ["--venue", node.url, "--port", ports[i], "--every", "0.6", "--contracts-every", "0.6", *stated[i]]
            rest += ["--peer", f"http://127.0.0.1:{ports[1 - i]}", "--list-every", "0.2", "--clocks-apart", "1e9"]
            both.append(await spawn("--key-file", key_file(tmp_path, secret), *fixed(), *rest, "--json"))
            stack.callback(both[-1].kill)
        answer = await node.sequencer.submit_local(ListMarket(1, expiry, 600_000, CALL))
        assert answer.outcomes[0].reason is None
        async with asyncio.timeout(30):
            decision = {}
            while (decision.get("market"), decision.get("outcome")) != (name, "published"):
                decision = json.loads(await both[0].stdout.readline())
        status = await ask_status(f"http://127.0.0.1:{ports[1]}")
        for process in both:
            process.terminate()
        ended = [await process.communicate() for process in both]
        stack.pop_all()
        assert [process.returncode for process in both] == [0, 0], ended
    worth = float(black.price(60_000, 60_000, 0.55, (expiry * MICRO - START) / (365 * 86_400 * MICRO)))
    assert decision["price"]["index"] == 600_000 and decision["price"]["mark"] == pytest.approx(worth * 10, rel=0.01)
    assert status["markets"][name]["view"]["index_price"] == "60000.0"


async def test_a_key_that_is_no_oracle_is_refused_with_the_venues_oracles(tmp_path):
    async with running(tmp_path / "home") as node:
        process = await spawn(
            "--key-file", key_file(tmp_path, b"\x05" * 32), *fixed(), "--venue", node.url, "--port", 0
        )
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"none of the venue's oracles" in said and b"Traceback" not in said


@pytest.mark.parametrize(
    "options",
    [
        ["--source", "fixed"],
        ["--source", "fixed:a:BTC"],
        ["--source", "fixed:a:BTC=free"],
        ["--source", "fixed:a:BTC=-1"],
        ["--source", "fixed:a:BTC=nan"],
        ["--source", "ccxt:bitstamp:"],
        ["--source", "rumour:a"],
        [*fixed(), "--peer", "localhost:8431"],
        [*fixed(), "--every", "0"],
        [*fixed(), "--least", "1"],
        [*fixed(), "--volatility", "BTC"],
        [*fixed(), "--volatility", "BTC=0"],
        [*fixed(), "--volatility", "BTC=high"],
        [*fixed(), "--volatility", "BTC=nan"],
        [*fixed(), "--volatility", "BTC=0.5,BTC=0.6"],
        [*fixed(), "--volatility", "BTC=55"],
        [*fixed(), "--volatility", "BTC=0.009"],
        [*fixed(), "--volatility", "BTC=0.5", "--curvature", "9"],
        [*fixed(), "--skew", "-0.1"],
        [*fixed(), "--surfaces", "no/such/file"],
        [*fixed(), "--contracts-every", "31"],
        [*fixed(), "--list-every", "0"],
        [*fixed(), "--option-tolerance", "0.2"],
        [*fixed(), "--clocks-apart", "0"],
        [],
    ],
)
def test_wrong_words_are_usage_errors(tmp_path, options):
    shown = runner.invoke(app, ["oracle", "run", "--key-file", str(key_file(tmp_path)), *options])
    assert shown.exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([*fixed(2)], "2 sources given, --least wants 3"),
        (["--source", "recording:no/such/folder"], "neither .xz nor .gz"),
        (["--source", "ccxt:nowhere:BTC=BTC/USD"], "no exchange 'nowhere'"),
        ([*fixed(), "--venue", "http://127.0.0.1:1"], "oracle: no venue answers at http://127.0.0.1:1 (--venue)\n"),
        ([*fixed(), "--home", "."], "not a node's home"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(tmp_path, options, said):
    shown = runner.invoke(app, ["oracle", "run", "--key-file", str(key_file(tmp_path)), "--port", "0", *options])
    assert shown.exit_code == 1
    assert said in shown.stderr or said in shown.stderr.replace("\n", " ")
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "Expected `object`"),
        ('{"BTC": {"expiries": [1]}}', "missing required field `at_the_money`"),
        ('{"BTC": {"expiries": [1], "at_the_money": [0.5], "smile": []}}', "unknown field `smile`"),
        ('{"BTC": {"expiries": [0], "at_the_money": [0.5]}}', "volatility of BTC: expiries"),
        ('{"BTC": {"expiries": [1], "at_the_money": [0.5, 0.6]}}', "volatility of BTC: at_the_money"),
        ('{"BTC": {"expiries": [1], "at_the_money": [55]}}', "is 55, wants 0.01 to 5 a √year: 0.55 is 55 %"),
        ("nonsense", "malformed"),
    ],
)
def test_a_file_that_states_no_surface_is_refused_with_what_is_wrong(tmp_path, text, said):
    file = tmp_path / "smiles.json"
    file.write_text(text)
    options = ["--key-file", str(key_file(tmp_path)), *fixed(), "--surfaces", str(file)]
    shown = runner.invoke(app, ["oracle", "run", *options], env={"COLUMNS": "300"})
    assert shown.exit_code == 2
    assert said in " ".join(shown.stderr.replace("│", " ").split())


async def test_an_oracle_whose_log_has_no_reader_any_more_says_so_once_and_goes_on(tmp_path):
    port = free_ports(1)[0]
    async with running(tmp_path / "home") as node:
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock", "oracle", "run", "--key-file", str(key_file(tmp_path)), *fixed(),
            "--venue", node.url, "--port", str(port), "--every", "0.2", "--json",
            stdout=writing, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        os.close(writing)
        with open(reading, "rb") as lines:
            assert b'"withheld"' in await asyncio.wait_for(asyncio.to_thread(lines.readline), 30)
        before = await ask_status(f"http://127.0.0.1:{port}")
        async with asyncio.timeout(10):
            while (await ask_status(f"http://127.0.0.1:{port}"))["counts"] == before["counts"]:
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        process.terminate()
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said.decode()
    assert said.count(b"decisions are printed no more: Broken pipe; the oracle goes on\n") == 1
    assert b"Traceback" not in said and b"Error" not in said


async def test_the_log_has_times_and_without_peers_it_is_said_that_nothing_can_be_published(tmp_path):
    async with running(tmp_path / "home") as node:
        options = ["--venue", node.url, "--port", 0, "--every", "0.2", "--seconds", 2]
        process = await spawn("--key-file", key_file(tmp_path), *fixed(), *options)
        _, said = await asyncio.wait_for(process.communicate(), 30)
    first, second, *lines = said.decode().splitlines()
    assert first.startswith("0 peers given, the venue wants 2 signatures under a price") and "listens at" in second
    assert lines and all(
        re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \w{3}_USDC-PERPETUAL withheld NO_QUORUM 1 of 2 ", one)
        for one in lines
    ), lines


async def test_a_port_that_is_taken_and_a_volatility_of_a_base_that_the_venue_has_not_are_refused(tmp_path):
    async with running(tmp_path / "home") as node:
        taken = node.url.rstrip("/").rpartition(":")[2]
        for options, sentence in (
            (["--port", taken], f"oracle: port {taken} is taken: choose another with --port, or 0 for any"),
            (["--port", 0, "--volatility", "DOGE=0.5"], "oracle: volatility of DOGE: the venue has only BTC, ETH"),
        ):
            process = await spawn("--key-file", key_file(tmp_path), *fixed(), "--venue", node.url, *options)
            _, said = await asyncio.wait_for(process.communicate(), 30)
            assert (process.returncode, said.decode().splitlines()[-1]) == (1, sentence)


def test_a_published_development_key_is_printed_for_a_key_file_with_a_warning(tmp_path):
    shown = runner.invoke(app, ["oracle", "dev-key", "2"])
    secret = bytes.fromhex(shown.stdout)
    assert secret == development_accounts().oracles[0] and shown.stderr.startswith("UNSAFE: published development key")
    path = tmp_path / "two.key"
    path.write_text(shown.stdout)
    assert read_key(path) == secret
    told = json.loads(runner.invoke(app, ["oracle", "dev-key", "2", "--json"]).stdout)
    assert told == {"number": 2, "address": "0x" + Signer(secret).address.hex(), "key": secret.hex(), "unsafe": True}
    for number in ("32", "-1"):
        refused = runner.invoke(app, ["oracle", "dev-key", "--", number])
        assert refused.exit_code == 2 and f"development key is {number}, wants 0 to 31" in refused.stderr


def test_a_file_that_holds_no_private_key_is_refused(tmp_path):
    path = tmp_path / "zero.key"
    path.write_text("00" * 32)
    shown = runner.invoke(app, ["oracle", "run", "--key-file", str(path), *fixed()])
    assert shown.exit_code == 2
    assert "a key is a number from 1" in " ".join(shown.stderr.replace("│", " ").split())


def test_the_status_of_nobody_is_a_refusal_with_the_address():
    shown = runner.invoke(app, ["oracle", "status", "http://127.0.0.1:1"])
    assert shown.exit_code == 1
    assert "no oracle at http://127.0.0.1:1" in shown.stderr


def test_help_names_the_commands_and_the_forms_of_a_source():
    assert "status" in runner.invoke(app, ["oracle", "--help"]).stdout
    shown = " ".join(runner.invoke(app, ["oracle", "run", "--help"], env={"COLUMNS": "300"}).stdout.split())
    for part in (
        "--key-file",
        "--source",
        "--peer",
        "recording[:FOLDER]",
        "ccxt:EXCHANGE",
        "fixed:NAME",
        "--volatility",
        "--surfaces",
    ):
        assert part in shown
