"""What was durable reads back; what was torn is dropped aloud; anything else stops with its offset."""

import errno
import logging
import os
import resource

import pytest

from penstock.venue.journal import (
    HomeLock,
    Journal,
    JournalBroken,
    JournalBusy,
    JournalCorrupt,
    JournalError,
    JournalForeign,
    JournalFull,
)

RULESET = b"\x01" * 32
SEPARATOR = b"\x02" * 32
RECORDS = [(1, 100, (), b"one"), (2, 100, (b"\xaa" * 20,), b"the second"), (3, 250, (b"\xaa" * 20, b"\xbb" * 20), b"3")]


def open_journal(home):
    return Journal(home, RULESET, SEPARATOR)


def written(home):
    """The bytes of a journal with the three records, and where each begins."""
    journal = open_journal(home)
    starts = []
    for record in RECORDS:
        starts.append(journal.path.stat().st_size)
        journal.append(*record)
        journal.sync()
    journal.close()
    return journal.path.read_bytes(), starts


def read_back(home):
    journal = open_journal(home)
    try:
        return [(r.sequence, r.time, r.signers, r.envelope) for r in journal.read()]
    finally:
        journal.close()


def test_what_was_synced_reads_back_from_any_sequence(tmp_path):
    written(tmp_path)
    assert read_back(tmp_path) == RECORDS
    journal = open_journal(tmp_path)
    assert [r.sequence for r in journal.read(3)] == [3]
    assert (journal.last_sequence, journal.last_time) == (3, 250)
    journal.close()


def test_what_was_not_synced_is_not_there(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    journal.close()
    assert read_back(tmp_path) == []


def test_a_tail_torn_at_any_byte_is_dropped_and_kept_aside(tmp_path, caplog):
    whole, starts = written(tmp_path)
    caplog.set_level(logging.WARNING)
    for cut in range(starts[0] + 1, len(whole)):
        home = tmp_path / str(cut)
        home.mkdir()
        (home / "journal").write_bytes(whole[:cut])
        good = max(at for at in [*starts, len(whole)] if at <= cut)
        kept = starts.index(good)
        caplog.clear()
        assert read_back(home) == RECORDS[:kept], cut
        assert (home / "journal").read_bytes() == whole[:good]
        if cut == good:
            assert not caplog.messages
            continue
        assert (home / f"journal.torn-{good}").read_bytes() == whole[good:cut]
        assert f"dropped {cut - good} bytes" in caplog.text
        assert read_back(home) == RECORDS[:kept]


def test_a_journal_goes_on_behind_a_dropped_tail(tmp_path):
    whole, starts = written(tmp_path)
    (tmp_path / "journal").write_bytes(whole[:-1])
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[2])
    journal.sync()
    journal.close()
    assert (tmp_path / "journal").read_bytes() == whole
    (tmp_path / "journal").write_bytes(whole[:-2])
    open_journal(tmp_path).close()
    assert (tmp_path / f"journal.torn-{starts[2]}-2").exists(), "the first torn tail must not be overwritten"


def test_a_flipped_bit_in_any_byte_of_a_record_stops_with_its_offset(tmp_path):
    whole, starts = written(tmp_path)
    for at in range(starts[0], len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        (tmp_path / "journal").write_bytes(damaged)
        with pytest.raises(JournalCorrupt) as refused:
            open_journal(tmp_path)
        assert refused.value.offset == max(start for start in starts if start <= at)
        assert (tmp_path / "journal").read_bytes() == damaged, "nothing may be changed"


def test_a_hole_before_a_good_record_is_damage_and_not_a_torn_tail(tmp_path):
    whole, starts = written(tmp_path)
    hole = whole[: starts[1]] + bytes(starts[2] - starts[1]) + whole[starts[2] :]
    (tmp_path / "journal").write_bytes(hole)
    with pytest.raises(JournalCorrupt, match=f"damaged at byte {starts[1]}.*good one at byte {starts[2]}"):
        open_journal(tmp_path)


def test_zeros_behind_the_last_record_were_never_written(tmp_path):
    whole, _ = written(tmp_path)
    (tmp_path / "journal").write_bytes(whole + bytes(512))
    assert read_back(tmp_path) == RECORDS


def test_records_out_of_sequence_are_damage(tmp_path):
    whole, starts = written(tmp_path)
    (tmp_path / "journal").write_bytes(whole[: starts[1]] + whole[starts[2] :])
    with pytest.raises(JournalCorrupt, match="sequence 3 after 1"):
        open_journal(tmp_path)


def test_the_journal_of_another_venue_is_refused(tmp_path):
    written(tmp_path)
    with pytest.raises(JournalForeign, match="another venue"):
        Journal(tmp_path, RULESET, b"\x03" * 32)
    with pytest.raises(JournalForeign, match="other rules"):
        Journal(tmp_path, b"\x03" * 32, SEPARATOR)
    assert read_back(tmp_path) == RECORDS


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    (tmp_path / "journal").write_bytes(b"a shopping list, long enough to be taken for a header " * 4)
    with pytest.raises(JournalForeign, match="not a Penstock journal"):
        open_journal(tmp_path)
    assert (tmp_path / "journal").read_bytes().startswith(b"a shopping list")


def test_a_header_cut_short_at_creation_is_written_again(tmp_path):
    journal = open_journal(tmp_path)
    journal.close()
    header = journal.path.read_bytes()
    for cut in range(len(header)):
        journal.path.write_bytes(header[:cut])
        assert read_back(tmp_path) == []
        assert journal.path.read_bytes() == header


def test_a_damaged_header_stops(tmp_path):
    whole, starts = written(tmp_path)
    for at in range(starts[0]):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        (tmp_path / "journal").write_bytes(damaged)
        with pytest.raises((JournalForeign, JournalCorrupt)):
            open_journal(tmp_path)


def test_a_second_node_on_one_home_is_refused(tmp_path):
    lock = HomeLock(tmp_path)
    with pytest.raises(JournalBusy, match="another node is running"):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()


def test_a_second_writer_is_refused_before_it_can_cut_a_group_that_is_being_written(tmp_path, monkeypatch):
    """Half a group of a live node looks like a torn tail; to repair it would lose what the node then acknowledges."""
    node = open_journal(tmp_path)
    node.append(*RECORDS[0])
    node.sync()
    for record in RECORDS[1:]:
        node.append(*record)
    write, met = os.write, []

    def in_two_halves(descriptor, group):
        half = write(descriptor, group[: len(group) // 2])
        with pytest.raises(JournalBusy, match="a running node is writing it"):
            open_journal(tmp_path)
        beside = Journal(tmp_path, RULESET, SEPARATOR, read_only=True)
        met.append([r.sequence for r in beside.read()])
        rest = write(descriptor, group[len(group) // 2 :])
        assert [r.sequence for r in beside.read()] == met[-1], "a reader keeps the end it found"
        beside.close()
        return half + rest

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", in_two_halves)
        node.sync()
    node.close()
    assert met in ([[1]], [[1, 2]])
    assert read_back(tmp_path) == RECORDS
    assert not list(tmp_path.glob("journal.torn-*"))


def test_a_reader_stops_at_a_torn_tail_and_changes_nothing(tmp_path):
    whole, starts = written(tmp_path)
    for cut in range(starts[0], len(whole) + 1):
        (tmp_path / "journal").write_bytes(whole[:cut])
        reader = Journal(tmp_path, RULESET, SEPARATOR, read_only=True)
        kept = sum(end <= cut for end in [*starts[1:], len(whole)])
        assert [r.sequence for r in reader.read()] == [1, 2, 3][:kept]
        with pytest.raises(JournalError, match="reading only"):
            reader.append(*RECORDS[0])
        reader.close()
        assert (tmp_path / "journal").read_bytes() == whole[:cut]
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_reader_creates_no_journal(tmp_path):
    with pytest.raises(JournalForeign, match="no journal here"):
        Journal(tmp_path, RULESET, SEPARATOR, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sync_is_never_tried_again(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])

    def fails(_):
        raise OSError(errno.EIO, "the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fails)
        with pytest.raises(JournalBroken, match="the disk is gone"):
            journal.sync()
    with pytest.raises(JournalBroken, match="the disk is gone"):
        journal.sync()
    journal.close()


def test_a_short_write_breaks_the_journal(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 5, hard))
    try:
        with pytest.raises(JournalBroken, match="only 5 of"):
            journal.sync()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(JournalBroken):
        journal.sync()
    journal.close()
    assert read_back(tmp_path) == []


def test_a_full_disk_leaves_the_journal_as_it_was_before_the_group(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    journal.sync()
    before = journal.path.read_bytes()
    journal.append(*RECORDS[1])
    write = os.write

    def full(descriptor, group):
        write(descriptor, group[:7])
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalFull, match="no space left"):
        journal.sync()
    assert journal.path.read_bytes() == before
    journal.close()
