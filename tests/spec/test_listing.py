"""Anybody lists what a template foresees, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.commands import ListMarket
from penstock.protocol.events import MarketListed
from penstock.protocol.instruments import (
    ALL_DATES,
    CALL,
    DAILY,
    MONTHLY,
    PUT,
    WEEKLY,
    civil,
    dates_of,
    is_listable,
)
from penstock.protocol.quantities import MAX_MARKETS, MICRO
from penstock.protocol.reasons import Reason
from penstock.spec.saved import load, save
from spec.contracts import INDEX, chain
from world import START, reasons

NOW = START // MICRO
DAY = 86_400
TOMORROW = (NOW // DAY + 1) * DAY + 8 * 3_600


def at(year, month, day, hour=8):
    """Seconds of a time in UTC."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


@given(st.dates())
def test_the_calendar_is_the_gregorian_one(date):
    day = (date - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    assert civil(day) == (date.year, date.month, date.day)


@pytest.mark.parametrize(
    ("expiry", "dates"),
    [
        (at(2027, 3, 24), DAILY),
        (at(2027, 3, 19), DAILY | WEEKLY),
        (at(2027, 4, 30), DAILY | WEEKLY | MONTHLY),
        (at(2027, 3, 26), ALL_DATES),
        (at(2027, 12, 31), ALL_DATES),
        (at(2027, 3, 26, 9), 0),
        (at(2028, 2, 25), DAILY | WEEKLY | MONTHLY),
    ],
)
def test_dates_are_daily_weekly_monthly_or_quarterly_at_eight(expiry, dates):
    assert dates_of(expiry) == dates


def test_each_kind_of_date_is_listed_so_far_ahead():
    now = at(2026, 11, 24, 12)
    ahead = [d for d in range(1, 500) if is_listable(ALL_DATES, at(2026, 11, 24) + d * DAY, now)]
    names = [(datetime(2026, 11, 24, tzinfo=UTC) + timedelta(days=d)).strftime("%d%b%y") for d in ahead]
    assert names == [
        "25Nov26", "26Nov26", "27Nov26", "04Dec26", "11Dec26", "25Dec26", "29Jan27", "26Feb27", "26Mar27", "25Jun27",
        "24Sep27",
    ]  # fmt: skip
    assert not is_listable(ALL_DATES, at(2026, 11, 24), now)


def test_a_listed_market_gets_the_next_number_its_name_and_its_templates_terms():
    world = chain()
    assert world.send(ListMarket(1, TOMORROW, 1_010_000, CALL)) == [
        MarketListed(world.sequence, 4, 1, TOMORROW, 1_010_000, CALL)
    ]
    listed = world.state.markets[4]
    assert listed.terms.name == "BTC_USDC-15NOV23-101000-C"
    assert listed.parameters == listed.terms.digest()
    assert reasons(world.buy(1, 10_000, 100, market=4)) == [Reason.PRICE_STALE]
    world.price(INDEX, 15_000, market=4)
    assert reasons(world.buy(1, 10_000, 100, market=4)) == []
    loaded = load(world.genesis, save(world.state))
    assert loaded.markets[4].terms == listed.terms


@pytest.mark.parametrize(
    ("template", "expiry", "strike", "option_type", "reason"),
    [
        (7, TOMORROW, 0, 0, Reason.TEMPLATE_UNKNOWN),
        (0, TOMORROW + 1, 0, 0, Reason.EXPIRY_NOT_LISTABLE),
        (0, NOW // DAY * DAY + 8 * 3_600, 0, 0, Reason.EXPIRY_NOT_LISTABLE),
        (0, TOMORROW + 5 * DAY, 0, 0, Reason.EXPIRY_NOT_LISTABLE),
        (0, TOMORROW, 10_000, 0, Reason.STRIKE_NOT_LISTABLE),
        (0, TOMORROW, 0, CALL, Reason.STRIKE_NOT_LISTABLE),
        (1, TOMORROW, 0, CALL, Reason.STRIKE_NOT_LISTABLE),
        (1, TOMORROW, 1_005_000, CALL, Reason.STRIKE_NOT_LISTABLE),
        (1, TOMORROW, INDEX, 0, Reason.STRIKE_NOT_LISTABLE),
        (1, TOMORROW, INDEX, 3, Reason.STRIKE_NOT_LISTABLE),
        (1, TOMORROW, 1_210_000, PUT, Reason.STRIKE_NOT_LISTABLE),
    ],
)
def test_what_no_template_foresees_is_not_listed(template, expiry, strike, option_type, reason):
    world = chain()
    record = ListMarket(template, expiry, strike, option_type)
    world.assert_refused(reason, lambda: world.send(record), guarded=False)


def test_a_contract_is_listed_once_and_options_only_near_a_fresh_index():
    world = chain()
    record = ListMarket(1, TOMORROW, 1_200_000, PUT)
    assert reasons(world.send(record)) == []
    world.assert_refused(Reason.MARKET_LISTED, lambda: world.send(record), guarded=False)
    world.wait(61)
    again = ListMarket(1, TOMORROW, INDEX, PUT)
    world.assert_refused(Reason.PRICE_STALE, lambda: world.send(again), guarded=False)


def test_there_are_so_many_numbers():
    world = chain()
    world.state.markets[MAX_MARKETS - 1] = world.state.markets.pop(3)
    world.assert_refused(Reason.MARKET_LIMIT, lambda: world.send(ListMarket(0, TOMORROW, 0, 0)), guarded=False)
