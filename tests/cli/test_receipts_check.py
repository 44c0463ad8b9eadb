"""`penstock receipts check`: a kept book, looked at offline."""

import json

from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.participants.receipts import ReceiptBook
from penstock.protocol.commands import CancelOrder
from penstock.protocol.signing import Domain, Signer, seal
from penstock.venue.receipts import Issuer

SEPARATOR = Domain(31337, b"\x77" * 20).separator()
OPERATOR = Signer(b"\x0f" * 32)
ENVELOPES = [seal(SEPARATOR, CancelOrder(1, 16, nonce, 0), [OPERATOR]) for nonce in range(1, 7)]


def keep(folder, *, epochs=(1,)):
    """A book of two groups of three, from one operator or from one that began again."""
    book = ReceiptBook.open(folder, SEPARATOR, OPERATOR.address)
    for epoch in epochs:
        issuer = Issuer(OPERATOR, SEPARATOR, epoch)
        for first in (1, 4):
            issued = issuer.issue([(s, 10 * s, ENVELOPES[s - 1]) for s in range(first, first + 3)])
            book.follow("0x" + issued.wire.hex())
            path = ["0x" + sibling.hex() for sibling in issued.path(1)]
            said = {"group": issued.receipt.group, "index": 1, "path": path}
            book.acknowledged(ENVELOPES[first], first + 1, 10 * (first + 1), said)
    book.close()
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["receipts", "check", *map(str, arguments)])


def test_a_good_book_is_said_to_be_good_by_folder_or_by_file(tmp_path):
    keep(tmp_path)
    shown = run(tmp_path, "--json")
    assert (shown.exit_code, json.loads(shown.stdout)) == (
        0,
        {
            "operator": "0x" + OPERATOR.address.hex(),
            "receipts": 2,
            "replies": 2,
            "first_group": 1,
            "last_group": 2,
            "faults": [],
        },
    )
    plain = run(tmp_path / "book.jsonl", "--operator", "0x" + OPERATOR.address.hex())
    assert plain.exit_code == 0 and "receipts" in plain.stdout


def test_a_book_with_faults_exits_with_one_and_shows_both_receipts(tmp_path):
    keep(tmp_path, epochs=(1, 2))
    shown = run(tmp_path, "--json")
    faults = json.loads(shown.stdout)["faults"]
    assert shown.exit_code == 1
    assert (faults[0]["kind"], faults[0]["group"], len(faults[0]["receipts"])) == ("DOUBLE", 1, 2)
    assert "DOUBLE" in run(tmp_path).stdout


def test_receipts_of_another_operator_are_forged(tmp_path):
    shown = run(keep(tmp_path), "--json", "--operator", "0x" + "11" * 20)
    assert shown.exit_code == 1
    assert {fault["kind"] for fault in json.loads(shown.stdout)["faults"]} == {"FORGED", "MISSING_RECEIPT"}


def test_what_is_no_book_is_refused_and_a_wrong_address_is_a_usage_error(tmp_path):
    assert run(tmp_path / "nothing").exit_code == 2
    refused = run(tmp_path)
    assert refused.exit_code == 1 and "book.jsonl" in refused.stderr
    (tmp_path / "book.jsonl").write_text("nonsense\n")
    refused = run(tmp_path)
    assert refused.exit_code == 1 and "line 1" in refused.stderr
    (tmp_path / "book.jsonl").unlink()
    assert run(keep(tmp_path), "--operator", "0x11").exit_code == 2
