"""What the demo's oracles say dated contracts are worth: forwards at the index, options by Black-76 off a surface."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from penstock.pricing.black import price
from penstock.pricing.greeks import greeks
from penstock.pricing.surface import Surface
from penstock.protocol.instruments import CALL, OPTION
from penstock.protocol.quantities import MICRO, PPM
from penstock.simulation.dated.plan import AT_THE_MONEY, CURVATURE, SKEW, SURFACE_YEARS, Contract

_YEAR: Final = 365 * 86_400.0


class Pricer:
    """Marks of many contracts at once, in price units; index and forward are one here: no carry is stated."""

    def __init__(self) -> None:
        self._surfaces = {
            base: Surface.stated(SURFACE_YEARS, volatility, SKEW, CURVATURE)
            for base, volatility in AT_THE_MONEY.items()
        }

    def marks(self, contracts: Sequence[Contract], indices: dict[str, int], now: int) -> dict[int, int]:
        """Market → mark, at least one price unit; `indices` by base in price units, `now` in µs."""
        found = {c.market: max(1, indices[c.base]) for c in contracts if c.kind != OPTION}
        for base in self._surfaces:
            options = [c for c in contracts if c.kind == OPTION and c.base == base]
            if options:
                forward, strikes, volatilities, years, calls = self._arguments(options, indices[base], now)
                values = price(forward, strikes, volatilities, years, calls)
                found |= {c.market: max(1, round(value)) for c, value in zip(options, values.tolist(), strict=True)}
        return found

    def vegas(self, contracts: Sequence[Contract], indices: dict[str, int], now: int) -> dict[int, float]:
        """Market → price units for one point (0.01) of volatility; futures have none."""
        found: dict[int, float] = {}
        for base in self._surfaces:
            options = [c for c in contracts if c.kind == OPTION and c.base == base]
            if options:
                shown = greeks(*self._arguments(options, indices[base], now)).vega / 100
                found |= {c.market: vega for c, vega in zip(options, shown.tolist(), strict=True)}
        return found

    def _arguments(self, options: Sequence[Contract], index: int, now: int) -> tuple[np.ndarray, ...]:
        strikes = np.array([c.strike for c in options], dtype=float)
        years = np.array([max(0.0, (c.expiry * MICRO - now) / MICRO / _YEAR) for c in options])
        forward = np.full(len(options), float(index))
        volatilities = self._surfaces[options[0].base].volatility(np.log(strikes / index), years)
        return forward, strikes, volatilities, years, np.array([c.option_type == CALL for c in options])


def towards(wanted: int, last: int, step_ppm: int, reference: int) -> int:
    """`wanted`, or as far towards it as one step from `last` goes; anything goes from 0."""
    if last == 0:
        return wanted
    reach = max(1, reference * step_ppm // PPM)
    return min(max(wanted, last - reach), last + reach)
