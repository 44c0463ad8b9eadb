"""One expiry's smile: Gatheral's raw SVI, whether it is free of butterfly arbitrage, and its fit to volatilities.

    w(k) = a + b (ρ (k − m) + √((k − m)² + σ²)),   k = ln(K/F),   w = (implied volatility)² × T

Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014), section 3.1 (raw SVI).
"""

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.inputs import Floats, number

LARGEST: Final = 1e15
"""Largest parameter of a slice; its inverse is the least σ. In between no product here overflows."""
STEEPEST: Final = 2.0
"""Lee, "The moment formula for implied volatility at extreme strikes" (2004): total variance rises by 2 |k| at most."""
TOLERANCE: Final = 1e-9
"""How far g may fall below 0, and a later slice below an earlier one, relative to it, before it is an arbitrage."""
_REACH: Final = 14.9
"""How far from m the grid goes at least: a strike e^14.9 times, or 1/e^14.9 of, the forward at e^m."""
_GRID: Final = np.linspace(-1.0, 1.0, 601)
_ZOOMS: Final = 2
_FARTHEST: Final = 100.0
"""ln u beyond which nothing is looked for: k is so much larger than m there that g is no less than the wing's limit."""
_SHARES: Final = np.linspace(0.0, 1.0, 41)


class Slice(Struct, frozen=True):
    """Total variance at one expiry.

    Raises ValueError unless |a|, |m| ≤ 1e15, 0 ≤ b ≤ 1e15, |ρ| < 1, 1e-15 ≤ σ ≤ 1e15 and w is nowhere negative.
    """

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        for name, value, low in (("a", self.a, -LARGEST), ("b", self.b, 0.0), ("m", self.m, -LARGEST)):
            number(name, value, low, LARGEST)
        number("sigma", self.sigma, 1.0 / LARGEST, LARGEST)
        if not abs(number("rho", self.rho, -1.0, 1.0)) < 1:
            raise ValueError(f"rho is {self.rho}: must be above -1 and below 1")
        if self.lowest < 0:
            raise ValueError(f"a is {self.a}: must be at least {self.a - self.lowest:g} with these b, rho and sigma")

    @property
    def lowest(self) -> float:
        """The least total variance, a + bσ√(1 − ρ²)."""
        return float(self.a + self.b * self.sigma * np.sqrt(1.0 - self.rho**2))

    @property
    def slopes(self) -> tuple[float, float]:
        """How steeply w rises far to the left and far to the right, both 0 or more; at most 2 by Lee (2004)."""
        return self.b * (1.0 - self.rho), self.b * (1.0 + self.rho)

    def total_variance(self, log_moneyness: ArrayLike) -> Floats:
        """w at each k, with the shape of k."""
        return self.derivatives(np.asarray(log_moneyness, dtype=np.float64))[0]

    def derivatives(self, k: Floats) -> tuple[Floats, Floats, Floats]:
        """w, w' and w'' at each k."""
        return svi(k, self.a, self.b, self.rho, self.m, self.sigma)

    def density_factor(self, log_moneyness: ArrayLike) -> Floats:
        """Gatheral and Jacquier's g at each k, with its shape: what the price density has the sign of."""
        return density_factor(np.asarray(log_moneyness, dtype=np.float64), *self.derivatives(np.asarray(log_moneyness)))

    def least_density(self) -> tuple[float, float]:
        """The k where g is least, and g there: below 0, a butterfly has a negative price (their section 2.2).

        Over the whole line. g's sign is that of a polynomial (`_turns`), so between two neighbours among its
        roots it does not change, and a point of each part shows it. These points and a grid are looked at, then closer
        around every local minimum among them; and the limits in the wings, 1/4 − slope²/16 where the slope is not 0
        (k is then −inf or inf).
        """
        from_m = self._looked_at()
        g = self._density_at(from_m)
        with np.errstate(invalid="ignore"):  # −inf next to −inf
            rise = np.diff(g)
        low = (rise[:-1] <= 0) & (rise[1:] >= 0) & ((rise[:-1] < -TOLERANCE) | (rise[1:] > TOLERANCE))
        at = np.append(np.flatnonzero(low) + 1, min(max(int(g.argmin()), 1), g.size - 2))
        start, end = from_m[at - 1], from_m[at + 1]
        each = np.arange(at.size)
        for _ in range(_ZOOMS):
            closer = start[:, None] + (end - start)[:, None] * _SHARES
            least = self._density_at(closer).argmin(axis=1)
            start, middle, end = (closer[each, np.clip(least + by, 0, _SHARES.size - 1)] for by in (-1, 0, 1))
        closest = np.append(middle, from_m[g.argmin()])
        g = self._density_at(closest)
        candidates = [(float(self.m + closest[g.argmin()]), float(g.min()))]
        for slope, limit in zip(self.slopes, (-np.inf, np.inf), strict=True):
            if slope > 0:
                candidates.append((limit, 0.25 - slope**2 / 16.0))
        return min(candidates, key=lambda candidate: candidate[1])

    def _density_at(self, from_m: Floats) -> Floats:
        """g at each distance from m: exact also where m + distance is not."""
        return density_factor(self.m + from_m, *svi(from_m, self.a, self.b, self.rho, 0.0, self.sigma))

    def _looked_at(self) -> Floats:
        """Distances from m, rising: a grid that is dense around it and reaches far out, and what the roots split."""
        straight = 100.0 / math.sqrt((1.0 - self.rho) * (1.0 + self.rho))  # widths from m to where both wings are it
        reach = math.asinh(max(1500.0, straight, max(_REACH, 4.0 * abs(self.m)) / self.sigma))
        roots = np.sort(self._turns())
        outside = np.append(roots[:1] - 1.0, roots[-1:] + 1.0)
        t = np.concatenate([reach * _GRID, roots, 0.5 * (roots[1:] + roots[:-1]), outside])
        return np.asarray(self.sigma * np.sinh(np.sort(t)))

    def _turns(self) -> Floats:
        """Where g, or the square in it, is 0: every t with k = m + σ sinh t, and those of complex roots near the line.

        With u = e^t, √((k − m)² + σ²) = σ(u + 1/u)/2, and w = W/u, w' = V/(u² + 1), k = M/u, 1 − k w'/2w = T/(2 W
        (u² + 1)) and w'' are all rational: g = N/(W² (u² + 1)³).
        """
        half = 0.5 * self.b * self.sigma
        w = np.array([half * (1.0 + self.rho), self.a, half * (1.0 - self.rho)])
        v = np.array([self.b * (1.0 + self.rho), 0.0, -self.b * (1.0 - self.rho)])
        m = np.array([0.5 * self.sigma, self.m, -0.5 * self.sigma])
        one = np.array([1.0, 0.0, 1.0])
        tilt = 2.0 * np.convolve(w, one) - np.convolve(m, v)
        squared = np.convolve(w, w)
        slopes = np.convolve(np.convolve(v, v), one)
        density = 0.25 * np.convolve(np.convolve(tilt, tilt), one)
        density[1:-1] -= 0.25 * np.convolve(slopes, w)
        density -= 0.0625 * np.convolve(slopes, squared)
        density[3:8] += 4.0 * self.b / self.sigma * squared
        return np.concatenate([_logarithms_of_roots(density), _logarithms_of_roots(tilt)])

    def butterfly(self) -> tuple[float, float] | None:
        """`least_density` where it is an arbitrage: below −1e-9, or a wing is steeper than 2. None where it is none."""
        k, g = self.least_density()
        return (k, g) if g < -TOLERANCE or max(self.slopes) > STEEPEST else None

    @property
    def is_free_of_butterflies(self) -> bool:
        """Whether g ≥ 0 everywhere, to 1e-9, and no wing is steeper than 2."""
        return self.butterfly() is None


def svi(
    k: Floats, a: ArrayLike, b: ArrayLike, rho: ArrayLike, m: ArrayLike, sigma: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """w, w' and w'' of raw SVI; all arguments broadcast."""
    from_m = k - np.asarray(m)
    variance = np.square(sigma)
    root = np.sqrt(from_m * from_m + variance)
    w = a + b * (rho * from_m + root)
    return np.asarray(w), np.asarray(b * (rho + from_m / root)), np.asarray(b * variance / (root * root * root))


def density_factor(k: Floats, w: Floats, first: Floats, second: Floats) -> Floats:
    """g(k) = (1 − k w'/2w)² − w'²/4 (1/w + 1/4) + w''/2: Gatheral and Jacquier (2014), section 2.2. −inf if w is 0."""
    with np.errstate(all="ignore"):
        tilt = 1.0 - 0.5 * k * first / w
        g = tilt * tilt - 0.25 * first * (first / w + 0.25 * first) + 0.5 * second
    return np.asarray(np.where(w > 0, g, -np.inf))


def _logarithms_of_roots(polynomial: Floats) -> Floats:
    """ln |u| of the roots u of a polynomial (highest power first) with a real part above 0."""
    largest = np.abs(polynomial).max()
    if not largest > 0:
        return np.empty(0)
    kept = np.flatnonzero(np.abs(polynomial) > 1e-150 * largest)  # more would overflow below
    monic = polynomial[kept[0] + 1 : kept[-1] + 1] / polynomial[kept[0]]
    companion = np.eye(monic.size, k=-1)
    companion[:1] = -monic
    roots = np.linalg.eigvals(companion)
    logarithms = np.log(np.abs(roots[roots.real > 0]))
    return np.asarray(logarithms[np.abs(logarithms) < _FARTHEST])


def calendar_gap(near: Slice, far: Slice) -> tuple[float, float]:
    """The k where `far` is least above `near`, relative to it, and by how much; below 0 is an arbitrage.

    Over the whole line. Where two slices are equal, k is a root of a quartic (Gatheral and Jacquier 2014, section 3,
    "crossedness"); between its real roots the sign does not change, so a point of each part shows it, and the limits of
    the wings are the slopes'. The place and size of the least gap are to the width of a grid.
    """
    width = near.sigma + far.sigma + abs(near.m - far.m)
    middle = 0.5 * (near.m + far.m)
    grid = middle + max(width, 0.05) * np.sinh(np.linspace(-6.0, 6.0, 601))
    roots = np.sort(_crossings(near, far))
    k = np.concatenate([grid, roots, 0.5 * (roots[1:] + roots[:-1]), roots[:1] - 1.0, roots[-1:] + 1.0])
    early = near.total_variance(k)
    with np.errstate(over="ignore"):  # next to nothing, what is later is any number of times higher
        gaps = (far.total_variance(k) - early) / np.maximum(early, np.finfo(float).tiny)
    at = int(np.argmin(gaps))
    least = (float(k[at]), float(gaps[at]))
    for slope, later, end in zip(near.slopes, far.slopes, (-np.inf, np.inf), strict=True):
        if slope > 0 and later / slope - 1.0 < least[1]:
            least = (float(end), later / slope - 1.0)
    return least


def _crossings(near: Slice, far: Slice) -> Floats:
    """Real parts of the roots of the quartic, with false ones among them: (L² + B² − A²)² = 4 L² B²."""
    line = np.polynomial.Polynomial(
        [far.a - near.a - far.b * far.rho * far.m + near.b * near.rho * near.m, far.b * far.rho - near.b * near.rho]
    )

    def squared(which: Slice) -> np.polynomial.Polynomial:
        """(b √((k − m)² + σ²))²."""
        return which.b**2 * np.polynomial.Polynomial([which.m**2 + which.sigma**2, -2.0 * which.m, 1.0])

    late, early = squared(far), squared(near)
    quartic = (line * line + late - early) ** 2 - 4.0 * line * line * late
    roots = quartic.trim(1e-14 * float(np.abs(quartic.coef).max())).roots()
    return np.asarray(roots.real[np.isfinite(roots)], dtype=np.float64)
