"""Prices: textbook values, two other libraries, the laws of no arbitrage, and every edge of the formula."""

import numpy as np
import pytest
import QuantLib
from hypothesis import given
from hypothesis import strategies as st
from vollib.black import black as vollib_black
from vollib.black import undiscounted_black

from penstock.pricing import bachelier
from penstock.pricing.black import price
from penstock.pricing.greeks import greeks

MONEY = st.floats(1e-3, 1e6)
SMALL_OR_LARGE = st.one_of(st.just(0.0), st.floats(1e-300, 1e150))
VOLATILITY = st.floats(0.0, 10.0)
SECOND = 1 / 31_536_000
TIME = st.one_of(st.just(0.0), st.just(SECOND), st.floats(SECOND, 5.0))
EPSILON = np.finfo(float).eps
# Rows of vollib's tests/test_data.json (MIT): S, K, r, t, volatility, call, put.
VOLLIB_ROWS = [
    (150.0, 1000.0, 0.05, 0.5, 0.3, 4.87199905e-18, 825.309912),
    (500.0, 1000.0, 0.05, 0.5, 0.3, 0.0328744372, 475.3427865),
    (1000.0, 1000.0, 0.05, 0.5, 0.3, 96.3487662845, 71.65867831),
    (2200.0, 1000.0, 0.05, 0.5, 0.3, 1224.6946275629, 0.004539591),
    (100.0, 1000.0, 0.05, 0.1, 0.3, 8.699776255e-130, 895.0124792),
    (200.0, 1000.0, 0.05, 0.1, 0.3, 4.53552877e-64, 795.0124792),
    (1050.0, 1000.0, 0.05, 0.1, 0.3, 72.2285337115, 17.2410129),
    (150.0, 1000.0, 0.05, 0.01, 2.0, 9.817799844e-21, 849.500125),
    (650.0, 1000.0, 0.05, 0.01, 2.0, 0.9000844079, 350.4002094),
]

# Undiscounted calls in 120-digit arithmetic: forward, strike, volatility, time, price.
EXACT_ROWS = [
    (100, 100, 0.2, 0.5, 5.6371977797016626955),
    (100, 140, 0.8, 0.02, 0.0055979597428259039848),
    (100, 100.0001, 0.5, 1e-6, 0.019897163680037995279),
    (0.001, 1.0, 2.0, 0.25, 9.611317085359255234e-15),
    (100, 104, 0.5, 0.0003, 5.3224774222506225434e-7),
    (1, 1000, 10, 5, 1.0),
    (60_000, 80_000, 0.6, 30 / 365, 232.37874949392967387),
    (100, 260, 1.5, 1.0, 32.991043072664317626),
    (100, 250, 0.35, 0.01, 4.7643326900075221646e-152),
]


def vollib_grid():
    """The parameters of all 101 rows of that file: three runs over spots."""
    runs = [(range(100, 2201, 50), 0.5, 0.3), (range(100, 1501, 50), 0.1, 0.3), (range(100, 1501, 50), 0.01, 2.0)]
    return [(float(spot) * np.exp(0.05 * t), 1000.0, v, t, 0.05) for spots, t, v in runs for spot in spots]


def test_an_option_at_the_money_costs_what_the_references_say():
    assert price(100, 100, 0.2, 0.5) == pytest.approx(5.637197779701664, rel=1e-15)
    assert price(100, 100, 0.2, 0.5, True, 0.02) == pytest.approx(5.5811067246048118, rel=1e-15)


@pytest.mark.parametrize(("forward", "strike", "vol", "time", "exact"), EXACT_ROWS)
def test_prices_are_exact_but_for_what_rounding_the_moneyness_does(forward, strike, vol, time, exact):
    distance = np.log(forward / strike) ** 2 / (vol * vol * time)
    assert float(price(forward, strike, vol, time)) == pytest.approx(exact, rel=3e-15 * (1 + distance))


def test_hulls_example_13_6_comes_out():
    call, put = price(42 * np.exp(0.05), 40, 0.2, 0.5, [True, False], 0.1)
    assert (round(call, 6), round(put, 6)) == (4.759422, 0.808599)


@pytest.mark.parametrize(("spot", "strike", "rate", "time", "vol", "call", "put"), VOLLIB_ROWS)
def test_rows_of_vollibs_table_come_out_to_their_last_digit(spot, strike, rate, time, vol, call, put):
    found = price(spot * np.exp(rate * time), strike, vol, time, [True, False], rate)
    assert found == pytest.approx([call, put], rel=2e-9, abs=6e-10 * (call > 1e-3))


def test_the_101_rows_agree_with_vollib_and_quantlib():
    grid = vollib_grid()
    assert len(grid) == 101
    for forward, strike, vol, time, rate in grid:
        calls, puts = price(forward, strike, vol, time, [True, False], rate)
        assert calls == pytest.approx(vollib_black("c", forward, strike, time, rate, vol), rel=1e-12)
        assert puts == pytest.approx(vollib_black("p", forward, strike, time, rate, vol), rel=1e-12)
        deviation, discount = vol * np.sqrt(time), np.exp(-rate * time)
        other = QuantLib.blackFormula(QuantLib.Option.Put, strike, forward, deviation, discount)
        assert puts == pytest.approx(other, abs=1e-12 * strike)


@given(MONEY, st.floats(-7, 7), st.floats(0.01, 10), st.floats(SECOND, 5), st.booleans())
def test_it_agrees_with_vollib_everywhere(forward, log_ratio, vol, time, is_call):
    strike = forward * float(np.exp(log_ratio))
    ours = float(price(forward, strike, vol, time, is_call))
    other = undiscounted_black(forward, strike, vol, time, "c" if is_call else "p")
    # Both work from a rounded ln(F/K), which moves a far option's price by its square over the variance; vollib's is
    # off by an ulp of 1 next to the money too, which moves any price by its delta.
    inherent = (4 + log_ratio**2 / (vol * vol * time)) * 8 * EPSILON
    moved = 2 * EPSILON * forward * abs(float(greeks(forward, strike, vol, time, is_call).delta))
    assert ours == pytest.approx(other, rel=inherent + 1e-13, abs=moved + 1e-300)


@given(SMALL_OR_LARGE, SMALL_OR_LARGE, VOLATILITY, TIME, st.floats(-0.5, 0.5))
def test_put_call_parity_holds_to_a_rounding(forward, strike, vol, time, rate):
    call, put = price(forward, strike, vol, time, [True, False], rate)
    discount = np.exp(-rate * time)
    assert call - put == pytest.approx(discount * (forward - strike), rel=1e-14, abs=4 * EPSILON * max(call, put))


@given(SMALL_OR_LARGE, SMALL_OR_LARGE, st.floats(0, 1e300), st.floats(0, 1e6), st.booleans())
def test_every_price_is_finite_and_between_its_bounds(forward, strike, vol, time, is_call):
    found = float(price(forward, strike, vol, time, is_call))
    lowest = max(forward - strike if is_call else strike - forward, 0.0)
    highest = forward if is_call else strike
    assert np.isfinite(found)
    assert lowest <= found <= highest * (1 + EPSILON)


@given(MONEY, st.floats(-3, 3), st.floats(0.01, 5), st.floats(1e-4, 5), st.booleans())
def test_it_rises_with_volatility_and_time(forward, log_ratio, vol, time, is_call):
    strike = forward * float(np.exp(log_ratio))
    steps = np.linspace(1, 2, 25)
    room = 1e-13 * forward + 1e-13 * strike
    assert (np.diff(price(forward, strike, vol * steps, time, is_call)) >= -room).all()
    assert (np.diff(price(forward, strike, vol, time * steps, is_call)) >= -room).all()


@given(MONEY, st.floats(0, 5), st.floats(0, 5))
def test_it_is_monotone_and_convex_in_the_strike(forward, vol, time):
    strikes = forward * np.linspace(0.0, 4.0, 161)
    calls, puts = (price(forward, strikes, vol, time, side) for side in (True, False))
    room = 1e-13 * forward
    step = strikes[1]
    assert ((np.diff(calls) <= room) & (np.diff(calls) >= -step - room)).all()
    assert ((np.diff(puts) >= -room) & (np.diff(puts) <= step + room)).all()
    assert (np.diff(calls, 2) >= -4 * room).all() and (np.diff(puts, 2) >= -4 * room).all()


@given(MONEY, st.floats(-3, 3), st.floats(0.01, 5), st.floats(1e-4, 5), st.floats(1e-6, 1e6))
def test_units_do_not_matter(forward, log_ratio, vol, time, unit):
    strike = forward * float(np.exp(log_ratio))
    assert price(forward * unit, strike * unit, vol, time) == pytest.approx(
        unit * float(price(forward, strike, vol, time)), rel=1e-10, abs=1e-300
    )


def test_without_volatility_or_time_only_the_intrinsic_value_is_left():
    forwards = np.array([80.0, 100.0, 130.0])
    for vol, time in ((0.0, 1.0), (0.5, 0.0), (0.0, 0.0)):
        assert price(forwards, 100, vol, time).tolist() == [0.0, 0.0, 30.0]
        assert price(forwards, 100, vol, time, False).tolist() == [20.0, 0.0, 0.0]


def test_a_second_from_expiry_only_the_money_is_worth_something():
    assert price([99.0, 100.0, 101.0], 100, 0.8, SECOND) == pytest.approx(
        [0.0, 100 * 0.8 * np.sqrt(SECOND / (2 * np.pi)), 1.0], rel=1e-8, abs=1e-30
    )


def test_forwards_near_zero_and_the_deepest_wings_give_the_limits():
    assert price([0.0, 5e-324, 1e-300, 1e-12], 100, 0.9, 1.0).tolist() == pytest.approx([0, 0, 0, 0], abs=1e-100)
    assert price([0.0, 1e-300], 100, 0.9, 1.0, False).tolist() == [100.0, 100.0]
    assert price(100, [0.0, 1e-300, 1e300], 0.9, 1.0).tolist() == [100.0, 100.0, 0.0]
    assert price(0.0, 0.0, 0.9, 1.0) == 0
    assert price(100, 100, [1e3, 1e300], 1.0).tolist() == [100.0, 100.0]


def test_arrays_broadcast_and_numbers_give_a_number():
    assert price(100, 100, 0.2, 0.5).shape == ()
    table = price(100, [[90.0], [100.0]], [0.2, 0.4, 0.6], 0.5, [True, False, True])
    assert table.shape == (2, 3)
    assert table[1, 1] == price(100, 100, 0.4, 0.5, False)
    assert price([], 100, 0.2, 0.5).shape == (0,)
    assert price([], [], [], [], []).shape == price(100, 100, 0.2, 0.5, []).shape == (0,)
    assert price(10**20, 10**20, 0.2, 0.5) == price(1e20, 1e20, 0.2, 0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"forward": -1.0}, "forward is -1.0: must be finite and at least 0"),
        ({"strike": np.nan}, "strike is nan: must be finite and at least 0"),
        ({"volatility": -0.1}, "volatility is -0.1: must be finite and at least 0"),
        ({"time": np.inf}, "time is inf: must be finite and at least 0"),
        ({"rate": -1e4}, "rate × time is -5000.0: must be finite and at least -700 and at most 700"),
        ({"rate": 1e308, "time": 1e308}, "rate × time is inf: must be finite and at least -700 and at most 700"),
        ({"is_call": 1}, "is_call is of int64: must be booleans"),
        ({"is_call": "C"}, "is_call is of <U1: must be booleans"),
        ({"is_call": np.ma.array([True, False], mask=[0, 1])}, "is_call is a masked array"),
        ({"forward": "100"}, "forward is of <U3: must be real numbers"),
        ({"strike": [90.0, None]}, "strike is of object: must be real numbers"),
        ({"strike": 10**400}, "strike is over the largest float"),
        ({"strike": [[1.0], [1.0, 2.0]]}, "strike has rows of different lengths"),
        ({"volatility": True}, "volatility is of bool: must be real numbers"),
        ({"time": 1j}, "time is of complex128: must be real numbers"),
        ({"forward": np.ma.array([100.0, np.nan], mask=[0, 1])}, "forward is a masked array: must be without a mask"),
    ],
)
def test_bad_input_is_refused_by_name(wrong, said):
    asked = {"forward": 100.0, "strike": 100.0, "volatility": 0.2, "time": 0.5, "is_call": True, "rate": 0.0}
    with pytest.raises(ValueError, match=said):
        price(**(asked | wrong))


def test_arrays_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="must broadcast to one"):
        price([100.0, 101.0], [90.0, 100.0, 110.0], 0.2, 0.5)
    with pytest.raises(ValueError, match=r"arguments are of shapes .*: must broadcast to one"):
        price(100.0, 100.0, 0.2, [1.0, 2.0], True, [0.01, 0.02, 0.03])


@pytest.mark.filterwarnings("error")
def test_a_discount_above_one_can_take_a_price_over_the_largest_float_without_a_warning():
    assert price(1e300, 1e-300, 0.2, 1.0, True, -700.0) == np.inf
    assert price(1e300, 1e-300, 0.2, 1.0, True, 700.0) == pytest.approx(1e300 * np.exp(-700.0))
    assert bachelier.price(1e308, -1e308, 1.0, 1.0) == np.inf


@given(
    st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.floats(0, 1e12), st.floats(0, 100), st.floats(-0.5, 0.5)
)  # fmt: skip
def test_bachelier_takes_any_sign_and_keeps_parity_and_bounds(forward, strike, vol, time, rate):
    call, put = bachelier.price(forward, strike, vol, time, [True, False], rate)
    discount = np.exp(-rate * time)
    assert np.isfinite(call) and np.isfinite(put)
    assert call >= discount * max(forward - strike, 0.0) and put >= discount * max(strike - forward, 0.0)
    room = 1e-14 * (abs(forward) + abs(strike)) * discount + 4 * EPSILON * max(call, put)
    assert call - put == pytest.approx(discount * (forward - strike), abs=room + 1e-300)


def test_bachelier_agrees_with_quantlib_and_rises_with_volatility():
    for forward, strike in ((-5.0, 3.0), (0.0, 0.0), (2.0, -1.0), (100.0, 101.0)):
        found = bachelier.price(forward, strike, np.array([0.5, 4.0, 40.0]), 0.7)
        other = [
            QuantLib.bachelierBlackFormula(QuantLib.Option.Call, strike, forward, vol * np.sqrt(0.7), 1.0)
            for vol in (0.5, 4.0, 40.0)
        ]
        assert found == pytest.approx(other, rel=1e-9, abs=1e-15)
        assert (np.diff(found) > 0).all()
