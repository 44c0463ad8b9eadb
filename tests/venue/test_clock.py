"""Venue time goes one way."""

import pytest

from penstock.venue.clock import ClockRefusal, DevClock, WallClock


class Hands:
    """A wall and a monotonic source that a test moves, in ns."""

    def __init__(self):
        self.wall = 1_700_000_000_000_000_000
        self.monotonic = 5_000_000_000


def test_a_wall_clock_set_back_is_absorbed_and_reported():
    hands = Hands()
    clock = WallClock(lambda: hands.wall, lambda: hands.monotonic)
    before = clock.now()
    hands.monotonic += 2_000_000
    hands.wall -= 60_000_000_000
    assert clock.now() == before + 2_000
    assert clock.drift() == -60_002_000


def test_a_clock_stands_still_until_time_reaches_what_the_journal_has_stamped():
    hands = Hands()
    clock = WallClock(lambda: hands.wall, lambda: hands.monotonic)
    clock.not_before(clock.now() + 500)
    floor = clock.now()
    hands.monotonic += 400_000
    assert clock.now() == floor
    hands.monotonic += 400_000
    assert clock.now() == floor + 300


def test_a_dev_clock_runs_at_its_rate():
    hands = Hands()
    clock = DevClock(1_000, 10, lambda: hands.monotonic)
    hands.monotonic += 3_000_000
    assert clock.now() == 31_000


def test_a_driven_clock_moves_only_when_told_and_never_back():
    clock = DevClock(1_000, 0)
    clock.advance_to(5_000)
    assert clock.driven and clock.now() == 5_000
    with pytest.raises(ClockRefusal, match="does not go back"):
        clock.advance_to(4_999)
    assert clock.now() == 5_000


def test_a_restarted_dev_clock_goes_on_from_the_journal():
    clock = DevClock(1_000, 0)
    clock.not_before(9_000)
    clock.not_before(2_000)
    assert clock.now() == 9_000
