"""A receipt book on disk: a folder with `book.jsonl`, which only grows, and one file for each piece of evidence.

Every line of `book.jsonl` is one JSON object with one member, bytes as 0x hex:

    {"book": {"version": 1, "separator": …, "operator": …}}          the first line
    {"group": …}     a signed receipt, as the channel sent it
    {"receipt": …}   a signed receipt, as a reply brought it
    {"refused": …}   what was sent for a receipt and is not one of the operator's
    {"reply": {"envelope": …, "sequence": …, "time": …, "receipt": {"group": …, "index": …, "path": […]} or null}}
    {"fault": {"kind": …, "sentence": …, "group": …, "sequence": …}}  what the lines do not show by themselves

`evidence-N.json` holds receipts of one operator that cannot both be honest:
{"kind", "sentence", "separator", "operator", "receipts": […]}.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from penstock.protocol.reasons import Refusal

FILE_NAME: Final = "book.jsonl"
VERSION: Final = 1


class BookDamaged(Exception):
    """A line of a book does not read; the message says which. Nothing has been changed."""


class BookForeign(Exception):
    """The book was kept for another venue or another operator."""


class Venue(Struct, frozen=True):
    """Whose receipts a book keeps: the EIP-712 domain separator (32 bytes) and the operator's address (20)."""

    separator: bytes
    operator: bytes


class BookFile:
    """The file, open for appending. A last line that a crash cut off is dropped when it is opened again."""

    def __init__(self, folder: Path, venue: Venue) -> None:
        """Open or create it. Raises BookForeign, BookDamaged, or OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / FILE_NAME
        self._venue = venue
        with self.path.open("ab") as file:
            whole = self.path.read_bytes().rfind(b"\n") + 1
            file.truncate(whole)
        if whole and read_venue(self.path) != venue:
            raise BookForeign(f"{self.path} is kept for another venue or operator")
        self._file = self.path.open("ab", buffering=0)
        if not whole:
            head = {"version": VERSION, "separator": hexed(venue.separator), "operator": hexed(venue.operator)}
            self.append("book", head)

    def append(self, kind: str, said: Any) -> None:
        """Write one line. It survives the process, not the machine: it is not synced. Raises OSError."""
        self._file.write(msgspec.json.encode({kind: said}) + b"\n")

    def keep_evidence(self, kind: str, sentence: str, wires: list[bytes]) -> Path:
        """Write receipts that contradict one another to a file of their own. Raises OSError."""
        number = 1 + len(list(self.folder.glob("evidence-*.json")))
        path = self.folder / f"evidence-{number}.json"
        evidence = {
            "kind": kind,
            "sentence": sentence,
            "separator": hexed(self._venue.separator),
            "operator": hexed(self._venue.operator),
            "receipts": [hexed(wire) for wire in wires],
        }
        with path.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(evidence), indent=1) + b"\n")
        return path

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_venue(path: Path) -> Venue:
    """Whose book a file is. Raises BookDamaged when its first line does not say so, or OSError."""
    with path.open("rb") as file:
        first = file.readline()
    _, head = _parse(path, 1, first)
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise BookDamaged(f"{path}: line 1 is not the head of a book of version {VERSION}")
    separator, operator = unhexed(head.get("separator")), unhexed(head.get("operator"))
    if separator is None or operator is None or (len(separator), len(operator)) != (32, 20):
        raise BookDamaged(f"{path}: line 1 names no separator and operator")
    return Venue(separator, operator)


def read_lines(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Number, kind and content of every whole line behind the first. Raises BookDamaged, or OSError."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number > 1 and line.endswith(b"\n"):
                yield number, *_parse(path, number, line)


def hexed(value: bytes) -> str:
    """0x and lower-case hex."""
    return "0x" + value.hex()


def unhexed(text: object) -> bytes | None:
    """The bytes of 0x hex; None for anything else."""
    if not isinstance(text, str) or not text.startswith("0x"):
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None


def _parse(path: Path, number: int, line: bytes) -> tuple[str, Any]:
    try:
        [(kind, said)] = msgspec.json.decode(line, type=dict[str, Any]).items()
    except (msgspec.DecodeError, ValueError, Refusal) as error:
        raise BookDamaged(f"{path}: line {number} is not one of a book: {error}") from error
    return kind, said
