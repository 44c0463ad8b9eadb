"""Which contracts a demo lists, and the volatility it states for them."""

from typing import Final

from msgspec import Struct

from penstock.protocol.commands import ListMarket
from penstock.protocol.instruments import CALL, DAILY, DAY, EXPIRY_HOUR, NO_OPTION, OPTION, PUT, WEEKLY, is_listable
from penstock.protocol.quantities import div_floor
from penstock.protocol.terms import Template

STRIKES_EACH_WAY: Final = 2
AT_THE_MONEY: Final = {"BTC": 0.55, "ETH": 0.70}
"""Stated volatilities, a √year."""
SKEW, CURVATURE = -0.15, 0.4
"""∂volatility/∂k and ∂²volatility/∂k² at the money."""
SURFACE_YEARS: Final = (2 / 365, 9 / 365)


class Contract(Struct, frozen=True):
    """A listed contract as the gateway tells it; strike, tick and lot in price and size units, expiry in s."""

    market: int
    name: str
    base: str
    kind: int
    expiry: int
    strike: int
    option_type: int
    price_unit: float
    size_unit: float
    tick: int
    lot: int


def next_expiry(now: int, dates: int = DAILY) -> int:
    """The first 08:00 UTC after `now` (s) that templates of such dates list."""
    first = (div_floor(now, DAY) + 1) * DAY + EXPIRY_HOUR - (DAY if now % DAY < EXPIRY_HOUR else 0)
    return next(expiry for expiry in range(first, first + 40 * DAY, DAY) if is_listable(dates, expiry, now))


def listings(templates: tuple[Template, ...], now: int, indices: dict[int, int]) -> list[ListMarket]:
    """The next daily expiry and the one after, options five strikes wide around the index; and futures of a week.

    `indices` has the index price of each template's market, in price units; `now` is in s.
    """
    first = next_expiry(now)
    dates = (first, first + DAY)
    week = next_expiry(first + 1, WEEKLY)
    found: list[ListMarket] = []
    for template in templates:
        if template.terms.kind != OPTION:
            found += [ListMarket(template.template, expiry, 0, NO_OPTION) for expiry in sorted({*dates, week})]
            continue
        step = template.strike_step
        middle = div_floor(indices[template.index_market] + step // 2, step)
        for expiry in dates:
            for rung in range(-STRIKES_EACH_WAY, STRIKES_EACH_WAY + 1):
                strike = (middle + rung) * step
                found += [ListMarket(template.template, expiry, strike, right) for right in (CALL, PUT)]
    return found
