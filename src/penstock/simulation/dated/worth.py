"""What the demo's oracles say dated contracts are worth: forwards at the index, options by Black-76 off a surface; in
the half hour before they end, more and more the average that they settle at."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from penstock.pricing.black import price
from penstock.pricing.greeks import greeks
from penstock.pricing.inputs import Floats
from penstock.pricing.marks import option_marks
from penstock.pricing.surface import Surface
from penstock.protocol.instruments import CALL, OPTION
from penstock.protocol.quantities import MICRO, PPM
from penstock.simulation.dated.plan import AT_THE_MONEY, CURVATURE, SKEW, SURFACE_YEARS, Contract

_YEAR: Final = 365 * 86_400.0
_POINT: Final = 0.01
"""Of volatility."""


class Pricer:
    """Marks of many contracts at once, in price units; index and forward are one here: no carry is stated."""

    def __init__(self) -> None:
        self._surfaces = {
            base: Surface.stated(SURFACE_YEARS, volatility, SKEW, CURVATURE)
            for base, volatility in AT_THE_MONEY.items()
        }

    def marks(self, contracts: Sequence[Contract], forwards: Mapping[int, float], now: int) -> dict[int, int]:
        """Market → mark, at least one price unit; `forwards` by market in price units, `now` in µs."""
        found = {c.market: max(1, round(forwards[c.market])) for c in contracts if c.kind != OPTION}
        for forward, years, options in _alike(contracts, forwards, now):
            surface = self._surfaces[options[0].base]
            values = option_marks(forward, *_terms(options), years, surface.volatility, price)
            found |= {c.market: max(1, round(value)) for c, value in zip(options, values.tolist(), strict=True)}
        return found

    def vegas(self, contracts: Sequence[Contract], forwards: Mapping[int, float], now: int) -> dict[int, float]:
        """Market → price units for one point (0.01) of volatility; futures have none."""
        found: dict[int, float] = {}
        for forward, years, options in _alike(contracts, forwards, now):
            strikes, calls = _terms(options)
            volatilities = self._surfaces[options[0].base].volatility(np.log(strikes / forward), years)
            shown = greeks(forward, strikes, volatilities, years, calls).vega * _POINT
            found |= {c.market: vega for c, vega in zip(options, shown.tolist(), strict=True)}
        return found


def _alike(
    contracts: Sequence[Contract], forwards: Mapping[int, float], now: int
) -> Iterator[tuple[float, float, list[Contract]]]:
    """Forward, years to expiry, and the options of one coin that share both."""
    groups: dict[tuple[str, int, float], list[Contract]] = {}
    for contract in contracts:
        if contract.kind == OPTION:
            groups.setdefault((contract.base, contract.expiry, forwards[contract.market]), []).append(contract)
    for (_, expiry, forward), options in groups.items():
        yield forward, max(0.0, (expiry * MICRO - now) / MICRO / _YEAR), options


def _terms(options: Sequence[Contract]) -> tuple[Floats, np.ndarray]:
    """Strikes in price units, and which are calls."""
    return np.array([c.strike for c in options], dtype=float), np.array([c.option_type == CALL for c in options])


def towards(wanted: int, last: int, step_ppm: int, reference: int) -> int:
    """`wanted`, or as far towards it as one step from `last` goes; anything goes from 0."""
    if last == 0:
        return wanted
    reach = max(1, reference * step_ppm // PPM)
    return min(max(wanted, last - reach), last + reach)
