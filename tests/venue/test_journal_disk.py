"""A disk that fails, fills, or is slow: nothing is acknowledged that is not on it, and a full one is met in time."""

import errno
import os
import resource
import subprocess
import threading
from contextlib import contextmanager

import pytest

from penstock.venue.journal import JournalBroken, JournalError, JournalFull

from .stored import RECORDS, contents, open_journal, read_back, store


def fails(code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


@contextmanager
def files_of_at_most(length):
    """No file may grow beyond that many bytes: to a writer, a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_failed_write_or_sync_breaks_the_journal_and_is_never_tried_again(tmp_path, monkeypatch, call):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    journal.sync()
    journal.append(*RECORDS[1])
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails(errno.EIO))
        with pytest.raises(JournalBroken, match="Input/output error"):
            journal.sync()
    for again in (journal.sync, journal.prepare):
        with pytest.raises(JournalBroken, match="Input/output error"):
            again()
    assert journal.acknowledged().sequence == 1
    assert [r.sequence for r in journal.read()] == [1], "reads go on"
    journal.close()
    assert read_back(tmp_path) in (RECORDS[:1], RECORDS[:2])


def test_a_write_of_a_part_breaks_the_journal(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    write = os.pwrite
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda descriptor, content, at: write(descriptor, content[:5], at))
        with pytest.raises(JournalBroken, match="only 5 of 512 bytes were written"):
            journal.sync()
    journal.close()
    assert read_back(tmp_path) == []


def test_a_watermark_that_cannot_be_written_breaks_the_journal_before_a_reply(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    monkeypatch.setattr("penstock.venue.journal.write_slot", fails(errno.EIO))
    with pytest.raises(JournalBroken, match="acknowledged: writing failed"):
        journal.sync()
    journal.close()


def test_a_full_disk_is_met_by_preparing_and_gives_way_when_there_is_space(tmp_path):
    store(tmp_path)
    journal = open_journal(tmp_path, segment_bytes=1 << 16)
    sequence = 3
    with files_of_at_most(1 << 15):
        while not journal.wants_segment():
            sequence += 1
            journal.append(sequence, 300, (), b"x" * 400)
            journal.sync()
        with pytest.raises(JournalFull, match="no room for a segment of 65536 bytes"):
            while True:
                journal.prepare()
        assert not list(journal.path.glob("*.preparing")), "half a segment is given back"
        while journal.room() >= 1_024:
            sequence += 1
            journal.append(sequence, 300, (), b"x" * 400)
            journal.sync()
        journal.append(sequence + 1, 300, (), b"y" * 400)
        journal.append(sequence + 2, 300, (), b"z" * 400)
        for _ in range(2):
            with pytest.raises(JournalFull):
                journal.sync()
        assert journal.acknowledged().sequence == journal.chain.sequence
    groups = journal.sync()
    assert groups[-1].last_sequence == sequence + 2, "nothing that was appended is lost"
    journal.close()
    assert [record[0] for record in read_back(tmp_path)] == list(range(1, sequence + 3))


def test_a_full_file_system_of_its_own(tmp_path, monkeypatch):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        journal = open_journal(tmp_path, segment_bytes=1 << 16)
        (tmp_path / "ballast").write_bytes(bytes((1 << 17) + (1 << 13)))
        sequence = 0
        while not journal.wants_segment():
            sequence += 1
            journal.append(sequence, 300, (), b"x" * 400)
            journal.sync()
        with pytest.raises(JournalFull, match="no space for another segment"):
            journal.prepare()
        with monkeypatch.context() as patched, pytest.raises(JournalFull, match="No space left on device"):
            patched.setattr(journal, "free_space", lambda: 1 << 30)
            while journal.wants_segment():
                journal.prepare()
        (tmp_path / "ballast").unlink()
        while journal.wants_segment():
            journal.prepare()
        assert journal.room() > 1 << 15
        journal.close()
        assert len(read_back(tmp_path)) == sequence
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_disk_too_small_for_a_journal_is_refused_and_the_next_start_finishes(tmp_path):
    with files_of_at_most(1 << 12), pytest.raises(JournalFull):
        open_journal(tmp_path)
    assert read_back(tmp_path) == []


def test_a_disk_that_fails_while_opening_is_an_error_with_the_path(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails(errno.EIO))
        with pytest.raises(JournalError, match="Input/output error"):
            open_journal(tmp_path)
    store(tmp_path)
    before = contents(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", fails(errno.EIO))
        with pytest.raises(JournalError, match=r"reading failed: .*Input/output error"):
            open_journal(tmp_path)
    assert contents(tmp_path) == before


def test_commands_may_be_appended_while_a_slow_disk_syncs(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    started, allowed, sync = threading.Event(), threading.Event(), os.fdatasync

    def slow(descriptor):
        started.set()
        allowed.wait(5)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    journal.append(*RECORDS[0])
    groups = []
    syncing = threading.Thread(target=lambda: groups.extend(journal.sync()))
    syncing.start()
    assert started.wait(5)
    room = journal.room()
    journal.append(*RECORDS[1])
    assert journal.room() < room
    assert list(journal.read()) == [] and journal.acknowledged().sequence == 0
    allowed.set()
    syncing.join()
    assert [(g.first_sequence, g.last_sequence) for g in groups] == [(1, 1)]
    journal.sync()
    assert [r.sequence for r in journal.read()] == [1, 2]
    journal.close()


def test_a_segment_for_which_there_is_no_descriptor_is_made_once_there_is(tmp_path, monkeypatch):
    store(tmp_path)
    journal = open_journal(tmp_path, segment_bytes=1 << 16)
    sequence = 3
    while not journal.wants_segment():
        sequence += 1
        journal.append(sequence, 300, (), b"x" * 400)
        journal.sync()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fails(errno.EMFILE))
        with pytest.raises(JournalFull, match=r"no room for a segment of 65536 bytes: .*Too many open files"):
            journal.prepare()
    while journal.wants_segment():
        journal.prepare()
    journal.append(sequence + 1, 300, (), b"y" * 400)
    journal.sync()
    journal.close()
    assert [record[0] for record in read_back(tmp_path)] == list(range(1, sequence + 2))
