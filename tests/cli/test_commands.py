"""The command line: what it prints, what it refuses, and its exit codes (0 ok, 1 refused, 2 usage)."""

import json
import socket
import subprocess
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from penstock.cli import output, replays
from penstock.cli.main import app
from penstock.cli.orders import to_units
from penstock.simulation.replay_run import sample_folder

runner = CliRunner()
NOWHERE = "http://127.0.0.1:1"


def test_help_names_every_noun_and_says_not_for_real_money():
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    nouns = (
        "demo up sim account market batch journal oracle order receipts replay snapshot backup restore doctor follow"
    )
    for noun in nouns.split():
        assert noun in shown.stdout
    assert "not for real money" in shown.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--pace", "0"],
        ["demo", "--pace", "fast"],
        ["demo", "--levels", "0"],
        ["demo", "--levels", "1001"],
        ["demo", "--seconds", "0"],
        ["demo", "--port", "70000"],
        ["demo", "--report", "no/such/folder/report.json"],
        ["demo", "--report", "."],
        ["replay", "share", "--levels", "many"],
        ["order", "place", "BTC_USDC-PERPETUAL", "hold", "1", "1"],
        ["order", "cancel", "--slot", "15"],
        ["nonsense"],
    ],
)
def test_wrong_words_are_usage_errors(command):
    assert runner.invoke(app, command).exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["order", "place", "X", "buy", "-0.1", "60000", "--url", NOWHERE], f"no venue answers at {NOWHERE}"),
        (["order", "place", "X", "buy", "0.1", "60000", "--slto", "20"], "No such option"),
        (["order", "withdraw", "-5"], "amount '-5': a positive multiple of 0.000001"),
        (["order", "withdraw", "--", "-5"], "amount '-5': a positive multiple of 0.000001"),
        (["order", "withdraw", "100000000000000000000000"], "at most 20 digits"),
    ],
)
def test_a_negative_number_is_an_argument_and_other_words_are_no_options(words, said):
    shown = runner.invoke(app, words)
    plain = " ".join(shown.stderr.replace("│", " ").split())
    assert said in plain and shown.exit_code != 0


@pytest.mark.parametrize("text", ["0", "-1", "0.00001", "1e400", "NaN", "Infinity", "", "1_0", "one"])
def test_an_amount_that_is_no_positive_multiple_of_the_unit_is_never_rounded(text):
    from typer import BadParameter

    with pytest.raises(BadParameter):
        to_units("amount", text, "0.0001", 48, "BTC")
    assert to_units("amount", "1.5", "0.0001", 48, "BTC") == 15_000


def test_asking_a_venue_imports_neither_the_pricing_nor_the_chain_nor_the_demo():
    asked = (
        "from penstock.cli.main import app; app(['market', 'list', '--url', 'http://127.0.0.1:1'], standalone_mode=0)"
    )
    heavy = "print([name for name in ('scipy', 'eth_abi', 'penstock.simulation.demo') if name in sys.modules])"
    script = f"import sys\ntry:\n    {asked}\nfinally:\n    {heavy}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_mistyped_command_is_told_what_was_meant():
    assert "Did you mean 'market'?" in runner.invoke(app, ["markt"]).stderr


def test_no_venue_is_a_refusal_with_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    shown = runner.invoke(app, ["market", "list", "--url", url])
    assert shown.exit_code == 1
    assert shown.stderr == f"no venue answers at {url}\n"
    assert "Traceback" not in shown.output


def test_a_folder_that_is_no_home_or_no_recording_is_refused(tmp_path):
    assert runner.invoke(app, ["journal", "verify", "--home", str(tmp_path)]).exit_code == 1
    shown = runner.invoke(app, ["replay", "share", "--recording", str(tmp_path)])
    assert shown.exit_code == 1
    assert "neither .xz nor .gz" in shown.stderr


def test_the_reachable_share_is_printed_as_json():
    shown = runner.invoke(app, ["replay", "share", "--recording", str(sample_folder()), "--seconds", "5", "--json"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["all"]["share"] > 0.9


def test_a_table_keeps_its_first_column_whole_on_a_narrow_terminal_and_all_of_it_where_there_is_none(
    monkeypatch, capsys
):
    rows = [("BTC_USDC-PERPETUAL", "[x" * 150, "z" * 20)]
    output.print_table("[names]", ["name", "long", "other"], rows)
    shown = capsys.readouterr().out
    assert "[names]" in shown and "[x" * 150 in shown
    monkeypatch.setattr(output, "RESULTS", Console(width=40, force_terminal=True, color_system=None))
    output.print_table("names", ["name", "long", "other"], rows)
    shown = capsys.readouterr().out
    assert "BTC_USDC-PERPETUAL" in shown and max(map(len, shown.splitlines())) <= 40


def test_a_reason_has_its_sentence_and_away_from_the_repository_its_name_as_words():
    assert output.sentence_of("ORDER_UNKNOWN") == "No live order in the slot."
    assert output.sentence_of("NEVER_HEARD_OF") == "Never heard of."


def test_a_replay_into_a_file_says_its_phases_as_they_begin_and_the_units_of_its_report(monkeypatch):
    async def pretend(url, folder, options, stop, report, *, close):
        for phase in ("loading", "replaying", "replaying", "closing"):
            report({"phase": phase})
        return {"tape": {"matched_share": 0.123456789012345}}

    monkeypatch.setattr(replays, "run_replay", pretend)
    shown = runner.invoke(app, ["replay", "run"])
    assert shown.stderr.splitlines()[:3] == ["replay: loading", "replay: replaying", "replay: closing"]
    assert "1e-6 USDC" in shown.stderr
    assert shown.stdout.splitlines() == ["tape", f"  {'matched_share':<28} 0.1235"]


@pytest.mark.parametrize(("words", "close"), [([], True), (["--keep"], False)])
def test_a_replay_closes_and_withdraws_everybody_unless_it_is_told_to_keep(monkeypatch, words, close):
    closed = []

    async def pretend(*_, close):
        closed.append(close)
        return {}

    monkeypatch.setattr(replays, "run_replay", pretend)
    assert runner.invoke(app, ["replay", "run", *words]).exit_code == 0
    assert closed == [close]
