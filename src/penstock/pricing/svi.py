"""One expiry's smile: Gatheral's raw SVI, whether it is free of butterfly arbitrage, and its fit to volatilities.

    w(k) = a + b (ρ (k − m) + √((k − m)² + σ²)),   k = ln(K/F),   w = (implied volatility)² × T

Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014), section 3.1 (raw SVI).
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.inputs import Floats, within

TOLERANCE: Final = 1e-9
"""How far g may fall below 0, and a later slice below an earlier one, relative to it, before it is an arbitrage."""
_ZOOMS: Final = 4


class Slice(Struct, frozen=True):
    """Total variance at one expiry. Raises ValueError unless b ≥ 0, |ρ| < 1, σ > 0 and w is nowhere negative."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("m", self.m)):
            within(name, value, -np.inf)
        within("b", self.b, 0.0)
        if not abs(self.rho) < 1:
            raise ValueError(f"rho is {self.rho}: must be above -1 and below 1")
        if not 0 < self.sigma < np.inf:
            raise ValueError(f"sigma is {self.sigma}: must be finite and above 0")
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

        Over the whole line: on a grid that is dense around m and reaches far out, then closer between its neighbours;
        and the limits in the wings, 1/4 − slope²/16 where the slope is not 0 (k is then −inf or inf).
        """
        grid = self.m + self.sigma * max(1.0, 0.01 / self.sigma) * np.sinh(np.linspace(-8.0, 8.0, 801))
        for _ in range(_ZOOMS):
            g = self.density_factor(grid)
            at = int(np.argmin(g))
            candidates = [(float(grid[at]), float(g[at]))]
            grid = np.linspace(grid[max(at - 1, 0)], grid[min(at + 1, grid.size - 1)], 41)
        for slope, end in zip(self.slopes, (-np.inf, np.inf), strict=True):
            if slope > 0:
                candidates.append((float(end), 0.25 - slope**2 / 16.0))
        return min(candidates, key=lambda candidate: candidate[1])

    @property
    def is_free_of_butterflies(self) -> bool:
        """Whether g ≥ 0 everywhere, to 1e-9, and no wing is steeper than 2."""
        return max(self.slopes) <= 2.0 and self.least_density()[1] >= -TOLERANCE


def svi(
    k: Floats, a: ArrayLike, b: ArrayLike, rho: ArrayLike, m: ArrayLike, sigma: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """w, w' and w'' of raw SVI; all arguments broadcast."""
    from_m = k - np.asarray(m)
    variance = np.square(sigma)
    root = np.sqrt(from_m * from_m + variance)
    w = a + b * (rho * from_m + root)
    return np.asarray(w), np.asarray(b * (rho + from_m / root)), np.asarray(b * variance / root**3)


def density_factor(k: Floats, w: Floats, first: Floats, second: Floats) -> Floats:
    """g(k) = (1 − k w'/2w)² − w'²/4 (1/w + 1/4) + w''/2: Gatheral and Jacquier (2014), section 2.2. −inf if w is 0."""
    with np.errstate(all="ignore"):
        tilt = 1.0 - 0.5 * k * first / w
        g = tilt * tilt - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second
    return np.asarray(np.where(w > 0, g, -np.inf))


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
