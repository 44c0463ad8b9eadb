"""The premium of a perpetual over its index, from what the book would really pay, and the funding rate it makes.

In floats: the reference for the engine's integers, and what the oracles sample.
"""

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.inputs import number, within


class FundingRules(Struct, frozen=True):
    """Funding of a venue; all three are fractions per eight hours.

    `interest` is what is paid at a premium of zero, `clamp` how far the premium may be off it before it counts, `cap`
    the largest rate either way.
    """

    interest: float
    clamp: float
    cap: float

    def check(self) -> None:
        """Raises ValueError naming the first rule that is out of range."""
        for name, low in (("interest", -1.0), ("clamp", 0.0), ("cap", 0.0)):
            number(name, getattr(self, name), low, 1.0)


DERIBIT: Final = FundingRules(0.0, 0.00025, 0.005)
"""support.deribit.com 31424939178397: max(0.025 %, premium) + min(−0.025 %, premium)."""
HYPERLIQUID: Final = FundingRules(0.0001, 0.0005, 8 * 0.04)
"""Hyperliquid's documentation, Trading > Funding; capped at 4 % an hour, paid hourly at an eighth."""


def impact_price(prices: ArrayLike, sizes: ArrayLike, notional: float) -> float | None:
    """The average price at which `notional` (USD) trades against one side of a book; None where it does not reach.

    `prices` (USD) and `sizes` (coin) are the side's levels, shape (n,), best first. Raises ValueError for shapes that
    differ, prices that are not positive or not in order, sizes that are negative, and a notional that is not positive.
    """
    price, size = within("prices", prices, 0.0, above=True), within("sizes", sizes, 0.0)
    if price.ndim != 1 or price.shape != size.shape:
        raise ValueError(f"prices and sizes have shapes {price.shape} and {size.shape}: must be the same (n,)")
    number("notional", notional, 0.0, above=True)
    steps = np.diff(price)
    if not ((steps <= 0).all() or (steps >= 0).all()):
        raise ValueError("prices must be best first, each no better than the one before")
    paid = np.cumsum(price * size)
    if not paid.size or paid[-1] < notional:
        return None
    last = int(np.searchsorted(paid, notional))
    before = float(paid[last - 1]) if last else 0.0
    bought = float(size[:last].sum()) + (notional - before) / float(price[last])
    return notional / bought


def impact_difference(bid: float | None, ask: float | None, index: float) -> float:
    """max(bid − index, 0) − max(index − ask, 0), in USD; `bid` and `ask` are impact prices.

    A side too thin to have one pulls nowhere: what nobody could trade at is no premium. Raises ValueError for a price
    that is not finite and above 0.
    """
    number("index", index, 0.0, above=True)
    for name, side in (("bid", bid), ("ask", ask)):
        if side is not None:
            number(name, side, 0.0, above=True)
    above = 0.0 if bid is None else max(bid - index, 0.0)
    below = 0.0 if ask is None else max(index - ask, 0.0)
    return above - below


def premium(bid: float | None, ask: float | None, index: float) -> float:
    """The impact difference as a fraction of the index; errors are those of `impact_difference`."""
    return impact_difference(bid, ask, index) / index


def funding_rate(of_premium: float, rules: FundingRules = DERIBIT) -> float:
    """P + clamp(I − P, −C, C), capped: the rate per eight hours that longs pay shorts, as a fraction.

    With I = 0 this is Deribit's max(C, P) + min(−C, P). Raises ValueError for a premium that is no number and for
    rules out of range.
    """
    rules.check()
    number("premium", of_premium, -math.inf)
    rate = of_premium + min(max(rules.interest - of_premium, -rules.clamp), rules.clamp)
    return min(max(rate, -rules.cap), rules.cap)
