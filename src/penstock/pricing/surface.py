"""A volatility for every strike and expiry: raw SVI slices, and between them total variance in straight lines.

At a fixed k = ln(K/F), total variance w = volatility² × time that never falls with time is what keeps calendars from
having a negative price (Gatheral and Jacquier 2014, Lemma 2.1). A straight line between two slices keeps that wherever
the slices do; before the first slice and after the last, volatility stays what it is there, so w goes on rising.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.pricing.fit import fit
from penstock.pricing.inputs import Floats, number, within
from penstock.pricing.svi import TOLERANCE, Slice, calendar_gap, density_factor, svi

_BETWEEN: Final = 3
"""Times between two slices at which the interpolated smile is looked at for butterflies."""


class Arbitrage(Struct, frozen=True):
    """A portfolio with a negative price that a surface allows."""

    kind: Literal["butterfly", "calendar"]
    time: float
    """Years; of a calendar, those of its later side."""
    log_moneyness: float
    """Where it is worst; inf or −inf when that is the limit of a wing."""
    amount: float
    """Below 0: g for a butterfly, the relative fall of total variance for a calendar."""


class Quotes(Struct, frozen=True, eq=False):
    """Volatilities of one expiry: what a slice is fitted to."""

    time: float
    log_moneyness: ArrayLike
    volatility: ArrayLike
    weights: ArrayLike | None = None


class Surface:
    """Slices by expiry. The constructor takes any; `arbitrages` says what is wrong with them."""

    def __init__(self, expiries: Sequence[float], slices: Sequence[Slice]) -> None:
        """`expiries` in years, rising, one for each slice. Raises ValueError."""
        times = within("expiries", expiries, 0.0)
        if times.ndim != 1 or times.size != len(slices) or not times.size:
            raise ValueError(f"expiries are {times.size} for {len(slices)} slices: must be one each, and at least one")
        if times[0] <= 0 or (np.diff(times) <= 0).any():
            raise ValueError("expiries must be above 0 and rise from one to the next")
        self.expiries = times
        self.slices = tuple(slices)
        self._raw = np.array([[each.a, each.b, each.rho, each.m, each.sigma] for each in slices]).T

    @staticmethod
    def flat(volatility: float) -> "Surface":
        """The same volatility everywhere. Raises ValueError unless it is above 0."""
        vol = number("volatility", volatility, 0.0, above=True)
        return Surface([1.0], [Slice(vol * vol, 0.0, 0.0, 0.0, 1.0)])

    @staticmethod
    def stated(
        expiries: Sequence[float], at_the_money: ArrayLike, skew: ArrayLike = 0.0, curvature: ArrayLike = 0.0
    ) -> "Surface":
        """Smiles with a stated volatility, ∂volatility/∂k and ∂²volatility/∂k² at the money (k = 0), one an expiry.

        Each is the one SSVI slice with these three (Gatheral and Jacquier 2014, section 4, solved for φ and ρ). Raises
        ValueError naming the field and its range: the volatility is above 0, volatility × curvature at least −skew²;
        and where the slices, or what lies between them, allow an arbitrage.
        """
        times = within("expiries", expiries, 0.0)
        vol = _one_each("at_the_money", at_the_money, times)
        tilt, bend = _one_each("skew", skew, times), _one_each("curvature", curvature, times)
        within("at_the_money", vol, 0.0, above=True)
        slices = [_stated(*three) for three in zip(times, vol, tilt, bend, strict=True)]
        return Surface(list(times), slices).free_of_arbitrage()

    @staticmethod
    def fit(quotes: Sequence[Quotes]) -> "Surface":
        """A slice for each expiry, nearest first, each kept above the one before. Raises ValueError and NoSliceFits."""
        slices: list[Slice] = []
        ordered = sorted(quotes, key=lambda each: each.time)
        for each in ordered:
            before = slices[-1] if slices else None
            slices.append(fit(each.log_moneyness, each.volatility, each.time, each.weights, before))
        return Surface([each.time for each in ordered], slices)

    def total_variance(self, log_moneyness: ArrayLike, time: ArrayLike) -> Floats:
        """w at each k and time in years, which broadcast; 0 at time 0."""
        return self._at(within("log_moneyness", log_moneyness, -np.inf), within("time", time, 0.0))[0]

    def volatility(self, log_moneyness: ArrayLike, time: ArrayLike) -> Floats:
        """Implied volatility at each k and time in years, which broadcast; at time 0 that of the first slice."""
        times = within("time", time, 0.0)
        times = np.where(times == 0, self.expiries[0], times)
        return np.sqrt(self._at(within("log_moneyness", log_moneyness, -np.inf), times)[0] / times)

    def density_factor(self, log_moneyness: ArrayLike, time: ArrayLike) -> Floats:
        """Gatheral and Jacquier's g at each k and time, which broadcast. Raises ValueError unless `time` is above 0."""
        k = within("log_moneyness", log_moneyness, -np.inf)
        return density_factor(k, *self._at(k, within("time", time, 0.0, above=True)))

    def arbitrages(self) -> list[Arbitrage]:
        """Every expiry's worst butterfly, every two neighbours' worst calendar; empty if there is none.

        Slices are judged on the whole line. Straight lines between slices without butterflies can have one, so three
        times between any two slices are looked at too, on a grid of k.
        """
        found = []
        for time, each in zip(self.expiries, self.slices, strict=True):
            butterfly = each.butterfly()
            if butterfly is not None:
                found.append(Arbitrage("butterfly", float(time), *butterfly))
        for at in range(1, len(self.slices)):
            k, gap = calendar_gap(self.slices[at - 1], self.slices[at])
            if gap < -TOLERANCE:
                found.append(Arbitrage("calendar", float(self.expiries[at]), k, gap))
            found += self._between(at)
        return found

    def free_of_arbitrage(self) -> "Surface":
        """This surface. Raises ValueError naming the first arbitrage if it allows one."""
        for found in self.arbitrages():
            raise ValueError(
                f"a {found.kind} at {found.time:.6g} years and ln(K/F) {found.log_moneyness:.4g} has a negative price "
                f"({found.amount:.2g}): the surface must have none"
            )
        return self

    def _between(self, at: int) -> list[Arbitrage]:
        near, far = self.slices[at - 1], self.slices[at]
        width = max(near.sigma, far.sigma, abs(near.m - far.m), 0.05)
        k = 0.5 * (near.m + far.m) + width * np.sinh(np.linspace(-5.0, 5.0, 301))
        found = []
        for time in np.linspace(self.expiries[at - 1], self.expiries[at], _BETWEEN + 2)[1:-1]:
            g = self.density_factor(k, time)
            worst = int(np.argmin(g))
            if g[worst] < -TOLERANCE:
                found.append(Arbitrage("butterfly", float(time), float(k[worst]), float(g[worst])))
        return found

    def _at(self, k: Floats, time: Floats) -> tuple[Floats, Floats, Floats]:
        """w, w' and w'': those of the slices before and after, by their shares of the time between them."""
        last = self.expiries.size - 1
        after = np.minimum(np.searchsorted(self.expiries, time), last)
        before = np.maximum(after - 1, 0)
        alone = (after == 0) | (time > self.expiries[last])
        until, since = self.expiries[after], self.expiries[before]
        share = np.where(alone, time / until, (time - since) / np.where(alone, 1.0, until - since))
        rest = np.where(alone, 0.0, 1.0 - share)
        late, early = svi(k, *self._raw[:, after]), svi(k, *self._raw[:, before])
        w, first, second = (share * far + rest * near for far, near in zip(late, early, strict=True))
        return np.asarray(w), np.asarray(first), np.asarray(second)


def _one_each(name: str, value: ArrayLike, times: Floats) -> Floats:
    numbers = within(name, value, -np.inf)
    if numbers.shape not in ((), times.shape):
        raise ValueError(
            f"{name} is of shape {numbers.shape}: must be one number, or one for each of {times.size} expiries"
        )
    return np.broadcast_to(numbers, times.shape)


def _stated(time: float, vol: float, skew: float, curvature: float) -> Slice:
    """SSVI: w = θ/2 (1 + ρφk + √((φk + ρ)² + 1 − ρ²)), so at 0 w = θ, w' = θρφ, w'' = θφ²(1 − ρ²)/2."""
    theta = vol * vol * time
    tilt = 2.0 * skew / vol
    bend = 4.0 * (skew * skew + vol * curvature) / (vol * vol)
    if bend < 0 or (bend == 0 and tilt != 0):
        raise ValueError(f"curvature is {curvature:g}: must be above {-skew * skew / vol:g} with this skew")
    if bend == 0:
        return Slice(theta, 0.0, 0.0, 0.0, 1.0)
    phi = float(np.sqrt(tilt * tilt + bend))
    rho = tilt / phi
    rest = float(np.sqrt(bend)) / phi  # √(1 − ρ²)
    return Slice(0.5 * theta * rest * rest, 0.5 * theta * phi, rho, -rho / phi, rest / phi)
