"""The receipts a node has signed, in a file: one row of 341 bytes a group, so that a group's row is at its number.

Nothing rests on the file: it is written without a sync, and whatever of it is missing or wrong after a crash is made
again from the journal, byte for byte, since a receipt is a function of its group, the one before it and the key.
"""

import logging
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from penstock.protocol.reasons import Refusal
from penstock.protocol.receipts import NO_RECEIPT, WIRE, Receipt, check_receipt, decode_receipt
from penstock.protocol.signing import Signer
from penstock.venue.disk.groups import Group, unpack_records
from penstock.venue.journal import Journal
from penstock.venue.receipts import Issued, Issuer, Messages

log = logging.getLogger(__name__)

FILE_NAME: Final = "receipts"
KEPT_BACK: Final = 16_384
"""Commands whose receipts are at hand after a restart: as many as are observed again."""

LOOKED_AT: Final = 4_096
"""Rows whose links are looked at when the log is opened."""


class ReceiptLog:
    """The file of one home, open for appending."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE_NAME
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._broken = False

    def rows(self) -> int:
        """How many whole rows there are."""
        return os.fstat(self._descriptor).st_size // WIRE

    def read(self, group: int, count: int) -> list[bytes]:
        """The wire forms of up to `count` groups from number `group` on; none beyond the last."""
        found = os.pread(self._descriptor, WIRE * count, WIRE * (group - 1))
        return [found[at : at + WIRE] for at in range(0, len(found) - WIRE + 1, WIRE)]

    def append(self, issued: Issued) -> None:
        """Write a group's row. A disk that does not take it costs nothing but the time to make it again."""
        if self._broken:
            return
        try:
            os.pwrite(self._descriptor, issued.wire, WIRE * (issued.receipt.group - 1))
        except OSError as error:
            self._broken = True
            log.warning("receipts: not written any more until the next start: %s", error)

    def cut(self, rows: int) -> None:
        """Keep so many rows."""
        os.ftruncate(self._descriptor, WIRE * rows)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def open_issuer(home: Path, journal: Journal, operator: Signer, separator: bytes) -> tuple[Issuer, ReceiptLog]:
    """An issuer that goes on behind the journal's last group, and the log, made good where it was not."""
    kept = ReceiptLog(home)
    known = _last_good(kept, journal, operator.address, separator)
    kept.cut(known.group if known else 0)
    start = _at_or_before(kept, max(0, journal.last_sequence - KEPT_BACK))
    issuer = Issuer(
        operator, separator, journal.chain.epoch + 1, start.group if start else 0, start.hash() if start else NO_RECEIPT
    )
    for group, messages in _groups_behind(journal, start):
        issuer.follow(group.epoch, messages)
    for number in range(kept.rows() + 1, journal.chain.number + 1):
        for issued in issuer.newest_from(number, 1):
            kept.append(issued)
    return issuer, kept


def _last_good(kept: ReceiptLog, journal: Journal, operator: bytes, separator: bytes) -> Receipt | None:
    """The newest receipt of the log, if it is the operator's and its group the journal's, and the rows before link.

    None for none, or for a log that is to be made again.
    """
    number = min(kept.rows(), journal.chain.number)
    if number == 0:
        return None
    first = max(1, number - LOOKED_AT + 1)
    try:
        found = [decode_receipt(wire) for wire in kept.read(first, number - first + 1)]
        check_receipt(separator, operator, found[-1])
    except Refusal as refusal:
        log.warning("receipts: made again from the journal: up to row %d: %s", number, refusal.reason.name)
        return None
    receipts = [signed.receipt for signed in found]
    last = receipts[-1]
    group = next((g for g in journal.groups(last.last_sequence)), None)
    linked = all(other.previous == one.hash() for one, other in pairwise(receipts))
    same = group is not None and (group.number, group.epoch, group.first_sequence, group.last_sequence, group.time) == (
        number, last.epoch, last.first_sequence, last.last_sequence, last.time,
    )  # fmt: skip
    if not same or not linked or last.group != number:
        log.warning("receipts: made again from the journal: the rows up to %d are not those of its groups", number)
        return None
    return last


def _at_or_before(kept: ReceiptLog, sequence: int) -> Receipt | None:
    """The newest receipt whose group ends at or before `sequence`; found by halving."""
    low, high = 0, kept.rows()
    while low < high:
        middle = (low + high + 1) // 2
        receipt = decode_receipt(kept.read(middle, 1)[0]).receipt
        if receipt.last_sequence <= sequence:
            low = middle
        else:
            high = middle - 1
    return decode_receipt(kept.read(low, 1)[0]).receipt if low else None


def _groups_behind(journal: Journal, receipt: Receipt | None) -> Iterator[tuple[Group, Messages]]:
    first = receipt.last_sequence + 1 if receipt else 1
    for group, records in journal.read_raw(first):
        yield group, [(r.sequence, r.time, r.envelope) for r in unpack_records(records)]
