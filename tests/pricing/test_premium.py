"""Impact prices, premiums and funding rates, against the venues' own examples."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pricing.premium import (
    DERIBIT,
    HYPERLIQUID,
    FundingRules,
    funding_rate,
    impact_difference,
    impact_price,
    premium,
)

LEVELS = st.lists(st.tuples(st.floats(1, 1e5), st.floats(1e-3, 1e3)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("of_premium", "rate"), [(0.0002, 0.0), (0.0003, 0.00005), (-0.001, -0.00075), (0.0, 0.0), (0.1, 0.005)]
)
def test_deribits_rate(of_premium, rate):
    assert funding_rate(of_premium, DERIBIT) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize(("of_premium", "rate"), [(0.01, 0.0095), (0.0001, 0.0001), (0.0, 0.0001), (-0.01, -0.0095)])
def test_hyperliquids_rate(of_premium, rate):
    assert funding_rate(of_premium, HYPERLIQUID) == pytest.approx(rate, abs=1e-15)


def test_hyperliquids_cap_is_four_percent_an_hour():
    assert funding_rate(5.0, HYPERLIQUID) / 8 == pytest.approx(0.04)
    assert funding_rate(-5.0, HYPERLIQUID) / 8 == pytest.approx(-0.04)


@given(st.floats(-1, 1))
def test_with_no_interest_it_is_deribits_form(of_premium):
    clamp, cap = DERIBIT.clamp, DERIBIT.cap
    theirs = max(clamp, of_premium) + min(-clamp, of_premium)
    assert funding_rate(of_premium) == pytest.approx(min(max(theirs, -cap), cap), abs=1e-15)


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from([DERIBIT, HYPERLIQUID]))
def test_a_larger_premium_never_makes_a_smaller_rate_and_no_rate_is_over_the_cap(one, other, rules):
    low, high = sorted((one, other))
    assert funding_rate(low, rules) <= funding_rate(high, rules) + 1e-15
    assert abs(funding_rate(high, rules)) <= rules.cap


def test_an_impact_price_walks_the_levels():
    prices, sizes = [100.0, 101.0, 102.0], [1.0, 1.0, 10.0]
    assert impact_price(prices, sizes, 50) == pytest.approx(100)
    assert impact_price(prices, sizes, 100) == pytest.approx(100)
    assert impact_price(prices, sizes, 201) == pytest.approx(100.5)
    assert impact_price(prices, sizes, 303) == pytest.approx(303 / 3)
    assert impact_price([100.0, 99.0], [1.0, 1.0], 199) == pytest.approx(99.5)


def test_a_book_too_thin_for_the_notional_has_no_impact_price():
    assert impact_price([100.0], [1.0], 100.01) is None
    assert impact_price([], [], 1) is None
    assert impact_price([100.0], [0.0], 1) is None


@given(LEVELS, st.floats(1e-3, 1))
def test_an_impact_price_lies_between_the_best_level_and_the_last_one_reached(levels, share):
    levels = sorted(levels)
    prices, sizes = [p for p, _ in levels], [s for _, s in levels]
    notional = share * math.fsum(p * s for p, s in levels) * (1 - 1e-9)
    found = impact_price(prices, sizes, notional)
    assert prices[0] * (1 - 1e-9) <= found <= prices[-1] * (1 + 1e-9)
    assert impact_price(prices, sizes, notional / 2) <= found * (1 + 1e-9)


@pytest.mark.parametrize(
    ("bid", "ask", "difference"),
    [(101, 102, 1), (98, 99, -1), (99, 101, 0), (None, None, 0), (None, 99, -1), (101, None, 1), (100, 100, 0)],
)
def test_the_impact_difference(bid, ask, difference):
    assert impact_difference(bid, ask, 100) == difference
    assert premium(bid, ask, 100) == difference / 100


@given(st.floats(1, 1e6), st.floats(0, 0.5), st.floats(1, 1e6))
def test_a_book_around_the_index_has_no_premium(bid, spread, index):
    ask = bid * (1 + spread)
    found = premium(bid, ask, index)
    assert (found == 0) == (bid <= index <= ask)
    assert found == pytest.approx(max(bid / index - 1, 0) - max(1 - ask / index, 0), abs=1e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: impact_price([1.0, 2.0], [1.0], 1), "shapes"),
        (lambda: impact_price([1.0], [1.0], 0), "notional"),
        (lambda: impact_price([0.0], [1.0], 1), "prices"),
        (lambda: impact_price([math.nan], [1.0], 1), "prices"),
        (lambda: impact_price([1.0], [-1.0], 1), "sizes"),
        (lambda: impact_price([1.0, 3.0, 2.0], [1.0, 1.0, 1.0], 1), "best first"),
        (lambda: premium(1, 1, 0), "index"),
        (lambda: premium(1, 1, math.nan), "index"),
        (lambda: premium(math.nan, None, 100), "bid is nan: must be finite and above 0"),
        (lambda: premium(-5, None, 100), "bid is -5: must be finite and above 0"),
        (lambda: premium(None, 0, 100), "ask is 0: must be finite and above 0"),
        (lambda: impact_difference(None, math.inf, 100), "ask is inf: must be finite and above 0"),
        (lambda: funding_rate(math.nan), "premium"),
        (lambda: funding_rate(0, FundingRules(0, -1, 1)), "clamp"),
        (lambda: funding_rate(0, FundingRules(2, 0, 1)), "interest"),
        (lambda: funding_rate(0, FundingRules(0, 0, 2)), "cap"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, named):
    with pytest.raises(ValueError, match=named):
        call()
