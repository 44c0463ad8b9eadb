"""The volatility that an oracle's operator states: one number a base, or smiles by expiry, checked for arbitrage."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from penstock.pricing.marks import Volatility
from penstock.protocol.instruments import REACH_DAYS

FARTHEST_YEARS: Final = max(REACH_DAYS.values()) / 365
"""How far ahead a contract may be listed."""


LEAST: Final = 0.01
MOST: Final = 5.0
"""A √year, at the money: what is outside was meant otherwise, as percent say."""


class Smiles(Struct, frozen=True, forbid_unknown_fields=True):
    """Volatility, ∂volatility/∂k and ∂²volatility/∂k² at k = ln(K/F) = 0, one for each of `expiries`, in years."""

    expiries: tuple[float, ...]
    at_the_money: tuple[float, ...]
    skew: tuple[float, ...] = ()
    curvature: tuple[float, ...] = ()


def flat_in_time(volatility: float, skew: float = 0.0, curvature: float = 0.0) -> Smiles:
    """The same smile at every expiry.

    It is stated at the latest that can be listed, where it is most easily an arbitrage: at a fixed smile w grows in
    proportion to time t, and g of Gatheral and Jacquier (2014, section 2.2) is a concave function of t that is not
    negative at 0.
    """
    return Smiles((FARTHEST_YEARS,), (volatility,), (skew,), (curvature,))


def surfaces(stated: Mapping[str, Smiles]) -> dict[str, Volatility]:
    """The surface of each base. Raises ValueError naming the base, and the field and its range."""
    if not stated:
        return {}
    # Imported where options are: scipy takes half a second.
    from penstock.pricing.surface import Surface

    found: dict[str, Volatility] = {}
    for base, smiles in stated.items():
        wrong = [one for one in smiles.at_the_money if not LEAST <= one <= MOST]
        if wrong:
            allowed = f"wants {LEAST:g} to {MOST:g} a √year: 0.55 is 55 %"
            raise ValueError(f"volatility of {base}: at_the_money is {wrong[0]:g}, {allowed}")
        try:
            surface = Surface.stated(smiles.expiries, smiles.at_the_money, smiles.skew or 0.0, smiles.curvature or 0.0)
        except ValueError as error:
            raise ValueError(f"volatility of {base}: {error}") from error
        found[base] = surface.volatility
    return found
