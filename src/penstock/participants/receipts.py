"""A client's own book of receipts: every acknowledgement checked, the chain of groups checked, and evidence kept.

What is heard goes into the book as it was said; what is wrong with it becomes a `Fault`, never an exception.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from penstock.participants.receipt_file import FILE_NAME, BookDamaged, BookFile, Venue, hexed, read_lines, unhexed
from penstock.protocol.reasons import Refusal
from penstock.protocol.receipts import (
    NO_RECEIPT,
    Receipt,
    SignedReceipt,
    check_path,
    check_receipt,
    decode_receipt,
    receipt_leaf,
)

KEPT: Final = 65_536
"""Receipts at hand for comparing. Older ones are compared by `check_book` only, which reads the whole file."""


class FaultKind(StrEnum):
    """What can be wrong. From DOUBLE on, the receipts in the fault are the operator's own and prove it to anyone."""

    MALFORMED = "MALFORMED"
    FORGED = "FORGED"
    MISSING_RECEIPT = "MISSING_RECEIPT"
    WRONG_PLACE = "WRONG_PLACE"
    WRONG_PATH = "WRONG_PATH"
    MISSING_GROUP = "MISSING_GROUP"
    NOT_KEPT = "NOT_KEPT"
    DOUBLE = "DOUBLE"
    BROKEN_LINK = "BROKEN_LINK"
    WRONG_EPOCH = "WRONG_EPOCH"
    TIME_WENT_BACK = "TIME_WENT_BACK"
    UNSOUND = "UNSOUND"


class Fault(Struct, frozen=True):
    """Something wrong with what was heard: about which group or sequence, and the signed receipts that show it."""

    kind: FaultKind
    sentence: str
    group: int | None = None
    sequence: int | None = None
    receipts: tuple[bytes, ...] = ()


class Checked(Struct, frozen=True):
    """What a kept book holds: how many receipts and replies, the groups they span (0, 0: none), and the faults."""

    venue: Venue
    receipts: int
    replies: int
    first_group: int
    last_group: int
    faults: tuple[Fault, ...]


class _Place(Struct, frozen=True):
    """A reply's `receipt`."""

    group: int
    index: int
    path: list[str]
    signed: str | None = None


class ReceiptBook:
    """The receipts of one operator, as one client heard them.

    `faults` collects what was wrong; `on_fault` is called with each as it is found, and what it raises ends the
    connection that was read. `head` is the newest receipt of the chain, which is what the channel says in order.
    """

    def __init__(
        self, separator: bytes, operator: bytes, *, on_fault: Callable[[Fault], None] = lambda _: None
    ) -> None:
        """A book in memory. `operator` is the address (20 bytes) that the client expects, from whom it trusts.

        Raises ValueError for a separator that is not 32 bytes, or an operator that is not 20.
        """
        self.venue = Venue(_whole("separator", separator, 32), _whole("operator", operator, 20))
        self.faults: list[Fault] = []
        self.head: Receipt | None = None
        self.receipts = 0
        self.replies = 0
        self._on_fault = on_fault
        self._file: BookFile | None = None
        self._numbers: list[int] = []
        self._known: dict[int, SignedReceipt] = {}
        self._apart: set[bytes] = set()  # signed by the operator, and contradicting what is known
        self._trusting = False
        self._kept: int | None = KEPT

    @classmethod
    def open(
        cls, folder: Path, separator: bytes, operator: bytes, *, on_fault: Callable[[Fault], None] = lambda _: None
    ) -> Self:
        """The book kept in a folder, or a new one there; signatures checked when they came are not checked again.

        Raises ValueError as `ReceiptBook` does and before there is a file, BookForeign for another venue's,
        BookDamaged for a line that does not read, or OSError.
        """
        book = cls(separator, operator)
        with ExitStack() as opened:
            file = opened.enter_context(BookFile(folder, book.venue))
            book._trusting = True
            book._replay(file.path)
            book._trusting = False
            opened.pop_all()
        book._file, book._on_fault = file, on_fault
        return book

    def close(self) -> None:
        """Close the book's file, if it has one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def known_groups(self) -> int:
        """How many receipts are at hand."""
        return len(self._known)

    def get(self, group: int) -> SignedReceipt | None:
        """The receipt of a group, if it is at hand."""
        return self._known.get(group)

    # What is heard.

    def follow(self, said: Any) -> SignedReceipt | None:
        """Take a message of `penstock.receipts`, or an item of `penstock/get_receipts`, in order.

        Returns the receipt if the operator signed it, whatever else is wrong with it.
        """
        signed = self._admit(said, "group")
        if signed is None:
            return None
        receipt = signed.receipt
        if receipt.sound and (self.head is None or receipt.group > self.head.group):
            if self.head is not None:
                self._look_for_missing(self.head.group + 1, receipt.group - 1)
            self.head = receipt
        return signed

    def acknowledged(self, envelope: bytes, sequence: int, time: int, said: Any) -> SignedReceipt | None:
        """Check a reply's `receipt` against one's own envelope and the acknowledged sequence and venue time (µs).

        Returns the receipt if it proves the acknowledgement; None if it does not, or there is none.
        """
        self.replies += 1
        place, why = _read_place(said)
        signed = None
        if place is not None:
            admitted = None if place.signed is None else self._admit(place.signed, "receipt")
            signed = admitted or self._known.get(place.group)
        stands_apart = place is not None and self._known.get(place.group) != signed
        self._write_reply(envelope, sequence, time, said, stands_apart)
        if place is None:
            kind = FaultKind.MISSING_RECEIPT if said is None else FaultKind.MALFORMED
            self._note(kind, f"sequence {sequence} was acknowledged, and its receipt {why}", None, sequence)
            return None
        if signed is None:
            sentence = f"sequence {sequence} was acknowledged without the signed receipt of group {place.group}"
            self._note(FaultKind.MISSING_RECEIPT, sentence, place.group, sequence)
            return None
        return signed if self._proves(signed, place, envelope, sequence, time) else None

    def lost(self, first: int, why: str) -> None:
        """Note that the venue does not show groups it should have, from `first` on."""
        self._note_aloud(FaultKind.MISSING_GROUP, f"groups from {first} on: {why}", first)

    def silent(self) -> None:
        """Note that the venue has no channel of receipts."""
        self._note_aloud(FaultKind.MISSING_RECEIPT, "the venue has no channel of receipts", None)

    # How it is checked.

    def _admit(self, said: Any, kind: str) -> SignedReceipt | None:
        """A receipt that the operator signed, written down and compared with its neighbours; else a fault and None."""
        wire = unhexed(said) or b""
        try:
            signed = decode_receipt(wire)
        except Refusal as refusal:
            self._write("refused", said)
            self._note(FaultKind.MALFORMED, f"what was sent is no receipt: {refusal.reason.name}")
            return None
        receipt = signed.receipt
        known = self._known.get(receipt.group)
        if known == signed or wire in self._apart:
            if kind == "group" and (self.head is None or receipt.group > self.head.group):
                self._write(kind, said)
            return signed
        if not self._trusting:
            try:
                check_receipt(self.venue.separator, self.venue.operator, signed)
            except Refusal as refusal:
                self._write("refused", said)
                sentence = f"the receipt of group {receipt.group} is not signed by the operator: {refusal.reason.name}"
                self._note(FaultKind.FORGED, sentence, receipt.group)
                return None
        self._write(kind, said)
        self.receipts += 1
        if receipt.sound and known is None:
            self._insert(signed)
            return signed
        self._apart.add(wire)
        if known is not None:
            sentence = f"two different receipts for group {receipt.group}"
            self._note(FaultKind.DOUBLE, sentence, receipt.group, None, known, signed)
        if not receipt.sound:
            self._note(FaultKind.UNSOUND, f"no group can have the numbers of {receipt}", receipt.group, None, signed)
        return signed

    def _insert(self, signed: SignedReceipt) -> None:
        receipt = signed.receipt
        if (receipt.group == 1) != (receipt.previous == NO_RECEIPT):
            sentence = f"group {receipt.group} does not say rightly whether there was one before it"
            self._note(FaultKind.BROKEN_LINK, sentence, receipt.group, None, signed)
        at = bisect_left(self._numbers, receipt.group)
        if at > 0:
            self._compare(self._known[self._numbers[at - 1]], signed)
        if at < len(self._numbers):
            self._compare(signed, self._known[self._numbers[at]])
        insort(self._numbers, receipt.group)
        self._known[receipt.group] = signed
        if self._kept is not None and len(self._numbers) > 2 * self._kept:
            for number in self._numbers[: self._kept]:
                del self._known[number]
            del self._numbers[: self._kept]

    def _compare(self, one: SignedReceipt, other: SignedReceipt) -> None:
        """Whether `other`, of a higher group, can come after `one` in the same honest chain."""
        for kind, sentence in _contradictions(one.receipt, other.receipt):
            self._note(kind, sentence, other.receipt.group, None, one, other)

    def _look_for_missing(self, first: int, last: int) -> None:
        if last - first < len(self._known) and all(number in self._known for number in range(first, last + 1)):
            return
        groups = f"group {first}" if last == first else f"groups {first} to {last}"
        self._note(FaultKind.MISSING_GROUP, f"the channel went on at group {last + 1} without {groups}", first)

    def _proves(self, signed: SignedReceipt, place: _Place, envelope: bytes, sequence: int, time: int) -> bool:
        receipt = signed.receipt
        if place.group != receipt.group or not receipt.sound or place.index != sequence - receipt.first_sequence:
            sentence = f"sequence {sequence} has no place {place.index} in group {place.group}"
        elif not receipt.first_sequence <= sequence <= receipt.last_sequence:
            sentence = f"sequence {sequence} is not in group {place.group}"
        elif not 0 <= time <= receipt.time or (sequence == receipt.last_sequence and time != receipt.time):
            sentence = f"sequence {sequence} at {time} is not in a group that ended at {receipt.time}"
        else:
            path = [unhexed(sibling) or b"" for sibling in place.path]
            try:
                leaf = receipt_leaf(sequence, time, envelope)
            except (Refusal, IndexError):
                leaf = b""  # what was sent is no envelope, so nothing proves it
            if check_path(leaf, place.index, receipt.count, path, receipt.root):
                return True
            sentence = f"what was sent is not message {place.index} of group {place.group}, sequence {sequence}"
            self._note(FaultKind.WRONG_PATH, sentence, place.group, sequence, signed)
            return False
        self._note(FaultKind.WRONG_PLACE, sentence, place.group, sequence, signed)
        return False

    def _note_aloud(self, kind: FaultKind, sentence: str, group: int | None) -> None:
        """Note what the lines of the file would not show by themselves."""
        self._note(kind, sentence, group)
        self._write("fault", {"kind": kind, "sentence": sentence, "group": group, "sequence": None})

    def _note(
        self,
        kind: FaultKind,
        sentence: str,
        group: int | None = None,
        sequence: int | None = None,
        *shown: SignedReceipt,
    ) -> None:
        wires = tuple(signed.encode() for signed in shown)
        fault = Fault(kind, sentence, group, sequence, wires)
        self.faults.append(fault)
        if self._file is not None and len(wires) > 1:
            try:
                self._file.keep_evidence(kind, sentence, list(wires))
            except OSError as error:
                self._cannot_keep(error)
        self._on_fault(fault)

    def _write_reply(self, envelope: bytes, sequence: int, time: int, said: Any, stands_apart: bool) -> None:
        """The signed receipt has a line of its own; it stands here too if it is not the one known of its group."""
        if isinstance(said, dict) and not stands_apart:
            said = {name: part for name, part in said.items() if name != "signed"}
        reply = {"envelope": hexed(envelope), "sequence": sequence, "time": time, "receipt": said}
        self._write("reply", reply)

    def _write(self, kind: str, said: Any) -> None:
        if self._file is None:
            return
        try:
            self._file.append(kind, said)
        except OSError as error:
            self._cannot_keep(error)

    def _cannot_keep(self, error: OSError) -> None:
        """From here on the book is in memory only, and says so."""
        self.close()
        self._note(FaultKind.NOT_KEPT, f"the book cannot be written any more: {error}")

    # Reading it back.

    def _replay(self, path: Path) -> None:
        """Hear everything in a file again. Raises BookDamaged, or OSError."""
        for number, kind, said in read_lines(path):
            try:
                self._hear(kind, said)
            except (KeyError, TypeError, ValueError) as error:
                raise BookDamaged(f"{path}: line {number} is not one of a book: {error!r}") from error

    def _hear(self, kind: str, said: Any) -> None:
        if kind == "group":
            self.follow(said)
        elif kind == "receipt":
            self._admit(said, kind)
        elif kind == "refused":
            trusting, self._trusting = self._trusting, False
            self._admit(said, kind)
            self._trusting = trusting
        elif kind == "reply":
            envelope, sequence, time = unhexed(said["envelope"]), said["sequence"], said["time"]
            if envelope is None or type(sequence) is not int or type(time) is not int:
                raise ValueError("a reply has an envelope, a sequence and a time")
            self.acknowledged(envelope, sequence, time, said["receipt"])
        elif kind == "fault":
            self._note(FaultKind(said["kind"]), said["sentence"], said["group"], said["sequence"])
        else:
            raise ValueError(f"no line is called {kind}")

    def check_file(self, path: Path) -> Checked:
        """Hear a kept file again, every signature checked, nothing forgotten, and say what this book then holds."""
        self._kept = None
        self._replay(path)
        span = (self._numbers[0], self._numbers[-1]) if self._numbers else (0, 0)
        return Checked(self.venue, self.receipts, self.replies, *span, tuple(self.faults))


def check_book(path: Path, venue: Venue) -> Checked:
    """Check a kept book, a file or its folder, from nothing but its lines and who its operator should be.

    Raises BookDamaged for a line that does not read, or OSError.
    """
    book = ReceiptBook(venue.separator, venue.operator)
    return book.check_file(book_path(path))


def book_path(path: Path) -> Path:
    """The file of a book that is named by it or by its folder."""
    return path / FILE_NAME if path.is_dir() else path


def _whole(name: str, value: Any, length: int) -> bytes:
    """`value` if it is so many bytes. Raises ValueError."""
    if not isinstance(value, bytes) or len(value) != length:
        seen = f"{len(value)} bytes" if isinstance(value, bytes) else f"a {type(value).__name__}"
        raise ValueError(f"{name}: {length} bytes are wanted, not {seen}")
    return value


def _read_place(said: Any) -> tuple[_Place | None, str]:
    """What a reply's `receipt` says, or None and why it says nothing."""
    if said is None:
        return None, "is missing"
    try:
        return msgspec.convert(said, _Place), ""
    except msgspec.ValidationError as error:
        return None, f"does not read: {error}"


def _contradictions(one: Receipt, other: Receipt) -> Iterator[tuple[FaultKind, str]]:
    """Why `other`, of a higher group than `one`, cannot come after it."""
    between = other.group - one.group - 1
    pair = f"groups {one.group} and {other.group}"
    if one.first_sequence <= other.last_sequence and other.first_sequence <= one.last_sequence:
        yield FaultKind.DOUBLE, f"{pair} both have sequence {max(one.first_sequence, other.first_sequence)}"
    elif between == 0 and other.first_sequence != one.last_sequence + 1:
        yield FaultKind.BROKEN_LINK, f"{pair}: sequence {other.first_sequence} follows {one.last_sequence}"
    elif other.first_sequence - one.last_sequence - 1 < between:
        yield FaultKind.BROKEN_LINK, f"{pair} leave no sequences to the {between} groups between them"
    elif between == 0 and other.previous != one.hash():
        yield FaultKind.BROKEN_LINK, f"group {other.group} names another receipt than that of group {one.group}"
    if not one.epoch <= other.epoch <= one.epoch + between + 1:
        yield FaultKind.WRONG_EPOCH, f"{pair}: epoch {other.epoch} follows {one.epoch}"
    if other.time < one.time:
        yield FaultKind.TIME_WENT_BACK, f"{pair}: venue time {other.time} follows {one.time}"
