"""The mirror: minimal messages, never through itself, and a true memory of its own fills."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.participants.slots import Slots
from penstock.protocol.commands import BUY, SELL
from penstock.simulation.mirror import Batch, Mirror, Pull, Put
from penstock.simulation.recorded_book import Target
from penstock.simulation.tape import NaiveBook


def mirror_of(makers=2, **options):
    return Mirror([Slots() for _ in range(makers)], **options)


def shown_by(mirror):
    return Target(mirror.levels(BUY), mirror.levels(SELL))


def test_every_level_becomes_one_order_of_the_maker_its_price_belongs_to():
    batches = mirror_of().update(Target({99: 1, 98: 2}, {101: 3}))
    assert batches == [
        Batch(0, [Put(16, BUY, 98, 2)]),
        Batch(1, [Put(16, BUY, 99, 1), Put(17, SELL, 101, 3)]),
    ]


def test_nothing_is_sent_when_nothing_changed():
    mirror = mirror_of()
    target = Target({99: 1}, {101: 3})
    mirror.update(target)
    assert mirror.update(target) == []


def test_a_new_size_replaces_the_levels_own_order():
    mirror = mirror_of(1)
    mirror.update(Target({99: 1}, {101: 3}))
    assert mirror.update(Target({99: 5}, {101: 3})) == [Batch(0, [Put(16, BUY, 99, 5)])]


def test_a_vacated_slot_is_reused_by_a_new_level_of_the_same_maker_in_one_message():
    mirror = mirror_of(1)
    mirror.update(Target({99: 1, 98: 2}, {101: 3}))
    assert mirror.update(Target({99: 1, 97: 4}, {101: 3})) == [Batch(0, [Put(17, BUY, 97, 4)])]


def test_a_level_without_successor_is_cancelled():
    mirror = mirror_of(1)
    mirror.update(Target({99: 1, 98: 2}, {101: 3}))
    assert mirror.update(Target({99: 1}, {101: 3})) == [Batch(0, [Pull(17)])]


def test_when_the_price_rises_through_our_asks_they_move_before_the_bids_follow():
    mirror = mirror_of(2)
    mirror.update(Target({99: 1}, {101: 3}))
    assert mirror.update(Target({103: 1}, {105: 3})) == [
        Batch(1, [Put(17, SELL, 105, 3)]),
        Batch(1, [Put(16, BUY, 103, 1)]),
    ]


def test_our_own_fill_is_remembered_and_the_next_update_restores_the_recorded_size():
    mirror = mirror_of(1)
    target = Target({99: 1}, {101: 3, 102: 4})
    mirror.update(target)
    assert mirror.fill(BUY, 102, 5) == (5, [(0, 17), (0, 18)])
    assert mirror.levels(SELL) == {102: 2}
    assert mirror.update(target) == [Batch(0, [Put(17, SELL, 101, 3), Put(18, SELL, 102, 4)])]


def test_a_taker_stops_at_its_limit():
    mirror = mirror_of(1)
    mirror.update(Target({99: 1}, {101: 3, 102: 4}))
    assert mirror.fill(BUY, 101, 5)[0] == 3
    assert mirror.fill(SELL, 100, 5)[0] == 0


def test_a_doubted_slot_is_cancelled_before_its_level_is_placed_again():
    mirror = mirror_of(1)
    target = Target({99: 1}, {101: 3})
    mirror.update(target)
    mirror.doubt(0, 16)
    assert mirror.update(target) == [Batch(0, [Pull(16), Put(16, BUY, 99, 1)])]


def test_a_slot_thought_empty_can_be_doubted_too():
    mirror = mirror_of(1)
    target = Target({99: 1}, {101: 3})
    mirror.update(target)
    mirror.fill(BUY, 101, 3)
    mirror.doubt(0, 17)
    assert mirror.update(target)[0].changes[0] == Pull(17)


def test_bundles_hold_at_most_sixty_four_changes():
    batches = mirror_of(1).update(Target(dict.fromkeys(range(100, 0, -1), 1), {101: 1}))
    assert [len(batch.changes) for batch in batches] == [64, 37]


def test_a_maker_shows_only_the_best_levels_that_its_open_orders_allow():
    mirror = mirror_of(1, max_orders=4)
    mirror.update(Target({99: 1, 98: 1, 97: 1}, {101: 1}))
    assert mirror.levels(BUY) == {99: 1, 98: 1}
    assert mirror.left_out == 1
    mirror.update(Target({100: 1, 99: 1, 98: 1}, {101: 1}))
    assert mirror.levels(BUY) == {100: 1, 99: 1}


def test_clearing_cancels_every_order():
    mirror = mirror_of(2)
    mirror.update(Target({99: 1, 98: 2}, {101: 3}))
    assert sum(len(batch.changes) for batch in mirror.clear()) == 3
    assert shown_by(mirror) == Target({}, {})


sides = st.dictionaries(st.integers(0, 12), st.integers(1, 9), min_size=1, max_size=8)


@st.composite
def targets(draw):
    """A book whose middle wanders so far that old levels get crossed."""
    middle = draw(st.integers(50, 80))
    bids = sorted(draw(sides).items())
    asks = sorted(draw(sides).items())
    return Target({middle - p: s for p, s in bids}, {middle + 1 + p: s for p, s in asks})


@given(
    st.lists(targets(), min_size=1, max_size=8),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100), st.integers(1, 20)), max_size=8),
)
def test_a_book_that_refuses_crossing_orders_always_ends_as_the_target(wanted, makers, takers):
    mirror, book = mirror_of(makers), NaiveBook()
    for number, target in enumerate(wanted):
        for batch in mirror.update(target):
            book.apply(batch)
        assert book.levels == {BUY: target.bids, SELL: target.asks}
        for side, limit, size in takers[number : number + 2]:
            assert mirror.fill(side, limit, size)[0] == book.take(side, limit, size)
        assert book.levels == {BUY: mirror.levels(BUY), SELL: mirror.levels(SELL)}
