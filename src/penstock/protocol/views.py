"""What people may read of the state: one account, one market. Copies, with the packed forms the native core gives."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from penstock.protocol.forms import Form

ACCOUNT_VIEW: Final = Form(
    "account_view",
    "subaccount u24, owner b20, cash i96, withdrawn u96, equity i128, initial_margin u128, maintenance_margin u128",
)
POSITION_VIEW: Final = Form("position_view", "market u24, size i56, entry i96, unrealised i128, unsettled_funding i128")
ORDER_VIEW: Final = Form(
    "order_view",
    "slot u16, nonce u64, first_nonce u64, market u24, side u8, price u40, size u48, filled u48, "
    "post_only u8, reduce_only u8",
)
SESSION_VIEW: Final = Form(
    "session_view",
    "session u8, key b20, expiry u40, slot_first u16, slot_last u16, scopes u32, underlyings u64, kinds u8, "
    "revoked_at u64",
)
MARKET_VIEW: Final = Form(
    "market_view",
    "market u24, index_price u40, mark_price u40, priced_at u64, funding_index i80, funding_rate i64, "
    "open_interest u56, fees i96, dust u96, shortfall u96, rate_time i96, premium i32, builder_fees u80, flags u16, "
    "until u64, template u16, expiry u40, strike u40, option_type u8",
)
WHAT_IF: Final = Form(
    "what_if", "equity i128, initial_margin u128, maintenance_margin u128, liquidation_price u40, legal u8"
)
RESTING_ORDER: Final = Form(
    "resting_order", "slot u16, nonce u64, market u24, side u8, price u40, size u48, session u8, killed u8"
)
VIEW_FORMS: Final = (ACCOUNT_VIEW, POSITION_VIEW, ORDER_VIEW, SESSION_VIEW, MARKET_VIEW, WHAT_IF, RESTING_ORDER)

_AT_REST_POSITION: Final = Form("position at rest", "market u24, size i56")
_AT_REST_SESSION: Final = Form("session at rest", "session u8, expiry u40")


class PositionView(Struct, frozen=True):
    """Size units, and 1e-6 USDC: entry cost, profit at the mark, funding the holder owes."""

    market: int
    size: int
    entry: int
    unrealised: int
    unsettled_funding: int


class OrderView(Struct, frozen=True):
    """An order still in the book, in price units and size units; its session key may have died since."""

    slot: int
    nonce: int
    first_nonce: int
    market: int
    side: int
    price: int
    size: int
    filled: int
    post_only: bool
    reduce_only: bool


class SessionView(Struct, frozen=True):
    """A session key as granted: expiry in seconds, `revoked_at` (a sequence) 0 while it lives."""

    session: int
    key: bytes
    expiry: int
    slot_first: int
    slot_last: int
    scopes: int
    underlyings: int
    kinds: int
    revoked_at: int


class AccountView(Struct, frozen=True):
    """One subaccount; money in 1e-6 USDC. `initial_margin` includes open orders."""

    subaccount: int
    owner: bytes
    cash: int
    withdrawn: int
    equity: int
    initial_margin: int
    maintenance_margin: int
    positions: list[PositionView]
    orders: list[OrderView]
    sessions: list[SessionView]


class MarketView(Struct, frozen=True):
    """One market: prices in price units, funding rate in parts per 1e9 and 8 h, money in 1e-6 USDC, dust in 2^-32.

    `rate_time` is funding rate × µs gathered since the last accrual, `until` when a status of the guardian's may end
    (µs). Of a listed market `template` tells the terms, together with expiry (s), strike and option type.
    """

    market: int
    index_price: int
    mark_price: int
    priced_at: int
    funding_index: int
    funding_rate: int
    open_interest: int
    fees: int
    dust: int
    shortfall: int
    rate_time: int
    premium: int
    builder_fees: int
    flags: int
    until: int
    template: int
    expiry: int
    strike: int
    option_type: int


class WhatIf(Struct, frozen=True):
    """An account as an act would leave it: money in 1e-6 USDC, open orders included in `initial_margin`.

    `liquidation_price` is the mark of the market asked about at which the account falls below maintenance margin, all
    else unchanged (price units; 0: at none). `legal`: whether margin allows the act at no fee: an order pays its fee
    beyond. Caps, halts, expiries and prices too old are not looked at.
    """

    equity: int
    initial_margin: int
    maintenance_margin: int
    liquidation_price: int
    legal: bool


class RestingOrder(Struct, frozen=True):
    """An order in a book as far as the public sees it, in price units and size units.

    `killed`: by a mass cancel, or with the session key that placed it, other than by that key's expiry.
    """

    slot: int
    nonce: int
    market: int
    side: int
    price: int
    size: int
    session: int
    killed: bool


class AtRest(Struct, frozen=True):
    """What of one account the public books are made of.

    `positions` are (market, signed size units), `sessions` (place, expiry in seconds) of the keys not revoked.
    """

    subaccount: int
    positions: list[tuple[int, int]]
    sessions: list[tuple[int, int]]
    orders: list[RestingOrder]


def decode_account_view(packed: bytes) -> AccountView:
    """account_view · positions u8 · one form each · orders u16 · one form each · sessions u8 · one form each."""
    at = ACCOUNT_VIEW.length
    head = ACCOUNT_VIEW.values(packed[:at])
    positions, at = _take(packed, at, 1, POSITION_VIEW)
    orders, at = _take(packed, at, 2, ORDER_VIEW)
    sessions, at = _take(packed, at, 1, SESSION_VIEW)
    if at != len(packed):
        raise ValueError(f"an account view ends at {at}, not at {len(packed)}")
    return AccountView(  # type: ignore[call-arg]
        *head,
        [PositionView(*values) for values in positions],
        [OrderView(*values[:8], bool(values[8]), bool(values[9])) for values in orders],  # type: ignore[call-arg]
        [SessionView(*values) for values in sessions],
    )


def decode_market_view(packed: bytes) -> MarketView:
    """The view of one market_view form."""
    return MarketView(*MARKET_VIEW.values(packed))


def decode_what_if(packed: bytes) -> WhatIf:
    """The view of one what_if form."""
    *values, legal = WHAT_IF.values(packed)
    return WhatIf(*values, bool(legal))  # type: ignore[call-arg]


def decode_resting(packed: bytes) -> Iterator[AtRest]:
    """Every account, ascending from subaccount 0: positions u8 · (market u24 · size i56) each · sessions u8
    · (place u8 · expiry u40) each · orders u16 · resting_order each. Raises ValueError where the bytes end too early.
    """
    at, subaccount = 0, 0
    while at < len(packed):
        positions, at = _take(packed, at, 1, _AT_REST_POSITION)
        sessions, at = _take(packed, at, 1, _AT_REST_SESSION)
        orders, at = _take(packed, at, 2, RESTING_ORDER)
        if at > len(packed):
            raise ValueError(f"an account at rest ends at {at}, beyond {len(packed)}")
        yield AtRest(
            subaccount,
            [(market, size) for market, size in positions],
            [(place, expiry) for place, expiry in sessions],
            [RestingOrder(*values[:7], bool(values[7])) for values in orders],  # type: ignore[call-arg]
        )
        subaccount += 1


def _take(packed: bytes, at: int, width: int, form: Form) -> tuple[list[list[Any]], int]:
    """A count of `width` bytes and as many forms, and where they end."""
    count, at = int.from_bytes(packed[at : at + width], "big"), at + width
    end = at + count * form.length
    return [form.values(packed[i : i + form.length]) for i in range(at, end, form.length)], end
