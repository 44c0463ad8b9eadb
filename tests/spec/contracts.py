"""Dated futures and options for tests of the spec, all on BTC at 100,000 USD (a million price units)."""

from msgspec.structs import replace

from penstock.protocol.instruments import CALL, DAILY, FUTURE, OPTION, PUT, WEEKLY
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import MarketTerms, Template, Tier
from world import START, World, terms

INDEX = 1_000_000
SOON = START // MICRO + 3_600
"""An hour from the beginning of a test's world, s."""
FUTURE_MARKET, CALL_MARKET, PUT_MARKET = 1, 2, 3
OPTION_TIERS = (Tier((1 << 95) - 1, 150_000, 75_000),)
"""Deribit's 15 % and 7.5 %."""
WHOLE = 100_000
"""One BTC in size units."""


def option(market: int, strike: int, option_type: int, **changes: object) -> MarketTerms:
    """An option that ends in an hour."""
    name = f"option {market}"
    dated = {"kind": OPTION, "expiry": SOON, "strike": strike, "option_type": option_type, "tiers": OPTION_TIERS}
    return terms(market=market, name=name, mark_band_ppm=50_000, price_step_ppm=20_000, **dated, **changes)


def future(market: int = FUTURE_MARKET, **changes: object) -> MarketTerms:
    """A future that ends in an hour."""
    return terms(market=market, name="future", kind=FUTURE, expiry=SOON, mark_band_ppm=50_000, **changes)


def templates() -> tuple[Template, ...]:
    """A future (0) and an option (1) that anybody may list."""
    listed = replace(future(0), expiry=0)
    return (
        Template(0, listed, DAILY | WEEKLY, 0),
        Template(1, replace(option(0, 0, CALL), expiry=0, option_type=0), DAILY | WEEKLY, 0, 10_000, 200_000),
    )


def chain(strike: int = INDEX, cash: int = 1_000_000 * MICRO, **changes: object) -> World:
    """A world with a perpetual, a future, a call and a put at `strike`, all priced; options at 2,000 USD."""
    markets = (
        terms(),
        future(),
        option(CALL_MARKET, strike, CALL, **changes),
        option(PUT_MARKET, strike, PUT, **changes),
    )
    world = World(markets, cash=cash, templates=templates())
    world.price(INDEX)
    world.price(INDEX, market=FUTURE_MARKET)
    for market in (CALL_MARKET, PUT_MARKET):
        intrinsic = max(0, INDEX - strike if market == CALL_MARKET else strike - INDEX)
        world.price(INDEX, intrinsic + 20_000, market=market)
    return world


def trade(world: World, market: int, buyer: int, seller: int, price: int, size: int = WHOLE) -> None:
    """The seller's order, taken by the buyer."""
    world.sell(seller, price, size, market=market)
    world.buy(buyer, price, size, market=market)
