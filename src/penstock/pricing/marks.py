"""Marks: what positions are valued at. Near the index by rule, and never what one's own book says alone.

Sources: support.deribit.com 25944739377309 and 25954416110877 (smoothing, 30-minute delivery average); Derive's
documentation and `LyraForwardFeed.sol` (the blend into the average). The median of three: Binance's support pages
360033525071 (USDⓈ-M) and fff6ec1b3f5845d19f1fb924644a0877 (COIN-M): median of index × (1 + last funding rate × time
to funding), index + average basis of 2.5 minutes, and last price; and Hyperliquid's documentation, Trading > Robust
price indices, whose three are its oracle price + average basis, its own book, and other venues' perpetuals.
"""

import math
from collections.abc import Callable
from statistics import median
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.inputs import Bools, Floats, booleans, number, within

DELIVERY_WINDOW: Final = 1_800.0
"""Seconds before expiry over which the index is averaged."""

Volatility = Callable[[Floats, Floats], Floats]
"""(log-moneyness ln(K/F) of shape (n,), years of shape (n,) or ()) → volatility a year, shape (n,)."""
OptionPrice = Callable[[Floats, Floats, Floats, Floats, Bools], Floats]
"""(forwards (n,) or (), strikes (n,), volatilities (n,), years (n,) or (), calls (n,)) → undiscounted prices, shape
(n,): `black.price`."""


class Average(Struct):
    """An exponential average over samples at any distance: weight 1 − exp(−Δt / `seconds`) to the new one.

    The first sample is taken as it is; with `seconds` 0 every one is.
    """

    seconds: float
    value: float | None = None
    time: float = 0.0

    def take(self, sample: float, time: float) -> float:
        """The average with `sample` at `time` (s). Raises ValueError for no number, or a time before the last."""
        number("sample", sample, -math.inf)
        number("time", time, -math.inf)
        if self.value is None:
            self.value = sample
        elif time < self.time:
            raise ValueError(f"time is {time}: must be {self.time} or later")
        else:
            weight = -math.expm1(-(time - self.time) / self.seconds) if self.seconds else 1.0
            self.value += weight * (sample - self.value)
        self.time = time
        return self.value


class MarkRules(Struct, frozen=True):
    """How a perpetual's or a future's mark is taken.

    `band` is its largest distance from the index, as a fraction; `basis_seconds` smooths the distance of the own
    impact mid, `smoothing_seconds` that of the mark.
    """

    band: float = 0.004
    basis_seconds: float = 30.0
    smoothing_seconds: float = 30.0

    def check(self) -> None:
        """Raises ValueError naming the first rule that is out of range."""
        number("band", self.band, 0.0, 0.1, above=True)
        for name in ("basis_seconds", "smoothing_seconds"):
            number(name, getattr(self, name), 0.0, 3_600.0)


class OwnBook(Struct, frozen=True):
    """What the venue's own book says: middle of its impact prices and last price (USD); None where there is none."""

    impact_mid: float | None = None
    last: float | None = None


class Mark(Struct, frozen=True):
    """A mark (USD) and what it is the middle of: index and smoothed basis, last price, index and premium term."""

    value: float
    by_basis: float
    by_last: float
    by_premium: float


class Marker:
    """The marks of one perpetual or dated future: keeps the two averages between samples."""

    def __init__(self, rules: MarkRules | None = None) -> None:
        self.rules = rules or MarkRules()
        self.rules.check()
        self._basis = Average(self.rules.basis_seconds)
        self._distance = Average(self.rules.smoothing_seconds)

    def take(self, index: float, own: OwnBook, premium_term: float, time: float) -> Mark:
        """The mark at `time` (s, never going back).

        It is the median of index + smoothed basis of the own impact mid, the own last price, and index × (1 +
        `premium_term`); the median's distance from the index is smoothed and bounded by the band. Distances are
        smoothed, never levels: when the index moves, the mark moves with it at once; and they are bounded before they
        are smoothed, so that a wick is forgotten as fast as it came. Where the book has no such
        price the index stands for it, so that whatever an empty or a wicked book says, another says something else.
        Raises ValueError for an index, own price or term that is no positive finite price or no number.
        """
        for name, value in (("index", index), ("impact_mid", own.impact_mid), ("last", own.last)):
            if value is not None:
                number(name, value, 0.0, above=True)
        number("premium_term", premium_term, -1.0, above=True)
        band = self.rules.band
        off = 0.0 if own.impact_mid is None else own.impact_mid / index - 1
        by_basis = index * (1 + self._basis.take(min(max(off, -band), band), time))
        by_last = index if own.last is None else own.last
        by_premium = index * (1 + premium_term)
        wanted = median((by_basis, by_last, by_premium)) / index - 1
        distance = self._distance.take(min(max(wanted, -band), band), time)
        return Mark(index * (1 + distance), by_basis, by_last, by_premium)


def expiring_mark(forward: float, average: float, elapsed: float, window: float = DELIVERY_WINDOW) -> float:
    """n/N × average + (N − n)/N × forward, `elapsed` (n) of the `window` (N), in seconds.

    What the average has already fixed no longer moves; at the end nothing but the average is left. Raises ValueError
    for prices that are not positive and for an elapsed time outside the window.
    """
    for name, value in (("forward", forward), ("average", average)):
        number(name, value, 0.0, above=True)
    number("window", window, 0.0, above=True)
    number("elapsed", elapsed, 0.0, window)
    fixed = elapsed / window
    return fixed * average + (1 - fixed) * forward


def option_marks(
    forward: ArrayLike,
    strikes: ArrayLike,
    calls: ArrayLike,
    years: ArrayLike,
    volatility: Volatility,
    price: OptionPrice,
) -> Floats:
    """Undiscounted option marks (USD), shape (n,), off a volatility surface.

    `strikes` (USD) and `calls` (bool) have shape (n,); `forward` (USD) and `years` to expiry, 0 at it, have it too or
    are one number. `price` is Black-76 (`black.price`). In the last half hour `forward` is `expiring_mark`'s. Raises
    ValueError for an input out of range, and where the surface or the price function gives no number, or a price
    outside max(±(F − K), 0) ≤ price ≤ F for a call, ≤ K for a put.
    """
    strike, call = within("strikes", strikes, 0.0, above=True), booleans("calls", calls)
    if strike.ndim != 1 or strike.shape != call.shape:
        raise ValueError(f"strikes and calls have shapes {strike.shape} and {call.shape}: must be the same (n,)")
    at, left = within("forward", forward, 0.0, above=True), within("years", years, 0.0, 100.0)
    for name, found in (("forward", at), ("years", left)):
        if found.shape not in ((), strike.shape):
            raise ValueError(f"{name} is of shape {found.shape}: must be one number or {strike.shape}")
    floor = np.maximum(np.where(call, at - strike, strike - at), 0.0)
    if (left == 0).all():
        return floor
    sigma = np.asarray(volatility(np.log(strike / at), left), dtype=np.float64)
    if sigma.shape != strike.shape or not (np.isfinite(sigma).all() and (sigma >= 0).all()):
        raise ValueError("volatility of the surface must be finite and at least 0, one for each strike")
    value = np.asarray(price(at, strike, sigma, left, call), dtype=np.float64)
    ceiling = np.where(call, at, strike)
    slack = 1e-9 * at
    if value.shape != strike.shape or not ((value >= floor - slack) & (value <= ceiling + slack)).all():
        raise ValueError("price must be within the bounds of no arbitrage, one for each strike")
    return np.clip(value, floor, ceiling)
