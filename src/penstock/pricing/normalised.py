"""Black's formula with its scale taken out: two variables, no cancellation, never a NaN.

With x = ln(F/K) ≤ 0 and s = σ√T, the out-of-the-money option over √(F K) is

    b(x, s) = e^(x/2) Φ(x/s + s/2) − e^(−x/2) Φ(x/s − s/2)

(Jäckel, "Let's be rational", Wilmott 2015, section 2, as are the scaled error function and the series in t.) It rises
from 0 to e^(x/2), and what is missing from there is its complement. As ∂b/∂s = exp(−(h² + t²)/2)/√(2π) with h = x/s,
t = s/2 is log-concave in s, so are b and the complement (Prékopa): Newton on their logarithms cannot run away. Shapes
are those of the arguments, which must be equal and at least one-dimensional.
"""

import math
from typing import Final

import numpy as np
from scipy.special import erfcx, ndtr

from penstock.pricing.inputs import Floats

ROOT_HALF: Final = math.sqrt(0.5)
ROOT_HALF_PI: Final = math.sqrt(math.pi / 2)
ROOT_TWO_PI: Final = math.sqrt(2 * math.pi)
NARROW: Final = 0.15
"""t below which the difference is a series in t: six terms are exact to 2e-16 there."""
FARTHEST: Final = 40.0
"""|h| beyond which exp(−h²/2) is 0 and with it the value."""


def log_moneyness(forward: Floats, strike: Floats) -> Floats:
    """ln(forward / strike), exact to an ulp also next to the money; both must be positive."""
    near = np.abs(forward - strike) < 0.5 * strike
    with np.errstate(all="ignore"):
        ratio = forward / strike
        far = np.where((ratio > 1e-300) & (ratio < 1e300), np.log(ratio), np.log(forward) - np.log(strike))
        return np.where(near, np.log1p((forward - strike) / strike), far)


def out_of_the_money(x: Floats, s: Floats) -> Floats:
    """b(x, s) for x ≤ 0 and s > 0, relative error at most about (1 + x²/s²) × 3e-15, mostly a tenth of it.

    The rounding of x alone makes x²/s² ulps of it.
    """
    with np.errstate(all="ignore"):
        h, t = x / s, 0.5 * s
        upper = h + t
        envelope = 0.5 * np.exp(-0.5 * (h * h + t * t))
        above = upper >= 0
        first = np.empty_like(s)  # by index: scipy's functions crash when given `where=` (scipy 1.17 on numpy 2.4)
        first[above] = np.exp(0.5 * x[above]) * ndtr(upper[above])
        deep = ~above
        first[deep] = envelope[deep] * erfcx(upper[deep] * -ROOT_HALF)
        value = first - envelope * erfcx((t - h) * ROOT_HALF)
        narrow = (t < NARROW) & (x > -2.0)
        if narrow.any():
            value[narrow] = _series(h[narrow], t[narrow], envelope[narrow])
    return np.asarray(np.maximum(value, 0.0))


def complement(x: Floats, s: Floats) -> Floats:
    """e^(x/2) − b(x, s) for x ≤ 0 and s > 0, as a sum of two positive terms; meant for x/s + s/2 > −37."""
    with np.errstate(all="ignore"):
        h, t = x / s, 0.5 * s
        envelope = 0.5 * np.exp(-0.5 * (h * h + t * t))
        return np.asarray(envelope * (erfcx((h + t) * ROOT_HALF) + erfcx((t - h) * ROOT_HALF)))


def _series(h: Floats, t: Floats, envelope: Floats) -> Floats:
    """b by the odd derivatives of Y = Φ/φ at h: Y(h + t) − Y(h − t), where the two would cancel.

    Y' = 1 + h Y and Y⁽ⁿ⁺¹⁾ = h Y⁽ⁿ⁾ + n Y⁽ⁿ⁻¹⁾ .
    """
    h = np.maximum(h, -FARTHEST)
    mills = ROOT_HALF_PI * erfcx(-h * ROOT_HALF)
    before, at = mills, 1.0 + h * mills
    power = t
    total = at * power
    squared = t * t
    for order in range(1, 11):
        before, at = at, h * at + order * before
        if order % 2 == 0:
            power = power * squared / (order * (order + 1))
            total = total + at * power
    return np.asarray(envelope * total * (4.0 / ROOT_TWO_PI))
