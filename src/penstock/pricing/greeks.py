"""How Black's price moves: first and second derivatives in closed form, all in one pass.

Derivatives of the formula in `black`, with the forward held still where anything else moves: Haug, "The Complete Guide
to Option Pricing Formulas", 2nd ed. (2007), chapter 2, with cost of carry b = 0. For a spot S with F = S e^(rT) the
chain rule gives the rest: delta e^(rT), gamma e^(2rT), and theta less r F delta.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtr

from penstock.pricing.black import intrinsic, time_value
from penstock.pricing.inputs import Floats, Terms, terms, within
from penstock.pricing.normalised import ROOT_TWO_PI, log_moneyness


class Greeks(Struct, frozen=True, eq=False):
    """Arrays of one shape; all are discounted, a year is the unit of time and 1.00 (100 %) that of volatility."""

    price: Floats
    """Units of the forward."""
    delta: Floats
    """∂price/∂forward: forwards that hedge one option; 0 to 1 for a call, −1 to 0 for a put, times the discount."""
    gamma: Floats
    """∂²price/∂forward²: delta for each unit of the forward."""
    vega: Floats
    """∂price/∂volatility: for 1.00 of volatility, so a hundredth of it for a point."""
    theta: Floats
    """∂price/∂(calendar time): for a year that passes, so a 365th of it for a day."""
    rho: Floats
    """∂price/∂rate at the same forward: for 1.00 of rate."""
    vanna: Floats
    """∂²price/∂forward ∂volatility: delta for 1.00 of volatility."""
    volga: Floats
    """∂²price/∂volatility²: vega for 1.00 of volatility."""


def greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time: ArrayLike,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> Greeks:
    """Price and Greeks; arguments, units, ranges and errors are those of `black.price`.

    Finite where forward and strike are 0 or from 1e-100 to 1e100, volatility and time 0 or from 1e-50 to 1e50, |rate|
    at most 1e50 and |rate × time| at most 100. Farther out, one that is over the largest float is ±inf, and theta is
    NaN where both of its parts are.

    Without volatility or time they are the limits, with two exceptions exactly at the money (F = K), where the limit of
    gamma, and without time that of theta, is infinite: both are taken as 0 there beside the discount's part, as
    everywhere else at expiry, and delta is a half.
    """
    given = terms(forward, strike, within("volatility", volatility, 0.0), time, is_call, rate)
    with np.errstate(all="ignore"):
        return _derived(given)


def _derived(given: Terms) -> Greeks:
    forward, time, volatility = given.forward, given.time, given.other
    root = np.sqrt(time)
    deviation = volatility * root
    d1, d2 = _distances(given, deviation)
    sign = np.where(given.is_call, 1.0, -1.0)
    density = given.discount * np.exp(-0.5 * d1 * d1) / ROOT_TWO_PI
    alive = density > 0  # far from the money every product below is 0, whatever it is multiplied with
    moving = alive & (deviation > 0) & (forward > 0)
    price = given.discount * (intrinsic(given) + time_value(forward, given.strike, deviation))
    vega = forward * density * root
    level = np.where(forward == given.strike, -0.5 * root, np.where(moving, d2 / volatility, 0.0))  # d₂/σ
    decay = np.where(moving, 0.5 * forward * density * volatility / root, 0.0)
    bent = np.where(alive, density * d1, 0.0)
    every = (
        price,
        given.discount * sign * ndtr(sign * d1),
        np.where(moving, density / deviation / forward, 0.0),
        vega,
        given.rate * price - decay,
        -time * price,
        np.where(alive, -density * level, 0.0),
        np.where(bent == 0, 0.0, bent * level) * forward * root,  # in this order never ∞ × 0
    )
    return Greeks(*(item.reshape(given.shape) for item in every))


def _distances(given: Terms, deviation: Floats) -> tuple[Floats, Floats]:
    """d₁ and d₂; where nothing moves, their limits: ±inf, and 0 at the money."""
    live = (given.forward > 0) & (given.strike > 0) & (deviation > 0)
    x = log_moneyness(given.forward, given.strike)
    away = np.where(given.forward == given.strike, 0.0, np.copysign(np.inf, given.forward - given.strike))
    middle = x / deviation
    half = 0.5 * deviation
    return np.where(live, middle + half, away), np.where(live, middle - half, away)
