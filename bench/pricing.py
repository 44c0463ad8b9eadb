"""Stages `prices with Greeks`, `implied vols`, `surfaces`: the pricing layer beside QuantLib and vollib.

The other two price one option a call, as their Python interfaces have it; ours prices all of them at once. So a ratio
says what a user of Python gets, not whose arithmetic is faster.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeVar

import numpy as np
import QuantLib
from msgspec import Struct
from vollib.black import black as vollib_black
from vollib.black.greeks import analytical
from vollib.black.implied_volatility import implied_volatility as vollib_implied

from bench.machine import one_core
from bench.plan import Plan
from bench.report import Report, require
from penstock.pricing import greeks, implied
from penstock.pricing.inputs import Floats
from penstock.pricing.surface import Quotes, Surface

RATE: Final = 0.02
ROUNDS: Final = 7
"""Repetitions of ours, which takes milliseconds; the others are measured once, over enough options."""
EXPIRIES: Final = (7, 14, 30, 61, 91, 182)
"""Days."""
STRIKES: Final = 15
NOISE: Final = 0.003
"""Standard deviation of a quoted volatility around the true one."""
FORWARD: Final = 60_000.0
NEAR: Final = 3 * NOISE
"""How far a fitted surface may be from the true one: root mean square over its quotes."""
_Result = TypeVar("_Result")


class Options(Struct, frozen=True, eq=False):
    """Puts and calls on one forward, as arrays of one length."""

    strike: Floats
    volatility: Floats
    time: Floats
    is_call: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    def first(self, count: int) -> list[tuple[float, float, float, bool]]:
        """The first of them, one by one, as plain numbers."""
        columns = (self.strike, self.volatility, self.time, self.is_call)
        return list(zip(*(column[:count].tolist() for column in columns), strict=True))


def options_of(count: int, seed: int = 1) -> Options:
    """Options as a venue lists them: a day to a year, volatility 30 to 150 %, up to two deviations from the money."""
    dice = np.random.default_rng(seed)
    time = 10 ** dice.uniform(np.log10(1 / 365), 0.0, count)
    volatility = dice.uniform(0.3, 1.5, count)
    strike = FORWARD * np.exp(dice.uniform(-2, 2, count) * volatility * np.sqrt(time))
    return Options(strike, volatility, time, dice.random(count) < 0.5)


def quotes_of(seed: int) -> tuple[Surface, list[Quotes]]:
    """A surface without arbitrage, and what is quoted around it at six expiries."""
    dice = np.random.default_rng(seed)
    years = np.array(EXPIRIES) / 365
    root = np.sqrt(years)
    level = dice.uniform(0.4, 0.9)
    truth = Surface.stated(list(years), level + 0.02 * root, -0.05 * level / root, 0.06 * level / years)
    quotes = []
    for time in years.tolist():
        k = np.linspace(-2.0, 2.0, STRIKES) * level * np.sqrt(time)
        quotes.append(Quotes(time, k, truth.volatility(k, time) + dice.normal(0, NOISE, STRIKES)))
    return truth, quotes


def measure_pricing(plan: Plan, report: Report) -> None:
    """All three stages, on one core."""
    options = options_of(plan.options)
    with one_core():
        prices = _measure_greeks(options, plan.looped, report)
        _measure_implied(options, prices, plan.looped, report)
        _measure_surfaces(plan.surfaces, report)


def _measure_greeks(options: Options, looped: int, report: Report) -> Floats:
    def ours() -> greeks.Greeks:
        return greeks.greeks(FORWARD, options.strike, options.volatility, options.time, options.is_call, RATE)

    rate = options.strike.size / _fastest(ours)
    found = ours()
    some = options.first(looped)
    for name, one, share in (("QuantLib", quantlib_greeks, 1), ("vollib", vollib_greeks, 4)):
        few = some[: looped // share]
        seconds, theirs = _timed(lambda one=one, few=few: [one(*each) for each in few])
        mine = np.stack([found.price, found.delta, found.gamma, found.vega, found.theta, found.rho], axis=1)[: len(few)]
        worst = float(np.max(np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1e-9 * np.abs(mine).max(axis=0))))
        require(worst < 1e-7, f"prices with Greeks differ from {name}'s by {worst:.1e}")
        report.row(_stage("prices with Greeks", name), rate, len(few) / seconds, f"{name}, one a call", "options/s")
        report.check(f"prices with Greeks: {name}", f"{len(few):,} options and five Greeks equal to {worst:.0e}")
    return found.price


def _measure_implied(options: Options, prices: Floats, looped: int, report: Report) -> None:
    def ours() -> implied.Implied:
        return implied.volatility(prices, FORWARD, options.strike, options.time, options.is_call, RATE)

    rate = options.strike.size / _fastest(ours)
    found = ours()
    lost = int((found.status != implied.Status.FOUND).sum())
    miss = float(np.abs(found.volatility - options.volatility).max())
    require(lost == 0 and miss <= implied.ACCURACY, f"implied vols: {lost} not found, others off by {miss:.1e}")
    some = [(price, *each) for price, each in zip(prices.tolist(), options.first(looped), strict=False)]
    for name, one, share in (("QuantLib", quantlib_implied, 1), ("vollib", vollib_implied_one, 2)):
        few = some[: looped // share]
        seconds, theirs = _timed(lambda one=one, few=few: [one(*each) for each in few])
        apart = float(np.abs(np.array(theirs) - found.volatility[: len(few)]).max())
        require(apart < 1e-8, f"implied vols differ from {name}'s by {apart:.1e}")
        report.row(_stage("implied vols", name), rate, len(few) / seconds, f"{name}, one a call", "options/s")
    report.check("implied vols", f"{options.strike.size:,} found again to {miss:.0e}")


def _measure_surfaces(count: int, report: Report) -> None:
    made = [quotes_of(seed) for seed in range(count)]
    seconds, fitted = _timed(lambda: [Surface.fit(quotes) for _, quotes in made])
    worst = 0.0
    for surface, (truth, quotes) in zip(fitted, made, strict=True):
        require(not surface.arbitrages(), f"a fitted surface allows an arbitrage: {surface.arbitrages()[:1]}")
        errors = [
            surface.volatility(q.log_moneyness, q.time) - truth.volatility(q.log_moneyness, q.time) for q in quotes
        ]
        worst = max(worst, float(np.sqrt(np.mean(np.square(errors)))))
    require(worst < NEAR, f"a fitted surface is {worst:.1e} from the one that was quoted")
    theirs, _ = _timed(lambda: [quantlib_slice(each) for _, quotes in made for each in quotes])
    report.row("surfaces", count / seconds, count / theirs, "QuantLib, slice by slice", "surfaces/s")
    shape = f"{len(EXPIRIES)} expiries of {STRIKES} strikes"
    report.check("surfaces", f"{count} of {shape}, free of arbitrage, {worst:.1e} from the truth")
    report.remark("surfaces: QuantLib fits every slice alone and looks at neither kind of arbitrage")


def quantlib_greeks(strike: float, volatility: float, time: float, is_call: bool) -> tuple[float, ...]:
    """Price, delta, gamma, vega, theta, rho as ours have them: at a given forward, a year and 1.00 as units."""
    payoff = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if is_call else QuantLib.Option.Put, strike)
    made = QuantLib.BlackCalculator(payoff, FORWARD, volatility * time**0.5, float(np.exp(-RATE * time)))
    value, vega = made.value(), made.vega(time)
    theta = RATE * value - vega * volatility / (2 * time)
    return value, made.deltaForward(), made.gammaForward(), vega, theta, -time * value


def vollib_greeks(strike: float, volatility: float, time: float, is_call: bool) -> tuple[float, ...]:
    """The same from vollib, whose vega and rho are for a hundredth and whose theta is for a day."""
    asked = ("c" if is_call else "p", FORWARD, strike, time, RATE, volatility)
    return (
        vollib_black(*asked), analytical.delta(*asked), analytical.gamma(*asked),
        100 * analytical.vega(*asked), 365 * analytical.theta(*asked), 100 * analytical.rho(*asked),
    )  # fmt: skip


def quantlib_implied(price: float, strike: float, _: float, time: float, is_call: bool) -> float:
    """From QuantLib's search, asked for our accuracy."""
    side = QuantLib.Option.Call if is_call else QuantLib.Option.Put
    discount, root = float(np.exp(-RATE * time)), time**0.5
    guess = QuantLib.nullDouble()
    found = QuantLib.blackFormulaImpliedStdDev(
        side, strike, FORWARD, price, discount, 0.0, guess, implied.ACCURACY * root
    )
    return float(found) / root


def vollib_implied_one(price: float, strike: float, _: float, time: float, is_call: bool) -> float:
    """From vollib, which is Jäckel's own method."""
    return float(vollib_implied(price, FORWARD, strike, RATE, time, "c" if is_call else "p"))


def quantlib_slice(quotes: Quotes) -> float:
    """One expiry's SVI fitted by QuantLib, vega-weighted; its volatility at the money."""
    k, vols = np.asarray(quotes.log_moneyness), np.asarray(quotes.volatility)
    today = QuantLib.Date(1, 1, 2030)
    QuantLib.Settings.instance().evaluationDate = today
    middle = float(vols[vols.size // 2])
    section = QuantLib.SviInterpolatedSmileSection(
        today + round(quotes.time * 365), FORWARD, (FORWARD * np.exp(k)).tolist(), False, middle, vols.tolist(),
        0.5 * middle**2 * quotes.time, 0.1, 0.1, -0.3, 0.0, False, False, False, False, False, True,
    )  # fmt: skip
    return float(section.volatility(FORWARD))


def _stage(name: str, other: str) -> str:
    return name if other == "QuantLib" else f"{name}, beside {other}"


def _timed(run: Callable[[], _Result]) -> tuple[float, _Result]:
    begun = perf_counter()
    result = run()
    return perf_counter() - begun, result


def _fastest(run: Callable[[], object]) -> float:
    return min(_timed(run)[0] for _ in range(ROUNDS))
