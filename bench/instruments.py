"""What a stream trades: the two default perpetuals, or 64 instruments on the same two underlyings."""

from itertools import accumulate, product
from typing import Final

from msgspec.structs import replace

from penstock.protocol.instruments import CALL, NO_OPTION, OPTION, PERPETUAL, PUT
from penstock.protocol.quantities import PPM
from penstock.protocol.terms import MarketTerms, Template, default_markets, default_templates

PERPETUALS: Final = len(default_markets())
CHOICES: Final = (2, 64)
"""How many instruments a stream may have."""
_FUTURES_END: Final = (1_735_286_400, 1_766_736_000, 1_798_185_600)
"""The last Fridays of 2024, 2025 and 2026, 08:00 UTC (s): years after a stream, so nothing in it expires."""
_OPTIONS_END: Final = _FUTURES_END[:2]
_STRIKES_PPM: Final = (1_000_000, 1_100_000, 900_000, 1_200_000, 800_000, 1_300_000, 700_000)
"""Of the first index, nearest the money first."""
_VOLATILITY: Final = 0.6
"""A √year, of every option."""
_CARRY_PPM: Final = 20_000
"""By how much a forward is above its index, a year."""
_YEAR: Final = 31_536_000
_ZIPF: Final = 1.2


def listed(instruments: int, indexes: tuple[int, ...]) -> tuple[MarketTerms, ...]:
    """The markets of genesis in order of popularity, which is that of their numbers.

    With 64: both perpetuals; three futures each, the next to end first; then per underlying calls and puts of seven
    strikes, 70 to 130 % of the first index (price units), and two expiries. Futures and options have the terms of the
    default templates; none has a price interval, for a stream takes a second of venue time. Raises ValueError for
    another number than 2 or 64.
    """
    if instruments not in CHOICES:
        raise ValueError(f"instruments is {instruments}, wants 2 or 64")
    markets = list(default_markets(0))
    if instruments == PERPETUALS:
        return tuple(markets)
    futures, options = _templates()
    for expiry, future in product(_FUTURES_END, futures):
        markets.append(future.terms.contract(len(markets), expiry, 0, NO_OPTION))
    for expiry, part, option_type, option in product(_OPTIONS_END, _STRIKES_PPM, (CALL, PUT), options):
        strike = indexes[option.index_market] * part // PPM
        markets.append(option.terms.contract(len(markets), expiry, strike, option_type))
    return tuple(markets)


def _templates() -> tuple[list[Template], list[Template]]:
    """The default ones of futures, then of options, one per underlying, without a price interval."""
    templates = [replace(found, terms=replace(found.terms, price_interval=0)) for found in default_templates()]
    return (
        [template for template in templates if template.terms.kind != OPTION],
        [template for template in templates if template.terms.kind == OPTION],
    )


def popularity(instruments: int) -> list[float]:
    """The share of each market under Zipf 1.2, most popular first, added up; the last is 1."""
    weights = [float(rank) ** -_ZIPF for rank in range(1, instruments + 1)]
    shares = list(accumulate(weights))
    return [share / shares[-1] for share in shares]


def mark_of(terms: MarketTerms, index: int, second: int) -> int:
    """A mark in price units beside an index at a time (s): a perpetual's is the index, a future's a forward 2 % a year
    above it, an option's Black's price on that forward at a volatility of 60 %.
    """
    if terms.kind == PERPETUAL:
        return index
    left = terms.expiry - second
    forward = index + index * _CARRY_PPM * left // (_YEAR * PPM)
    if terms.kind != OPTION:
        return forward
    # Imported where it is needed: the pricing layer takes as long to import as a small stream takes to make.
    from penstock.pricing import black

    price = black.price(forward, terms.strike, _VOLATILITY, left / _YEAR, terms.option_type == CALL)
    return round(float(price))
