"""Why a journal cannot be used."""

from pathlib import Path


class JournalError(Exception):
    """The journal cannot be used; the message says why and where. Nothing has been deleted."""


class JournalCorrupt(JournalError):
    """Bytes that were once durable no longer read back. `offset` is where in the file at `path`."""

    def __init__(self, path: Path, offset: int, why: str) -> None:
        super().__init__(f"{path}: damaged at byte {offset}: {why}. Nothing was changed; restore the file from a copy")
        self.path = path
        self.offset = offset


class JournalForeign(JournalError):
    """The journal belongs to another venue or is of another format."""


class JournalBusy(JournalError):
    """Another node holds the home folder."""


class JournalFull(JournalError):
    """No space left to prepare a segment. What was appended still waits, and nothing of it was written."""


class JournalBroken(JournalError):
    """A write or a sync failed in a way that leaves the disk's content unknown. The node must stop."""
