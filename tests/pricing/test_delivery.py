"""The mean that a contract settles at: by the time each index stood, and the same as the engine's."""

import pytest

from penstock.pricing.delivery import Delivery
from penstock.protocol.quantities import MICRO
from penstock.spec.prices import expected_settlement
from spec.contracts import future
from world import World, terms

END = 10_000 * MICRO
MINUTE = 60 * MICRO


def test_what_is_known_begins_with_the_window_and_stands_still_when_time_goes_back():
    delivery = Delivery(END)
    assert delivery.fixed(END) == (0, 0) and delivery.expected(5, END - MINUTE) == 5, "no index yet"
    delivery.take(6, END - 40 * MINUTE)
    assert delivery.fixed(END - 30 * MINUTE) == (0, 0)
    delivery.take(8, END - 24 * MINUTE)
    assert delivery.fixed(END - 24 * MINUTE) == (0.2, 6)
    assert delivery.fixed(END - 18 * MINUTE) == (0.4, 7)
    delivery.take(1, END - 29 * MINUTE)
    assert delivery.fixed(END - 24 * MINUTE) == (0.2, 6), "it counts as said when time was furthest"
    assert delivery.fixed(END - 18 * MINUTE) == (0.4, pytest.approx(3.5))
    assert delivery.expected(9, END - 18 * MINUTE) == pytest.approx(0.4 * 3.5 + 0.6 * 9)


def test_for_whoever_joins_a_contract_that_had_an_index_it_stood_from_the_beginning_of_the_window():
    new, old = Delivery(END), Delivery(END, 3)
    for delivery in (new, old):
        delivery.take(6, END - 20 * MINUTE)
        delivery.take(9, END - 10 * MINUTE)
    assert new.fixed(END - 10 * MINUTE) == (0.5, 6)
    assert old.fixed(END - 10 * MINUTE) == (pytest.approx(2 / 3), 4.5)
    early = Delivery(END, 3)
    early.take(6, END - 60 * MINUTE)
    assert early.fixed(END - 30 * MINUTE) == (0, 0)
    assert early.fixed(END - 15 * MINUTE) == (0.5, 6)


@pytest.mark.parametrize("first", [50, 11])
def test_it_is_the_engines_expected_settlement(first):
    """Priced from before the window on, or from inside it."""
    world = World([terms(), future(1)], traders=0)
    market = world.state.markets[1]
    end = market.terms.expiry * MICRO
    delivery, index = Delivery(end), 600_000
    world.wait((end - world.time) // MICRO - first * 60)
    for _ in range(first // 3):
        world.wait(3 * 60)
        index += 1_700
        world.price(index, index, market=1)
        delivery.take(index, world.time)
        assert int(delivery.expected(index, world.time)) == expected_settlement(market, world.time, index)
