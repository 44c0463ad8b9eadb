"""Looking a home folder over, without touching it: what would keep a node from starting, or make it stop."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from penstock.engine.native import available
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.venue.journal import LOCK_NAME, Journal, JournalError
from penstock.venue.recovery import read_genesis
from penstock.venue.sequencer import DISK_RESERVE
from penstock.venue.snapshots import Snapshots, SnapshotWrong

GOOD: Final = "good"
WORTH_KNOWING: Final = "note"
WRONG: Final = "wrong"
_AHEAD: Final = 60 * MICRO
_DEVELOPMENT_CHAIN: Final = 31_337
"""anvil's; a Dev clock runs beside such a chain only."""


class Complaint(Struct, frozen=True):
    """One thing looked at: `good`, `note` or `wrong`, and what was seen."""

    about: str
    verdict: str
    seen: str


def look_over(home: Path, now: Callable[[], int] = lambda: time.time_ns() // 1000) -> list[Complaint]:
    """Everything that can be said of a home from outside; `now` is the wall clock in µs."""
    found = [_engine(), _lock(home), _disk(home)]
    try:
        genesis = read_genesis(home)
    except JournalError as error:
        return [*found, Complaint("genesis", WRONG, str(error))]
    found.append(Complaint("genesis", GOOD, f"chain {genesis.chain_id}, vault 0x{genesis.vault.hex()}"))
    return [*found, *_journal(home, genesis, now())]


def _engine() -> Complaint:
    if available():
        return Complaint("engine", GOOD, "the native core is installed")
    return Complaint("engine", WORTH_KNOWING, "the native core is not installed: the spec runs, a hundred times slower")


def _lock(home: Path) -> Complaint:
    path = home / LOCK_NAME
    if not path.exists():
        return Complaint("lock", GOOD, "no node has run here")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Complaint("lock", WORTH_KNOWING, "a node is running here")
    finally:
        os.close(descriptor)
    return Complaint("lock", GOOD, "free")


def _disk(home: Path) -> Complaint:
    free = shutil.disk_usage(home).free
    seen = f"{free >> 20:,} MiB free, {DISK_RESERVE >> 20} MiB kept in reserve"
    return Complaint("disk", GOOD if free > 2 * DISK_RESERVE else WRONG, seen)


def _journal(home: Path, genesis: Genesis, now: int) -> list[Complaint]:
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    try:
        journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    except JournalError as error:
        return [Complaint("journal", WRONG, str(error))]
    try:
        seen = (
            f"{journal.last_sequence:,} commands in {journal.chain.number:,} groups, {len(journal.segments)} segments"
        )
        found = [Complaint("journal", GOOD, seen)]
        ahead = journal.last_time - now
        if ahead > _AHEAD:
            seen = f"the journal's last command is {ahead // MICRO} s ahead of the clock"
            if genesis.chain_id == _DEVELOPMENT_CHAIN:
                dev = f"{seen}, as a Dev clock's is that was begun ahead (up --before-expiry, the demo)"
                found.append(Complaint("clock", WORTH_KNOWING, dev))
            else:
                found.append(Complaint("clock", WRONG, seen))
        else:
            found.append(Complaint("clock", GOOD, f"the last command was {-ahead // MICRO} s ago"))
        return [*found, *_snapshots(Snapshots(home, genesis.ruleset(), separator), journal.last_sequence)]
    finally:
        journal.close()


def _snapshots(snapshots: Snapshots, last_sequence: int) -> list[Complaint]:
    found = []
    for path in snapshots.listed():
        try:
            snapshot, _ = snapshots.read(path)
        except SnapshotWrong as wrong:
            found.append(Complaint("snapshot", WRONG, str(wrong)))
            continue
        verdict = GOOD if snapshot.sequence <= last_sequence else WRONG
        found.append(Complaint("snapshot", verdict, f"sequence {snapshot.sequence:,} of {last_sequence:,}"))
    return found or [Complaint("snapshot", WORTH_KNOWING, "none: a restart replays the whole journal")]
