"""What an act would leave of an account, answered by the rules themselves."""

import random
from collections import Counter
from copy import deepcopy

import pytest

from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.spec.margin import assess
from penstock.spec.what_if import what_if
from spec.contracts import CALL_MARKET, INDEX, WHOLE, chain, trade
from world import World, reasons, terms


def held(size=WHOLE, cash=10_000 * MICRO, **changes):
    """Subaccount 2 long and 1 short a whole BTC at 100,000 USD."""
    world = World([terms(**changes)], cash=cash)
    world.price(INDEX)
    trade(world, 0, 2, 1, INDEX, size)
    return world


def walk(world, mark):
    """Index and mark to `mark`, a step at a time."""
    while world.state.markets[0].mark_price != mark:
        last = world.state.markets[0].mark_price
        world.price(max(mark, last * 991 // 1_000))


def test_no_change_shows_the_account_as_it_is():
    world = held()
    shown = what_if(world.state, 2, 0, 0, 0)
    risk = assess(world.state, world.account(2))
    assert (shown.equity, shown.initial_margin, shown.maintenance_margin) == (
        risk.equity,
        risk.initial,
        risk.maintenance,
    )
    assert shown.legal


@pytest.mark.parametrize("subaccount", [1, 2])
def test_the_liquidation_price_is_the_first_at_which_the_poke_is_due(subaccount):
    world = held()
    price = what_if(world.state, subaccount, 0, 0, 0).liquidation_price
    away = -1 if subaccount == 2 else 1
    market = world.state.markets[0]
    for mark, due in ((price - away, False), (price, True)):
        market.mark_price = market.index_price = mark
        risk = assess(world.state, world.account(subaccount))
        assert (risk.equity < risk.maintenance) == due


def test_a_position_that_cannot_be_liquidated_has_no_such_price():
    world = held(cash=1_000_000 * MICRO)
    assert what_if(world.state, 2, 0, 0, 0).liquidation_price == 0, "the loss of everything is affordable"
    assert what_if(world.state, 3, 0, 0, 0).liquidation_price == 0, "there is no position"


@pytest.mark.parametrize("mark", [INDEX, INDEX * 915 // 1_000])
def test_a_change_is_judged_as_the_order_would_be(mark):
    """In good standing, and below initial margin, where only what reduces is allowed; no fee in either."""
    world = held(taker_fee_ppm=0, maker_fee_ppm=0)
    walk(world, mark)
    risk = assess(world.state, world.account(2))
    assert (risk.equity >= risk.initial) == (mark == INDEX)
    dice = random.Random(1)
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(200):
        change = dice.choice((-1, 1)) * dice.randrange(1, 60) * 40_000
        shown = what_if(world.state, 2, 0, change, mark)
        before = deepcopy(world.state)
        world.deposit(3, 10_000_000 * MICRO)
        rest, act = (world.sell, world.buy) if change > 0 else (world.buy, world.sell)
        assert reasons(rest(3, mark, abs(change), slot=40)) == []
        refused = reasons(act(2, mark, abs(change), slot=50))
        seen[shown.legal, Reason.MARGIN_TOO_LOW in refused] += 1
        world.state = before
    assert set(seen) == {(True, False), (False, True)}, seen


def test_below_initial_margin_what_reduces_is_legal_and_what_grows_is_not():
    world = held()
    walk(world, INDEX * 915 // 1_000)
    legal = {change: what_if(world.state, 2, 0, change, INDEX * 915 // 1_000).legal for change in (-WHOLE, -1, 0, 1)}
    assert legal == {-WHOLE: True, -1: True, 0: True, 1: False}


def test_of_an_account_that_is_due_the_price_is_where_it_would_stop_being_due():
    world = held()
    walk(world, INDEX * 905 // 1_000)
    shown = what_if(world.state, 2, 0, 0, 0)
    assert shown.equity < shown.maintenance_margin
    assert shown.liquidation_price > world.state.markets[0].mark_price


def test_options_show_their_margin_and_no_single_price():
    world = chain()
    shown = what_if(world.state, 1, CALL_MARKET, -WHOLE, 20_000)
    assert (shown.initial_margin, shown.maintenance_margin) == (150_000 * WHOLE, 75_000 * WHOLE)
    assert shown.liquidation_price == 0 and shown.legal


def test_unknown_places_and_impossible_changes():
    world = held()
    assert what_if(world.state, 99, 0, 0, 0) is None
    assert what_if(world.state, 1, 99, 0, 0) is None
    for change, price in ((1 << 55, 1), (0, 1 << 40), (1, -1)):
        with pytest.raises(ValueError, match="wants"):
            what_if(world.state, 1, 0, change, price)
