"""Implied volatility: found to 1e-10 wherever the price holds it, and an honest status everywhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vollib.black.implied_volatility import implied_volatility as vollib_implied

from penstock.pricing import implied
from penstock.pricing.black import price
from penstock.pricing.greeks import greeks
from penstock.pricing.implied import ACCURACY, Status

SECOND = 1 / 31_536_000


def asked_and_found(forward, strike, vol, time, is_call, rate):
    """Vega and price, undiscounted, and what is implied by the discounted price."""
    made = greeks(forward, strike, vol, time, is_call, rate)
    discount = np.exp(-np.asarray(rate) * time)
    return (
        made.vega / discount,
        made.price / discount,
        implied.volatility(made.price, forward, strike, time, is_call, rate),
    )


def assert_round_trip(forward, strike, vol, time, is_call, rate):
    vega, undiscounted, found = asked_and_found(forward, strike, vol, time, is_call, rate)
    miss = np.abs(found.volatility - vol)
    ulp = np.spacing(undiscounted)
    whole = undiscounted > 1e-300 * np.sqrt(forward * strike)  # smaller ones have lost digits of their own
    assert (miss[whole & (vega * ACCURACY > 4 * ulp)] <= ACCURACY).all()
    assert (found.status[whole & (vega * ACCURACY > 8 * ulp)] == Status.FOUND).all()
    assert (found.error[found.status == Status.FOUND] <= ACCURACY).all()
    assert set(found.status.tolist()) <= {Status.FOUND, Status.VEGA_TOO_SMALL}
    assert (miss <= found.error * (1 + 1e-9)).all()
    return found


def test_a_wide_grid_comes_back():
    ratios, times = np.geomspace(1e-3, 1e3, 41), np.geomspace(SECOND, 5.0, 15)
    vols = np.concatenate([np.geomspace(0.01, 10.0, 19), [0.2, 0.5, 1.0]])
    ratio, time, vol, is_call, rate = (
        axis.ravel() for axis in np.meshgrid(ratios, times, vols, [True, False], [0.0, 0.05])
    )
    found = assert_round_trip(1.0, ratio, vol, time, is_call, rate)
    assert (found.status == Status.FOUND).mean() > 0.15  # a second from expiry, only the money has a vega


def test_a_hundred_thousand_random_ones_come_back():
    dice = np.random.default_rng(7)
    size = 100_000
    forward = 100 * 10 ** dice.uniform(-3, 3, size)
    time = 10 ** dice.uniform(np.log10(SECOND), np.log10(5), size)
    found = assert_round_trip(
        forward, 100.0, 10 ** dice.uniform(-2, 1, size), time, dice.random(size) < 0.5, dice.uniform(-0.1, 0.2, size)
    )
    assert (found.status == Status.FOUND).sum() > size / 10


def test_next_to_the_money_comes_back():
    distances = np.concatenate([[0.0], np.geomspace(1e-16, 0.1, 60)])
    strikes = 100.0 * np.exp(np.concatenate([distances, -distances]))
    strike, vol, time = (
        axis.ravel() for axis in np.meshgrid(strikes, [0.01, 0.3, 1.0, 10.0], [SECOND, 1e-4, 0.1, 1.0, 5.0])
    )
    assert_round_trip(100.0, strike, vol, time, True, 0.0)


@given(st.floats(-6.9, 6.9), st.floats(0.01, 10), st.floats(SECOND, 5), st.booleans(), st.floats(-0.2, 0.2))
def test_any_one_comes_back(log_ratio, vol, time, is_call, rate):
    assert_round_trip(*(np.array([item]) for item in (100 * np.exp(log_ratio), 100.0, vol, time, is_call, rate)))


def test_it_agrees_with_vollib():
    for strike in (50.0, 90.0, 100.0, 120.0, 300.0):
        worth = float(price(100, strike, 0.7, 0.3, False, 0.02))
        other = vollib_implied(worth, 100, strike, 0.02, 0.3, "p")
        assert float(implied.volatility(worth, 100, strike, 0.3, False, 0.02).volatility) == pytest.approx(
            other, rel=1e-11
        )


def test_no_volatility_is_invented_where_there_is_none():
    found = implied.volatility([10.0, 19.0, 100.5, 90.5], [110.0, 120.0, 100.0, 100.0], [99.0, 100.0, 100.0, 90.0], 1.0,
                               [True, True, True, False])  # fmt: skip
    wanted = [Status.BELOW_INTRINSIC, Status.BELOW_INTRINSIC, Status.ABOVE_MAXIMUM, Status.ABOVE_MAXIMUM]
    assert found.status.tolist() == wanted
    assert np.isnan(found.volatility).all() and np.isinf(found.error).all()


def test_without_time_no_price_says_a_volatility():
    found = implied.volatility([0.0, 5.0], 100, 100, 0.0)
    assert found.status.tolist() == [Status.NO_TIME] * 2
    assert np.isnan(found.volatility).all()


def test_a_price_without_time_value_bounds_the_volatility_from_above():
    found = implied.volatility([10.0, 0.0], [110.0, 90.0], 100, 0.1)
    assert found.status.tolist() == [Status.VEGA_TOO_SMALL] * 2
    assert found.volatility.tolist() == [0.0, 0.0]
    hidden = price([110.0, 90.0], 100, found.error, 0.1) - [10.0, 0.0]
    assert 0 < hidden[0] <= 20 * np.spacing(10.0) and 0 < hidden[1] < 1e-300


def test_a_price_at_its_maximum_bounds_the_volatility_from_below():
    found = implied.volatility(100.0, 100, 120, 1.0)
    assert found.status == Status.VEGA_TOO_SMALL and found.error == np.inf
    assert price(100, 120, float(found.volatility), 1.0) == pytest.approx(100, rel=1e-14)


def test_a_worthless_forward_says_nothing():
    found = implied.volatility([0.0, 0.0, 100.0], [0.0, 100.0, 0.0], [100.0, 0.0, 100.0], 1.0, [True, False, False])
    assert found.status.tolist() == [Status.VEGA_TOO_SMALL] * 3
    assert found.volatility.tolist() == [0.0] * 3 and np.isinf(found.error).all()


@given(
    st.floats(0, 1e9), st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), st.one_of(st.just(0.0), st.floats(1e-9, 1e9)),
    st.one_of(st.just(0.0), st.floats(1e-9, 100)), st.booleans(),
)  # fmt: skip
def test_every_price_gets_an_answer(worth, forward, strike, time, is_call):
    found = implied.volatility(worth, forward, strike, time, is_call)
    status = Status(int(found.status))
    if status in (Status.FOUND, Status.VEGA_TOO_SMALL):
        again = price(forward, strike, float(found.volatility), time, is_call)
        assert again == pytest.approx(worth, rel=1e-12, abs=1e-12 * min(forward, strike) + 1e-322)
    else:
        assert np.isnan(found.volatility) and np.isinf(found.error)
    lowest, highest = max(forward - strike if is_call else strike - forward, 0.0), forward if is_call else strike
    assert (status == Status.BELOW_INTRINSIC) <= (worth < lowest)
    assert (status == Status.ABOVE_MAXIMUM) <= (worth > highest)


def test_a_price_that_is_over_the_largest_float_without_its_discount_is_above_the_maximum():
    found = implied.volatility(1e10, 1.0, 1.0, 7.0, True, 100.0)
    assert int(found.status) == Status.ABOVE_MAXIMUM
    assert np.isnan(found.volatility) and np.isinf(found.error)


def test_every_array_has_the_shape_of_the_question():
    found = implied.volatility([[5.0], [6.0]], 100, 100, [0.5, 1.0, 2.0])
    assert found.volatility.shape == found.error.shape == found.status.shape == (2, 3)
    assert implied.volatility(5.0, 100, 100, 0.5).volatility.shape == ()
    with pytest.raises(ValueError, match=r"price is -1.0: must be finite and at least 0"):
        implied.volatility(-1.0, 100, 100, 0.5)
