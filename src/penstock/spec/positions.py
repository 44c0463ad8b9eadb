"""Arithmetic of one position: funding, opening, closing. Shared by `decide` (on drafts) and `evolve` (on state)."""

from typing import Protocol

from msgspec import Struct

from penstock.protocol.commands import BUY
from penstock.protocol.instruments import OPTION
from penstock.protocol.quantities import (
    CASH_BITS,
    FUNDING_SCALE,
    POSITION_BITS,
    PPM,
    div_ceil,
    div_trunc,
    fits,
)
from penstock.spec.state import Account, Position

PREMIUM_SHARE = 8
"""An option's fee is at most an eighth of its premium."""


class Holding(Struct):
    """Cash and positions of an account: the part a fill can change. A draft is a copy of it."""

    cash: int
    positions: dict[int, Position]


class Fill(Struct, frozen=True):
    """What one fill did to a holding: funding paid (rounded up), the dust of that rounding, profit realised."""

    funding_paid: int
    dust: int
    realised: int


def draft_of(held: Account | Holding) -> Holding:
    """A copy of a holding that may be written while deciding."""
    return Holding(held.cash, {m: Position(p.size, p.entry, p.funding) for m, p in held.positions.items()})


def signed(side: int, size: int) -> int:
    """Size units bought, negative when sold."""
    return size if side == BUY else -size


def funding_owed(position: Position, funding_index: int) -> int:
    """What the holder pays (negative: receives) in 1e-6 USDC, rounded against the holder."""
    return div_ceil(position.size * (funding_index - position.funding), FUNDING_SCALE)


def fee_of(notional: int, fee_ppm: int) -> int:
    """Fee in 1e-6 USDC, rounded up; a negative rate is a rebate, so rounded towards zero."""
    return div_ceil(notional * fee_ppm, PPM)


class Charging(Protocol):
    """A market as far as fees look at it."""

    @property
    def index_price(self) -> int: ...
    @property
    def terms(self) -> "ChargingTerms": ...


class ChargingTerms(Protocol):
    """The one term that fees look at."""

    @property
    def kind(self) -> int: ...


def trading_fee(market: Charging, size: int, price: int, fee_ppm: int) -> int:
    """Fee of a fill in 1e-6 USDC: on what changes hands; of an option on the index, at most 12.5 % of the premium.

    The most is rounded like the fee: up, and a rebate's towards zero.
    """
    if market.terms.kind != OPTION:
        return fee_of(size * price, fee_ppm)
    premium = size * price
    fee = fee_of(size * market.index_price, fee_ppm)
    return max(div_ceil(-premium, PREMIUM_SHARE), min(div_ceil(premium, PREMIUM_SHARE), fee))


def fill(holding: Holding | Account, market: int, change: int, price: int, fee: int, funding_index: int) -> Fill:
    """Settle the position's funding, then add `change` size units at `price`, then take the fee.

    Opening adds change × price to the entry cost and moves no cash; closing c of S releases
    div_trunc(entry × c, S) and realises the difference. A flip closes everything first. Writes `holding`.
    """
    position = holding.positions.get(market)
    if position is None:
        position = holding.positions[market] = Position(0, 0, funding_index)
    owed = funding_owed(position, funding_index)
    dust = owed * FUNDING_SCALE - position.size * (funding_index - position.funding)
    position.funding = funding_index
    closing, realised = 0, 0
    if (position.size > 0) != (change > 0) and position.size != 0:
        closing = min(abs(change), abs(position.size))
        released = div_trunc(position.entry * closing, abs(position.size))
        closing = closing if change > 0 else -closing
        realised = -closing * price - released
        position.entry -= released
        position.size += closing
    position.size += change - closing
    position.entry += (change - closing) * price
    holding.cash += realised - owed - fee
    if position.size == 0:
        del holding.positions[market]
    return Fill(owed, dust, realised)


def in_range(holding: Holding, market: int) -> bool:
    """Whether cash and the position in `market` are inside their widths."""
    position = holding.positions.get(market)
    return fits(holding.cash, CASH_BITS) and (
        position is None or (fits(position.size, POSITION_BITS) and fits(position.entry, CASH_BITS))
    )
