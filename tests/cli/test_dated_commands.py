"""`penstock dated` and what prints its results."""

import socket

import pytest
from rich.console import Console
from typer.testing import CliRunner

from penstock.cli import output
from penstock.cli.main import app


def test_no_venue_is_one_line_and_exit_code_1():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        shown = CliRunner().invoke(app, ["dated", "run", "--seconds", "1", "--url", url])
    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"dated: no gateway at {url}") and shown.stderr.count("\n") == 1


@pytest.mark.parametrize("minutes", ["0", "1441", "soon"])
def test_an_up_that_no_expiry_is_near_enough_to_is_a_usage_error(minutes):
    assert CliRunner().invoke(app, ["up", "--before-expiry", minutes]).exit_code == 2


def test_a_list_of_records_is_a_line_each_with_its_name_in_front(monkeypatch, capsys):
    monkeypatch.setattr(output, "RESULTS", Console(width=40))
    expired = [
        {"instrument": "BTC_USDC-15NOV23", "settlement_index": 60_100.5, "pays": 60_100.5},
        {"instrument": "BTC_USDC-15NOV23-60000-C", "settlement_index": 60_100.5, "pays": 100.5},
    ]
    output.print_pairs(
        {
            "dated": {"prices": 3, "expired": expired, "reasons": [], "kinds": ["a", "b"]},
            "refused": {},
            "share": 0.123456789012345,
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "dated",
        "  prices                       3",
        "  expired",
        "    BTC_USDC-15NOV23             settlement_index 60100.5, pays 60100.5",
        "    BTC_USDC-15NOV23-60000-C     settlement_index 60100.5, pays 100.5",
        "  reasons                      none",
        "  kinds                        ['a', 'b']",
        "refused                      none",
        "share                        0.1235",
    ]
