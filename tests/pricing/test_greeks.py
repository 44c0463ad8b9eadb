"""Greeks: a textbook's, two other libraries', the price's own differences, and their limits."""

import numpy as np
import pytest
import QuantLib
from hypothesis import given
from hypothesis import strategies as st
from vollib.black.greeks import analytical

from penstock.pricing.black import price
from penstock.pricing.greeks import greeks

NAMES = ("price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")


def test_hulls_greeks_come_out_for_a_spot():
    spot, strike, rate, time, vol = 49.0, 50.0, 0.05, 0.3846, 0.2
    forward = spot * np.exp(rate * time)
    found = greeks(forward, strike, vol, time, True, rate)
    carry = np.exp(rate * time)
    assert float(found.price) == pytest.approx(2.400461, abs=5e-7)
    assert float(found.delta * carry) == pytest.approx(0.521602, abs=5e-7)
    assert float(found.gamma * carry**2) == pytest.approx(0.065545, abs=5e-7)
    assert float(found.theta - rate * forward * found.delta) == pytest.approx(-4.305390, abs=5e-7)
    assert float(found.vega) == pytest.approx(12.105243, abs=5e-7)


def test_they_agree_with_vollib_in_its_units():
    for is_call, flag in ((True, "c"), (False, "p")):
        for strike in (40.0, 80.0, 100.0, 115.0, 260.0):
            found = greeks(100, strike, 0.6, 0.25, is_call, 0.04)
            asked = (flag, 100, strike, 0.25, 0.04, 0.6)
            assert float(found.delta) == pytest.approx(analytical.delta(*asked), rel=1e-12)
            assert float(found.gamma) == pytest.approx(analytical.gamma(*asked), rel=1e-12)
            assert float(found.vega) / 100 == pytest.approx(analytical.vega(*asked), rel=1e-12)
            assert float(found.theta) / 365 == pytest.approx(analytical.theta(*asked), rel=1e-10)
            assert float(found.rho) / 100 == pytest.approx(analytical.rho(*asked), rel=1e-12)


def test_they_agree_with_quantlib():
    for is_call, side in ((True, QuantLib.Option.Call), (False, QuantLib.Option.Put)):
        for strike in (40.0, 80.0, 100.0, 115.0, 260.0):
            found = greeks(100, strike, 0.6, 0.25, is_call, 0.04)
            payoff = QuantLib.PlainVanillaPayoff(side, strike)
            other = QuantLib.BlackCalculator(payoff, 100, 0.6 * 0.5, float(np.exp(-0.04 * 0.25)))
            assert float(found.price) == pytest.approx(other.value(), rel=1e-11)
            assert float(found.delta) == pytest.approx(other.deltaForward(), rel=1e-11)
            assert float(found.gamma) == pytest.approx(other.gammaForward(), rel=1e-11)
            assert float(found.vega) == pytest.approx(other.vega(0.25), rel=1e-11)


@given(st.floats(-1, 1), st.floats(0.1, 2), st.floats(0.05, 3), st.booleans(), st.floats(-0.1, 0.2))
def test_they_are_the_differences_of_the_price(log_ratio, vol, time, is_call, rate):
    forward, strike = 100.0, 100.0 * float(np.exp(log_ratio))
    found = greeks(forward, strike, vol, time, is_call, rate)
    step = 1e-4

    def slope(at):
        return (at(step) - at(-step)) / (2 * step)

    def moved(**by):
        at = {"forward": forward, "volatility": vol, "time": time, "rate": rate}
        at |= {name: at[name] + change for name, change in by.items()}
        return greeks(at["forward"], strike, at["volatility"], at["time"], is_call, at["rate"])

    assert slope(lambda h: moved(forward=h).price) == pytest.approx(found.delta, abs=1e-6)
    assert slope(lambda h: moved(forward=h).delta) == pytest.approx(found.gamma, abs=1e-6)
    assert slope(lambda h: moved(volatility=h).price) == pytest.approx(found.vega, rel=1e-4, abs=1e-4)
    assert slope(lambda h: moved(time=-h).price) == pytest.approx(found.theta, rel=1e-4, abs=1e-3)
    assert slope(lambda h: moved(rate=h).price) == pytest.approx(found.rho, rel=1e-6, abs=1e-6)
    assert slope(lambda h: moved(volatility=h).delta) == pytest.approx(found.vanna, rel=1e-3, abs=1e-5)
    assert slope(lambda h: moved(volatility=h).vega) == pytest.approx(found.volga, rel=1e-3, abs=1e-2)


@given(
    st.one_of(st.just(0.0), st.floats(1e-12, 1e12)), st.one_of(st.just(0.0), st.floats(1e-12, 1e12)),
    st.one_of(st.just(0.0), st.floats(1e-6, 100)), st.one_of(st.just(0.0), st.floats(1e-8, 100)), st.booleans(),
)  # fmt: skip
def test_every_one_is_finite_and_its_sign_is_right(forward, strike, vol, time, is_call):
    found = greeks(forward, strike, vol, time, is_call, 0.01)
    values = {name: float(getattr(found, name)) for name in NAMES}
    assert all(np.isfinite(value) for value in values.values()), values
    assert 0 <= values["delta"] * (1 if is_call else -1) <= 1
    assert values["gamma"] >= 0 and values["vega"] >= 0 and values["rho"] <= 0
    assert values["price"] == price(forward, strike, vol, time, is_call, 0.01)


SIZE, SMALL = (
    st.one_of(st.just(0.0), st.floats(-most, most).map(lambda power: 10.0**power)) for most in (100, 50)
)  # fmt: skip


@pytest.mark.filterwarnings("error")
@given(SIZE, SIZE, SMALL, SMALL, st.booleans(), st.booleans(), st.floats(-1, 1), st.floats(-50, 50))
def test_every_one_is_finite_in_all_of_the_range_that_is_stated(forward, strike, vol, time, is_call, at, part, power):
    rate = part * min(100 / time if time else 1e50, 10.0**power)
    found = greeks(forward, forward if at else strike, vol, time, is_call, rate)
    assert all(np.isfinite(getattr(found, name)) for name in NAMES)


@pytest.mark.filterwarnings("error")
def test_beyond_it_what_is_over_the_largest_float_is_infinite_and_nothing_is_nan():
    found = greeks(8e223, 8e223, 0.0, 1.6e284)
    assert float(found.volga) == 0.0 and float(found.vega) == np.inf
    assert float(greeks(1e-300, 1e-300, 1e-9, 1e-9).gamma) == np.inf


def test_call_and_put_differ_by_a_forward():
    call, put = (greeks(100, [60.0, 100.0, 170.0], 0.7, 0.4, side) for side in (True, False))
    assert call.delta - put.delta == pytest.approx([1.0, 1.0, 1.0])
    for name in ("gamma", "vega", "vanna", "volga"):
        assert getattr(call, name) == pytest.approx(getattr(put, name))


def test_at_expiry_delta_is_a_step_and_nothing_else_is_left():
    for vol, time in ((0.5, 0.0), (0.0, 0.5)):
        found = greeks([90.0, 100.0, 110.0], 100, vol, time)
        assert found.delta.tolist() == [0.0, 0.5, 1.0]
        assert found.gamma.tolist() == found.theta.tolist() == found.volga.tolist() == [0.0, 0.0, 0.0]
    at_the_money = greeks(100, 100, 0.0, 0.25)
    assert float(at_the_money.vega) == pytest.approx(100 * 0.5 / np.sqrt(2 * np.pi))
    assert float(at_the_money.vanna) == pytest.approx(0.25 / np.sqrt(2 * np.pi))


def test_every_array_has_the_shape_of_the_question():
    found = greeks(100, [[90.0], [100.0]], [0.2, 0.4, 0.6], 0.5)
    assert {getattr(found, name).shape for name in NAMES} == {(2, 3)}
    with pytest.raises(ValueError, match=r"volatility is -1.0"):
        greeks(100, 100, -1.0, 0.5)
