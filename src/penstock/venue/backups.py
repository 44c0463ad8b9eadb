"""Backups: a home folder in one file, taken beside the node that is running there, and checked when it is put back.

A tar archive, gzipped, in this order: the genesis, the watermark, the newest good snapshot, the journal's segments, and
at last the manifest with the SHA-256 of each. The watermark comes before the segments, so that they hold at least what
it says; a group that was being written is torn in the copy, and dropped when it is opened.
"""

import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec
from msgspec import Struct

from penstock.protocol.signing import Domain
from penstock.venue.disk.files import sync_folder, write_durably
from penstock.venue.engine_port import open_engine
from penstock.venue.journal import Journal
from penstock.venue.recovery import GENESIS_NAME, Reached, bring_up, read_genesis
from penstock.venue.snapshots import Snapshots, SnapshotWrong

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_LARGEST: Final = 1 << 40
Progress = Callable[[str], None]


class BackupWrong(Exception):
    """An archive that is no backup, or not the one that was written; the message says why. Nothing was put back."""


class Manifest(Struct, frozen=True):
    """What an archive holds: format, the journal's durable end when it was taken, SHA-256 by name."""

    format: int
    sequence: int
    digests: dict[str, str]


def back_up(home: Path, target: Path, progress: Progress = lambda _: None) -> Manifest:
    """Write a backup of a home to a new file; a node may be running there.

    Raises FileExistsError, JournalError for a home that does not read back, OSError.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already")
    genesis = read_genesis(home)
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    partial = target.with_name(target.name + ".partial")
    try:
        digests: dict[str, str] = {}
        with tarfile.open(partial, "x:gz", compresslevel=1) as archive:
            for path in _files(home, journal, Snapshots(home, genesis.ruleset(), separator)):
                name = path.relative_to(home).as_posix()
                progress(name)
                digests[name] = _add(archive, name, path.read_bytes())
            manifest = Manifest(FORMAT, journal.last_sequence, digests)
            _add(archive, MANIFEST, msgspec.json.encode(manifest))
        partial.replace(target)
        sync_folder(target.parent)
    finally:
        journal.close()
        partial.unlink(missing_ok=True)
    return manifest


def restore(source: Path, home: Path, engine: str = "auto", progress: Progress = lambda _: None) -> Reached:
    """Put a backup into a new home, open its journal, bring an engine to its end, and say where that is.

    Raises BackupWrong, and JournalError or ValueError for a content that does not lead to at least the sequence the
    backup promises. A home that could not be put back is taken away again.
    """
    was_there = home.exists()
    if was_there and any(home.iterdir()):
        raise FileExistsError(f"{home} is not empty: a backup is put back into a new home")
    home.mkdir(parents=True, exist_ok=True)
    try:
        return _put_back(source, home, engine, progress)
    except BaseException:
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not was_there:
            home.rmdir()
        raise


def _put_back(source: Path, home: Path, engine: str, progress: Progress) -> Reached:
    manifest = _unpack(source, home, progress)
    genesis = read_genesis(home)
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    progress("checking")
    journal = Journal(home, genesis.ruleset(), separator)
    try:
        if journal.last_sequence < manifest.sequence:
            raise BackupWrong(f"{source}: ends at sequence {journal.last_sequence}, promised {manifest.sequence}")
        return bring_up(open_engine(genesis, engine), journal, Snapshots(home, genesis.ruleset(), separator))
    finally:
        journal.close()


def _files(home: Path, journal: Journal, snapshots: Snapshots) -> Iterator[Path]:
    yield home / GENESIS_NAME
    yield journal.watermark
    for path in snapshots.listed():
        try:
            if snapshots.read(path)[0].sequence <= journal.last_sequence:
                yield path
                break
        except SnapshotWrong:
            continue  # the journal alone leads to the same state
    yield from journal.segments


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> str:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, BytesIO(content))
    return hashlib.sha256(content).hexdigest()


def _unpack(source: Path, home: Path, progress: Progress) -> Manifest:
    """Every file of the archive, written durably; then the manifest, compared. Raises BackupWrong."""
    digests: dict[str, str] = {}
    manifest = None
    try:
        with tarfile.open(source, "r:gz") as archive:
            for entry in archive:
                name = _checked(source, entry)
                opened = archive.extractfile(entry)
                assert opened is not None, "a regular file can be opened"
                if name == MANIFEST:
                    manifest = msgspec.json.decode(opened.read(), type=Manifest)
                    continue
                progress(name)
                digests[name] = _write(home / name, opened)
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass  # to the very end, where gzip's own checksum is
    except (tarfile.TarError, zlib.error, EOFError, OSError, msgspec.MsgspecError) as error:
        raise BackupWrong(f"{source}: not a whole backup: {error}") from error
    if manifest is None:
        raise BackupWrong(f"{source}: the manifest is missing")
    if manifest.format != FORMAT:
        raise BackupWrong(f"{source}: backup format {manifest.format}, this release reads {FORMAT}")
    wrong = sorted(name for name in digests | manifest.digests if digests.get(name) != manifest.digests.get(name))
    if wrong:
        raise BackupWrong(f"{source}: not what was written: {', '.join(wrong)}")
    return manifest


def _checked(source: Path, entry: tarfile.TarInfo) -> str:
    """The name of a file that belongs in a home. Raises BackupWrong for anything that would land elsewhere."""
    parts = PurePosixPath(entry.name).parts
    inside = parts[:1] in ((MANIFEST,), (GENESIS_NAME,)) and len(parts) == 1
    inside |= len(parts) == 2 and parts[0] in ("journal", "snapshots") and parts[1] not in (".", "..")
    if not (entry.isreg() and inside and entry.size <= _LARGEST):
        raise BackupWrong(f"{source}: {entry.name!r} does not belong in a backup")
    return entry.name


def _write(path: Path, opened: IO[bytes]) -> str:
    content = opened.read()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, content)
    return hashlib.sha256(content).hexdigest()
