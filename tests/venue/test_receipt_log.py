"""Receipts over restarts: the new epoch's first continues the last, and what the log lost is made again the same."""

from itertools import pairwise

import pytest

from penstock.protocol.receipts import NO_RECEIPT, WIRE, check_path, check_receipt, decode_receipt, receipt_leaf
from penstock.protocol.signing import Signer
from penstock.venue.journal import Journal

from .harness import GENESIS, SEPARATOR, Pen, running
from .test_snapshots import trade

OPERATOR = Signer(b"\x0f" * 32)


async def started_three_times(home):
    """The log's rows, over three starts."""
    pen = Pen()
    for seed in range(3):
        async with running(home, funded=seed == 0, operator=OPERATOR) as node:
            await trade(node, pen, 15, seed)
    return rows(home)


def rows(home):
    content = (home / "receipts").read_bytes()
    assert len(content) % WIRE == 0
    return [content[at : at + WIRE] for at in range(0, len(content), WIRE)]


def check_against_journal(home):
    """Every group has its receipt, signed, linked, with its own epoch, and rooted in its own messages."""
    journal = Journal(home, GENESIS.ruleset(), SEPARATOR, read_only=True)
    receipts = [decode_receipt(row) for row in rows(home)]
    records = {r.sequence: r for r in journal.read()}
    previous = NO_RECEIPT
    for group, signed in zip(journal.groups(), receipts, strict=True):
        check_receipt(SEPARATOR, OPERATOR.address, signed)
        receipt = signed.receipt
        assert (receipt.epoch, receipt.group, receipt.previous) == (group.epoch, group.number, previous)
        assert (receipt.first_sequence, receipt.last_sequence) == (group.first_sequence, group.last_sequence)
        if receipt.count == 1:
            record = records[receipt.first_sequence]
            leaf = receipt_leaf(record.sequence, record.time, record.envelope)
            assert check_path(leaf, 0, 1, [], receipt.root)
        previous = receipt.hash()
    journal.close()
    return receipts


async def test_a_restarts_first_receipt_continues_the_last_one_in_the_next_epoch(tmp_path):
    await started_three_times(tmp_path)
    receipts = [signed.receipt for signed in check_against_journal(tmp_path)]
    assert sorted({receipt.epoch for receipt in receipts}) == [1, 2, 3]
    for one, other in pairwise(receipts):
        assert other.previous == one.hash() and other.epoch - one.epoch in (0, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: 5 * WIRE + 17],
        lambda content: content[:-WIRE] + bytes(WIRE),
        lambda content: content[: -WIRE // 2] + b"\xff" * (WIRE // 2),
        lambda content: content[WIRE:],
        lambda content: content[: 4 * WIRE] + bytes(WIRE) + content[5 * WIRE :],
        lambda content: content + content[-WIRE:],
    ],
    ids=["gone", "cut", "never written", "overwritten", "one missing", "one never written", "one too many"],
)
async def test_what_the_log_lost_is_made_again_byte_for_byte(tmp_path, damage):
    expected = await started_three_times(tmp_path)
    (tmp_path / "receipts").write_bytes(damage((tmp_path / "receipts").read_bytes()))
    async with running(tmp_path, funded=False, operator=OPERATOR):
        pass
    assert rows(tmp_path)[: len(expected)] == expected
    check_against_journal(tmp_path)


async def test_a_long_journal_is_followed_only_over_its_tail(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock.venue.receipt_log.KEPT_BACK", 10)
    await started_three_times(tmp_path)
    async with running(tmp_path, funded=False, operator=OPERATOR) as node:
        assert node.issuer.oldest > 1
        assert node.issuer.group == node.sequencer.chain.number
    check_against_journal(tmp_path)


async def test_another_operators_log_is_made_again_under_the_new_key(tmp_path):
    await started_three_times(tmp_path)
    other = Signer(b"\x10" * 32)
    async with running(tmp_path, funded=False, operator=other) as node:
        await trade(node, Pen(), 1, seed=9)
    for row in rows(tmp_path):
        check_receipt(SEPARATOR, other.address, decode_receipt(row))
