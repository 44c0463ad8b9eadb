"""A crash at any instant: what was acknowledged is there, what was never whole goes aside, and the node goes on."""

import random
from itertools import combinations
from pathlib import Path

import pytest

from penstock.venue.disk.groups import after
from penstock.venue.disk.scan import find_end, scan_segment
from penstock.venue.disk.sectors import SECTOR
from penstock.venue.disk.segments import Part, segment_path
from penstock.venue.journal import JournalCorrupt

from .stored import IDENTITY, contents, make, open_journal, put, read_back, scanned, watermark

FOLDER = Path("journal")


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A journal of 1,000 commands over several segments."""
    return make(tmp_path_factory.mktemp("thousand"), 1_000)


def torn(stored, index, cut):
    """The segments as a crash leaves them after `cut` bytes of that write."""
    segments = stored.before(index)
    write = stored.writes[index]
    start = write.sector * SECTOR
    segments[write.segment][start : start + cut] = write.content[:cut]
    return segments


def end_of(write, content, acknowledged):
    """Where the groups end, scanned from the group of that write on."""
    part = Part(segment_path(FOLDER, write.segment), write.segment, content)
    if write.sector == 0:
        return scan_segment(part, IDENTITY, write.chain, acknowledged)
    return find_end(part, write.sector, write.chain, acknowledged)


def test_a_crash_at_every_byte_of_a_thousand_commands_loses_nothing_acknowledged(thousand):
    cuts = 0
    for index, write in enumerate(thousand.writes):
        content = thousand.before(index)[write.segment]
        start, length = write.sector * SECTOR, len(write.content)
        written = len(write.content.rstrip(b"\0"))
        for cut in range(length + 1):
            if cut:
                content[start + cut - 1] = write.content[cut - 1]
            found = end_of(write, content, write.acknowledged)
            if cut >= written:
                assert found.chain == after(write.group) and found.torn == found.sector
            else:
                # Of a later segment's first write the header may be whole and the group not.
                assert found.chain == write.chain and found.sector <= max(write.sector, 1), (index, cut)
            cuts += 1
        assert end_of(write, content, watermark(write.group)).chain == after(write.group)
    assert len(thousand.commands) == 1_000 and len(thousand.segments) > 5
    assert cuts == sum(len(write.content) + 1 for write in thousand.writes) > 100_000


def test_a_node_opens_unaided_after_a_crash_and_goes_on(thousand, tmp_path):
    dice = random.Random(7)
    for number in range(250):
        index = dice.randrange(len(thousand.writes))
        write = thousand.writes[index]
        cut = dice.randrange(len(write.content) + 1)
        home = tmp_path / str(number)
        put(home, torn(thousand, index, cut), thousand.writes[index - 1].group if index else None)
        whole = cut >= len(write.content.rstrip(b"\0"))
        kept = write.group.last_sequence if whole else write.chain.sequence
        journal = open_journal(home)
        assert [(r.sequence, r.time, r.signers, r.envelope) for r in journal.read()] == thousand.commands[:kept]
        following = (kept + 1, 10_000, (), b"on we go")
        journal.append(*following)
        (group,) = journal.sync()
        assert group.epoch == (write.chain.epoch if not whole else write.group.epoch) + 1
        journal.close()
        assert read_back(home) == [*thousand.commands[:kept], following]


def test_a_dropped_group_is_kept_aside_and_its_sectors_are_zeros_again(thousand, tmp_path, caplog):
    index = next(i for i, write in enumerate(thousand.writes) if write.sector > 1 and len(write.content) > SECTOR)
    write = thousand.writes[index]
    put(tmp_path, torn(thousand, index, 700), thousand.writes[index - 1].group)
    open_journal(tmp_path).close()
    after_it = contents(tmp_path)
    aside = after_it[f"{write.segment:08}.torn-{write.sector * SECTOR}"]
    assert aside == write.content[:700].ljust(2 * SECTOR, b"\0")
    assert after_it[segment_path(tmp_path, write.segment).name] == thousand.before(index)[write.segment]
    assert f"after sequence {write.chain.sequence}" in caplog.text


def test_sectors_of_the_last_group_lost_in_any_order_cost_nothing_acknowledged(tmp_path):
    """A disk may persist the sectors of one unsynced write in any order: every subset of them is a possible crash."""
    stored = make(tmp_path / "made", 120, most=90, segment_bytes=1 << 13)
    seen = 0
    for index in (len(stored.writes) - 1, next(i for i, w in enumerate(stored.writes) if i and w.sector == 0)):
        write = stored.writes[index]
        sectors = range(len(write.content) // SECTOR)
        assert len(sectors) >= 4
        for count in range(len(sectors) + 1):
            for kept in combinations(sectors, count):
                segments = stored.before(index)
                for sector in kept:
                    at, there = sector * SECTOR, (write.sector + sector) * SECTOR
                    segments[write.segment][there : there + SECTOR] = write.content[at : at + SECTOR]
                found = scanned(stored, tmp_path, segments, write.acknowledged)
                assert found.chain == (after(write.group) if count == len(sectors) else write.chain)
                if count < len(sectors):
                    with pytest.raises(JournalCorrupt, match="was acknowledged"):
                        scanned(stored, tmp_path, segments, watermark(write.group))
                seen += 1
    assert seen >= 100


def test_what_was_acknowledged_and_is_not_whole_stops_the_node_and_nothing_is_changed(thousand, tmp_path):
    index = len(thousand.writes) // 2
    write = thousand.writes[index]
    for cut in (0, 5, len(write.content) - 1):
        home = tmp_path / str(cut)
        put(home, torn(thousand, index, cut), write.group)
        before = contents(home)
        with pytest.raises(JournalCorrupt, match=rf"group {write.group.number}, sequence .* was acknowledged"):
            open_journal(home)
        assert contents(home) == before


def test_a_hole_before_a_later_group_is_damage_and_not_a_torn_write(thousand, tmp_path):
    """Also below no watermark at all: a later group is written only once the one before it was synced."""
    for index, write in enumerate(thousand.writes[:-1]):
        segment = bytearray(thousand.segments[write.segment])
        first = max(write.sector, 1) * SECTOR
        segment[first : first + SECTOR] = bytes(SECTOR)
        with pytest.raises(JournalCorrupt, match=r"not whole|is in use|begins at sequence"):
            scanned(thousand, tmp_path, {write.segment: segment}, thousand.writes[index].acknowledged)


def test_a_prepared_segment_that_was_never_used_is_used_after_a_crash(tmp_path):
    journal = open_journal(tmp_path, segment_bytes=4_096)
    for sequence in range(1, 7):
        journal.append(sequence, sequence, (), b"x" * 40)
        journal.sync()
    assert journal.wants_segment()
    journal.prepare()
    assert not journal.wants_segment()
    journal.close()
    journal = open_journal(tmp_path, segment_bytes=4_096)
    assert not journal.wants_segment(), "the prepared one is found"
    for sequence in range(7, 20):
        journal.append(sequence, sequence, (), b"x" * 40)
        journal.sync()
    journal.close()
    assert [record[0] for record in read_back(tmp_path)] == list(range(1, 20))


def test_a_crash_while_a_segment_is_prepared_or_the_journal_is_created_leaves_nothing_in_the_way(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "00000001.preparing").write_bytes(bytes(700))
    (folder / "acknowledged").write_bytes(b"")
    assert read_back(tmp_path) == []
    (folder / "00000002.preparing").write_bytes(bytes(700))
    journal = open_journal(tmp_path, segment_bytes=4_096)
    for sequence in range(1, 60):
        journal.append(sequence, sequence, (), b"x" * 400)
        journal.sync()
    journal.close()
    assert len(read_back(tmp_path)) == 59
    assert not list(folder.glob("*.preparing"))
