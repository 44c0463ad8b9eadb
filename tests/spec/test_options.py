"""What options need as margin, what they cost to trade, and what they are liquidated by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.instruments import CALL, PUT
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.spec.liquidation import band_price, slice_of
from penstock.spec.margin import assess, requirements
from penstock.spec.positions import trading_fee
from penstock.spec.state import Market
from spec.contracts import CALL_MARKET, INDEX, PUT_MARKET, WHOLE, chain, option, trade
from world import reasons, terms


def market(option_type: int, strike: int, index: int = INDEX, mark: int = 20_000, crowding: int = 0) -> Market:
    """An option's market at these prices."""
    listed = option(CALL_MARKET, strike, option_type)
    return Market(listed, listed.digest(), index_price=index, mark_price=mark, priced_at=1, crowding=crowding)


def published(option_type: int, strike: int, index: int, mark: int) -> tuple[float, float]:
    """Deribit's standard margin of one short option, in units of the underlying's price, mark included."""
    out = max(0, strike - index) if option_type == CALL else max(0, index - strike)
    initial = max(0.15 - out / index, 0.10) * index + mark
    if option_type == CALL:
        return initial, 0.075 * index + mark
    maintenance = max(0.075 * index, 0.075 * mark) + mark
    return max(initial, maintenance), maintenance


@pytest.mark.parametrize(
    ("option_type", "strike", "initial", "maintenance"),
    [
        (CALL, INDEX, 150_000, 75_000),
        (CALL, 1_030_000, 120_000, 75_000),
        (CALL, 1_500_000, 100_000, 75_000),
        (CALL, 800_000, 150_000, 75_000),
        (PUT, INDEX, 150_000, 75_000),
        (PUT, 960_000, 110_000, 75_000),
        (PUT, 500_000, 100_000, 75_000),
        (PUT, 1_200_000, 150_000, 75_000),
    ],
)
def test_a_short_option_needs_fifteen_percent_less_what_it_is_out_of_the_money(
    option_type, strike, initial, maintenance
):
    """At an index of 100,000 USD, per BTC: in tenths of a USD, the mark not counted twice."""
    assert requirements(market(option_type, strike), -WHOLE) == (initial * WHOLE, maintenance * WHOLE)


@given(
    option_type=st.sampled_from([CALL, PUT]),
    strike=st.integers(1, 5_000_000),
    index=st.integers(1, 5_000_000),
    mark=st.integers(1, 8_000_000),
    size=st.integers(1, 1_000_000),
)
def test_the_requirement_and_the_mark_are_deribits_standard_margin(option_type, strike, index, mark, size):
    initial, maintenance = requirements(market(option_type, strike, index, mark), -size)
    for ours, theirs in zip((initial, maintenance), published(option_type, strike, index, mark), strict=True):
        assert abs(ours + size * mark - theirs * size) <= 2 + 1e-9 * theirs * size


@given(size=st.integers(1, 1 << 40), mark=st.integers(1, 1 << 40), strike=st.integers(1, 1 << 39))
def test_a_long_option_needs_what_it_is_worth_and_can_lose_no_more(size, mark, strike):
    assert requirements(market(CALL, strike, mark=mark), size) == (size * mark, size * mark)


def test_a_long_option_is_paid_for_in_full():
    world = chain(cash=2_000 * MICRO)
    world.sell(1, 20_000, 2_000, market=PUT_MARKET)
    world.deposit(1, 100_000 * MICRO)
    world.sell(1, 20_000, WHOLE, market=PUT_MARKET)
    assert reasons(world.buy(2, 20_000, WHOLE, market=PUT_MARKET)) == [Reason.MARGIN_TOO_LOW], "2,000 and no fee"
    world.deposit(2, 31 * MICRO)
    assert reasons(world.buy(2, 20_000, WHOLE, market=PUT_MARKET)) == []
    assert assess(world.state, world.account(2)).equity == 2_000 * MICRO + 31 * MICRO - 30 * MICRO
    assert reasons(world.withdraw(2, 2 * MICRO)) == [Reason.AMOUNT_ABOVE_WITHDRAWABLE]
    assert reasons(world.withdraw(2, MICRO)) == [], "what the premium does not need may leave"


def test_a_short_option_that_rests_reserves_its_side_only():
    world = chain(cash=15_000 * MICRO)
    assert reasons(world.sell(1, 21_000, WHOLE, market=CALL_MARKET)) == []
    assert reasons(world.sell(2, 21_000, WHOLE + 100, market=CALL_MARKET)) == [Reason.MARGIN_TOO_LOW]
    assert reasons(world.buy(3, 19_000, 7 * WHOLE, market=CALL_MARKET)) == [], "bids are weighed at the mark: 14,000"


@pytest.mark.parametrize(
    ("size", "price", "fee"),
    [
        (WHOLE, 20_000, 30 * MICRO),
        (WHOLE, 2_400, 30 * MICRO),
        (WHOLE, 1_600, 20 * MICRO),
        (1, 1, 1),
        (3, 1, 1),
    ],
)
def test_an_options_fee_is_on_the_index_and_at_most_an_eighth_of_the_premium(size, price, fee):
    """300 ppm of 100,000 USD is 30 USD; 12.5 % of 160 USD is 20."""
    assert trading_fee(market(CALL, INDEX), size, price, 300) == fee
    assert trading_fee(Market(terms(), b"", index_price=INDEX), size, price, 300) == -(-size * price * 300 // MICRO)


def test_an_options_rebate_is_bounded_likewise():
    assert trading_fee(market(CALL, INDEX), WHOLE, 1_600, -300) == -20 * MICRO
    assert trading_fee(market(CALL, INDEX), WHOLE, 20_000, -300) == -30 * MICRO


def test_crowding_moves_initial_margin_to_the_whole_notional():
    assert requirements(market(CALL, INDEX, crowding=10_000), -WHOLE) == (INDEX * WHOLE, 75_000 * WHOLE)
    assert requirements(market(CALL, INDEX, crowding=5_000), -WHOLE)[0] == (150_000 + 425_000) * WHOLE
    assert requirements(market(CALL, INDEX, crowding=10_000), WHOLE)[0] == 20_000 * WHOLE, "a buyer risks the premium"


def test_a_liquidation_of_options_is_banded_and_sliced_by_the_index():
    """A band of 1 % of an index of 100,000 is 1,000 USD around the mark; of a mark of 2,000 a quarter is less."""
    judged = market(CALL, INDEX)
    assert (band_price(judged, 0), band_price(judged, 1)) == (25_000, 15_000)
    dear = market(CALL, INDEX, mark=100_000)
    assert (band_price(dear, 0), band_price(dear, 1)) == (110_000, 90_000)
    assert [band_price(market(CALL, INDEX, mark=3), side) for side in (0, 1)] == [4, 2], "a tick at least"
    assert slice_of(judged, WHOLE) == WHOLE
    assert slice_of(judged, 2 * WHOLE) == 40_000, "200,000 USD at the index: a fifth"


def test_a_short_put_is_liquidated_once_the_mark_has_run_away():
    world = chain(cash=16_000 * MICRO)
    world.deposit(2, 100_000 * MICRO)
    trade(world, PUT_MARKET, 2, 1, 20_000)
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(1), guarded=False)
    mark = 20_000
    while mark < 110_000:
        mark += 19_000
        world.price(INDEX, min(mark, 110_000), market=PUT_MARKET)
    assert assess(world.state, world.account(1)).equity == 7_000 * MICRO
    world.sell(2, 115_000, WHOLE, market=PUT_MARKET)
    world.liquidate(1)
    assert world.size(1, PUT_MARKET) == 0
