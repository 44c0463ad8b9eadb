"""What an option's mark means: the volatility it implies and its Greeks, as `public/ticker` tells them."""

from typing import Any, Final

from penstock.pricing.greeks import greeks
from penstock.pricing.implied import Status, volatility
from penstock.protocol.instruments import CALL
from penstock.protocol.quantities import MICRO
from penstock.venue.gateway.units import Units
from penstock.venue.market_data import PublicMarket

_YEAR: Final = 365 * 24 * 3600 * MICRO
_DAYS: Final = 365.0


def option_figures(market: PublicMarket, units: Units, time: int) -> dict[str, Any]:
    """`underlying_price`, `underlying_index`, `mark_iv` (percent) and `greeks`, at venue time `time` (µs).

    Index and forward are taken as one. Deribit's units: vega a point of volatility, theta a day, rho a point of rate.
    `mark_iv` is null and the Greeks are left out where the mark implies no volatility, or the market is over.
    """
    terms = market.terms
    found: dict[str, Any] = {
        "underlying_price": units.price(market.index_price) if market.index_price else None,
        "underlying_index": "index_price",
        "mark_iv": None,
        "interest_rate": 0.0,
    }
    left = terms.expiry * MICRO - time
    if left <= 0 or not market.index_price or not market.mark_price:
        return found
    forward, strike, years = float(market.index_price), float(terms.strike), left / _YEAR
    is_call = terms.option_type == CALL
    implied = volatility(float(market.mark_price), forward, strike, years, is_call)
    if int(implied.status) not in (Status.FOUND, Status.VEGA_TOO_SMALL):
        return found
    sigma = float(implied.volatility)
    of = greeks(forward, strike, sigma, years, is_call)
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
