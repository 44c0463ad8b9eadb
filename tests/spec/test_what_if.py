"""What an act would leave of an account, answered by the rules themselves."""

import random
from copy import deepcopy

import pytest

from penstock.protocol.quantities import MICRO
from penstock.spec.margin import assess
from penstock.spec.what_if import what_if
from spec.contracts import CALL_MARKET, INDEX, WHOLE, chain, trade
from world import World, reasons, terms


def held(size=WHOLE, cash=10_000 * MICRO):
    """Subaccount 2 long and 1 short a whole BTC at 100,000 USD."""
    world = World([terms()], cash=cash)
    world.price(INDEX)
    trade(world, 0, 2, 1, INDEX, size)
    return world


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


def test_a_change_is_judged_as_the_order_would_be():
    world = held()
    dice = random.Random(1)
    for _ in range(200):
        change = dice.choice((-1, 1)) * dice.randrange(1, 60) * 10_000
        shown = what_if(world.state, 2, 0, change, INDEX)
        world.deposit(3, 10_000_000 * MICRO)
        side = world.sell if change > 0 else world.buy
        side(3, INDEX, abs(change), slot=40)
        before = deepcopy(world.state)
        act = world.buy if change > 0 else world.sell
        refused = reasons(act(2, INDEX, abs(change), max_fee_ppm=1_000, slot=50))
        assert bool(refused) == (not shown.legal) or shown.equity - shown.initial_margin < 200 * MICRO
        world.state = before
        world.cancel(3, slot=40)


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
