"""The volatility a price implies, with how far the price can be trusted to say it.

The time value, which is the out-of-the-money option whichever side was given, is turned into normalised form
(`normalised`), and s = σ√T is found where it is reached. Below half of its maximum the equation is ln b(x, s) = ln β,
above it ln(e^(x/2) − b) = ln(e^(x/2) − β). Logarithmic objectives and third-order Householder steps on them are
Jäckel's ("Let's be rational", Wilmott 2015); the first guess is ours. Below, b is close to e^(−s²/8) times Bachelier's
formula, whose inverse is a function of β/|x| alone and lies in a table; above, the complement is close to
e^(−x²/2s²) 2Φ(−s/2). Both are within a tenth, and two steps bring them to the last bits.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcinv, erfcx, erfinv

from penstock.pricing.black import intrinsic
from penstock.pricing.inputs import Bools, Floats, Terms, terms, within
from penstock.pricing.normalised import (
    ROOT_HALF,
    ROOT_HALF_PI,
    ROOT_TWO_PI,
    complement,
    log_moneyness,
    out_of_the_money,
)

ACCURACY: Final = 1e-10
"""Largest error of a volatility that counts as found."""
ROUNDINGS: Final = 6.0
"""Ulps of the undiscounted price that it may be off by: its own rounding, the discount's, and those of the formula."""
_OWN_ROUNDINGS: Final = 8.0
"""Ulps of σ√T that the search itself may leave, far from the money too, where the rounding of x moves every price."""
_NOISE: Final = 32 * 2.0**-52
"""Relative error of a normalised price, or of its complement, near the money; farther away the line above has it."""
_SETTLED: Final = 1e-5
"""A relative step below this was the last: its error is of the fourth order."""
_STEPS: Final = 60
_TWO_ROOT_TWO: Final = 2.0 * np.sqrt(2.0)
_SMALLEST: Final = 5e-324


class Status(IntEnum):
    """What the price says."""

    FOUND = 0
    """The volatility, to 1e-10 or better."""
    VEGA_TOO_SMALL = 1
    """A volatility that gives this price; others up to `error` away give it too."""
    BELOW_INTRINSIC = 2
    """No volatility gives a price this low."""
    ABOVE_MAXIMUM = 3
    """No volatility gives a price this high: above the discounted forward (call) or strike (put)."""
    NO_TIME = 4
    """Without time every volatility gives the same price."""


class Implied(Struct, frozen=True, eq=False):
    """Arrays of one shape."""

    volatility: Floats
    """NaN unless FOUND or VEGA_TOO_SMALL."""
    error: Floats
    """How far from it the volatility may be that the unrounded price implies; inf where nothing bounds it."""
    status: NDArray[np.uint8]
    """A `Status` each."""


def volatility(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    time: ArrayLike,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> Implied:
    """The volatility at which `black.price` gives `price`; units, ranges and errors are those of `black.price`.

    An undiscounted price is known to δ = 6 spacing(price), at least 6 × 5e-324 √(F K). `error` is δ/vega and what
    the search may leave, about 1e-14 of the volatility; the status is FOUND wherever that is 1e-10 or less, so wherever
    vega × 1e-10 exceeds δ by that little, and the volatility that the price was made with is then no farther away.
    Elsewhere the price does not hold ten digits of it: the status is VEGA_TOO_SMALL, and `error` spans what prices
    within δ imply. `price` is 0 or more; one outside the bounds of no arbitrage by more than δ is no ValueError but a
    status of its own.
    """
    given = terms(forward, strike, within("price", price, 0.0), time, is_call, rate)
    with np.errstate(all="ignore"):
        found = _implied(given)
    shape = given.shape
    return Implied(found.volatility.reshape(shape), found.error.reshape(shape), found.status.reshape(shape))


class _Target(Struct):
    """Normalised prices: β, its complement γ, and the rounding δ, all over √(F K)."""

    x: Floats
    value: Floats
    rest: Floats
    rounding: Floats

    def at(self, where: Bools) -> "_Target":
        return _Target(self.x[where], self.value[where], self.rest[where], self.rounding[where])

    def moved(self, by: float) -> "_Target":
        """The same prices, so many roundings higher."""
        return _Target(self.x, self.value + by * self.rounding, self.rest - by * self.rounding, self.rounding)


def _implied(given: Terms) -> Implied:
    price = given.other / given.discount
    lowest = intrinsic(given)
    highest = np.where(given.is_call, given.forward, given.strike)
    rounding = ROUNDINGS * np.spacing(price)
    status = np.zeros(price.shape, np.uint8)
    status[(price > highest + rounding) | np.isinf(price)] = Status.ABOVE_MAXIMUM  # inf: over the largest float
    status[price < lowest - rounding] = Status.BELOW_INTRINSIC
    status[given.time == 0] = Status.NO_TIME
    vol = np.full(price.shape, np.nan)
    error = np.full(price.shape, np.inf)
    still = (status == Status.FOUND) & ((given.forward == 0) | (given.strike == 0))
    status[still], vol[still] = Status.VEGA_TOO_SMALL, 0.0
    live = status == Status.FOUND
    if live.any():
        forward, strike = given.forward[live], given.strike[live]
        scale = np.sqrt(forward) * np.sqrt(strike)
        target = _Target(
            -np.abs(log_moneyness(forward, strike)),
            np.maximum(price[live] - lowest[live], 0.0) / scale,
            np.maximum(highest[live] - price[live], 0.0) / scale,
            np.maximum(rounding[live] / scale, ROUNDINGS * _SMALLEST),
        )
        deviation, doubt = _with_doubt(target)
        root = np.sqrt(given.time[live])
        vol[live], error[live] = deviation / root, doubt / root
        status[live] = np.where(error[live] <= ACCURACY, Status.FOUND, Status.VEGA_TOO_SMALL)
    return Implied(vol, error, status)


def _with_doubt(target: _Target) -> tuple[Floats, Floats]:
    """σ√T and how far off it may be: by its slope where that is little, else by what the price's neighbours imply."""
    deviation = _solve(target)
    slope = _slope(target.x, deviation)
    noise = _NOISE * np.minimum(target.value, target.rest)
    doubt = (target.rounding + noise) / slope + _OWN_ROUNDINGS * np.spacing(deviation)
    unsure = ~(doubt <= 1e-6 * deviation)
    if unsure.any():
        near = target.at(unsure)
        below, above = _solve(near.moved(-1.0)), _solve(near.moved(1.0))
        # At the maximum no deviation is large enough: the smallest that rounds to it is what can be said.
        middle = np.where(np.isfinite(deviation[unsure]), deviation[unsure], below)
        deviation[unsure] = middle
        doubt[unsure] = np.maximum(above - middle, middle - below)
    return deviation, doubt


def _slope(x: Floats, s: Floats) -> Floats:
    """∂b/∂s."""
    h = x / s
    return np.asarray(np.exp(-0.5 * h * h - 0.125 * s * s) / ROOT_TWO_PI)


def _solve(target: _Target) -> Floats:
    """σ√T at which b(x, s) is the value: 0 where that is 0 or less, inf where nothing is left above it."""
    deviation = np.where(target.rest > 0, 0.0, np.inf)
    open_ = (target.value > 0) & (target.rest > 0)
    low = open_ & (target.value <= target.rest)
    high = open_ & ~low
    for branch, solve in ((low, _solve_low), (high, _solve_high)):
        if branch.any():
            deviation[branch] = solve(target.at(branch))
    return deviation


def _solve_low(target: _Target) -> Floats:
    return _polished(target.x, target.value, _guess_low(target.x, target.value), low=True)


def _solve_high(target: _Target) -> Floats:
    return _polished(target.x, target.rest, _guess_high(target.x, target.rest), low=False)


def _polished(x: Floats, wanted: Floats, s: Floats, low: bool) -> Floats:
    """Householder steps on ln(value / wanted), kept between the nearest points known on either side of the root."""
    result = s.copy()
    at = np.arange(s.size)
    floor, ceiling = np.zeros_like(s), np.full_like(s, np.inf)
    for _ in range(_STEPS):
        value = out_of_the_money(x, s) if low else complement(x, s)
        miss = np.log(value / wanted)
        short = (miss < 0) == low
        floor, ceiling = np.where(short, s, floor), np.where(short, ceiling, s)
        new = s + _householder(x, s, value, miss, low)
        outside = ~((new >= floor) & (new <= ceiling))
        if outside.any():
            new[outside] = np.where(np.isfinite(ceiling), 0.5 * (floor + ceiling), 2.0 * s)[outside]
        result[at] = new
        going = np.abs(new - s) > _SETTLED * new
        if not going.any():
            break
        x, wanted, s, at = x[going], wanted[going], new[going], at[going]
        floor, ceiling = floor[going], ceiling[going]
    return result


def _householder(x: Floats, s: Floats, value: Floats, miss: Floats, low: bool) -> Floats:
    """The third-order step of f = ln(value / wanted), from f'/f, f''/f' and f'''/f'."""
    per_s = 1.0 / s
    h2 = (x * per_s) ** 2
    bend = h2 * per_s - 0.25 * s  # b''/b'
    slope = np.exp(-0.5 * h2 - 0.125 * s * s) / (ROOT_TWO_PI if low else -ROOT_TWO_PI) / value  # f'
    newton = -miss / slope
    second = bend - slope
    third = second * (second - slope) - 3.0 * h2 * per_s * per_s - 0.25
    return np.asarray(newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + newton * third / 6.0)))


def _guess_low(x: Floats, value: Floats) -> Floats:
    """Bachelier's inverse, once corrected by e^(−s²/8) and the width of the step; at least the one at the money."""
    distance = -x
    ratio = np.log(value) - np.log(distance)
    s = distance * np.exp(np.interp(ratio, _LOG_VALUES, _LOG_DEVIATIONS))
    s = np.minimum(s, np.sqrt(2.0 * distance) + 2.0)
    t2 = 0.25 * s * s
    ratio += 0.5 * t2 - np.log1p(t2 / (3.0 + 0.9 * (x / s) ** 2))
    s = distance * np.exp(np.interp(ratio, _LOG_VALUES, _LOG_DEVIATIONS))
    return np.asarray(np.fmax(s, _TWO_ROOT_TWO * erfinv(value)))


def _guess_high(x: Floats, rest: Floats) -> Floats:
    first = _TWO_ROOT_TWO * erfcinv(rest)
    return np.asarray(_TWO_ROOT_TWO * erfcinv(np.minimum(rest * np.exp(0.5 * (x / first) ** 2), np.exp(0.5 * x))))


def _bachelier_table() -> tuple[Floats, Floats]:
    """ln of Bachelier's time value one unit from the money, rising, and ln of the deviation that gives it."""
    inverse = np.geomspace(1e-9, 60.0, 600)[::-1]
    narrow = np.log1p(-inverse * ROOT_HALF_PI * erfcx(inverse * ROOT_HALF))
    return -0.5 * inverse**2 - np.log(ROOT_TWO_PI * inverse) + narrow, -np.log(inverse)


_LOG_VALUES, _LOG_DEVIATIONS = _bachelier_table()
