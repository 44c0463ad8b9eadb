"""What dated contracts are said to be worth: near the index, and in the last half hour on the way to their average."""

from random import Random

import numpy as np
import pytest

from penstock.pricing.delivery import Delivery
from penstock.protocol.instruments import CALL, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.quantities import MICRO
from penstock.simulation.dated.plan import Contract
from penstock.simulation.dated.worth import Pricer

EXPIRY = 1_700_035_200
END = EXPIRY * MICRO
MINUTE = 60 * MICRO


def contract(market, kind, strike=0, option_type=NO_OPTION):
    return Contract(market, f"contract {market}", "BTC", kind, EXPIRY, strike, option_type, 0.1, 1e-5, 50, 1_000)


STRIP = [
    contract(0, FUTURE),
    contract(1, OPTION, 600_000, CALL),
    contract(2, OPTION, 600_000, PUT),
    contract(3, OPTION, 650_000, PUT),
]


def marks(index, now, delivery=None):
    forward = (delivery or Delivery(END)).expected(index, now)
    return Pricer().marks(STRIP, dict.fromkeys(range(4), forward), now)


def test_before_the_window_the_forward_is_the_index_whatever_it_was():
    delivery = Delivery(END)
    delivery.take(500_000, END - 90 * MINUTE)
    assert delivery.expected(600_000, END - 31 * MINUTE) == 600_000
    assert marks(600_000, END - 31 * MINUTE, delivery)[0] == 600_000


def test_in_the_window_the_forward_is_n_of_thirty_of_the_average_and_the_rest_of_the_index():
    delivery = Delivery(END)
    delivery.take(500_000, END - 40 * MINUTE)
    delivery.take(600_000, END - 20 * MINUTE)
    # Ten minutes of 500,000 and ten of 600,000 are fixed; ten more will be the index of now.
    assert delivery.expected(660_000, END - 10 * MINUTE) == pytest.approx(20 / 30 * 550_000 + 10 / 30 * 660_000)
    assert delivery.expected(660_000, END) == pytest.approx((10 * 500_000 + 20 * 600_000) / 30)


def test_an_index_that_came_first_inside_the_window_begins_the_average_there():
    delivery = Delivery(END)
    delivery.take(500_000, END - 6 * MINUTE)
    delivery.take(600_000, END - 3 * MINUTE)
    assert delivery.expected(600_000, END) == pytest.approx(550_000)


def test_at_the_end_it_is_the_average_of_every_index_by_the_time_it_stood():
    dice, delivery = Random(7), Delivery(END)
    times = sorted(END - dice.randrange(40 * MINUTE) for _ in range(200))
    prices = [dice.randrange(550_000, 650_000) for _ in times]
    for time, index in zip(times, prices, strict=True):
        delivery.take(index, time)
    begins = [max(time, END - 30 * MINUTE) for time in times]
    stood = [(later - begin) / MICRO for begin, later in zip(begins, [*begins[1:], END], strict=True)]
    assert delivery.expected(1, END) == pytest.approx(float(np.average(prices, weights=stood)))
    assert delivery.expected(1, END + MINUTE) == delivery.expected(1, END), "nothing counts that comes after"


def test_a_clock_that_leaps_over_the_window_leaves_the_last_index_standing_in_it():
    delivery = Delivery(END)
    delivery.take(600_000, END - 44 * MINUTE)
    assert delivery.expected(660_000, END - 3 * MICRO) == pytest.approx(600_000, rel=2e-4)


def test_marks_are_what_the_contracts_pay_when_their_time_is_over():
    delivery = Delivery(END)
    delivery.take(610_000, END - 30 * MINUTE)
    delivery.take(630_000, END - 15 * MINUTE)
    assert marks(700_000, END, delivery) == {0: 620_000, 1: 20_000, 2: 1, 3: 30_000}, "a mark is at least one unit"


def test_options_have_time_value_until_then_and_vega_only_while_they_have():
    an_hour_ahead = marks(600_000, END - 60 * MINUTE)
    assert an_hour_ahead[1] == an_hour_ahead[2] > 0, "at the money, put and call are the same"
    forwards = dict.fromkeys(range(4), 600_000.0)
    vegas = Pricer().vegas(STRIP, forwards, END - 60 * MINUTE)
    assert vegas.keys() == {1, 2, 3} and vegas[1] > vegas[3] > 0
    assert Pricer().vegas(STRIP, forwards, END)[1] == pytest.approx(0)
