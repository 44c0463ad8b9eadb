"""What the oracle quorum may say, and the funding that follows from it."""

import pytest

from penstock.protocol.events import FundingAccrued, PricePublished
from penstock.protocol.quantities import FUNDING_SCALE, MICRO
from penstock.protocol.reasons import Reason
from penstock.spec.prices import funding_rate
from penstock.spec.state import Market
from world import ORACLES, STRANGER, World, reasons, terms

INDEX = 1_000_000
PERCENT = 10_000_000
"""Funding rates count parts in 1e9."""


@pytest.fixture
def world():
    venue = World()
    venue.price(INDEX)
    return venue


def test_two_of_three_oracles_set_a_price(world):
    since = world.state.markets[0].priced_since
    assert world.price(INDEX + 50, INDEX + 100) == [
        PricePublished(world.sequence, 0, world.time - 999, INDEX + 50, INDEX + 100, 49_997, 0, 0, since, 0, 2)
    ]


@pytest.mark.parametrize(
    "signers", [ORACLES[:1], (), (STRANGER,), (ORACLES[0], STRANGER), (*ORACLES, STRANGER), (STRANGER, b"\x67" * 20)]
)
def test_fewer_than_the_quorum_or_a_stranger_among_them_set_none(world, signers):
    world.assert_refused(Reason.ORACLE_QUORUM_MISSING, lambda: world.price(INDEX, signers=signers), guarded=False)


def test_an_unlisted_market_has_no_price(world):
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.price(INDEX, market=7), guarded=False)


def test_a_price_of_zero_is_refused(world):
    world.assert_refused(Reason.PRICE_NOT_POSITIVE, lambda: world.price(INDEX, 0), guarded=False)
    world.assert_refused(Reason.PRICE_NOT_POSITIVE, lambda: world.price(0, INDEX), guarded=False)


def test_prices_only_grow_newer(world):
    stamped = world.state.markets[0].priced_at
    for published_at in (stamped, stamped - 1):
        world.assert_refused(
            Reason.PRICE_NOT_NEWER, lambda p=published_at: world.price(INDEX, published_at=p), guarded=False
        )
    assert reasons(world.price(INDEX, published_at=stamped + 1)) == []


def test_a_price_is_neither_from_the_future_nor_stale(world):
    world.wait(100)
    now = world.time + 1_000
    world.assert_refused(Reason.PRICE_TIME_INVALID, lambda: world.price(INDEX, published_at=now + 1), guarded=False)
    world.assert_refused(
        Reason.PRICE_TIME_INVALID, lambda: world.price(INDEX, published_at=now - 60 * MICRO), guarded=False
    )
    now = world.time + 1_000
    assert reasons(world.price(INDEX, published_at=now - 60 * MICRO)) == []
    now = world.time + 1_000
    assert reasons(world.price(INDEX, published_at=now)) == []


@pytest.mark.parametrize("changes", [(10_001, 10_000), (10_000, 10_001), (-10_001, -10_000), (-10_000, -10_001)])
def test_index_and_mark_move_one_step_at_a_time(world, changes):
    index, mark = (INDEX + change for change in changes)
    world.assert_refused(Reason.PRICE_STEP_TOO_LARGE, lambda: world.price(index, mark), guarded=False)


@pytest.mark.parametrize("change", [10_000, -10_000])
def test_a_step_of_exactly_one_percent_is_allowed(world, change):
    assert reasons(world.price(INDEX + change)) == []


def test_the_premium_stays_in_the_band_and_moves_by_steps(world):
    for premium in (10_000_001, -10_000_001):
        world.assert_refused(
            Reason.PRICE_STEP_TOO_LARGE, lambda p=premium: world.price(INDEX, premium=p), guarded=False
        )
    assert reasons(world.price(INDEX, premium=10_000_000)) == []
    world.assert_refused(Reason.PREMIUM_OUT_OF_BAND, lambda: world.price(INDEX, premium=10_000_001), guarded=False)
    assert reasons(world.price(INDEX, premium=0)) == []


def test_a_dated_market_has_no_premium():
    from spec.contracts import FUTURE_MARKET, chain

    dated = chain()
    dated.assert_refused(
        Reason.PREMIUM_OUT_OF_BAND, lambda: dated.price(INDEX, market=FUTURE_MARKET, premium=1), guarded=False
    )


def test_an_options_mark_moves_by_steps_of_the_index_between_its_bounds():
    """Steps of 2 % and a band of 5 % of an index of 100,000 USD."""
    from spec.contracts import CALL_MARKET, chain

    options = chain(strike=950_000)
    options.assert_refused(
        Reason.PRICE_STEP_TOO_LARGE, lambda: options.price(INDEX, 90_001, market=CALL_MARKET), guarded=False
    )
    assert reasons(options.price(INDEX, 90_000, market=CALL_MARKET)) == []
    for mark in (70_000, 50_000, 30_000, 10_000, 1):
        assert reasons(options.price(INDEX, mark, market=CALL_MARKET)) == [], "the intrinsic value less the band is 0"
    options.price(INDEX + 10_000, 1, market=CALL_MARKET)
    options.assert_refused(
        Reason.MARK_OUT_OF_BAND, lambda: options.price(INDEX + 12_000, 1, market=CALL_MARKET), guarded=False
    )


def test_the_mark_stays_near_the_index():
    world = World()
    world.assert_refused(Reason.MARK_OUT_OF_BAND, lambda: world.price(INDEX, INDEX + 10_001), guarded=False)
    world.assert_refused(Reason.MARK_OUT_OF_BAND, lambda: world.price(INDEX, INDEX - 10_001), guarded=False)
    assert reasons(world.price(INDEX, INDEX - 10_000)) == []


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        (0, 0),
        (PERCENT * 2 // 100, 0),
        (PERCENT * 25 // 1_000, 0),
        (-PERCENT * 25 // 1_000, 0),
        (PERCENT * 3 // 100, PERCENT * 5 // 1_000),
        (-PERCENT * 3 // 100, -PERCENT * 5 // 1_000),
        (-PERCENT // 10, -PERCENT * 75 // 1_000),
        (PERCENT // 10, PERCENT * 75 // 1_000),
        (PERCENT * 9 // 10, PERCENT // 2),
        (-PERCENT * 9 // 10, -PERCENT // 2),
    ],
)
def test_the_rate_is_the_premium_outside_its_dead_zone_capped(premium, rate):
    """Deribit's examples: premium 0.02 % → 0, 0.03 % → 0.005 %, −0.1 % → −0.075 %; cap 0.5 %."""
    assert funding_rate(Market(terms(), b"", index_price=INDEX, mark_price=INDEX, premium=premium)) == rate


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        (PERCENT, PERCENT * 95 // 100),
        (PERCENT // 100, PERCENT // 100),
        (0, PERCENT // 100),
        (-PERCENT, -PERCENT * 95 // 100),
        (PERCENT * 6 // 100, PERCENT // 100),
        (PERCENT * 50, PERCENT * 32),
    ],
)
def test_other_terms_give_the_rate_with_interest(premium, rate):
    """Hyperliquid's examples: 1 % → 0.95 %, 0.01 % → 0.01 %; its cap of 4 % an hour is 32 % in eight."""
    interest = terms(funding_interest=PERCENT // 100, funding_clamp=PERCENT * 5 // 100, funding_cap=PERCENT * 32)
    assert funding_rate(Market(interest, b"", index_price=INDEX, mark_price=INDEX, premium=premium)) == rate


def test_a_market_without_a_price_has_no_rate():
    assert funding_rate(Market(terms(), b"")) == 0


def trade(world, size=100_000):
    world.sell(1, INDEX, size)
    world.buy(2, INDEX, size)


def hold(world, mark, seconds):
    """Publish `mark` and again after some seconds, so that the sample counts."""
    world.price(INDEX, mark)
    world.wait(seconds)
    world.price(INDEX, mark)


def test_a_sample_gathers_its_rate_for_as_long_as_it_stood(world):
    world.price(INDEX, INDEX + 300)
    world.wait(10)
    world.price(INDEX, INDEX)
    assert world.state.markets[0].rate_time == 50_000 * (10 * MICRO + 1_000)
    world.price(INDEX, INDEX)
    assert world.state.markets[0].rate_time == 50_000 * (10 * MICRO + 1_000)


def test_a_sample_counts_no_longer_than_it_is_fresh(world):
    world.price(INDEX, INDEX + 300)
    world.wait(3_600)
    world.price(INDEX, INDEX)
    assert world.state.markets[0].rate_time == 50_000 * 60 * MICRO


@pytest.mark.parametrize(("mark", "payer", "receiver"), [(INDEX + 1_000, 2, 1), (INDEX - 1_000, 1, 2)])
def test_longs_pay_a_premium_and_receive_a_discount(world, mark, payer, receiver):
    """±0.075 % per 8 h of 100,000 USDC for 60 s is 0.15625 USDC (and 1 ms of slack in the samples)."""
    trade(world)
    hold(world, mark, 60)
    world.accrue()
    paid, received = world.account(payer).cash, world.account(receiver).cash
    world.price(INDEX, INDEX)
    world.sell(2, INDEX, 100_000)
    world.buy(1, INDEX, 100_000)
    fees = {1: 30 * MICRO, 2: 0}
    # The payer pays up to a unit more, the receiver gets up to a unit less; the rest is dust.
    paid -= world.account(payer).cash + fees[payer]
    received = world.account(receiver).cash + fees[receiver] - received
    assert 156_249 <= received <= paid <= 156_251
    assert 0 <= world.state.markets[0].dust == (paid - received) * FUNDING_SCALE


def test_the_index_moves_by_index_price_times_rate_times_time(world):
    hold(world, INDEX + 300, 10)
    market = world.state.markets[0]
    expected = INDEX * 50_000 * (10 * MICRO + 1_000) * FUNDING_SCALE // (10**9 * 8 * 3600 * MICRO)
    assert market.rate_time == 50_000 * (10 * MICRO + 1_000)
    assert world.accrue() == [FundingAccrued(world.sequence, 0, world.time, expected)]
    assert (market.funding_index, market.rate_time) == (expected, 0)


def test_a_negative_index_step_is_rounded_towards_zero(world):
    hold(world, INDEX - 300, 10)
    expected = INDEX * 50_000 * (10 * MICRO + 1_000) * FUNDING_SCALE // (10**9 * 8 * 3600 * MICRO)
    assert world.accrue() == [FundingAccrued(world.sequence, 0, world.time, -expected)]


def test_funding_is_due_when_something_was_sampled_and_the_interval_is_over(world):
    world.assert_refused(Reason.FUNDING_NOT_DUE, world.accrue, guarded=False)
    hold(world, INDEX + 300, 10)
    assert reasons(world.accrue()) == []
    world.price(INDEX, INDEX + 300)
    world.assert_refused(Reason.FUNDING_NOT_DUE, world.accrue, guarded=False)
    world.time = world.state.markets[0].funded_at + MICRO - 1_000
    assert reasons(world.accrue()) == []


def test_unsettled_funding_is_equity_before_it_is_cash(world):
    from penstock.spec.margin import assess

    trade(world)
    before = assess(world.state, world.account(2)).equity
    hold(world, INDEX + 1_000, 60)
    world.price(INDEX, INDEX)
    world.accrue()
    cash = world.account(2).cash
    assert assess(world.state, world.account(2)).equity in (before - 156_252, before - 156_253)
    assert world.account(2).cash == cash
