"""What was synced reads back, group by group, over segments and restarts; what is not ours is refused."""

import os
from itertools import pairwise

import pytest

from penstock.venue.disk.groups import chain_start, pack_group, space_for, unpack_records
from penstock.venue.disk.sectors import HEADS, SECTOR, place, seal
from penstock.venue.disk.segments import Identity, pack_segment_header, segment_path
from penstock.venue.journal import HomeLock, Journal, JournalBusy, JournalCorrupt, JournalError, JournalForeign

from .stored import IDENTITY, RECORDS, RULESET, SEPARATOR, contents, make, open_journal, put, read_back, store


def test_what_was_synced_reads_back_from_any_sequence(tmp_path):
    store(tmp_path)
    assert read_back(tmp_path) == RECORDS
    journal = open_journal(tmp_path)
    assert [r.sequence for r in journal.read(3)] == [3]
    assert (journal.last_sequence, journal.last_time) == (3, 250)
    journal.close()


def test_what_was_not_synced_is_not_there(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(*RECORDS[0])
    assert list(journal.read()) == []
    journal.close()
    assert read_back(tmp_path) == []


def test_a_sync_returns_its_group_and_the_disk_gives_the_same_groups_back(tmp_path):
    journal = open_journal(tmp_path)
    assert journal.sync() == []
    journal.append(*RECORDS[0])
    journal.append(*RECORDS[1])
    (first,) = journal.sync()
    journal.append(*RECORDS[2])
    (second,) = journal.sync()
    journal.close()
    assert (first.epoch, first.number, first.first_sequence, first.last_sequence, first.time) == (1, 1, 1, 2, 100)
    assert (second.number, second.first_sequence, second.last_sequence, second.time) == (2, 3, 3, 250)
    assert first.previous_hash == chain_start(RULESET, SEPARATOR, 1).group_hash
    assert second.previous_hash == first.group_hash
    again = open_journal(tmp_path)
    assert list(again.groups()) == [first, second]
    assert list(again.groups(3)) == [second]
    again.append(4, 300, (), b"a new writer")
    (third,) = again.sync()
    again.close()
    assert (third.epoch, third.number, third.previous_hash) == (2, 3, second.group_hash)


def test_the_raw_groups_hold_the_records_that_are_read(tmp_path):
    stored = make(tmp_path, 300)
    journal = open_journal(tmp_path)
    raw = list(journal.read_raw())
    assert [r for _, records in raw for r in unpack_records(records)] == list(journal.read())
    assert [group for group, _ in raw] == [w.group for w in stored.writes]
    for from_sequence in (1, 2, 150, 299, 300, 301):
        assert [r.sequence for r in journal.read(from_sequence)] == list(range(from_sequence, 301))
        assert all(group.last_sequence >= from_sequence for group, _ in journal.read_raw(from_sequence))
    journal.close()


def test_a_journal_turns_through_many_segments_and_is_one_chain(tmp_path):
    stored = make(tmp_path, 600, segment_bytes=1 << 12)
    assert len(stored.segments) > 20
    journal = open_journal(tmp_path)
    groups = list(journal.groups())
    assert [w.group for w in stored.writes] == groups
    assert all(a.group_hash == b.previous_hash and a.last_sequence + 1 == b.first_sequence for a, b in pairwise(groups))
    journal.close()
    assert read_back(tmp_path) == stored.commands


def test_what_does_not_fit_a_segment_is_split_into_groups_of_one_sync(tmp_path):
    journal = open_journal(tmp_path, segment_bytes=1 << 12)
    records = [(sequence, sequence, (), bytes([sequence]) * 900) for sequence in range(1, 12)]
    for record in records:
        journal.append(*record)
    groups = journal.sync()
    assert len(groups) == 4 and groups[-1].last_sequence == 11
    assert list(journal.groups()) == groups
    journal.close()
    assert read_back(tmp_path) == records


def test_what_does_not_follow_or_never_fits_is_not_taken(tmp_path):
    journal = open_journal(tmp_path, segment_bytes=1 << 11)
    journal.append(*RECORDS[0])
    for sequence, time in ((1, 200), (3, 200), (2, 99)):
        with pytest.raises(ValueError, match="does not follow 1 at 100"):
            journal.append(sequence, time, (), b"")
    with pytest.raises(ValueError, match="does not fit a segment"):
        journal.append(2, 200, (), bytes(2_000))
    journal.close()
    with pytest.raises(ValueError, match="a multiple of 512"):
        open_journal(tmp_path, segment_bytes=1_000)


def test_there_is_room_for_what_room_says_however_it_is_grouped(tmp_path):
    for number, most in enumerate((1, 3, 50)):
        journal = open_journal(tmp_path / str(number), segment_bytes=1 << 13)
        sequence = 0
        while journal.room() >= space_for(300):
            for _ in range(most):
                if journal.room() >= space_for(300):
                    sequence += 1
                    journal.append(sequence, sequence, (b"\xaa" * 20,) * 3, bytes(300))
            journal.sync()
        assert [path.name for path in journal.segments] == ["00000001.segment"], "no segment had to be made"
        assert sequence >= 7
        journal.close()


def test_a_journal_may_begin_behind_other_sequences(tmp_path):
    journal = open_journal(tmp_path, first_sequence=500)
    journal.append(500, 1, (), b"x")
    journal.sync()
    journal.close()
    assert read_back(tmp_path) == [(500, 1, (), b"x")]


def test_the_journal_of_another_venue_is_refused(tmp_path):
    store(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(JournalForeign, match="another venue"):
        Journal(tmp_path, RULESET, b"\x03" * 32)
    with pytest.raises(JournalForeign, match="other rules"):
        Journal(tmp_path, b"\x03" * 32, SEPARATOR)
    assert contents(tmp_path) == before
    assert read_back(tmp_path) == RECORDS


@pytest.mark.parametrize(("form", "age"), [(1, "an older"), (3, "a newer")])
def test_another_format_is_refused_by_both_numbers(tmp_path, form, age):
    header = bytearray(pack_segment_header(IDENTITY, 1, 32, chain_start(RULESET, SEPARATOR, 1))[:504])
    header[8:10] = form.to_bytes(2, "big")
    sealed = seal(HEADS, bytes(header), 0, place(1, 0))
    put(tmp_path, {1: sealed + bytes(31 * SECTOR)}, None)
    with pytest.raises(JournalForeign, match=f"journal format {form}, of {age} release; this release reads format 2"):
        open_journal(tmp_path)


def test_a_length_framed_journal_is_refused_with_the_release_that_reads_it(tmp_path):
    (tmp_path / "journal").write_bytes(b"PENSTOCK\0\1" + bytes(68))
    with pytest.raises(JournalForeign, match=r"length-framed journal, format 1; this release reads format 2.*0\.1\.0"):
        open_journal(tmp_path)
    assert (tmp_path / "journal").read_bytes() == b"PENSTOCK\0\1" + bytes(68)


def test_what_is_no_journal_is_refused_and_left_alone(tmp_path):
    (tmp_path / "journal").write_bytes(b"a shopping list")
    with pytest.raises(JournalForeign, match="not a Penstock journal"):
        open_journal(tmp_path)
    assert (tmp_path / "journal").read_bytes() == b"a shopping list"
    put(tmp_path / "other", {1: b"a shopping list, repeated".ljust(32) * 128}, None)
    with pytest.raises(JournalForeign, match="not a segment of a Penstock journal"):
        open_journal(tmp_path / "other")


def test_groups_that_do_not_follow_each_other_are_damage(tmp_path):
    start = chain_start(RULESET, SEPARATOR, 1)
    head = pack_segment_header(IDENTITY, 1, 32, start)
    chain = {
        "group 3 after": (start, {"number": 2}),
        "names another group before it": (start, {"group_hash": bytes(32)}),
        "sequences 3 to 3 after 0": (start, {"sequence": 2}),
    }
    for at, (why, (_, changed)) in enumerate(chain.items()):
        fields = {name: getattr(start, name) for name in start.__struct_fields__} | changed
        before = type(start)(**fields)
        _, content = pack_group(1, before, before.sequence + 1, 5, b"")
        sealed = seal(b"PGRP", content, 1, place(1, 1))
        put(tmp_path / str(at), {1: (head + sealed).ljust(32 * SECTOR, b"\0")}, None)
        with pytest.raises(JournalCorrupt, match=why):
            open_journal(tmp_path / str(at))


def test_a_group_that_holds_other_records_than_its_header_says_is_damage(tmp_path):
    start = chain_start(RULESET, SEPARATOR, 1)
    head = pack_segment_header(IDENTITY, 1, 32, start)
    made = store(tmp_path / "made")
    journal = open_journal(tmp_path / "made")
    records = [raw for _, raw in journal.read_raw()]
    journal.close()
    cases = {"does not hold": records[0], "sequence 2 where 1 belongs": records[1], "breaks off": records[0] + b"\0"}
    for at, (why, content) in enumerate(cases.items()):
        _, group = pack_group(1, start, 2, made[1].time, content)
        put(tmp_path / str(at), {1: (head + seal(b"PGRP", group, 1, place(1, 1))).ljust(32 * SECTOR, b"\0")}, None)
        with pytest.raises(JournalCorrupt, match=why):
            read_back(tmp_path / str(at))


def test_a_second_node_on_one_home_is_refused(tmp_path):
    lock = HomeLock(tmp_path)
    with pytest.raises(JournalBusy, match="another node is running"):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()


def test_a_second_writer_is_refused_and_a_reader_sees_whole_groups_while_one_is_written(tmp_path, monkeypatch):
    """Half a group of a live node looks like a torn one; to drop it would lose what the node then acknowledges."""
    node = open_journal(tmp_path)
    node.append(*RECORDS[0])
    node.sync()
    for record in RECORDS[1:]:
        node.append(*record)
    write, met = os.pwrite, []

    def in_two_halves(descriptor, content, offset):
        if met:
            return write(descriptor, content, offset)
        met.append(None)
        half = write(descriptor, content[:40], offset)
        with pytest.raises(JournalBusy, match="a running node is writing it"):
            open_journal(tmp_path)
        beside = open_journal(tmp_path, read_only=True)
        met.append([r.sequence for r in beside.read()])
        rest = write(descriptor, content[40:], offset + 40)
        assert [r.sequence for r in beside.read()] == met[-1], "a reader keeps the end it found"
        beside.close()
        return half + rest

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", in_two_halves)
        node.sync()
    node.close()
    assert met[1] == [1]
    assert read_back(tmp_path) == RECORDS
    assert not list((tmp_path / "journal").glob("*.torn-*"))


def test_a_reader_looks_again_before_it_calls_a_sector_damaged_that_is_being_written(tmp_path, monkeypatch):
    store(tmp_path)
    path, whole = segment_path(tmp_path / "journal", 1), segment_path(tmp_path / "journal", 1).read_bytes()
    torn = bytearray(whole)
    torn[3 * SECTOR + 8] ^= 1
    path.write_bytes(torn)
    monkeypatch.setattr("penstock.venue.journal.sleep", lambda _: path.write_bytes(whole))
    reader = open_journal(tmp_path, read_only=True)
    assert [r.sequence for r in reader.read()] == [1, 2, 3]
    reader.close()


def test_a_reader_creates_and_changes_nothing(tmp_path):
    with pytest.raises(JournalForeign, match="no journal here"):
        open_journal(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    store(tmp_path)
    path = segment_path(tmp_path / "journal", 1)
    path.write_bytes(path.read_bytes()[: 3 * SECTOR + 30].ljust(1 << 14, b"\0"))
    slots = bytearray((tmp_path / "journal" / "acknowledged").read_bytes())
    slots[SECTOR:] = bytes(SECTOR)
    (tmp_path / "journal" / "acknowledged").write_bytes(slots)
    before = contents(tmp_path)
    reader = open_journal(tmp_path, read_only=True)
    assert [r.sequence for r in reader.read()] == [1, 2]
    assert reader.acknowledged().sequence == 2
    with pytest.raises(JournalError, match="reading only"):
        reader.append(*RECORDS[2])
    reader.close()
    assert contents(tmp_path) == before


def test_an_identity_is_the_ruleset_and_the_domain():
    assert Identity(RULESET, SEPARATOR) == IDENTITY
