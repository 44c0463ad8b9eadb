"""Marks: near the index whatever the own book says, smoothed, blended into the delivery average."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pricing import black
from penstock.pricing.marks import (
    Average,
    Marker,
    MarkRules,
    OwnBook,
    expiring_mark,
    option_marks,
)
from penstock.pricing.surface import Surface

PRICES = st.floats(1, 1e6)
OWN = st.one_of(st.none(), st.floats(1e-3, 1e9))


def flat(sigma):
    return lambda k, _: np.full_like(k, sigma)


def settled(index, own, term=0.0, **rules):
    """The mark once everything has been said for ten minutes."""
    marker = Marker(MarkRules(**rules))
    for second in range(600):
        mark = marker.take(index, own, term, second)
    return mark.value


def test_with_an_empty_book_the_mark_is_the_index():
    assert Marker().take(100, OwnBook(), 0.0, 0).value == 100


def test_the_mark_is_the_middle_of_basis_last_price_and_premium():
    mark = Marker().take(100, OwnBook(impact_mid=100.2, last=100.3), 0.001, 0)
    assert (mark.by_basis, mark.by_last, mark.by_premium) == pytest.approx((100.2, 100.3, 100.1))
    assert mark.value == pytest.approx(100.2)


def test_a_wick_of_the_own_last_price_does_not_move_the_mark():
    calm = OwnBook(impact_mid=65_760, last=65_760)
    marker = Marker()
    for second in range(60):
        before = marker.take(65_760, calm, 0.0, second).value
    wick = marker.take(65_760, OwnBook(impact_mid=65_760, last=8_200), 0.0, 60).value
    assert wick == pytest.approx(before, rel=1e-12)


def test_the_own_book_at_two_thirds_of_the_index_moves_the_mark_no_further_than_the_band():
    assert settled(0.97, OwnBook(impact_mid=0.65, last=0.65), band=0.004) == pytest.approx(0.97 * 0.996)


def test_a_second_of_a_crashed_own_book_moves_the_mark_by_a_thirtieth_of_the_band():
    marker = Marker(MarkRules(band=0.004))
    marker.take(100, OwnBook(100, 100), 0.0, 0)
    after = marker.take(100, OwnBook(50, 50), 0.0, 1).value
    assert 100 - after <= 100 * 0.004 / 30 * 1.01
    assert after < 100


def test_when_the_index_moves_the_mark_moves_with_it_at_once():
    marker = Marker()
    for second in range(600):
        marker.take(100, OwnBook(100.1, 100.1), 0.001, second)
    assert marker.take(90, OwnBook(90.09, 90.09), 0.001, 600).value == pytest.approx(90.09)


@given(st.lists(st.tuples(PRICES, OWN, OWN, st.floats(-0.5, 0.5), st.floats(0, 100)), min_size=1, max_size=12))
def test_the_mark_never_leaves_the_band(samples):
    marker, time = Marker(), 0.0
    for index, mid, last, term, passed in samples:
        time += passed
        value = marker.take(index, OwnBook(mid, last), term, time).value
        assert abs(value - index) <= index * marker.rules.band * (1 + 1e-9)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e4)), min_size=1, max_size=20), st.floats(0, 100))
def test_an_average_stays_among_its_samples(samples, seconds):
    average, time = Average(seconds), 0.0
    for sample, passed in samples:
        time += passed
        value = average.take(sample, time)
    assert min(s for s, _ in samples) - 1e-6 <= value <= max(s for s, _ in samples) + 1e-6
    if not seconds:
        assert value == pytest.approx(samples[-1][0])


def test_a_time_that_is_no_number_leaves_an_average_as_it_was():
    average = Average(30.0, 1.0, 5.0)
    with pytest.raises(ValueError, match="time"):
        average.take(2.0, math.nan)
    assert (average.value, average.time) == (1.0, 5.0)
    assert average.take(2.0, 35.0) == pytest.approx(2 - math.exp(-1))


def test_an_average_reaches_one_minus_one_over_e_after_its_seconds_however_often_it_is_asked():
    for steps in (1, 3, 300):
        average = Average(30.0, 0.0, 0.0)
        for step in range(steps):
            value = average.take(1.0, 30 * (step + 1) / steps)
        assert value == pytest.approx(1 - math.exp(-1))


@pytest.mark.parametrize(("minutes", "mark"), [(0, 110), (15, 105), (20, 110 / 3 + 200 / 3), (30, 100)])
def test_the_mark_blends_into_the_delivery_average(minutes, mark):
    assert expiring_mark(110, 100, 60 * minutes) == pytest.approx(mark)


@given(PRICES, PRICES, st.floats(0, 1_800))
def test_an_expiring_mark_lies_between_forward_and_average(forward, average, elapsed):
    low, high = sorted((forward, average))
    assert low * (1 - 1e-12) <= expiring_mark(forward, average, elapsed) <= high * (1 + 1e-12)


def test_option_marks_are_black_76_on_the_surface():
    marks = option_marks(100, [100, 100], [True, False], 0.5, flat(0.2), black.price)
    assert marks == pytest.approx([5.637197779701664] * 2, rel=1e-12)


def test_the_surface_is_asked_in_log_moneyness():
    asked = []

    def skew(k, years):
        asked.append((k, years))
        return 0.5 - 0.1 * k

    option_marks(100, [50, 200], [True, True], 0.25, skew, black.price)
    assert asked[0][0] == pytest.approx([math.log(0.5), math.log(2)])
    assert asked[0][1] == 0.25


@given(PRICES, st.lists(st.floats(0.2, 5), min_size=1, max_size=6), st.floats(1e-4, 3), st.floats(0.01, 3))
def test_option_marks_keep_parity_and_bounds(forward, ratios, years, sigma):
    strikes = [forward * ratio for ratio in ratios]
    calls = option_marks(forward, strikes, [True] * len(strikes), years, flat(sigma), black.price)
    puts = option_marks(forward, strikes, [False] * len(strikes), years, flat(sigma), black.price)
    assert calls - puts == pytest.approx(forward - np.array(strikes), abs=1e-8 * forward)
    assert (calls >= np.maximum(forward - np.array(strikes), 0)).all() and (calls <= forward).all()


def test_the_surface_of_this_layer_fits_in():
    surface = Surface.flat(0.2)
    assert option_marks(100, [100], [True], 0.5, surface.volatility, black.price) == pytest.approx([5.637197779701664])


def test_at_expiry_an_option_is_worth_what_it_pays():
    assert list(option_marks(100, [90, 110, 110], [True, True, False], 0, flat(0.2), black.price)) == [10, 0, 10]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Marker().take(0, OwnBook(), 0, 0), "index"),
        (lambda: Marker().take(math.nan, OwnBook(), 0, 0), "index"),
        (lambda: Marker().take(1, OwnBook(last=-1), 0, 0), "last"),
        (lambda: Marker().take(1, OwnBook(impact_mid=math.inf), 0, 0), "impact_mid"),
        (lambda: Marker().take(1, OwnBook(), math.nan, 0), "premium_term"),
        (lambda: Marker(MarkRules(band=0)), "band"),
        (lambda: Marker(MarkRules(smoothing_seconds=-1)), "smoothing_seconds"),
        (lambda: Average(1.0, 0.0, 5.0).take(1, 4), "time"),
        (lambda: Average(1.0).take(math.nan, 4), "sample is nan: must be any finite number"),
        (lambda: Average(1.0).take(1, math.nan), "time is nan: must be any finite number"),
        (lambda: Average(1.0, 0.0, 5.0).take(1, math.nan), "time is nan: must be any finite number"),
        (lambda: Marker().take(1, OwnBook(), 0, math.nan), "time is nan: must be any finite number"),
        (lambda: expiring_mark(1, 1, -1), "elapsed"),
        (lambda: expiring_mark(1, 1, 1_801), "elapsed"),
        (lambda: expiring_mark(0, 1, 1), "forward"),
        (lambda: expiring_mark(1, math.nan, 1), "average"),
        (lambda: expiring_mark(1, 1, 0, 0), "window"),
        (lambda: option_marks(0, [1], [True], 1, flat(1), black.price), "forward"),
        (lambda: option_marks(1, [0], [True], 1, flat(1), black.price), "strikes"),
        (lambda: option_marks(1, [1], [2], 1, flat(1), black.price), "calls is of int64: must be booleans"),
        (lambda: option_marks(1, [1], [True, False], 1, flat(1), black.price), "shapes"),
        (lambda: option_marks(1, [1], [True], -1, flat(1), black.price), "years"),
        (lambda: option_marks(1, [1], [True], 1, flat(math.nan), black.price), "volatility"),
        (lambda: option_marks(1, [1], [True], 1, flat(1), lambda *_: np.array([2.0])), "price"),
        (lambda: option_marks(1, [1], [True], 1, flat(1), lambda *_: np.array([math.nan])), "price"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, named):
    with pytest.raises(ValueError, match=named):
        call()
