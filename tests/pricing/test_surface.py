"""Surfaces: between expiries nothing is given away, and what is asked for is what is there."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pricing.black import price
from penstock.pricing.surface import Quotes, Surface
from penstock.pricing.svi import Slice

EXPIRIES = [0.02, 0.1, 0.5, 1.0]
CRYPTO = Surface.stated(EXPIRIES, [0.6, 0.55, 0.5, 0.5], [-0.3, -0.2, -0.1, -0.05], [1.2, 0.8, 0.3, 0.2])
PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "pricing.md"


def test_a_flat_surface_is_flat():
    flat = Surface.flat(0.65)
    assert flat.volatility([-2.0, 0.0, 3.0], [[0.0], [0.01], [5.0]]).tolist() == [[pytest.approx(0.65)] * 3] * 3
    assert flat.arbitrages() == []
    with pytest.raises(ValueError, match=r"volatility is 0.0: must be finite and above 0"):
        Surface.flat(0.0)


def test_stated_smiles_have_the_level_skew_and_curvature_that_were_stated():
    step = 1e-4
    for time, level, skew, bend in zip(
        EXPIRIES, [0.6, 0.55, 0.5, 0.5], [-0.3, -0.2, -0.1, -0.05], [1.2, 0.8, 0.3, 0.2], strict=True
    ):
        down, at, up = CRYPTO.volatility([-step, 0.0, step], time)
        assert at == pytest.approx(level, rel=1e-12)
        assert (up - down) / (2 * step) == pytest.approx(skew, rel=1e-5)
        assert (up - 2 * at + down) / step**2 == pytest.approx(bend, rel=1e-4)
    assert CRYPTO.arbitrages() == []


def test_a_stated_flat_smile_without_skew_is_flat():
    assert Surface.stated([0.1, 1.0], [0.5, 0.5]).volatility([-1.0, 2.0], 0.3) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (([0.1], [0.5], [-0.5], [-1.0]), r"curvature is -1: must be above -0.5"),
        (([0.1], [0.0]), r"at_the_money is 0.0: must be finite and above 0"),
        (([0.1, 1.0], [0.5, 0.5, 0.5]), r"at_the_money is of shape \(3,\): must be one number, or one for each of 2"),
        (([0.1, 1.0], [0.9, 0.2]), r"a calendar at 1 years and .* has a negative price"),
        (([1.0], [0.5], [-2.0], [0.1]), r"a butterfly at 1 years and .* has a negative price"),
        (([0.5, 0.1], [0.5, 0.5]), r"expiries must be above 0 and rise"),
        (([0.0], [0.5]), r"expiries must be above 0 and rise"),
    ],
)
def test_a_stated_surface_that_cannot_be_is_refused_by_name(stated, said):
    with pytest.raises(ValueError, match=said):
        Surface.stated(*stated)


@given(st.floats(-2, 2), st.floats(1e-4, 4), st.floats(1.0, 3.0))
def test_total_variance_never_falls_with_time(k, time, later):
    assert CRYPTO.total_variance(k, time * later) >= CRYPTO.total_variance(k, time) * (1 - 1e-12)


@given(st.floats(-1, 1), st.floats(1e-3, 4), st.floats(1.001, 3.0))
def test_no_calendar_has_a_negative_price(k, time, later):
    near, far = (price(1.0, np.exp(k), CRYPTO.volatility(k, at), at) for at in (time, time * later))
    assert far >= near * (1 - 1e-12) - 1e-15


@given(st.floats(1e-3, 4))
def test_calls_are_convex_in_the_strike_at_any_time(time):
    width = float(np.sqrt(time))
    strikes = np.linspace(np.exp(-2 * width), np.exp(2 * width), 200)
    calls = price(1.0, strikes, CRYPTO.volatility(np.log(strikes), time), time)
    assert (np.diff(calls, 2) >= -1e-14).all()
    assert (CRYPTO.density_factor(np.log(strikes), time) > 0).all()


def test_at_an_expiry_it_is_the_slice_and_outside_volatility_stays():
    k = np.linspace(-1, 1, 9)
    for time, slice_ in zip(CRYPTO.expiries, CRYPTO.slices, strict=True):
        assert CRYPTO.total_variance(k, time) == pytest.approx(slice_.total_variance(k), rel=1e-14)
    assert CRYPTO.volatility(k, 0.0) == pytest.approx(CRYPTO.volatility(k, 0.02))
    assert CRYPTO.volatility(k, 0.001) == pytest.approx(CRYPTO.volatility(k, 0.02))
    assert CRYPTO.volatility(k, 7.0) == pytest.approx(CRYPTO.volatility(k, 1.0))
    assert CRYPTO.total_variance(k, 0.0).tolist() == [0.0] * 9


def test_between_two_expiries_total_variance_is_a_straight_line():
    k = np.linspace(-1, 1, 9)
    halfway = CRYPTO.total_variance(k, 0.3)
    assert halfway == pytest.approx(0.5 * (CRYPTO.total_variance(k, 0.1) + CRYPTO.total_variance(k, 0.5)))


def test_a_surface_with_arbitrages_says_which():
    vogt = Slice(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)
    lower = Slice(a=0.01, b=0.05, rho=0.0, m=0.0, sigma=0.2)
    found = Surface([1.0, 2.0], [vogt, lower]).arbitrages()
    assert ("butterfly", 1.0) in {(each.kind, each.time) for each in found}
    assert ("calendar", 2.0) in {(each.kind, each.time) for each in found}
    assert all(each.amount < 0 for each in found)


def test_a_fitted_surface_is_near_its_quotes_and_free_of_arbitrage():
    dice = np.random.default_rng(11)
    k = np.linspace(-1.2, 1.2, 17)
    quotes = []
    for time in reversed(EXPIRIES):
        at = k * np.sqrt(time)
        quotes.append(Quotes(time, at, CRYPTO.volatility(at, time) + dice.normal(0, 0.002, k.size)))
    surface = Surface.fit(quotes)
    assert surface.expiries.tolist() == EXPIRIES
    assert surface.arbitrages() == []
    for each in quotes:
        error = surface.volatility(each.log_moneyness, each.time) - CRYPTO.volatility(each.log_moneyness, each.time)
        assert np.sqrt(np.mean(error**2)) < 0.004


def test_a_fit_to_quotes_that_cross_gives_a_surface_that_does_not():
    k = np.linspace(-0.5, 0.5, 11)
    surface = Surface.fit([Quotes(0.5, k, 0.6 + 0.1 * k * k), Quotes(0.6, k, 0.5 + 0.1 * k * k)])
    assert surface.arbitrages() == []
    assert surface.volatility(0.0, 0.6) == pytest.approx(0.6 * np.sqrt(0.5 / 0.6), abs=0.01)


def test_arrays_broadcast():
    assert CRYPTO.volatility([-0.1, 0.0, 0.1], [[0.05], [2.0]]).shape == (2, 3)
    assert CRYPTO.volatility(0.0, 0.3).shape == ()
    with pytest.raises(ValueError, match=r"time is -1.0: must be finite and at least 0"):
        CRYPTO.volatility(0.0, -1.0)
    with pytest.raises(ValueError, match=r"time is 0.0: must be finite and above 0"):
        CRYPTO.density_factor(0.0, 0.0)
    with pytest.raises(ValueError, match=r"volatility is of shape \(2,\): must be one number"):
        Surface.flat([0.5, 0.6])
    with pytest.raises(ValueError, match="must be one each"):
        Surface([0.1], [])


def test_the_example_of_the_page_runs():
    [example] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(example, PAGE.name, "exec"), {})
