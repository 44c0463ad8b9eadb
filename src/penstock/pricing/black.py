"""Black (1976): what a European option on a forward is worth.

    call = D (F Φ(d₁) − K Φ(d₂)),  put = D (K Φ(−d₂) − F Φ(−d₁)),  d₁,₂ = ln(F/K)/(σ√T) ± σ√T/2,  D = e^(−rT)

Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976), eq. 16. Computed as intrinsic value plus
out-of-the-money time value, so put-call parity holds to a rounding and no wing is the difference of two large numbers.
"""

import numpy as np
from numpy.typing import ArrayLike

from penstock.pricing.inputs import Floats, Terms, terms, within
from penstock.pricing.normalised import log_moneyness, out_of_the_money


def price(
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time: ArrayLike,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> Floats:
    """Price of calls and puts, in units of the forward, discounted at `rate` (0: undiscounted).

    All arguments broadcast, and the result has their shape. `time` in years, `volatility` as 0.5 for 50 % a √year,
    `rate` a year, continuously compounded. Never NaN, and from the discounted intrinsic value to the discounted
    forward (call) or strike (put): without volatility or time it is the first, at the limit of volatility the second.
    Finite where these are: only a discount above 1, so a rate below 0, can take them over the largest float, to inf.
    Raises ValueError naming the field and its range: forward, strike, volatility and time are 0 or more and finite,
    |rate × time| at most 700.
    """
    given = terms(forward, strike, within("volatility", volatility, 0.0), time, is_call, rate)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(given.discount * undiscounted(given)).reshape(given.shape)


def undiscounted(given: Terms) -> Floats:
    """Prices without the discount, `given.other` being the volatilities."""
    return intrinsic(given) + time_value(given.forward, given.strike, given.other * np.sqrt(given.time))


def intrinsic(given: Terms) -> Floats:
    """What exercise now would bring, undiscounted."""
    return np.maximum(np.where(given.is_call, given.forward - given.strike, given.strike - given.forward), 0.0)


def time_value(forward: Floats, strike: Floats, deviation: Floats) -> Floats:
    """What the option is worth above its intrinsic value, the same for call and put; `deviation` is σ√T."""
    live = (forward > 0) & (strike > 0) & (deviation > 0)
    if live.all():
        return _live_time_value(forward, strike, deviation)
    value = np.zeros(live.shape)
    value[live] = _live_time_value(forward[live], strike[live], deviation[live])
    return value


def _live_time_value(forward: Floats, strike: Floats, deviation: Floats) -> Floats:
    scaled = out_of_the_money(-np.abs(log_moneyness(forward, strike)), deviation)
    return np.asarray(np.minimum(scaled * (np.sqrt(forward) * np.sqrt(strike)), np.minimum(forward, strike)))
