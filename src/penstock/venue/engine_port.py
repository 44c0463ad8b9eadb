"""The seam to the state machine. The node knows only `Engine`; the spec stands behind it, or a native core."""

from collections.abc import Sequence
from typing import Protocol

from penstock.protocol.events import Event
from penstock.protocol.ledger import Entry
from penstock.protocol.signing import Verified
from penstock.protocol.terms import Genesis
from penstock.spec.digest import engine_root
from penstock.spec.queries import account_view, market_view
from penstock.spec.state import State
from penstock.spec.transition import apply


class Applied(Protocol):
    """What a command did: events in order, and the ledger entries to be hashed off the hot path."""

    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def entries(self) -> Sequence[Entry]: ...


class PositionView(Protocol):
    """Size units, and 1e-6 USDC: entry cost, profit at the mark, funding the holder owes."""

    @property
    def market(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def entry(self) -> int: ...
    @property
    def unrealised(self) -> int: ...
    @property
    def unsettled_funding(self) -> int: ...


class OrderView(Protocol):
    """A resting order, in price units and size units."""

    @property
    def slot(self) -> int: ...
    @property
    def nonce(self) -> int: ...
    @property
    def market(self) -> int: ...
    @property
    def side(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def filled(self) -> int: ...


class SessionView(Protocol):
    """A session key as granted: expiry in seconds, `revoked_at` (a sequence) 0 while it lives."""

    @property
    def session(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def expiry(self) -> int: ...
    @property
    def slot_first(self) -> int: ...
    @property
    def slot_last(self) -> int: ...
    @property
    def scopes(self) -> int: ...
    @property
    def underlyings(self) -> int: ...
    @property
    def kinds(self) -> int: ...
    @property
    def revoked_at(self) -> int: ...


class AccountView(Protocol):
    """One subaccount; money in 1e-6 USDC."""

    @property
    def subaccount(self) -> int: ...
    @property
    def owner(self) -> bytes: ...
    @property
    def cash(self) -> int: ...
    @property
    def withdrawn(self) -> int: ...
    @property
    def equity(self) -> int: ...
    @property
    def initial_margin(self) -> int: ...
    @property
    def maintenance_margin(self) -> int: ...
    @property
    def positions(self) -> Sequence[PositionView]: ...
    @property
    def orders(self) -> Sequence[OrderView]: ...
    @property
    def sessions(self) -> Sequence[SessionView]: ...


class MarketView(Protocol):
    """One market: prices in price units, funding rate in parts per 1e9 and 8 h, fees in 1e-6 USDC, dust in 2^-32."""

    @property
    def market(self) -> int: ...
    @property
    def index_price(self) -> int: ...
    @property
    def mark_price(self) -> int: ...
    @property
    def priced_at(self) -> int: ...
    @property
    def funding_rate(self) -> int: ...
    @property
    def fees(self) -> int: ...
    @property
    def dust(self) -> int: ...
    @property
    def reduce_only(self) -> bool: ...


class Engine(Protocol):
    """A deterministic state machine at some sequence. It is called from one thread only."""

    @property
    def name(self) -> str:
        """`spec` or `native`, as `public/status` tells it."""

    def apply(self, sequence: int, time: int, message: Verified) -> Applied:
        """Advance by one command (`time` in venue µs). Total; an exception is a bug and stops the node."""

    def engine_root(self) -> bytes:
        """Digest of everything `apply` can read."""

    def account(self, subaccount: int) -> AccountView | None:
        """The account now, or None if it was never credited."""

    def guard_nonces(self, subaccount: int, slots: Sequence[int]) -> list[int] | None:
        """The guard nonce of each slot, 0 where none was seen; None if the account was never credited."""

    def market(self, market: int) -> MarketView | None:
        """The market now, or None if it is not listed."""

    def markets(self) -> list[MarketView]:
        """Every listed market now, by its number."""


class SpecEngine:
    """The plain-Python state machine behind the seam."""

    name = "spec"

    def __init__(self, genesis: Genesis) -> None:
        self.state = State.from_genesis(genesis)

    def apply(self, sequence: int, time: int, message: Verified) -> Applied:
        """See `Engine.apply`."""
        return apply(self.state, sequence, time, message)

    def engine_root(self) -> bytes:
        """See `Engine.engine_root`."""
        return engine_root(self.state)

    def account(self, subaccount: int) -> AccountView | None:
        """See `Engine.account`."""
        return account_view(self.state, subaccount)

    def guard_nonces(self, subaccount: int, slots: Sequence[int]) -> list[int] | None:
        """See `Engine.guard_nonces`."""
        account = self.state.accounts.get(subaccount)
        return None if account is None else [account.guards.get(slot, 0) for slot in slots]

    def market(self, market: int) -> MarketView | None:
        """See `Engine.market`."""
        return market_view(self.state, market)

    def markets(self) -> list[MarketView]:
        """See `Engine.markets`."""
        views = (market_view(self.state, market) for market in self.state.markets)
        return [view for view in views if view is not None]
