"""`penstock sim`: counts, exit codes, and what it says where the core is not built."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from penstock.cli import simulations
from penstock.cli.main import app
from penstock.protocol.reasons import Reason
from penstock.simulation.side_by_side import SpecHands

runner = CliRunner()
SHORT = ["sim", "--seed", "3", "--commands", "120"]


class Wrong(SpecHands):
    """A core whose root is never right."""

    def engine_root(self):
        return bytes(32)


def without_core(monkeypatch):
    monkeypatch.setattr(simulations, "available", lambda: False)


def with_core(monkeypatch, hands):
    monkeypatch.setattr(simulations, "available", lambda: True)
    monkeypatch.setattr(simulations, "NativeHands", hands)


def test_without_the_core_one_line_says_that_nothing_is_compared(monkeypatch):
    without_core(monkeypatch)
    shown = runner.invoke(app, SHORT)
    assert shown.exit_code == 0
    assert "nothing is compared" in shown.stderr
    assert "120 commands of 1 seeds" in shown.stdout
    assert "on the spec alone" in shown.stdout
    assert runner.invoke(app, [*SHORT, "--engine", "spec"]).stderr == ""


def test_who_wants_the_core_is_refused_without_it(monkeypatch):
    without_core(monkeypatch)
    shown = runner.invoke(app, [*SHORT, "--engine", "native"])
    assert shown.exit_code == 1
    assert "not built" in shown.stderr


def test_json_counts_every_name_there_is(monkeypatch):
    with_core(monkeypatch, SpecHands)
    shown = runner.invoke(app, [*SHORT, "--seeds", "2", "--jobs", "1", "--json"])
    found = json.loads(shown.stdout)
    assert shown.exit_code == 0
    assert (found["engine"], found["commands"], found["difference"]) == ("both", 240, None)
    assert list(found["reasons"]) == [reason.name for reason in Reason]
    assert sum(found["records"].values()) == 240


def test_a_difference_is_an_error_with_the_line_that_replays_it(monkeypatch):
    with_core(monkeypatch, Wrong)
    shown = runner.invoke(app, SHORT)
    assert shown.exit_code == 1
    assert "make sim SEED=3 COMMANDS=100 ENVELOPES=8" in shown.stderr
    shown = runner.invoke(app, [*SHORT, "--json"])
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["difference"]["sequence"] == 100


def test_two_processes_count_what_one_counts(monkeypatch):
    without_core(monkeypatch)
    counts = []
    for jobs in ("1", "2"):
        shown = runner.invoke(app, ["sim", "--seed", "1", "--seeds", "3", "--commands", "80", "--jobs", jobs, "--json"])
        counts.append(json.loads(shown.stdout) | {"seconds": 0})
    assert counts[0] == counts[1]


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--seeds", "0"], ["--commands", "0"], ["--engine", "rust"]])
def test_wrong_words_are_usage_errors(wrong):
    assert runner.invoke(app, ["sim", *wrong]).exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_the_counts_so_far(number):
    command = [sys.executable, "-m", "penstock", "sim", "--engine", "spec", "--seeds", "4", "--commands", "9000000"]
    running = subprocess.Popen(
        [*command, "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(3)
        # Ctrl-C reaches the whole group, SIGTERM the parent alone.
        os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
        said, remarks = running.communicate(timeout=20)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130
    assert "0 commands of 4 seeds" in said
    assert "interrupted" in remarks
    assert "Traceback" not in remarks
