"""The bytes of a batch that its `availability` commits to: every command with its envelope, the entries it wrote and
the root after each. Without the roots nobody could open a step, and so dispute it.

count u32 · per command: sequence u64 · time u64 · length u32 · envelope · entries u16
          · (length u8 · entry · settlement root after it b32) each
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.words import keccak


class PublicationWrong(Exception):
    """A batch's bytes are missing, or are not what the chain committed to; the message says which."""


class PublishedCommand(Struct, frozen=True):
    """One sequenced command, and the packed ledger entries it wrote with the settlement root after each."""

    sequence: int
    time: int
    envelope: bytes
    entries: tuple[tuple[bytes, bytes], ...]


def pack_published(commands: Sequence[PublishedCommand]) -> bytes:
    """The bytes to publish."""
    parts = [len(commands).to_bytes(4, "big")]
    for command in commands:
        parts += [command.sequence.to_bytes(8, "big"), command.time.to_bytes(8, "big")]
        parts += [len(command.envelope).to_bytes(4, "big"), command.envelope, len(command.entries).to_bytes(2, "big")]
        for entry, root in command.entries:
            parts += [len(entry).to_bytes(1, "big"), entry, root]
    return b"".join(parts)


def unpack_published(packed: bytes) -> list[PublishedCommand]:
    """The commands. Raises PublicationWrong when the bytes are not exactly such a list."""
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        taken = packed[at : at + count]
        if len(taken) != count:
            raise PublicationWrong(f"published bytes end before byte {at + count}")
        at += count
        return taken

    def number(count: int) -> int:
        return int.from_bytes(take(count), "big")

    commands = []
    for _ in range(number(4)):
        sequence, time = number(8), number(8)
        envelope = take(number(4))
        entries = tuple((take(number(1)), take(32)) for _ in range(number(2)))
        commands.append(PublishedCommand(sequence, time, envelope, entries))
    if at != len(packed):
        raise PublicationWrong(f"{len(packed) - at} published bytes too many")
    return commands


def file_name(number: int, packed: bytes) -> str:
    """Named by its bytes too: after a restart the number may be cut again, and what is on chain must stay."""
    return f"{number:08d}-{keccak(packed)[:4].hex()}.batch"


def read_published(folder: Path, batch: Batch) -> list[PublishedCommand]:
    """The commands of a committed batch from its file. Raises PublicationWrong."""
    path = folder / f"{batch.number:08d}-{batch.availability[:4].hex()}.batch"
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise PublicationWrong(f"batch {batch.number}: its bytes are not there: {error}") from error
    if keccak(packed) != batch.availability:
        raise PublicationWrong(f"batch {batch.number}: {path.name} is not what the chain committed to")
    commands = unpack_published(packed)
    if [c.sequence for c in commands] != list(range(batch.first_sequence, batch.last_sequence + 1)):
        raise PublicationWrong(f"batch {batch.number}: the published sequence numbers are not the batch's")
    return commands
