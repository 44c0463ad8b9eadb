"""The whole path, as a newcomer runs it: real chain, real sockets, real files, a recorded market."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.simulation.demo import problems

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


ENGINES = ["spec", pytest.param("native", marks=pytest.mark.needs_native)]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_demo_mirrors_the_recording_and_everybody_leaves_with_their_money(tmp_path, engine):
    report = demo(tmp_path / "report.json", "--seconds", "12", "--engine", engine)
    assert problems(report) == []
    assert report["engine"] == engine
    assert report["levels"] == ("all" if engine == "native" else 20)
    assert report["book_levels"]["left_out"] == 0
    assert report["book_levels"]["most"] >= (1_000 if engine == "native" else 20)
    assert report["tape"]["matched_share"] >= 0.8
    assert report["tape"]["matched_share"] <= report["tape"]["reachable_share"] + 1e-9
    assert report["mid_error_bps"]["p99"] <= 2
    assert report["trades"] > 500
    assert report["batches"] >= 3
    assert report["ledger_entries"] > report["trades"]
    assert report["exits"] == {"subaccounts": 29, "proved": 29, "paid": 29}
    assert report["conservation"]["difference"] == 0
    assert report["conservation"]["held"] > 0, "taker fees end in the insurance fund"
    assert report["settlement_root"] == report["settlement_root_on_chain"]
    assert report["recovered_root_equal"] is True
    assert set(report["refused"]) <= {"FUNDING_NOT_DUE", "FEES_NOT_DUE"}


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
    assert "py-evm" in said[0]
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_with_everybody_paid(tmp_path, number):
    report, home = tmp_path / "report.json", tmp_path / "home"
    running = subprocess.Popen(
        [*COMMAND, "--report", str(report), "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not list(home.glob("batches/00000002-*.batch")):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.2)
    time.sleep(3)
    os.killpg(running.pid, number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert problems(json.loads(report.read_text())) == []
    assert children_of(home) == []


def test_a_home_of_another_venue_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "journal").write_bytes(b"something else entirely, long enough to be a header of some other program" * 4)
    done = subprocess.run(
        [*COMMAND, "--seconds", "1", "--home", str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "journal" in done.stderr
    assert "Traceback" not in done.stderr
