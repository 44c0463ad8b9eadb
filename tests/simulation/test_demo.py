"""The whole path, as a newcomer runs it: real chain, real sockets, real files, a recorded market."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from penstock.settlement.contracts import repository
from penstock.simulation.demo import problems

REPOSITORY = repository()
COMMAND = [sys.executable, "-m", "penstock", "demo", "--port", "0"]


def demo(report: Path, *options: str, timeout: float = 120) -> dict:
    """Run the demo to its end and return its report."""
    done = subprocess.run(
        [*COMMAND, "--report", str(report), *options], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text())


def children_of(home: Path) -> list[str]:
    """Command lines of processes that still mention the home folder."""
    return [
        line
        for line in subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if str(home) in line
    ]


def flat(report: dict, before: str = "") -> list[str]:
    """The names of a report's fields, dotted; what is counted by name is one field."""
    names = []
    for name, value in report.items():
        nested = isinstance(value, dict) and name not in ("refused", "findings", "at_the_money", "strangers")
        names += flat(value, f"{before}{name}.") if nested else [before + name]
    return names


ENGINES = ["spec", pytest.param("native", marks=pytest.mark.needs_native)]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_demo_mirrors_the_recording_and_everybody_leaves_with_their_money(tmp_path, engine):
    report = demo(tmp_path / "report.json", "--seconds", "12", "--engine", engine)
    assert problems(report) == []
    assert report["engine"] == engine
    page = (REPOSITORY / "docs/reference/report.md").read_text()
    named = set(re.findall(r"`([a-z_.0-9]+)`", page))
    assert [name for name in flat(report) if name not in named and f".{name.rpartition('.')[2]}" not in named] == []
    assert report["levels"] == ("all" if engine == "native" else 20)
    assert report["book_levels"]["left_out"] == 0
    assert report["book_levels"]["most"] >= (1_000 if engine == "native" else 20)
    assert report["tape"]["matched_share"] >= 0.8
    assert report["tape"]["matched_share"] <= report["tape"]["reachable_share"] + 1e-9
    assert report["mid_error_bps"]["p99"] <= 2
    assert report["trades"] > 500
    assert report["batches"] >= 3
    assert report["ledger_entries"] > report["trades"]
    assert report["exits"] == {"subaccounts": 33, "proved": 33, "paid": 33, "holding": 0}
    assert report["conservation"]["difference"] == 0
    assert report["conservation"]["held"] > 0, "taker fees end in the insurance fund"
    assert report["settlement_root"] == report["settlement_root_on_chain"]
    assert report["recovered_root_equal"] is True
    assert set(report["refused"]) <= {"FUNDING_NOT_DUE", "FEES_NOT_DUE", "BUILDER_NOT_DUE", "POST_ONLY_WOULD_TRADE"}
    assert report["dated"]["listed"] == {"futures": 6, "options": 40}
    assert len(report["dated"]["expired"]) == 22, "a future and ten options a coin"
    for ended in report["dated"]["expired"]:
        parts = ended["instrument"].split("-")
        if len(parts) == 4:
            strike, sign = float(parts[2]), 1 if parts[3] == "C" else -1
            assert ended["pays"] == pytest.approx(max(0.0, sign * (ended["settlement_index"] - strike)), abs=0.01)


def test_the_demo_runs_as_fast_as_the_engine_goes(tmp_path):
    report = demo(tmp_path / "report.json", "--seconds", "30", "--pace", "max", "--levels", "5")
    assert problems(report) == []
    assert report["tape"]["matched_share"] >= 0.95 * report["tape"]["reachable_share"]
    assert report["levels"] == 5


def test_the_demo_runs_without_node_on_the_chain_in_this_process(tmp_path, monkeypatch):
    from penstock.settlement import local_chain
    from penstock.simulation.demo import Demo, DemoOptions

    monkeypatch.setattr(local_chain, "find_anvil", lambda _: None)
    said: list[str] = []

    async def watch(_: Demo) -> None:
        await asyncio.sleep(0)

    report = asyncio.run(Demo(DemoOptions(seconds=4, port=0), said.append).run(watch))
    assert any("py-evm" in line for line in said)
    assert problems(report) == []


def test_a_strangers_deposit_is_counted_and_left_alone(tmp_path):
    from penstock.settlement.vault import open_subaccount
    from penstock.simulation.demo import Demo, DemoOptions

    async def stranger(demo: Demo) -> None:
        local = demo.venue.local
        payer, token = local.chain.accounts()[9], local.deployment.token
        await asyncio.to_thread(token.send, "mint", payer, 5_000_000, sender=payer)
        await asyncio.to_thread(token.send, "approve", local.deployment.vault.address, 5_000_000, sender=payer)
        await asyncio.to_thread(open_subaccount, local.deployment.vault, payer, 5_000_000, payer)

    report = asyncio.run(Demo(DemoOptions(seconds=4, port=0), lambda _: None).run(stranger))
    assert problems(report) == []
    assert report["conservation"]["strangers"] == 5_000_000
    assert report["conservation"]["vault"] == report["conservation"]["held"] + 5_000_000


async def test_options_of_the_guest_are_closed_and_those_of_a_stranger_are_told_and_left_alone():
    from dated_venue import owner_session, take, until

    from penstock.participants.client import GatewayClient
    from penstock.protocol.signing import Signer
    from penstock.settlement.vault import open_subaccount
    from penstock.simulation.accounts import Trader, everybody, guest
    from penstock.simulation.demo import Demo, DemoOptions

    key, deposit, held = b"\x5a" * 32, 50_000_000_000, {}
    stranger = Trader("stranger", "", len(everybody()) + 1, key, key)

    async def visit(demo: Demo) -> None:
        local = demo.venue.local
        payer, token = local.chain.accounts()[9], local.deployment.token
        await asyncio.to_thread(token.send, "mint", payer, deposit, sender=payer)
        await asyncio.to_thread(token.send, "approve", local.deployment.vault.address, deposit, sender=payer)
        await asyncio.to_thread(open_subaccount, local.deployment.vault, Signer(key).address, deposit, payer)
        await demo.venue.credited(len(everybody()) + 1)
        async with await GatewayClient.connect(demo.venue.node.url) as client:
            separator = bytes.fromhex((await client.call("penstock/get_domain"))["separator"][2:])

            async def quoted():
                options = await client.call("public/get_instruments", {"currency": "BTC", "kind": "option"})
                options = sorted(options, key=lambda one: one["expiration_timestamp"])
                tickers = [
                    await client.call("public/ticker", {"instrument_name": one["instrument_name"]}) for one in options
                ]
                found = [one["instrument_name"] for one in tickers if one["best_ask_price"]]
                held.update(first=found[0], last=found[-1]) if found else None
                return len(found) > 10

            await until(quoted)
            wanted = [held["first"], held["last"]]
            for trader, names in ((guest(), wanted), (stranger, wanted[1:])):
                session = owner_session(client, trader, separator)
                for name in names:
                    held[trader.subaccount, name] = await take(client, session, name)

    report = await Demo(DemoOptions(seconds=15, levels=5, port=0), lambda _: None).run(visit)
    assert held["first"] != held["last"]
    assert held[guest().subaccount, held["first"]] > 0 and held[guest().subaccount, held["last"]] > 0
    bought = held[stranger.subaccount, held["last"]]
    assert problems(report) == []
    assert report["dated"]["closed"]["strangers"] == {held["last"]: pytest.approx(-bought)}
    assert report["exits"]["proved"] == report["exits"]["paid"] == 33
    assert 1 <= report["exits"]["holding"] <= 2, "the maker, and perhaps the taker, are short to the stranger"
    conservation = report["conservation"]
    assert conservation["open"] > 0 and conservation["difference"] == 0
    assert conservation["strangers"] < deposit, "the fee of its option is paid"


def start(*options: str) -> tuple[subprocess.Popen, str]:
    """A demo without end, and where it listens."""
    running = subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in running.stderr:
        if line.startswith("open "):
            return running, line.split()[1]
    raise AssertionError("it never listened")


def until_it_trades(url: str) -> None:
    """Wait until the replay has begun."""
    deadline = time.monotonic() + 60
    while json.load(urlopen(f"{url}api/v2/penstock/get_statistics"))["result"]["trades"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_with_everybody_paid_and_says_so_at_once(tmp_path, number):
    report, home = tmp_path / "report.json", tmp_path / "home"
    running, url = start("--report", str(report), "--home", str(home))
    until_it_trades(url)
    time.sleep(1)
    os.killpg(running.pid, number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert "stopping: everybody is closed" in said and "Ctrl-C again" in said
    assert problems(json.loads(report.read_text())) == []
    assert children_of(home) == []


@pytest.mark.slow
def test_the_guides_programs_run_against_a_demo_as_they_stand(tmp_path):
    running, url = start("--levels", "5", "--home", str(tmp_path / "home"))
    try:
        until_it_trades(url)
        pages = {"docs/start.md": 2, "docs/concepts/receipts.md": 1, "docs/concepts/contracts.md": 1}
        for page, wanted in pages.items():
            programs = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / page).read_text(), re.DOTALL | re.MULTILINE)
            assert len(programs) == wanted
            for program in programs:
                assert "http://127.0.0.1:8420" in program
                here = program.replace("http://127.0.0.1:8420", url.rstrip("/"))
                done = subprocess.run(
                    [sys.executable, "-c", here], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
                )
                assert done.returncode == 0, done.stderr
                assert "Answer(" in done.stdout or "SignedReceipt(" in done.stdout
                refusals = re.findall(r"reason='(\w+)'|refused='(\w+)'", done.stdout)
                assert refusals == [], done.stdout
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert "not every position was closed" not in said, "though the guest's own key has replaced the published one"
    finally:
        for _ in range(2):
            if running.poll() is None:  # a kill would leave the chain behind
                os.killpg(running.pid, signal.SIGINT)
                time.sleep(0.5)
        running.wait(timeout=60)


def test_a_second_signal_ends_the_demo_without_a_report(tmp_path):
    report, home = tmp_path / "report.json", tmp_path / "home"
    running, url = start("--report", str(report), "--home", str(home))
    until_it_trades(url)
    os.killpg(running.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, report.exists(), children_of(home)) == (130, False, [])
    assert "interrupted a second time" in said and "Traceback" not in said


def test_a_signal_before_the_replay_began_is_an_interruption_and_no_error(tmp_path):
    report, home = tmp_path / "report.json", tmp_path / "home"
    running, _ = start("--report", str(report), "--home", str(home))
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, report.exists(), children_of(home)) == (130, False, [])
    assert "interrupted before the replay began" in said and "Traceback" not in said


def test_what_cannot_work_is_refused_before_there_is_a_chain(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        wanted = {
            ("demo", "--port", port): (1, f"port {port} is taken"),
            ("up", "--port", port): (1, f"port {port} is taken"),
            ("demo", "--port", "0", "--recording", str(tmp_path)): (1, f"neither .xz nor .gz in {tmp_path}"),
            ("demo", "--port", "0", "--home", str(tmp_path / "file")): (2, "is a file"),
            ("up", "--port", "0", "--home", str(tmp_path / "file")): (2, "is a file"),
        }
        for words, (code, said) in wanted.items():
            done = subprocess.run([*COMMAND[:3], *words], capture_output=True, text=True, timeout=60, check=False)
            plain = " ".join(done.stderr.replace("│", " ").split())
            assert (done.returncode, said in plain, "chain: " in plain) == (code, True, False), done.stderr


def test_a_home_of_another_venue_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "journal").write_bytes(b"something else entirely, long enough to be a header of some other program" * 4)
    done = subprocess.run(
        [*COMMAND, "--seconds", "1", "--home", str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert str(home / "journal") in done.stderr
    assert "chain: " not in done.stderr
    assert "Traceback" not in done.stderr
