"""Backups and the doctor: a home copied beside its running node, put back only whole, and looked over from outside."""

import io
import tarfile

import pytest
from msgspec.structs import replace

from penstock.protocol.quantities import MICRO
from penstock.venue.backups import BackupWrong, back_up, restore
from penstock.venue.doctor import GOOD, WORTH_KNOWING, WRONG, look_over
from penstock.venue.journal import JournalError
from penstock.venue.recovery import take_snapshot

from .harness import GENESIS, START, Pen, credit, running
from .test_snapshots import trade


async def a_backup(tmp_path):
    """A backup taken beside a running node, with commands before the snapshot, after it, and after the backup."""
    pen = Pen()
    async with running(tmp_path / "home") as node:
        await trade(node, pen, 40)
        take_snapshot(tmp_path / "home", GENESIS)
        await trade(node, pen, 40, seed=2)
        promised = node.sequencer.durable_sequence
        manifest = back_up(tmp_path / "home", tmp_path / "kept.tar.gz")
        root = node.engine.engine_root()
        await trade(node, pen, 10, seed=3)
    assert manifest.sequence == promised
    return tmp_path / "kept.tar.gz", promised, root


async def test_a_restored_home_is_a_home_and_goes_on(tmp_path):
    kept, promised, root = await a_backup(tmp_path)
    reached = restore(kept, tmp_path / "new")
    assert reached.sequence == promised and reached.snapshot is not None
    async with running(tmp_path / "new", funded=False) as node:
        assert (node.sequencer.sequence, node.engine.engine_root()) == (promised, root)
        await trade(node, Pen(START + 10 * MICRO), 5)
        assert node.sequencer.failure is None


async def test_a_backup_is_put_back_into_a_new_home_only_and_never_written_over(tmp_path):
    kept, _, _ = await a_backup(tmp_path)
    with pytest.raises(FileExistsError, match="not empty"):
        restore(kept, tmp_path / "home")
    with pytest.raises(FileExistsError, match="there already"):
        back_up(tmp_path / "home", kept)


async def test_a_backup_cut_short_or_changed_is_refused(tmp_path):
    kept, _, _ = await a_backup(tmp_path)
    content = kept.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 25)):
        kept.write_bytes(content[:at])
        with pytest.raises(BackupWrong):
            restore(kept, tmp_path / f"cut-{at}")
        assert not (tmp_path / f"cut-{at}").exists(), "a failed restore leaves nothing behind"
        kept.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        try:
            reached = restore(kept, tmp_path / f"flipped-{at}")
        except (BackupWrong, JournalError, OSError):
            assert not (tmp_path / f"flipped-{at}").exists()
            continue
        assert reached.sequence >= 1, "a byte of gzip's own head may change without changing what is in it"


def repacked(kept, change):
    """The archive with its files as `change` makes of (name, content): a list of such pairs."""
    with tarfile.open(kept) as archive:
        files = [(entry.name, archive.extractfile(entry).read()) for entry in archive]
    with tarfile.open(kept, "w:gz") as archive:
        for name, content in change(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


async def test_names_that_lead_out_of_the_home_are_refused(tmp_path):
    kept, _, _ = await a_backup(tmp_path)
    original = kept.read_bytes()
    for name in ("../outside", "/etc/outside", "journal/../../outside", "journal/a/b", "elsewhere"):
        kept.write_bytes(original)
        repacked(kept, lambda files, name=name: [(name, b"x"), *files])
        with pytest.raises(BackupWrong, match="does not belong"):
            restore(kept, tmp_path / "new")
        assert not (tmp_path / "outside").exists()


async def test_a_file_missing_or_more_than_the_manifest_says_is_refused(tmp_path):
    kept, _, _ = await a_backup(tmp_path)
    original = kept.read_bytes()
    repacked(kept, lambda files: files[1:])
    with pytest.raises(BackupWrong, match=r"not what was written: genesis.json"):
        restore(kept, tmp_path / "one")
    kept.write_bytes(original)
    repacked(kept, lambda files: files[:-1])
    (tmp_path / "other").mkdir()
    with pytest.raises(BackupWrong, match="manifest is missing"):
        restore(kept, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == [], "an empty folder that was there stays, and stays empty"


def verdicts(home):
    return {one.about: one.verdict for one in look_over(home, lambda: START + 60 * MICRO)}


async def test_the_doctor_finds_a_good_home_good_also_beside_its_node(tmp_path):
    async with running(tmp_path) as node:
        await trade(node, Pen(), 5)
        take_snapshot(tmp_path, GENESIS)
        found = verdicts(tmp_path)
        assert found.pop("lock") == "note"
    assert {found[about] for about in ("genesis", "disk", "journal", "clock", "snapshot")} == {GOOD}
    assert verdicts(tmp_path)["lock"] == GOOD


async def test_the_doctor_names_what_is_wrong_and_touches_nothing(tmp_path):
    async with running(tmp_path) as node:
        await trade(node, Pen(), 30)
        snapshot = take_snapshot(tmp_path, GENESIS)
    snapshot.path.write_bytes(b"damaged")
    segment = next((tmp_path / "journal").glob("*.segment"))
    content = bytearray(segment.read_bytes())
    content[1_000] ^= 1
    segment.write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert verdicts(tmp_path)["journal"] == WRONG
    segment.write_bytes(bytes(content[:1_000]) + bytes([content[1_000] ^ 1]) + bytes(content[1_001:]))
    assert verdicts(tmp_path)["snapshot"] == WRONG
    segment.write_bytes(content)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (tmp_path / "genesis.json").unlink()
    assert verdicts(tmp_path)["genesis"] == WRONG


async def test_a_clock_behind_the_journal_is_named(tmp_path):
    async with running(tmp_path, genesis=replace(GENESIS, chain_id=1), funded=False) as node:
        await credit(node, 1)
    seen = {one.about: one for one in look_over(tmp_path, lambda: START - 3_600 * MICRO)}
    assert seen["clock"].verdict == WRONG and "3600 s ahead" in seen["clock"].seen


async def test_a_dev_clock_begun_ahead_is_worth_knowing_and_not_wrong(tmp_path):
    async with running(tmp_path):
        pass
    seen = {one.about: one for one in look_over(tmp_path, lambda: START - 3_600 * MICRO)}
    assert seen["clock"].verdict == WORTH_KNOWING and "a Dev clock" in seen["clock"].seen
