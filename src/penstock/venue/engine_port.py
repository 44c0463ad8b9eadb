"""The seam to the state machine. The node knows only `Engine`; the spec stands behind it, or the native core."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from penstock.engine.native import NativeEngine, available
from penstock.protocol.commands import Record
from penstock.protocol.events import Event
from penstock.protocol.ledger import Entry
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.settlement import AccountProof
from penstock.protocol.signing import Domain, Member, Verified, verify
from penstock.protocol.terms import Genesis
from penstock.protocol.views import AccountView, AtRest, MarketView, WhatIf
from penstock.spec.digest import engine_root
from penstock.spec.queries import account_view, market_view, resting
from penstock.spec.saved import load, save
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import State
from penstock.spec.transition import apply
from penstock.spec.what_if import what_if
from penstock.venue.envelopes import reopen
from penstock.venue.frames import Reached, read_frames

ENGINES: Final = ("auto", "native", "spec")


class Message(Protocol):
    """A verified message. Its types are known without decoding its records."""

    @property
    def signers(self) -> tuple[bytes, ...]: ...
    @property
    def record_hash(self) -> bytes: ...
    @property
    def record_type(self) -> type: ...
    @property
    def member_types(self) -> list[type]: ...
    @property
    def record(self) -> Record: ...
    @property
    def members(self) -> tuple[Member, ...]: ...


class Written(Protocol):
    """A ledger entry with the leaf versions it leaves, which only the engine's own tree reads."""

    @property
    def packed(self) -> bytes: ...
    @property
    def deposit_head(self) -> bytes | None: ...


class Applied(Protocol):
    """What a command did: events in order, and the ledger entries to be hashed off the hot path."""

    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def entries(self) -> Sequence[Written]: ...


class Roots(Protocol):
    """The settlement tree at some entry."""

    def advance_all(self, entries: Sequence[Any]) -> list[bytes]:
        """Write the entries of this tree's engine and return the settlement root after each."""

    def root(self) -> bytes:
        """The settlement root now."""

    def holds(self, subaccount: int) -> bool:
        """Whether the subaccount has a leaf."""

    def copy(self) -> "Roots":
        """An independent tree at the same root."""

    def prove(self, subaccount: int) -> AccountProof:
        """Open an account leaf. Raises KeyError for a subaccount that was never credited."""

    def open_trade(self, packed: bytes) -> bytes:
        """What a witness needs of the leaves before this trade entry. Raises ValueError for other bytes."""


class Engine(Protocol):
    """A deterministic state machine at some sequence. It is called from one thread only."""

    @property
    def name(self) -> str:
        """`spec` or `native`, as `public/status` tells it."""

    @property
    def together(self) -> int:
        """How many messages are best verified and applied in one go."""

    def verify(self, envelopes: Sequence[bytes], from_node: Sequence[bool]) -> Sequence[Message | Reason]:
        """For each envelope its message, or why it is refused before sequencing."""

    def reopen(self, envelope: bytes, signers: tuple[bytes, ...]) -> Message:
        """The message of an envelope that was verified when it was journalled."""

    def apply(self, commands: Sequence[tuple[int, int, Any]]) -> Iterator[Applied]:
        """Advance by (sequence, time in venue µs, message of this engine) each. Total; an exception is a bug."""

    def engine_root(self) -> bytes:
        """Digest of everything `apply` can read."""

    def save(self) -> bytes:
        """Everything `apply` can read: one state has one saved form, the same of every engine."""

    def load(self, saved: bytes) -> None:
        """Go on from a saved state; what this engine held is gone.

        Raises ValueError saying where and why, and stays as it was, when the bytes are not exactly what `save` gives
        under this genesis.
        """

    def replay(self, records: bytes) -> int:
        """Execute journal records (`frames.frame`), signatures unchecked; the last sequence executed so far.

        Raises ValueError naming the sequence that is no record, is not the next one, or goes back in time; records
        before it may have been executed, so that the engine is of no use. After `load` the first may have any sequence.
        """

    def resting(self) -> Iterable[AtRest]:
        """Every account, ascending, with what of it the public books are made of."""

    def tree(self) -> Roots:
        """The settlement tree of the state as it is now."""

    def account(self, subaccount: int) -> AccountView | None:
        """The account now, or None if it was never credited."""

    def guard_nonces(self, subaccount: int, slots: Sequence[int]) -> list[int] | None:
        """The guard nonce of each slot, 0 where none was seen; None if the account was never credited."""

    def market(self, market: int) -> MarketView | None:
        """The market now, or None if it is not listed."""

    def markets(self) -> list[MarketView]:
        """Every listed market now, by its number."""

    def what_if(self, subaccount: int, market: int, change: int, price: int) -> WhatIf | None:
        """The account had it just bought `change` size units (sold, if negative) at `price`, no fee taken.

        None for an unknown subaccount or market. Raises ValueError for a fill that no width holds.
        """


def open_engine(genesis: Genesis, wanted: str = "auto") -> Engine:
    """The native core where it is installed (`auto`), or the one that is named.

    Raises ValueError for an unknown name, ImportError when `native` is asked for and not installed.
    """
    if wanted not in ENGINES:
        raise ValueError(f"engine: {wanted!r}, wants one of {', '.join(ENGINES)}")
    if wanted == "native" and not available():
        raise ImportError("the native core is not installed here (`make setup` builds it where cargo works)")
    native = wanted == "native" or (wanted == "auto" and available())
    return NativeEngine(genesis) if native else SpecEngine(genesis)


class SpecEngine:
    """The plain-Python state machine behind the seam."""

    name = "spec"
    together = 1

    def __init__(self, genesis: Genesis) -> None:
        self.state = State.from_genesis(genesis)
        self._separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._reached: Reached = (0, 0)

    def verify(self, envelopes: Sequence[bytes], from_node: Sequence[bool]) -> list[Verified | Reason]:
        """See `Engine.verify`."""
        return [self._verify(envelope, own) for envelope, own in zip(envelopes, from_node, strict=True)]

    def _verify(self, envelope: bytes, from_node: bool) -> Verified | Reason:
        try:
            return verify(self._separator, envelope, from_node=from_node)
        except Refusal as refusal:
            return refusal.reason

    def reopen(self, envelope: bytes, signers: tuple[bytes, ...]) -> Verified:
        """See `Engine.reopen`."""
        return reopen(envelope, signers)

    def apply(self, commands: Sequence[tuple[int, int, Verified]]) -> Iterator[Applied]:
        """See `Engine.apply`."""
        for sequence, time, message in commands:
            self._reached = (sequence, time)
            yield apply(self.state, sequence, time, message)

    def engine_root(self) -> bytes:
        """See `Engine.engine_root`."""
        return engine_root(self.state)

    def save(self) -> bytes:
        """See `Engine.save`."""
        return save(self.state)

    def load(self, saved: bytes) -> None:
        """See `Engine.load`."""
        self.state = load(self.state.genesis, saved)
        self._reached = None

    def replay(self, records: bytes) -> int:
        """See `Engine.replay`."""
        for sequence, time, message in read_frames(records, self._reached):
            self._reached = (sequence, time)
            apply(self.state, sequence, time, message)
        return self._reached[0] if self._reached else 0

    def resting(self) -> Iterator[AtRest]:
        """See `Engine.resting`."""
        return resting(self.state)

    def tree(self) -> "SpecTree":
        """See `Engine.tree`."""
        return SpecTree(SettlementTree(self.state))

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
        views = (market_view(self.state, market) for market in sorted(self.state.markets))
        return [view for view in views if view is not None]

    def what_if(self, subaccount: int, market: int, change: int, price: int) -> WhatIf | None:
        """See `Engine.what_if`."""
        return what_if(self.state, subaccount, market, change, price)


class SpecTree:
    """The plain-Python settlement tree behind the seam."""

    def __init__(self, tree: SettlementTree) -> None:
        self._tree = tree

    def advance_all(self, entries: Sequence[Entry]) -> list[bytes]:
        """See `Roots.advance_all`."""
        return [self._tree.advance(entry) for entry in entries]

    def root(self) -> bytes:
        """See `Roots.root`."""
        return self._tree.root()

    def holds(self, subaccount: int) -> bool:
        """See `Roots.holds`."""
        return self._tree.holds(subaccount)

    def copy(self) -> "SpecTree":
        """See `Roots.copy`."""
        return SpecTree(self._tree.copy())

    def prove(self, subaccount: int) -> AccountProof:
        """See `Roots.prove`."""
        return self._tree.prove(subaccount)

    def open_trade(self, packed: bytes) -> bytes:
        """See `Roots.open_trade`."""
        return self._tree.open_trade(packed)
