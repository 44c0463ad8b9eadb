"""What an option's mark means: the volatility it implies and its Greeks, as `public/ticker` tells them."""

from typing import Any, Final

import numpy as np

from penstock.pricing.greeks import greeks
from penstock.pricing.implied import Status, volatility
from penstock.protocol.instruments import CALL
from penstock.protocol.quantities import MICRO, SETTLEMENT_WINDOW
from penstock.venue.gateway.units import Units
from penstock.venue.market_data import PublicMarket

_YEAR: Final = 365 * 24 * 3600 * MICRO
_DAYS: Final = 365.0
_LEAST_MARK: Final = 1
"""Price units: what every mark below it is published as."""
UNCERTAIN: Final = 0.005
"""A volatility that the rounding of the mark leaves open by more than this, either way, is not told: half a point."""


def option_figures(market: PublicMarket, units: Units, time: int) -> dict[str, Any]:
    """`underlying_price`, `underlying_index`, `mark_iv` (percent) and `greeks`, at venue time `time` (µs).

    Index and forward are taken as one. Deribit's units: vega a point of volatility, theta a day, rho a point of rate.
    `mark_iv` is null and the Greeks are left out where the mark implies no volatility (`implied`), and once the last
    half hour has begun, in which a mark follows a mean that is partly known.
    """
    found: dict[str, Any] = {
        "underlying_price": units.price(market.index_price) if market.index_price else None,
        "underlying_index": "index_price",
        "mark_iv": None,
        "interest_rate": 0.0,
    }
    left = market.terms.expiry * MICRO - time
    sigma = implied(market, left)
    if sigma is None:
        return found
    terms = market.terms
    of = greeks(float(market.index_price), float(terms.strike), sigma, left / _YEAR, terms.option_type == CALL)
    unit = float(units.price(1))
    found["mark_iv"] = round(sigma * 100, 2)
    found["greeks"] = {
        "delta": round(float(of.delta), 5),
        "gamma": round(float(of.gamma) / unit, 8),
        "vega": round(float(of.vega) * unit / 100, 5),
        "theta": round(float(of.theta) * unit / _DAYS, 5),
        "rho": round(float(of.rho) * unit / 100, 5),
    }
    return found


def implied(market: PublicMarket, left: int) -> float | None:
    """The volatility a year that an option's mark implies, `left` µs before its expiry.

    A mark is rounded to a price unit: None where half a unit more or less is more than half a point of volatility, and
    for a mark of one unit, which is also said of what is worth less.
    """
    mark = market.mark_price
    if left <= SETTLEMENT_WINDOW or not market.index_price or mark <= _LEAST_MARK:
        return None
    terms = market.terms
    around = volatility(
        np.array([mark - 0.5, mark, mark + 0.5]), float(market.index_price), float(terms.strike),
        left / _YEAR, terms.option_type == CALL,
    )  # fmt: skip
    low, middle, high = around.volatility.tolist()
    known = np.isin(around.status, (Status.FOUND, Status.VEGA_TOO_SMALL)).all()
    if not known or max(high - middle, middle - low, float(around.error.max())) > UNCERTAIN:
        return None
    return float(middle)
