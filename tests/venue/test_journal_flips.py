"""A damaged journal is never read as another one: it stops with a reason, or nothing of it is lost."""

import random

import pytest

from penstock.venue.disk.sectors import SECTOR
from penstock.venue.disk.watermark import LENGTH
from penstock.venue.journal import JournalCorrupt, JournalError

from .journal_flips import flip_all, flip_watermark, store_for_flips
from .stored import contents, make, open_journal, put, read_back, scanned


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A journal of 64 KiB."""
    return store_for_flips(tmp_path_factory.mktemp("flips"))


@pytest.mark.slow
def test_no_flipped_bit_of_a_journal_is_silent(stored, tmp_path):
    """Every bit of 64 KiB, 524,288 of them."""
    came = flip_all(stored, tmp_path)
    assert sum(came.values()) == 524_288
    assert came["silent"] == 0
    used = sum(len(write.content) for write in stored.writes)
    assert came["stopped"] >= 8 * used > 400_000


def test_no_flipped_bit_of_the_watermark_is_silent(stored, tmp_path):
    came = flip_watermark(stored, tmp_path / "acknowledged")
    assert sum(came.values()) == 8 * LENGTH
    assert came["silent"] == 0 and came["lower by a group"] > 0 and came["stopped"] == 0


def test_a_node_stops_at_a_flipped_bit_and_changes_nothing(stored, tmp_path):
    dice = random.Random(11)
    last = stored.writes[-1]
    end = (last.sector + len(last.content) // SECTOR) * SECTOR
    for number in range(150):
        at = dice.randrange(end)
        content = bytearray(stored.segments[1])
        content[at] ^= 1 << dice.randrange(8)
        home = tmp_path / str(number)
        put(home, {1: content}, last.group)
        before = contents(home)
        with pytest.raises(JournalError) as refused:
            open_journal(home)
        if isinstance(refused.value, JournalCorrupt):
            assert refused.value.offset <= at
        assert contents(home) == before


def test_a_flipped_bit_behind_the_last_group_costs_nothing(stored, tmp_path):
    content = bytearray(stored.segments[1])
    content[-SECTOR] ^= 4
    put(tmp_path, {1: content}, stored.writes[-1].group)
    assert read_back(tmp_path) == stored.commands
    assert (tmp_path / "journal" / "00000001.segment").read_bytes() == stored.segments[1]


def test_random_damage_is_never_silent(tmp_path):
    """Runs of random bytes, of zeros, of bytes from elsewhere, sectors exchanged: over several segments."""
    stored = make(tmp_path / "made", 300)
    clean = scanned(stored, tmp_path)
    dice = random.Random(13)
    stopped = 0
    for _ in range(4_000):
        number = dice.choice(sorted(stored.segments))
        content = bytearray(stored.segments[number])
        damage(content, dice, stored.segments[dice.choice(sorted(stored.segments))])
        try:
            found = scanned(stored, tmp_path, {number: content})
        except JournalError:
            stopped += 1
            continue
        assert found.chain == clean.chain, "what was acknowledged must be there"
        if number != max(stored.segments):
            assert content == stored.segments[number]
    assert stopped > 3_000


def damage(content, dice, other):
    """One of the ways a disk goes wrong, somewhere in the segment."""
    at, length = dice.randrange(len(content) - 1_200), dice.randint(1, 1_200)
    sector, from_sector = (SECTOR * dice.randrange(len(content) // SECTOR) for _ in range(2))
    match dice.randrange(5):
        case 0:
            content[at : at + length] = dice.randbytes(length)
        case 1:
            content[at : at + length] = bytes(length)
        case 2:
            content[at : at + length] = other[at : at + length]
        case 3:
            content[sector : sector + SECTOR] = other[from_sector : from_sector + SECTOR]
        case 4:
            kept = bytes(content[sector : sector + SECTOR])
            content[sector : sector + SECTOR] = content[from_sector : from_sector + SECTOR]
            content[from_sector : from_sector + SECTOR] = kept


def test_a_watermark_without_a_whole_slot_stops_the_node(stored, tmp_path):
    """Else a lost group could not be told from a torn one: no crash damages both slots."""
    put(tmp_path, stored.segments, stored.writes[-1].group)
    path = tmp_path / "journal" / "acknowledged"
    slots = bytearray(path.read_bytes())
    slots[40] ^= 1
    slots[SECTOR + 40] ^= 1
    path.write_bytes(slots)
    with pytest.raises(JournalCorrupt, match="no slot of the acknowledgement watermark is whole"):
        open_journal(tmp_path)
    path.write_bytes(bytes(100))
    with pytest.raises(JournalCorrupt, match="has 100 bytes"):
        open_journal(tmp_path)
    path.unlink()
    with pytest.raises(JournalCorrupt, match="watermark is missing"):
        open_journal(tmp_path)


def test_a_segment_that_is_missing_short_or_anothers_stops_the_node(tmp_path):
    stored = make(tmp_path / "made", 300)
    assert len(stored.segments) >= 3
    one, two, last = stored.segments[1], stored.segments[2], max(stored.segments)
    cases = {
        "segment 2 is missing": {2: None},
        "segment 1 is missing": {1: None},
        "was acknowledged": {last: None},
        "the first segment is empty": {1: bytes(len(one))},
        "header does not match": {2: one},
        "sectors, its header says": {2: two[:-SECTOR]},
        "bytes are not a segment": {2: two[:-1]},
        "segment 2 is empty": {2: bytes(len(two))},
    }
    for at, (why, changed) in enumerate(cases.items()):
        home = tmp_path / str(at)
        segments = {number: content for number, content in (stored.segments | changed).items() if content is not None}
        put(home, segments, stored.writes[-1].group)
        before = contents(home)
        with pytest.raises(JournalCorrupt, match=why):
            open_journal(home)
        assert contents(home) == before
    put(tmp_path / "none", {}, stored.writes[-1].group)
    with pytest.raises(JournalCorrupt, match="all segments are missing"):
        open_journal(tmp_path / "none")
