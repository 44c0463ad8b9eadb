"""The rebuilt book: snapshot and diffs by the venue's rule, the touch from best bid and ask."""

import pytest

from penstock.simulation.recorded_book import RecordedBook
from penstock.simulation.recording import Depth, Quote, Snapshot

SNAPSHOT = Snapshot(1, 10, [(99, 1), (98, 2), (97, 3)], [(101, 1), (102, 2), (103, 3)])
TOUCH = Quote(1, 99, 7, 101, 8)


def book_after(*events):
    book = RecordedBook()
    for event in events:
        book.apply(event)
    return book


def test_the_touch_is_the_quotes_and_depth_follows_strictly_behind_it():
    target = book_after(SNAPSHOT, TOUCH).target()
    assert list(target.bids.items()) == [(99, 7), (98, 2), (97, 3)]
    assert list(target.asks.items()) == [(101, 8), (102, 2), (103, 3)]
    assert target.mid() == 100


def test_depth_levels_at_or_through_the_quotes_touch_are_dropped():
    target = book_after(SNAPSHOT, Quote(2, 97, 5, 98, 6)).target()
    assert target.bids == {97: 5}
    assert target.asks == {98: 6, 101: 1, 102: 2, 103: 3}


def test_a_number_of_levels_counts_the_touch():
    assert book_after(SNAPSHOT, TOUCH).target(2).bids == {99: 7, 98: 2}
    assert book_after(SNAPSHOT, TOUCH).target(1).asks == {101: 8}


def test_a_diff_sets_and_removes_levels():
    book = book_after(SNAPSHOT, TOUCH, Depth(2, 9, 12, 8, [(98, 0), (96, 4)], [(102, 9)]))
    assert book.target().bids == {99: 7, 97: 3, 96: 4}
    assert book.target().asks == {101: 8, 102: 9, 103: 3}


def test_diffs_wait_for_the_snapshot_and_the_older_ones_are_dropped():
    old, straddling = Depth(0, 5, 9, 4, [(98, 50)], []), Depth(0, 10, 11, 9, [(97, 60)], [])
    book = book_after(old, straddling, SNAPSHOT, TOUCH)
    assert book.target().bids == {99: 7, 98: 2, 97: 60}
    assert (book.applied, book.gaps) == (1, 0)


def test_a_gap_in_the_chain_is_counted():
    chain = [Depth(2, 10, 11, 9, [], []), Depth(3, 12, 13, 11, [], []), Depth(4, 16, 17, 15, [], [])]
    assert book_after(SNAPSHOT, *chain).gaps == 1


def test_there_is_no_target_before_snapshot_and_quote():
    for events in ((), (SNAPSHOT,), (TOUCH,)):
        with pytest.raises(ValueError, match="no snapshot or no best"):
            book_after(*events).target()
