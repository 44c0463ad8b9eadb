"""Fits of one raw SVI slice to volatilities: the best one, and if that has an arbitrage, a good one without.

The search is over the five parameters of `wings`. It starts at the best point of a grid of (m, σ), where the other
three are a linear least-squares problem: the quasi-explicit idea of De Marco and Martini (Zeliade Systems, 2009).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.inputs import Floats, number, within
from penstock.pricing.svi import STEEPEST, TOLERANCE, Slice, calendar_gap
from penstock.pricing.wings import bends, bends_gradients, curve, curve_gradient

_PARAMETERS: Final = 5
_SPANS: Final = (1e-11, 1e11)
_VARIANCES: Final = (1e-20, 1e12)
"""Between these a slice in reach is one that `Slice` allows."""
_FLATTEST: Final = 1e-6
"""Least slope of a wing, in units in which the typical smile is about 1 wide and 1 high."""
_MARGIN: Final = 1e-4
"""What the second fit keeps from both kinds of arbitrage."""
_ROUNDS: Final = 6
"""Second fits, each with the worst place of the one before watched too, and arbitrage ten times as dear."""
_NOTHING: Final = 1e-9
_LOGARITHMS: Final = np.array([True, True, True, False, True])


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
    k, vol = within("log_moneyness", log_moneyness, -np.inf), within("volatility", volatility, 0.0, above=True)
    years = number("time", time, 0.0, above=True)
    if k.ndim != 1 or k.shape != vol.shape:
        raise ValueError(f"volatility is of shape {vol.shape}: must be one-dimensional, one for each of {k.size} k")
    weight = np.ones_like(vol) if weights is None else np.broadcast_to(within("weights", weights, 0.0), vol.shape)
    if np.unique(k[weight > 0]).size < _PARAMETERS:
        raise ValueError(f"log_moneyness has {np.unique(k[weight > 0]).size} different k: must be at least 5")
    number("the span of log_moneyness", float(np.ptp(k)), *_SPANS)
    with np.errstate(over="ignore"):
        w = within("volatility² × time", vol * vol * years, *_VARIANCES)
    return _Fit(k, w, weight).best(earlier)


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
        self.reach = float(np.ptp(self.k))
        steepest = STEEPEST / self.width
        before, after = self.k.min() - 2.0 * self.reach, self.k.max() + 2.0 * self.reach
        self.low = np.array([0.0, _FLATTEST, _FLATTEST, before, 1e-3 * self.reach])
        self.high = np.array([2.0 * self.w.max(), steepest, steepest, after, 10.0 * self.reach])

    def best(self, earlier: Slice | None) -> Slice:
        """Without regard to arbitrage first; then, if need be, the better of what two starts lead to."""
        start = self._start()
        found = self._unbounded(start)
        if not ((found >= self.low) & (found <= self.high)).all():
            found = self._bounded(start, self.misses, self.gradient, 1e-12)
        if not _worst(self.slice_at(found), earlier):
            return self.slice_at(found)
        starts = [found] if earlier is None else [found, self._lifted(earlier)]
        cleared = [at for at in (self._cleared(begun, earlier) for begun in starts) if at is not None]
        if not cleared:
            raise NoSliceFits("no slice near these volatilities is free of arbitrage")
        return self.slice_at(min(cleared, key=lambda at: float(np.sum(self.misses(at) ** 2))))

    def misses(self, at: Floats) -> Floats:
        """What is squared and summed: a number for each volatility."""
        return (curve(self.k, at) - self.w) * self.weight

    def gradient(self, at: Floats) -> Floats:
        """Of the misses, a column for each parameter."""
        return curve_gradient(self.k, at) * self.weight[:, None]

    def slice_at(self, at: Floats) -> Slice:
        """In the units of the world."""
        least, left, right, m, sigma = (float(value) for value in at)
        b = 0.5 * (left + right)
        rho = 0.5 * (right - left) / b
        a = (least - sigma * float(np.sqrt(left * right))) * self.height
        b, m, sigma = b * self.width, m * self.width, sigma * self.width
        lowest = -b * sigma * float(np.sqrt(1.0 - rho**2)) * (1.0 - 1e-15)
        return Slice(max(a, lowest), b, rho, m, sigma)

    def _start(self) -> Floats:
        """The best of a grid of m and σ, with a, d = (right − left)/2 and b = (right + left)/2 solved for each."""
        m, sigma = (
            axis.ravel()
            for axis in np.meshgrid(
                np.linspace(self.k.min(), self.k.max(), 11), self.reach * np.geomspace(0.02, 2.0, 7)
            )
        )  # fmt: skip
        x = self.k - m[:, None]
        columns = np.stack([np.ones_like(x), x, np.sqrt(x * x + sigma[:, None] ** 2)], axis=-1) * self.weight[:, None]
        square = np.einsum("gni,gnj->gij", columns, columns)
        square += 1e-10 * np.einsum("gii->g", square)[:, None, None] * np.eye(3)
        a, d, b = np.linalg.solve(square, np.einsum("gni,n->gi", columns, self.weight * self.w)[..., None])[..., 0].T
        left, right = np.maximum(b - d, _FLATTEST), np.maximum(b + d, _FLATTEST)
        tries = np.stack([a + sigma * np.sqrt(left * right), left, right, m, sigma], axis=-1)
        tries = np.clip(tries, self.low, self.high)
        misses = (curve(self.k, tries.T[..., None]) - self.w) * self.weight
        return np.asarray(tries[int(np.argmin(np.sum(misses**2, axis=-1)))])

    def _unbounded(self, start: Floats) -> Floats:
        """Levenberg-Marquardt on the logarithms of all but m: fast, and mostly inside the bounds."""

        def entry(y: Floats) -> Floats:
            return np.where(_LOGARITHMS, np.exp(np.where(_LOGARITHMS, np.clip(y, -50.0, 50.0), 0.0)), y)

        def gradient(y: Floats) -> Floats:
            at = entry(y)
            return self.gradient(at) * np.where(_LOGARITHMS, at, 1.0)

        from scipy.optimize import least_squares  # as slow to import as all else here; only fits pay for it

        y = np.where(_LOGARITHMS, np.log(np.maximum(start, 1e-9)), start)
        found = least_squares(
            lambda y: self.misses(entry(y)), y, gradient, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=200
        )
        return entry(found.x)

    def _bounded(
        self, start: Floats, misses: Callable[[Floats], Floats], gradient: Callable[[Floats], Floats], close: float
    ) -> Floats:
        from scipy.optimize import least_squares

        room = 1e-9 * (self.high - self.low)
        inside = np.clip(start, self.low + room, self.high - room)
        found = least_squares(
            misses, inside, gradient, bounds=(self.low, self.high), x_scale="jac",
            xtol=close, ftol=close, gtol=1e-14, max_nfev=60,
        )  # fmt: skip
        return np.asarray(found.x)

    def _cleared(self, found: Floats, earlier: Slice | None) -> Floats | None:
        """A point near `found` whose slice has no arbitrage; None where none was reached."""
        middle, half = 0.5 * (self.k.min() + self.k.max()), 0.5 * self.reach
        watched = middle + half * np.sinh(np.linspace(-3.0, 3.0, 121))
        for round_ in range(_ROUNDS + 1):
            worst = _worst(self.slice_at(found), earlier)
            if not worst:
                return found
            if round_ < _ROUNDS:
                watched = np.concatenate([watched, [k / self.width for k in worst if np.isfinite(k)]])
                dear = _Penalised(self, watched, 10.0**round_, *_before(watched, earlier, self))
                found = self._bounded(found, dear.misses, dear.gradient, 1e-7)
        return None

    def _lifted(self, earlier: Slice) -> Floats:
        """The earlier slice as parameters, so far up that a calendar costs something: free of both, but not close."""
        left, right = (slope / self.width * (1.0 + _MARGIN) for slope in earlier.slopes)
        gap = float(np.average(self.w - earlier.total_variance(self.k * self.width) / self.height))
        least = earlier.lowest / self.height * (1.0 + _MARGIN) + max(gap, 0.0)
        return np.array([least, left, right, earlier.m / self.width, earlier.sigma / self.width])


class _Penalised(Struct, frozen=True, eq=False):
    """The misses of a fit and, so much dearer, how far it is below the margin of either arbitrage, in its units."""

    fit: _Fit
    k: Floats
    penalty: float
    before: Floats
    """Total variance of the earlier slice at each k, or next to nothing if there is none."""
    slopes: Floats
    """Those of its wings."""

    def misses(self, at: Floats) -> Floats:
        short = self._short(at, curve(self.k, at), *bends(self.k, at))
        return np.concatenate([self.fit.misses(at), self.penalty * np.minimum(short, 0.0)])

    def gradient(self, at: Floats) -> Floats:
        w, w_rows = curve(self.k, at), curve_gradient(self.k, at)
        bent = bends(self.k, at)
        paid = np.where(self._short(at, w, *bent) < 0, self.penalty, 0.0)
        rows = [self._density_gradient(at, w, w_rows, bent[0]), w_rows / self.before[:, None]]
        rows.append(np.eye(_PARAMETERS)[1:3] / self.slopes[:, None])
        return np.concatenate([self.fit.gradient(at), np.concatenate(rows) * paid[:, None]])

    def _short(self, at: Floats, w: Floats, first: Floats, second: Floats) -> Floats:
        """How far g, and variance and slopes over the earlier ones, are above the margin: below 0 is paid for."""
        parts = [self._density(w, first, second), w / self.before - 1.0, at[1:3] / self.slopes - 1.0]
        return np.concatenate(parts) - _MARGIN

    def _density(self, w: Floats, first: Floats, second: Floats) -> Floats:
        """g of `svi.density_factor`; in these units only the 1/4 changes."""
        w = np.maximum(w, 1e-6)
        tilt = 1.0 - 0.5 * self.k * first / w
        return tilt * tilt - 0.25 * first * first * (1.0 / w + 0.25 * self.fit.height) + 0.5 * second

    def _density_gradient(self, at: Floats, w: Floats, w_rows: Floats, first: Floats) -> Floats:
        w = np.maximum(w, 1e-6)
        first_rows, second_rows = bends_gradients(self.k, at)
        tilt = 1.0 - 0.5 * self.k * first / w
        by_w = (tilt * self.k * first + 0.25 * first * first) / (w * w)
        by_first = -tilt * self.k / w - 0.5 * first * (1.0 / w + 0.25 * self.fit.height)
        return by_w[:, None] * w_rows + by_first[:, None] * first_rows + 0.5 * second_rows


def _before(k: Floats, earlier: Slice | None, fit_: _Fit) -> tuple[Floats, Floats]:
    """The earlier slice in the units of a fit: total variance at each k, and slopes."""
    if earlier is None:
        return np.full_like(k, _NOTHING), np.full(2, _NOTHING)
    before, slopes = earlier.total_variance(k * fit_.width) / fit_.height, np.array(earlier.slopes) / fit_.width
    return np.maximum(before, _NOTHING), np.maximum(slopes, _NOTHING)


def _worst(slice_: Slice, earlier: Slice | None) -> list[float]:
    """Where it has its worst arbitrages; nothing if it has none."""
    butterfly = slice_.butterfly()
    worst = [] if butterfly is None else [butterfly[0]]
    if earlier is not None:
        k, gap = calendar_gap(earlier, slice_)
        worst += [k] if gap < -TOLERANCE else []
    return worst
