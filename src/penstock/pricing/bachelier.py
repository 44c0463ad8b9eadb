"""Bachelier (1900): the normal model, for forwards that may be zero or negative.

For users of this layer: spreads between two contracts, calendar rolls, and whatever else is close to zero or below it,
where Black's model has no price. The venue's own contracts are on forwards above 0, so nothing else here calls it.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfcx

from penstock.pricing.black import intrinsic
from penstock.pricing.inputs import Floats, terms, within
from penstock.pricing.normalised import FARTHEST, ROOT_HALF, ROOT_HALF_PI, ROOT_TWO_PI


def price(
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time: ArrayLike,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> Floats:
    """Price of calls and puts where the forward moves by `volatility` units of itself a √year, discounted at `rate`.

    Undiscounted time value = σ√T (φ(d) − |d| Φ(−|d|)), d = (F − K)/(σ√T): Bachelier, "Théorie de la spéculation"
    (1900), with today's names. Forward and strike have any finite sign and size; everything broadcasts. The result is
    finite wherever forward − strike and σ√T and their products with the discount are; beyond, it is inf, or NaN where
    both are. Raises ValueError naming the field and its range.
    """
    given = terms(forward, strike, within("volatility", volatility, 0.0), time, is_call, rate, lowest=-np.inf)
    with np.errstate(all="ignore"):
        deviation = given.other * np.sqrt(given.time)
        d = np.where(deviation > 0, np.abs(given.forward - given.strike) / deviation, np.inf)
        near = np.minimum(d, FARTHEST)
        density = np.exp(-0.5 * d * d) / ROOT_TWO_PI
        above = deviation * density * np.maximum(1.0 - near * ROOT_HALF_PI * erfcx(near * ROOT_HALF), 0.0)
        return np.asarray(given.discount * (intrinsic(given) + above)).reshape(given.shape)
