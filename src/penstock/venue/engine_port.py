"""The seam to the state machine. The node knows only `Engine`; the spec stands behind it, or a native core."""

from collections.abc import Sequence
from typing import Protocol

from penstock.protocol.events import Event
from penstock.protocol.ledger import Entry
from penstock.protocol.signing import Verified
from penstock.protocol.terms import Genesis
from penstock.protocol.views import AccountView, MarketView
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
