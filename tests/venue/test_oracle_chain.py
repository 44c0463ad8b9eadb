"""What an oracle sees of a future and an option: from the view of the index, without sockets."""

import math

import numpy as np
import pytest

from penstock.pricing import black
from penstock.pricing.marks import DELIVERY_WINDOW
from penstock.protocol.instruments import CALL, NO_OPTION, PUT
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import default_markets, default_templates
from penstock.venue.oracle.chain import YEAR, Chain
from penstock.venue.oracle.contracts import Contract
from penstock.venue.oracle.decisions import Withheld
from penstock.venue.oracle.port import Seen
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.steps import NOT_SETTLING, Price, Settling
from penstock.venue.oracle.viewing import NoView, View
from penstock.venue.oracle.volatility import FARTHEST_YEARS, Smiles, flat_in_time, surfaces

DAY = 86_400
EXPIRY = 19_700 * DAY + 8 * 3_600
BTC, ETH = default_markets()
UNITS = 600_000
FUTURE_UP, CALL_UP, PUT_UP, ETH_CALL = 2, 3, 4, 5


def contract(number, template, strike=0, option_type=NO_OPTION, expiry=EXPIRY):
    terms = default_templates()[template].terms.contract(number, expiry, strike, option_type)
    return Contract(terms, (BTC, BTC, ETH, ETH)[template])


LISTED = [
    contract(FUTURE_UP, 0),
    contract(CALL_UP, 1, 620_000, CALL),
    contract(PUT_UP, 1, 620_000, PUT, EXPIRY + 7 * DAY),
    contract(ETH_CALL, 3, 300_000, CALL),
]
STATED = surfaces({"BTC": flat_in_time(0.55, -0.15, 0.4), "ETH": flat_in_time(0.7)})


class Ticking:
    """A venue whose time a test sets, and an oracle's clock that agrees with it."""

    def __init__(self, left):
        self.now = int((EXPIRY - left) * MICRO)
        self.seen = Seen(Price(0, 0))
        self.fault = None

    def clock(self):
        return self.now

    async def time(self):
        if isinstance(self.fault, Exception):
            raise self.fault
        return self.now

    async def look(self, terms):
        return self.seen


def seen_by(venue, index=UNITS, other=300_000):
    """Views of the two perpetuals."""
    return {0: View(venue.now, Price(index, index)), 1: View(venue.now, Price(other, other))}


def chain_at(left, stated=STATED, **rules):
    venue = Ticking(left)
    return venue, Chain(stated, venue, OracleRules(**rules), venue.clock)


async def test_the_forward_is_the_index_and_options_are_black_76_on_the_stated_surface():
    venue, chain = chain_at(30 * DAY)
    found = await chain.look(LISTED, seen_by(venue))
    assert found[FUTURE_UP].price == Price(UNITS, UNITS)
    for market, strike, days, is_call in ((CALL_UP, 62_000, 30, True), (PUT_UP, 62_000, 37, False)):
        k = math.log(strike / 60_000)
        sigma = float(STATED["BTC"](np.array([k]), np.array([days * DAY / YEAR]))[0])
        assert 0.52 < sigma < 0.55, "the skew shows"
        wanted = float(black.price(60_000, strike, sigma, days * DAY / YEAR, is_call=is_call))
        assert found[market].price == Price(UNITS, round(wanted * 10))
    assert found[ETH_CALL].price.mark == round(float(black.price(3_000, 3_000, 0.7, 30 * DAY / YEAR)) * 100)


async def test_a_mark_is_at_least_one_price_unit_and_what_no_record_can_say_is_no_view():
    venue, chain = chain_at(60)
    far = [contract(9, 1, 900_000, CALL)]
    assert (await chain.look(far, seen_by(venue)))[9].price == Price(UNITS, 1)
    huge = await chain.look(LISTED[:1], seen_by(venue, index=1 << 40))
    assert huge[FUTURE_UP].reason is Withheld.OUT_OF_RANGE


async def test_in_the_last_half_hour_the_mark_goes_over_to_the_average_of_the_index():
    venue, chain = chain_at(DELIVERY_WINDOW + 100)
    found = await chain.look(LISTED[:2], seen_by(venue, UNITS // 2))
    assert found[FUTURE_UP].price.mark == UNITS // 2, "before the window nothing is averaged"
    prices, index = [], UNITS
    for second in range(0, 1_800, 10):
        venue.now = (EXPIRY - 1_800 + second) * MICRO
        index = UNITS + second
        prices.append(index)
        found = await chain.look(LISTED[:2], seen_by(venue, index))
    # The sample before the window stands no second in it: the first in it comes when it begins.
    average = float(np.mean(prices[:-1]))
    mark = 1_790 / 1_800 * average + 10 / 1_800 * index
    assert found[FUTURE_UP].price == Price(index, round(mark))
    years = 10 / YEAR
    sigma = float(STATED["BTC"](np.array([math.log(62_000 / (mark / 10))]), np.array([years]))[0])
    assert found[CALL_UP].price.mark == max(1, round(float(black.price(mark / 10, 62_000, sigma, years)) * 10))


async def test_at_the_end_nothing_but_the_average_is_left():
    venue, chain = chain_at(1_800)
    await chain.look(LISTED, seen_by(venue))
    venue.now = EXPIRY * MICRO
    found = await chain.look(LISTED, seen_by(venue, UNITS * 2))
    assert found[FUTURE_UP].price == Price(UNITS * 2, UNITS)


async def started_in_the_window(committed):
    """A future's mark, ten minutes before its end, of an oracle that began another ten minutes earlier."""
    venue, chain = chain_at(1_200)
    venue.seen = Seen(committed)
    await chain.look(LISTED[:1], seen_by(venue))
    venue.now += 600 * MICRO
    return (await chain.look(LISTED[:1], seen_by(venue, UNITS * 2)))[FUTURE_UP].price.mark


async def test_a_contract_first_priced_inside_the_window_goes_to_the_mean_of_what_is_left_of_it():
    assert await started_in_the_window(Price(0, 0)) == UNITS * 3 // 2, "half of its twenty minutes"
    had = await started_in_the_window(Price(UNITS, UNITS))
    assert had == round(UNITS * (20 + 2 * 10) / 30), "it had a price before: two thirds of thirty minutes"


async def test_a_venue_that_cannot_say_what_the_index_was_is_asked_again():
    venue, chain = chain_at(1_200)
    look = venue.look

    async def silent(_):
        raise ConnectionError("gone")

    venue.look = silent
    found = await chain.look(LISTED[1:2], seen_by(venue))
    assert (found[CALL_UP].reason, found[CALL_UP].detail) == (Withheld.VENUE_SILENT, "gone")
    venue.look = look
    assert isinstance((await chain.look(LISTED[1:2], seen_by(venue)))[CALL_UP], View)


async def test_each_contract_of_a_date_has_a_window_of_its_own():
    venue, chain = chain_at(1_800)
    await chain.look(LISTED[:1], seen_by(venue))
    venue.now += 900 * MICRO
    late = contract(9, 0)
    found = await chain.look([LISTED[0], late], seen_by(venue, UNITS * 2))
    assert found[FUTURE_UP].price.mark == UNITS * 3 // 2 and found[9].price.mark == UNITS * 2


async def test_in_the_last_half_hour_a_view_says_what_is_known_of_the_settlement():
    venue, chain = chain_at(1_800)
    assert (await chain.look(LISTED, seen_by(venue)))[FUTURE_UP].settling == NOT_SETTLING
    venue.now += 450 * MICRO
    assert (await chain.look(LISTED, seen_by(venue, UNITS * 2)))[CALL_UP].settling == Settling(250_000, UNITS)


async def test_one_option_without_a_mark_does_not_take_it_from_the_others():
    def broken(k, years):
        return np.where(k > 0.2, math.nan, 0.55)

    venue, chain = chain_at(30 * DAY, {"BTC": broken})
    listed = [LISTED[1], contract(9, 1, 900_000, CALL), contract(10, 1, 580_000, PUT)]
    found = await chain.look(listed, seen_by(venue))
    assert found[9].reason is Withheld.NO_MARK and "finite" in found[9].detail
    assert isinstance(found[CALL_UP], View) and isinstance(found[10], View)


async def test_a_futures_mark_follows_the_own_book_a_little_and_an_options_does_not():
    venue, chain = chain_at(30 * DAY)
    venue.seen = Seen(Price(0, 0), ((61_000.0, 10.0),), ((61_100.0, 10.0),), 61_050.0)
    for _ in range(300):
        venue.now += MICRO
        found = await chain.look(LISTED, seen_by(venue))
    assert found[FUTURE_UP].price.index == UNITS
    assert UNITS < found[FUTURE_UP].price.mark <= UNITS * 1.004
    before = found[CALL_UP].price.mark
    venue.seen = Seen(Price(0, 0))
    assert (await chain.look(LISTED, seen_by(venue)))[CALL_UP].price.mark == before


async def test_without_a_view_of_the_index_there_is_none_of_a_contract_and_the_reason_is_the_same():
    venue, chain = chain_at(DAY)
    views = seen_by(venue) | {0: NoView(venue.now, Withheld.NO_INDEX, "2 of 3 sources live, 3 wanted")}
    found = await chain.look(LISTED, views)
    assert [found[m].reason for m in (FUTURE_UP, CALL_UP, PUT_UP)] == [Withheld.NO_INDEX] * 3
    assert found[CALL_UP].detail == "BTC_USDC-PERPETUAL: 2 of 3 sources live, 3 wanted"
    assert isinstance(found[ETH_CALL], View), "another index is another matter"
    assert (await chain.look(LISTED, {}))[FUTURE_UP].detail == "BTC_USDC-PERPETUAL was not looked at"


async def test_silence_a_clock_far_off_a_strange_book_and_a_missing_volatility_have_names():
    venue, chain = chain_at(DAY, {"BTC": lambda k, years: k * math.nan})
    venue.seen = Seen(Price(0, 0), bids=((60_000.0, 0.1), (60_001.0, 1.0), (59_000.0, 1.0)))
    found = await chain.look(LISTED, seen_by(venue))
    reasons = {market: view.reason for market, view in found.items()}
    assert reasons == {
        FUTURE_UP: Withheld.VENUE_SILENT, CALL_UP: Withheld.NO_MARK, PUT_UP: Withheld.NO_MARK,
        ETH_CALL: Withheld.NO_VOLATILITY,
    }  # fmt: skip
    assert found[FUTURE_UP].detail.startswith("no sensible book")
    venue.fault = ConnectionError("gone")
    assert {view.reason for view in (await chain.look(LISTED, {})).values()} == {Withheld.VENUE_SILENT}
    venue.fault, chain._clock = None, lambda: venue.now + 61 * MICRO
    apart = await chain.look(LISTED, seen_by(venue))
    assert {(view.reason, view.detail) for view in apart.values()} == {
        (Withheld.CLOCKS_APART, "venue time is -61.0 s from this oracle's")
    }


async def test_what_was_kept_of_a_contract_goes_with_it():
    venue, chain = chain_at(60)
    await chain.look(LISTED, seen_by(venue))
    chain.forget(LISTED[:2])
    assert list(chain._markers) == [] and set(chain._deliveries) == {PUT_UP, ETH_CALL}


async def test_a_silent_book_of_a_future_leaves_the_options_priced():
    venue, chain = chain_at(DAY)

    async def hang(_):
        raise TimeoutError

    venue.look = hang
    found = await chain.look(LISTED, seen_by(venue))
    assert found[FUTURE_UP].detail == "timed out" and isinstance(found[CALL_UP], View)


def test_one_stated_smile_is_the_same_at_every_date_and_allows_no_arbitrage_at_any():
    from penstock.pricing.surface import Surface

    stated = flat_in_time(0.55, -0.15, 0.4)
    surface = Surface.stated(stated.expiries, stated.at_the_money, stated.skew, stated.curvature)
    k = np.linspace(-2, 2, 401)
    for years in (1 / 365, 0.1, 0.5, FARTHEST_YEARS):
        assert surface.volatility(k, years) == pytest.approx(surface.volatility(k, FARTHEST_YEARS), rel=1e-12)
        assert surface.density_factor(k, years).min() > 0
    assert float(surface.volatility(0.0, 0.3)) == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("smiles", "named"),
    [
        (flat_in_time(0.0), "volatility of BTC: at_the_money"),
        (flat_in_time(math.nan), "volatility of BTC: at_the_money"),
        (flat_in_time(0.5, 0.3, -1.0), "volatility of BTC: curvature"),
        (flat_in_time(0.55, -0.3, 5.0), "volatility of BTC: a butterfly"),
        (Smiles((0.1, 0.2), (0.5,)), "volatility of BTC: at_the_money"),
        (Smiles((0.2, 0.1), (0.5, 0.5)), "volatility of BTC: expiries"),
        (Smiles((0.1, 0.2), (0.9, 0.3)), "volatility of BTC: a calendar"),
    ],
)
def test_a_volatility_that_is_none_is_refused_with_its_base(smiles, named):
    with pytest.raises(ValueError, match=named):
        surfaces({"BTC": smiles})
