"""Fits of one raw SVI slice to volatilities: the best one, and if that has an arbitrage, the best one without.

The five parameters are searched as (least variance, left slope, right slope, m, σ): what no arbitrage asks of a
single parameter is then a bound of one variable. The start is the best point of a grid of (m, σ), where the other three
are a linear least-squares problem: the quasi-explicit idea of De Marco and Martini (Zeliade Systems, 2009).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from penstock.pricing.inputs import Floats, within
from penstock.pricing.svi import TOLERANCE, Slice, calendar_gap, density_factor, svi

STEEPEST: Final = 2.0
"""Lee, "The moment formula for implied volatility at extreme strikes" (2004): total variance rises by 2 |k| at most."""
_PARAMETERS: Final = 5
_FLATTEST: Final = 1e-6
"""Least slope of a wing, in units in which the typical smile is about 1 wide and 1 high."""
_ROUNDS: Final = 6
"""Second fits, each with the worst place of the one before watched too, and arbitrage ten times as dear."""
_MARGIN: Final = 1e-4
"""What the second fit keeps from both kinds of arbitrage."""


class NoSliceFits(ValueError):
    """No slice near these volatilities is free of arbitrage."""


def fit(
    log_moneyness: ArrayLike,
    volatility: ArrayLike,
    time: float,
    weights: ArrayLike | None = None,
    earlier: Slice | None = None,
) -> Slice:
    """The slice that comes closest to volatilities at k = ln(K/F), `time` years before expiry.

    Closest in the sum of squared differences of volatility, each times vega (so about of prices over the forward) and
    times `weights` (relative, 0 or more; all 1 if not given). It has no butterfly arbitrage, and no calendar arbitrage
    against `earlier`, a slice of an earlier expiry: where the best fit has one, a second fit pays for keeping clear of
    it, so it is less close. At least five different k; order does not matter. Raises ValueError naming the field and
    its range, and NoSliceFits.
    """
    k, vol = within("log_moneyness", log_moneyness, -np.inf), within("volatility", volatility, 0.0)
    years = float(within("time", time, 0.0))
    if k.ndim != 1 or k.shape != vol.shape:
        raise ValueError(f"volatility is of shape {vol.shape}: must be one-dimensional, one for each of {k.size} k")
    weight = np.ones_like(vol) if weights is None else np.broadcast_to(within("weights", weights, 0.0), vol.shape)
    if np.unique(k[weight > 0]).size < _PARAMETERS:
        raise ValueError(f"log_moneyness has {np.unique(k[weight > 0]).size} different k: must be at least 5")
    if years == 0 or not (vol > 0).all():
        raise ValueError("time and every volatility must be above 0")
    return _Fit(k, vol * vol * years, weight).best(earlier)


class _Fit:
    """A fit in its own units: variances over their mean, and k over the root of that."""

    def __init__(self, k: Floats, w: Floats, weight: Floats) -> None:
        self.height = float(np.average(w, weights=weight))
        self.width = float(np.sqrt(self.height))
        self.k, self.w = k / self.width, w / self.height
        deviation = np.sqrt(w)
        d1 = -k / deviation + 0.5 * deviation
        vega = np.maximum(np.exp(-0.5 * d1 * d1), 1e-4)  # so that a far wing still counts a little
        self.weight = weight * vega / np.sqrt(self.w)
        self.weight /= np.sqrt(np.sum(self.weight**2))
        reach = float(np.ptp(self.k))
        steepest = STEEPEST / self.width
        self.low = np.array([0.0, _FLATTEST, _FLATTEST, self.k.min() - 2.0 * reach, 1e-3 * reach])
        self.high = np.array([2.0 * self.w.max(), steepest, steepest, self.k.max() + 2.0 * reach, 10.0 * reach])

    def best(self, earlier: Slice | None) -> Slice:
        """Without regard to arbitrage first, which is nearly always enough."""
        start = self._start()
        found = self._unbounded(start)
        if not ((found >= self.low) & (found <= self.high)).all():
            found = self._search(start, self._misses, self._jacobian)
        if not _worst(self._slice(found), earlier):
            return self._slice(found)
        starts = [found] if earlier is None else [found, self._lifted(earlier)]
        cleared = [at for at in (self._cleared(begun, earlier) for begun in starts) if at is not None]
        if not cleared:
            raise NoSliceFits("no slice near these volatilities is free of arbitrage")
        return self._slice(min(cleared, key=lambda at: float(np.sum(self._misses(at) ** 2))))

    def _cleared(self, found: Floats, earlier: Slice | None) -> Floats | None:
        """A point near `found` whose slice has no arbitrage; None where none was reached."""
        low, high = self.k.min() * self.width, self.k.max() * self.width
        watched = 0.5 * (low + high) + 0.5 * (high - low) * np.sinh(np.linspace(-3.0, 3.0, 121))
        for round_ in range(_ROUNDS + 1):
            worst = _worst(self._slice(found), earlier)
            if not worst:
                return found
            if round_ < _ROUNDS:
                watched = np.concatenate([watched, [k for k in worst if np.isfinite(k)]])
                found = self._search(found, self._penalised(earlier, watched, 10.0 ** (1 + round_)), "2-point")
        return None

    def _lifted(self, earlier: Slice) -> Floats:
        """The earlier slice as parameters, so far up that a calendar costs something: free of both, but not close."""
        left, right = (slope / self.width * (1.0 + _MARGIN) for slope in earlier.slopes)
        gap = float(np.average(self.w - earlier.total_variance(self.k * self.width) / self.height))
        lowest = earlier.lowest / self.height * (1.0 + _MARGIN) + max(gap, 0.0)
        return np.array([lowest, left, right, earlier.m / self.width, earlier.sigma / self.width])

    def _unbounded(self, start: Floats) -> Floats:
        """Levenberg-Marquardt on the logarithms of all but m: fast, and mostly inside the bounds."""
        logs = np.array([True, True, True, False, True])

        def entry(y: Floats) -> Floats:
            return np.where(logs, np.exp(np.where(logs, np.clip(y, -50.0, 50.0), 0.0)), y)

        def jacobian(y: Floats) -> Floats:
            at = entry(y)
            return self._jacobian(at) * np.where(logs, at, 1.0)

        y = np.where(logs, np.log(np.maximum(start, 1e-9)), start)
        found = least_squares(
            lambda y: self._misses(entry(y)), y, jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=400
        )
        return entry(found.x)

    def _search(self, start: Floats, misses: Any, jacobian: Any) -> Floats:
        inside = np.clip(start, self.low + 1e-9 * (self.high - self.low), self.high - 1e-9 * (self.high - self.low))
        found = least_squares(
            misses, inside, jacobian, bounds=(self.low, self.high), x_scale="jac",
            xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=200,
        )  # fmt: skip
        return np.asarray(found.x)

    def _start(self) -> Floats:
        """The best of a grid of m and σ, with a, d = (right − left)/2 and b = (right + left)/2 solved for each."""
        reach = float(np.ptp(self.k))
        m, sigma = (
            axis.ravel()
            for axis in np.meshgrid(np.linspace(self.k.min(), self.k.max(), 11), reach * np.geomspace(0.02, 2.0, 7))
        )
        x = self.k - m[:, None]
        columns = np.stack([np.ones_like(x), x, np.sqrt(x * x + sigma[:, None] ** 2)], axis=-1) * self.weight[:, None]
        square = np.einsum("gni,gnj->gij", columns, columns)
        square += 1e-10 * np.einsum("gii->g", square)[:, None, None] * np.eye(3)
        a, d, b = np.linalg.solve(square, np.einsum("gni,n->gi", columns, self.weight * self.w)[..., None])[..., 0].T
        left, right = np.maximum(b - d, _FLATTEST), np.maximum(b + d, _FLATTEST)
        tries = np.stack([a + sigma * np.sqrt(left * right), left, right, m, sigma], axis=-1)
        tries = np.clip(tries, self.low, self.high)
        misses = self._curve(tries.T[..., None]) - self.w
        return np.asarray(tries[int(np.argmin(np.sum((misses * self.weight) ** 2, axis=-1)))])

    def _curve(self, at: Floats) -> Floats:
        """w by its five parameters, each a number or a column of them."""
        lowest, left, right, m, sigma = at
        x = self.k - m
        root = np.sqrt(x * x + sigma * sigma)
        return np.asarray(lowest - sigma * np.sqrt(left * right) + 0.5 * ((right - left) * x + (left + right) * root))

    def _misses(self, at: Floats) -> Floats:
        return (self._curve(at) - self.w) * self.weight

    def _jacobian(self, at: Floats) -> Floats:
        _, left, right, m, sigma = at
        x = self.k - m
        root = np.sqrt(x * x + sigma * sigma)
        both = 0.5 * (left + right)
        columns = (
            np.ones_like(x),
            0.5 * (root - x - sigma * np.sqrt(right / left)),
            0.5 * (root + x - sigma * np.sqrt(left / right)),
            0.5 * (left - right) - both * x / root,
            both * sigma / root - np.sqrt(left * right),
        )
        return np.stack(columns, axis=-1) * self.weight[:, None]

    def _penalised(self, earlier: Slice | None, k: Floats, penalty: float) -> Any:
        """The misses, and how far g and the calendar gap are below the margin at each k, so much dearer."""
        before = None if earlier is None else earlier.total_variance(k)

        def misses(at: Floats) -> Floats:
            w, first, second = svi(k, *self._raw(at))
            parts = [self._misses(at), penalty * np.minimum(density_factor(k, w, first, second) - _MARGIN, 0.0)]
            parts.append(penalty * np.minimum(2.0 * (1.0 - _MARGIN) - at[1:3] * self.width, 0.0))
            if before is not None and earlier is not None:
                parts.append(penalty * np.minimum(w / before - 1.0 - _MARGIN, 0.0))
                behind = at[1:3] * self.width / np.maximum(earlier.slopes, np.finfo(float).tiny) - 1.0 - _MARGIN
                parts.append(penalty * np.minimum(behind, 0.0))
            return np.concatenate([np.maximum(part, -1e6) for part in parts])

        return misses

    def _raw(self, at: Floats) -> tuple[float, float, float, float, float]:
        lowest, left, right, m, sigma = (float(value) for value in at)
        a = lowest - sigma * float(np.sqrt(left * right))
        b = 0.5 * (left + right)
        return a * self.height, b * self.width, 0.5 * (right - left) / b, m * self.width, sigma * self.width

    def _slice(self, at: Floats) -> Slice:
        a, b, rho, m, sigma = self._raw(at)
        least = -b * sigma * float(np.sqrt(1.0 - rho**2))
        return Slice(max(a, least * (1.0 - 1e-15)), b, rho, m, sigma)


def _worst(slice_: Slice, earlier: Slice | None) -> list[float]:
    """Where it has its worst arbitrages; nothing if it has none."""
    worst = [] if slice_.is_free_of_butterflies else [slice_.least_density()[0]]
    if earlier is not None:
        k, gap = calendar_gap(earlier, slice_)
        worst += [k] if gap < -TOLERANCE else []
    return worst
