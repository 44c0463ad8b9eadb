"""Losses that somebody tries to keep from being closed, or to close at somebody else's cost."""

from laws.invariants import check_sums
from penstock.protocol.commands import HALTED, OPEN, DelistMarket
from penstock.protocol.events import ShortfallCovered, Traded
from penstock.protocol.instruments import OPTION
from penstock.protocol.quantities import MICRO, SETTLEMENT_WINDOW
from penstock.protocol.reasons import Reason
from penstock.spec.liquidation import favoured
from penstock.spec.margin import assess
from penstock.spec.positions import trading_fee
from penstock.spec.prices import expected_settlement
from spec.contracts import CALL_MARKET, FUTURE_MARKET, INDEX, PUT_MARKET, SOON, WHOLE, chain, trade
from world import GOVERNOR, reasons

DAY = 86_400


def fall(world, index, market=0):
    """Walk a market's price down or up, a second a step."""
    now = world.state.markets[market].index_price
    while now != index:
        now = max(index, now - now // 100) if index < now else min(index, now + now // 100)
        world.wait(1)
        world.price(now, market=market)


def one_lot_of_a_stale_option(cash):
    """Subaccount 2 holds 1 BTC of the perpetual and 0.01 BTC of a call that nobody has priced for a minute."""
    world = chain(cash=cash)
    world.deposit(3, 1_000_000 * MICRO)
    trade(world, CALL_MARKET, 2, 3, 20_000, 1_000)
    trade(world, 0, 2, 3, INDEX)
    world.wait(61)
    world.price(INDEX)
    return world


def test_a_stale_position_shields_about_its_own_size_and_no_more():
    world = one_lot_of_a_stale_option(6_000 * MICRO)
    fall(world, INDEX - 46_000)
    world.buy(3, INDEX - 46_000, WHOLE, slot=20)
    # 0.01 BTC of an index of 100,000 counts 500 better than its mark: 6,000 − 4,600 − fees + 500 is above 954.
    assert reasons(world.liquidate(2)) == [Reason.PRICE_STALE]
    fall(world, INDEX - 60_000)
    world.buy(3, INDEX - 60_000, WHOLE, slot=20)
    events = world.liquidate(2)
    assert [type(event) for event in events] == [Traded], "the call has no fresh price: it stays"
    assert (world.size(2), world.size(2, CALL_MARKET)) == (0, 1_000)
    check_sums(world.state)


def test_a_loss_beyond_the_account_is_booked_although_a_position_stays():
    world = one_lot_of_a_stale_option(2_600 * MICRO)
    fall(world, INDEX - 60_000)
    world.buy(3, INDEX - 60_000, WHOLE, slot=20)
    closed, covered = world.liquidate(2)
    assert isinstance(closed, Traded) and isinstance(covered, ShortfallCovered)
    assert world.size(2, CALL_MARKET) == 1_000
    missing = covered.from_fees + covered.covered + covered.booked
    assert favoured(world.state, world.account(2), world.time).equity == 0 < missing
    assert world.account(2).cash < 0, "what the call may still pay is not covered"
    check_sums(world.state)


def test_where_nothing_has_a_fresh_price_nothing_is_closed():
    world = one_lot_of_a_stale_option(6_000 * MICRO)
    fall(world, INDEX - 60_000)
    world.wait(61)
    world.buy(3, INDEX - 60_000, WHOLE, slot=20)
    assert reasons(world.liquidate(2)) == [Reason.PRICE_STALE]


def test_a_stale_short_counts_in_its_holders_favour_and_needs_no_margin():
    world = chain()
    trade(world, PUT_MARKET, 2, 1, 20_000)
    trade(world, FUTURE_MARKET, 2, 1, INDEX)
    fresh = assess(world.state, world.account(1))
    world.wait(61)
    world.price(INDEX, market=FUTURE_MARKET)
    now = favoured(world.state, world.account(1), world.time)
    assert now.equity == fresh.equity + INDEX * WHOLE // 2
    assert now.maintenance == INDEX * WHOLE // 100, "the future's alone"


def test_long_options_are_closed_last_and_near_their_mark():
    world = chain(cash=40_000 * MICRO)
    world.deposit(3, 1_000_000 * MICRO)
    trade(world, CALL_MARKET, 2, 3, 20_000, 10 * WHOLE)
    trade(world, 0, 2, 3, INDEX, 5 * WHOLE)
    risk = assess(world.state, world.account(2))
    while risk.equity >= risk.maintenance:
        now = world.state.markets[0].index_price
        world.price(now - now // 200)
        risk = assess(world.state, world.account(2))
    mark = world.state.markets[0].mark_price
    world.buy(1, 50, 10 * WHOLE, slot=20, market=CALL_MARKET)
    assert reasons(world.liquidate(2)) == [Reason.LIQUIDITY_MISSING], "a bid of 5 USD for an option worth 2,000"
    world.buy(3, mark, 5 * WHOLE, slot=21)
    [sold] = world.liquidate(2)
    assert (sold.market, sold.price) == (0, mark), "the perpetual first"
    world.buy(3, 15_000, 10 * WHOLE, slot=22, market=CALL_MARKET)
    assert world.size(2, CALL_MARKET) == 10 * WHOLE


def rise_to_the_end(world):
    """Subaccount 1 is short a future, and a scrap of the perpetual; the future's index rises by 8 % in its window."""
    trade(world, FUTURE_MARKET, 2, 1, INDEX)
    trade(world, 0, 2, 1, INDEX, 100)
    world.time = SOON * MICRO - SETTLEMENT_WINDOW
    for step in range(1, 9):
        world.price(INDEX + step * 10_000, market=FUTURE_MARKET)
    world.time = SOON * MICRO


def test_a_loss_at_expiry_is_booked_at_once_and_where_it_arose():
    world = chain(cash=3_000 * MICRO)
    world.deposit(2, 100_000 * MICRO)
    rise_to_the_end(world)
    world.price(INDEX)
    world.expire(FUTURE_MARKET)
    covered = world.close(1, FUTURE_MARKET)[1]
    assert isinstance(covered, ShortfallCovered) and covered.market == FUTURE_MARKET
    assert assess(world.state, world.account(1)).equity == 0, "no more than what was missing"
    assert world.state.markets[FUTURE_MARKET].shortfall == covered.booked > 4_900 * MICRO
    world.buy(2, INDEX, 100, slot=30)
    world.liquidate(1)
    assert world.state.markets[0].shortfall == 0, "the scrap of the perpetual books nothing there"
    check_sums(world.state)


def test_a_loss_that_other_positions_outweigh_is_not_covered():
    world = chain()
    rise_to_the_end(world)
    world.expire(FUTURE_MARKET)
    assert len(world.close(1, FUTURE_MARKET)) == 1
    assert world.account(1).cash > 0


def delisted(world, before):
    """The perpetual ends; the index stands at INDEX until `before` seconds before that."""
    expiry = world.time // MICRO + 7 * DAY + 1
    assert reasons(world.send(DelistMarket(0, world.time, expiry), signers=(GOVERNOR,))) == []
    world.time = expiry * MICRO - SETTLEMENT_WINDOW
    world.price(INDEX)
    world.time = (expiry - before) * MICRO
    world.price(INDEX)
    return expiry


def test_in_the_last_half_hour_a_mark_may_follow_what_the_contract_will_settle_at():
    world = chain()
    expiry = delisted(world, 240)
    fall(world, INDEX + 50_000)
    market = world.state.markets[0]
    settles = expected_settlement(market, world.time, INDEX + 50_000)
    assert INDEX + 6_000 < settles < INDEX + 7_000
    mark = market.mark_price
    while mark > settles:
        mark = max(settles, mark - mark // 101)
        world.wait(1)
        assert reasons(world.price(INDEX + 50_000, mark, premium=0)) == []
    for mark in (settles - settles // 200, settles - settles // 100 - 100):
        world.wait(1)
        refused = reasons(world.price(INDEX + 50_000, mark, premium=0))
    assert refused == [Reason.MARK_OUT_OF_BAND]
    world.time = expiry * MICRO
    assert abs(world.expire(0)[0].index_price - settles) < 100


def test_the_expected_settlement_is_the_index_until_the_window_begins_and_without_an_end():
    world = chain()
    market = world.state.markets[FUTURE_MARKET]
    start = SOON * MICRO - SETTLEMENT_WINDOW
    assert [expected_settlement(market, at, 77) for at in (0, start)] == [77, 77]
    assert expected_settlement(market, start + SETTLEMENT_WINDOW // 2, 2 * INDEX) == INDEX * 3 // 2
    assert expected_settlement(world.state.markets[0], SOON * MICRO - 1, 77) == 77
    market.priced_at = market.priced_since = 0
    assert expected_settlement(market, SOON * MICRO - 1, 77) == 77, "the first price of all"


def test_a_refused_command_of_the_guardians_cannot_be_kept_for_later():
    world = chain()
    world.guard(0, OPEN)
    ahead = world.time + 50 * MICRO
    assert reasons(world.guard(0, OPEN, nonce=ahead)) == [Reason.NONCE_TOO_FAR_AHEAD]
    early = world.time + 1_000
    assert reasons(world.guard(0, OPEN, nonce=early)) == [Reason.STATUS_UNCHANGED]
    assert reasons(world.guard(0, HALTED)) == []
    assert reasons(world.guard(0, OPEN, nonce=early)) == [Reason.NONCE_USED]


def test_an_options_rebate_does_not_grow_by_splitting():
    class Market:
        index_price = 75_863

        class terms:
            kind = OPTION

    whole = trading_fee(Market, 158, 5, -152)
    assert whole == -98
    assert trading_fee(Market, 92, 5, -152) + trading_fee(Market, 66, 5, -152) >= whole
    assert trading_fee(Market, 158, 5, 152) == 99, "a fee is rounded up"
