"""One smile: what it says, where it allows an arbitrage, and that a fit finds it again."""

import numpy as np
import pytest
import QuantLib
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.pricing.black import price
from penstock.pricing.fit import NoSliceFits, fit
from penstock.pricing.svi import Slice, calendar_gap

# Axel Vogt's: Gatheral and Jacquier (2014), sections 2.2 and 5.2. Its density is negative around k = 0.88.
VOGT = Slice(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)
GOOD = Slice(a=0.04, b=0.1, rho=-0.3, m=0.05, sigma=0.2)
K = np.linspace(-1.0, 1.0, 21)


def volatilities(slice_, k, time):
    return np.sqrt(slice_.total_variance(k) / time)


def density(slice_, k):
    """The undiscounted call's second difference in the strike, times strike²: what g has the sign of."""
    step = 1e-3
    strikes = np.exp(k) * np.array([[1 - step], [1.0], [1 + step]])
    calls = price(1.0, strikes, volatilities(slice_, np.log(strikes), 1.0), 1.0)
    return (calls[0] - 2 * calls[1] + calls[2]) / step**2


def test_it_is_the_formula_and_quantlibs():
    w = GOOD.total_variance(K)
    assert w == pytest.approx(0.04 + 0.1 * (-0.3 * (K - 0.05) + np.sqrt((K - 0.05) ** 2 + 0.04)))
    other = QuantLib.SviSmileSection(0.5, 100.0, [GOOD.a, GOOD.b, GOOD.sigma, GOOD.rho, GOOD.m])
    assert volatilities(GOOD, K, 0.5) == pytest.approx([other.volatility(100 * float(np.exp(k))) for k in K], rel=1e-12)
    assert GOOD.lowest == pytest.approx(w.min(), abs=1e-3) and GOOD.lowest <= w.min()


def test_its_derivatives_are_its_differences():
    step = 1e-4
    _, first, second = GOOD.derivatives(K)
    up, at, down = (GOOD.total_variance(K + move) for move in (step, 0.0, -step))
    assert first == pytest.approx((up - down) / (2 * step), abs=1e-7)
    assert second == pytest.approx((up - 2 * at + down) / step**2, abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"b": -0.1}, "b is -0.1: must be finite and at least 0"),
        ({"rho": 1.0}, "rho is 1.0: must be above -1 and below 1"),
        ({"b": 1e16}, "b is 1e\\+16: must be finite and at least 0 and at most 1e\\+15"),
        ({"rho": np.nan}, "rho is nan: must be finite and at least -1 and at most 1"),
        ({"rho": True}, "rho is of bool: must be real numbers"),
        ({"sigma": 0.0}, "sigma is 0.0: must be finite and at least 1e-15 and at most 1e\\+15"),
        ({"sigma": 1e-300}, "sigma is 1e-300: must be finite and at least 1e-15 and at most 1e\\+15"),
        ({"sigma": 1e200}, "sigma is 1e\\+200: must be finite and at least 1e-15 and at most 1e\\+15"),
        ({"a": 1e300}, "a is 1e\\+300: must be finite and at least -1e\\+15 and at most 1e\\+15"),
        ({"m": [0.0, 0.1]}, r"m is of shape \(2,\): must be one number"),
        ({"a": -0.05}, "a is -0.05: must be at least -0.0190788"),
        ({"m": np.nan}, "m is nan: must be finite and at least -1e\\+15"),
    ],
)
def test_a_smile_with_negative_variance_is_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said):
        Slice(**({"a": 0.04, "b": 0.1, "rho": -0.3, "m": 0.05, "sigma": 0.2} | wrong))


def test_vogts_smile_has_a_butterfly_and_a_good_one_has_none():
    where, g = VOGT.least_density()
    assert not VOGT.is_free_of_butterflies
    assert (where, g) == pytest.approx((0.8793, -0.03286), abs=1e-4)
    assert density(VOGT, np.array([where]))[0] < 0
    assert GOOD.is_free_of_butterflies
    assert (density(GOOD, K) > 0).all()


@pytest.mark.parametrize(
    ("narrow", "where", "g"),
    [
        ((-0.0004333215887, 0.00260372301, 0.9636775, -0.917980030, 0.7276487836), -7.589, -2.94e-6),
        ((-0.001106723640561, 0.00248882246784, -0.955497006, -2.0218121811, 1.5078386237), 9.93, -2.97e-6),
        ((-7.774256638e-05, 0.15299350450, -0.02735277441, 19.0232027384, 0.00050836075), 37.97, -3.34e-3),
    ],
)
def test_a_narrow_butterfly_beside_the_least_of_a_grid_or_beyond_it_is_found(narrow, where, g):
    narrow = Slice(*narrow)
    assert not narrow.is_free_of_butterflies
    assert narrow.least_density() == (pytest.approx(where, rel=1e-3), pytest.approx(g, rel=0.02))
    assert narrow.butterfly() == narrow.least_density()


def near_the_border(dice):
    """Slices of every scale, most with a butterfly or none by a hair: a is where one begins, or just below."""
    b, rho, sigma = 10 ** dice.uniform(-3, 0.2), dice.uniform(-0.99, 0.99), 10 ** dice.uniform(-3, 0.3)
    m = dice.choice([-1, 1]) * 10 ** dice.uniform(-2, 1.3)
    floor = -b * sigma * np.sqrt((1 - rho) * (1 + rho)) * (1 - 1e-15)
    arbitrage, free = 1e-9, 10.0
    for _ in range(12):
        middle = np.sqrt(arbitrage * free)
        if Slice(floor + middle, b, rho, m, sigma).is_free_of_butterflies:
            free = middle
        else:
            arbitrage = middle
    return Slice(floor + free, b, rho, m, sigma), Slice(floor + arbitrage * 0.999, b, rho, m, sigma)


def test_no_butterfly_on_a_grid_of_a_hundred_thousand_points_is_missed():
    dice = np.random.default_rng(5)
    odd = []
    for _ in range(40):
        b, sigma, m = 10 ** dice.uniform(-6, 0), 10 ** dice.uniform(-6, 2), dice.normal() * 10 ** dice.uniform(-3, 2)
        rho = dice.choice([-1, 1]) * (1 - 10 ** dice.uniform(-9, 0))
        floor = -b * sigma * np.sqrt((1 - rho) * (1 + rho)) * (1 - 1e-15)
        odd.append(Slice(floor + 10 ** dice.uniform(-9, 0), b, rho, m, sigma))
    found = 0
    for made in [*odd, *(each for _ in range(40) for each in near_the_border(dice))]:
        farthest = np.arcsinh(1e4 * max(1.0, abs(made.m), made.sigma) / made.sigma)
        k = np.concatenate(
            [made.m + made.sigma * np.sinh(np.linspace(-farthest, farthest, 60_001)), np.linspace(-40, 40, 40_001)]
        )
        least = made.density_factor(k).min()
        assert made.least_density()[1] <= least + 1e-9 + 1e-6 * abs(least), made
        found += least < -1e-9
    assert found >= 20, "the grid sees butterflies to be missed"


EXTREME = st.sampled_from([1e-15, 1e-8, 1e-3, 1.0, 1e3, 1e8, 1e15])


@given(
    st.one_of(st.just(0.0), EXTREME, st.just(5e-324)), st.one_of(st.just(0.0), EXTREME, st.just(1e-300)),
    st.sampled_from([0.0, 0.5, -0.999, 1 - 1e-16, -1 + 1e-16]), st.one_of(st.just(0.0), EXTREME), EXTREME,
)  # fmt: skip
def test_every_slice_in_range_gets_an_answer_without_a_nan(a, b, rho, m, sigma):
    made = Slice(a, b, rho, -m, sigma)
    where, g = made.least_density()
    assert not np.isnan(where) and not np.isnan(g)
    assert made.is_free_of_butterflies == (g >= -1e-9 and max(made.slopes) <= 2.0)
    assert not np.isnan(calendar_gap(made, GOOD)).any() and not np.isnan(calendar_gap(GOOD, made)).any()


def test_g_has_the_sign_of_the_density():
    k = np.linspace(-1.5, 1.5, 201)
    g, curve = VOGT.density_factor(k), density(VOGT, k)
    clear = np.abs(g) > 1e-3
    assert (np.sign(g[clear]) == np.sign(curve[clear])).all()


def test_a_wing_steeper_than_two_is_an_arbitrage():
    steep = Slice(a=0.5, b=1.2, rho=0.8, m=0.0, sigma=1.0)
    assert not steep.is_free_of_butterflies
    assert steep.least_density()[1] <= 0.25 - steep.slopes[1] ** 2 / 16 < 0


def test_a_later_smile_that_crosses_an_earlier_one_is_found():
    crossing = Slice(a=0.05, b=0.05, rho=-0.3, m=0.05, sigma=0.2)
    where, gap = calendar_gap(GOOD, crossing)
    assert gap < 0 and (where == -np.inf or crossing.total_variance(where) < GOOD.total_variance(where))
    above = Slice(a=0.05, b=0.1, rho=-0.3, m=0.05, sigma=0.2)
    assert calendar_gap(GOOD, above)[1] == pytest.approx(0.0, abs=1e-3)
    assert calendar_gap(above, GOOD)[1] < -0.1


def test_a_crossing_between_two_points_of_any_grid_is_found():
    # The later smile dips below the earlier one, for 2e-4 around k = 0.3 only.
    early = Slice(a=0.04, b=0.0, rho=0.0, m=0.0, sigma=1.0)
    late = Slice(a=0.04 - 0.1 * 1e-4, b=0.1, rho=0.0, m=0.3, sigma=1e-6)
    where, gap = calendar_gap(early, late)
    assert gap < 0 and abs(where - 0.3) < 1e-4


@given(
    st.floats(0.0, 0.2), st.floats(0.01, 0.4), st.floats(-0.9, 0.9), st.floats(-0.3, 0.3), st.floats(0.05, 0.6),
    st.floats(0.01, 2.0), st.floats(1e-3, 1.0),
)  # fmt: skip
def test_what_is_lifted_has_no_calendar_and_what_is_lowered_has_one(a, b, rho, m, sigma, width, lift):
    early = Slice(a + 0.001, b, rho, m, sigma)
    k = np.linspace(-width, width, 7)
    assert calendar_gap(early, Slice(a + 0.001 + lift, b, rho, m, sigma))[1] >= 0
    lowered = Slice(a + 0.001, b * 0.9, rho, m, sigma)
    assert calendar_gap(early, lowered)[1] < 0
    assert (lowered.total_variance(k) <= early.total_variance(k)).all()


def test_a_fit_recovers_the_parameters():
    for time in (0.003, 0.5, 3.0):
        made = Slice(GOOD.a * time, GOOD.b * time, GOOD.rho, GOOD.m, GOOD.sigma)
        assert made.is_free_of_butterflies
        found = fit(K, volatilities(made, K, time), time)
        assert [found.a / time, found.b / time, found.rho, found.m, found.sigma] == pytest.approx(
            [GOOD.a, GOOD.b, GOOD.rho, GOOD.m, GOOD.sigma], rel=1e-6
        )


@given(
    st.floats(0.01, 0.1), st.floats(0.02, 0.3), st.floats(-0.8, 0.8), st.floats(-0.2, 0.2), st.floats(0.1, 0.5)
)  # fmt: skip
def test_a_fit_comes_back_to_any_smile_without_arbitrage(a, b, rho, m, sigma):
    made = Slice(a, b, rho, m, sigma)
    assume(made.is_free_of_butterflies)
    vols = volatilities(made, K, 1.0)
    assert volatilities(fit(K, vols, 1.0), K, 1.0) == pytest.approx(vols, rel=1e-5)


def test_a_flat_smile_is_fitted_flat():
    found = fit(K, np.full(K.size, 0.6), 0.1)
    assert volatilities(found, np.linspace(-3, 3, 61), 0.1) == pytest.approx(np.full(61, 0.6), rel=1e-3)


def test_a_fit_to_vogts_smile_has_no_butterfly_and_stays_near():
    found = fit(K, volatilities(VOGT, K, 1.0), 1.0)
    assert found.is_free_of_butterflies
    miss = np.abs(volatilities(found, K, 1.0) - volatilities(VOGT, K, 1.0))
    assert miss[np.abs(K) <= 0.35].max() < 0.003  # where options have a vega: 3 standard deviations
    assert miss.max() < 0.05


def test_a_fit_stays_above_the_earlier_slice():
    lower = volatilities(GOOD, K, 1.0) * 0.97
    found = fit(K, lower, 1.0, earlier=GOOD)
    assert calendar_gap(GOOD, found)[1] >= -1e-9
    assert calendar_gap(GOOD, fit(K, lower, 1.0))[1] < 0


def test_weights_decide_what_counts():
    vols = volatilities(GOOD, K, 1.0)
    vols[3] += 0.2
    weights = np.ones(K.size)
    weights[3] = 0.0
    assert fit(K, vols, 1.0, weights).rho == pytest.approx(GOOD.rho, rel=1e-5)
    assert abs(fit(K, vols, 1.0).rho - GOOD.rho) > 1e-3


def test_noise_does_not_throw_the_fit_off():
    dice = np.random.default_rng(3)
    for _ in range(10):
        noisy = volatilities(GOOD, K, 0.5) + dice.normal(0, 0.002, K.size)
        found = fit(K, noisy, 0.5)
        assert found.is_free_of_butterflies
        near = np.abs(K) < 0.6
        assert np.abs(volatilities(found, K, 0.5) - volatilities(GOOD, K, 0.5))[near].max() < 0.006


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"log_moneyness": [0.0, 0.1, 0.2, 0.3, 0.3]}, "log_moneyness has 4 different k: must be at least 5"),
        ({"volatility": [0.5] * 4}, "volatility is of shape"),
        ({"volatility": [0.5, 0.5, 0.0, 0.5, 0.5]}, r"volatility is 0.0: must be finite and above 0"),
        (
            {"volatility": [1e200] * 5},
            r"volatility² × time is inf: must be finite and at least 1e-20 and at most 1e\+12",
        ),
        ({"volatility": [1e-200] * 5}, r"volatility² × time is 0.0: must be finite and at least 1e-20"),
        (
            {"log_moneyness": np.arange(5) * 1e-13},
            r"the span of log_moneyness is 4e-13: must be finite and at least 1e-11",
        ),
        ({"time": -1.0}, r"time is -1.0: must be finite and above 0"),
        ({"time": 0.0}, r"time is 0.0: must be finite and above 0"),
        ({"time": [0.1, 0.2]}, r"time is of shape \(2,\): must be one number"),
        ({"weights": [1.0, 1.0, 1.0, 1.0, -1.0]}, r"weights is -1.0"),
    ],
)
def test_a_fit_refuses_bad_input_by_name(wrong, said):
    asked = {"log_moneyness": [-0.2, -0.1, 0.0, 0.1, 0.2], "volatility": [0.5] * 5, "time": 0.5}
    with pytest.raises(ValueError, match=said):
        fit(**(asked | wrong))


def test_a_fit_that_cannot_be_free_says_so():
    steep = Slice(a=10.0, b=2.5, rho=0.0, m=0.0, sigma=0.1)  # nothing with wings of 2 at most stays above it
    with pytest.raises(NoSliceFits, match="free of arbitrage"):
        fit(K, np.full(K.size, 0.3), 1.0, earlier=steep)
