"""`penstock oracle`: two processes make a quorum at a node; wrong words and missing things are refused by name."""

import asyncio
import json
import socket
import sys
from contextlib import ExitStack

import pytest
from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.venue.oracle.endpoint import ask_status
from venue.harness import ORACLES, running

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
        ([*fixed(), "--venue", "http://127.0.0.1:1"], "no journal feed at http://127.0.0.1:1"),
        ([*fixed(), "--home", "."], "not a node's home"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(tmp_path, options, said):
    shown = runner.invoke(app, ["oracle", "run", "--key-file", str(key_file(tmp_path)), "--port", "0", *options])
    assert shown.exit_code == 1
    assert said in shown.stderr.replace("\n", " ")
    assert "Traceback" not in shown.output


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
    for part in ("--key-file", "--source", "--peer", "recording[:FOLDER]", "ccxt:EXCHANGE", "fixed:NAME"):
        assert part in shown
