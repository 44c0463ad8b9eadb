"""The native core as an engine: messages, events and entries cross as the bytes of `protocol.wire`."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from penstock.protocol.commands import Record, type_of
from penstock.protocol.events import Event
from penstock.protocol.ledger import DEPOSIT
from penstock.protocol.reasons import Reason
from penstock.protocol.settlement import AccountProof
from penstock.protocol.signing import Domain, Member
from penstock.protocol.terms import Genesis
from penstock.protocol.views import (
    MARKET_VIEW,
    AccountView,
    AtRest,
    MarketView,
    WhatIf,
    decode_account_view,
    decode_market_view,
    decode_resting,
    decode_what_if,
)
from penstock.protocol.wire import PackedMessage, decode_applied, encode_command

if TYPE_CHECKING:
    import penstock_core


def available() -> bool:
    """Whether the native core is installed here."""
    return find_spec("penstock_core") is not None


class NativeMessage:
    """A verified message, packed; its records are decoded only when somebody asks."""

    __slots__ = ("__dict__", "packed")

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    @cached_property
    def _parts(self) -> PackedMessage:
        return PackedMessage.of(self.packed)

    @property
    def signers(self) -> tuple[bytes, ...]:
        """Who signed, ascending."""
        return self._parts.signers

    @property
    def record_hash(self) -> bytes:
        """The record's struct hash."""
        return self._parts.record_hash

    @property
    def record_type(self) -> type:
        """The type of the record."""
        return type_of(self._parts.record)

    @property
    def member_types(self) -> list[type]:
        """The types of a bundle's members, or of the record itself."""
        return [type_of(member) for _, member in self._parts.members] or [self.record_type]

    @cached_property
    def record(self) -> Record:
        """The record, decoded."""
        return self._parts.decode().record

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """A bundle's members, decoded."""
        return self._parts.decode().members


class NativeEntry:
    """A ledger entry with the leaf versions it leaves, packed as `protocol.wire` says."""

    __slots__ = ("written",)

    def __init__(self, written: bytes) -> None:
        self.written = written

    @property
    def packed(self) -> bytes:
        """The entry's own bytes."""
        return self.written[1 : 1 + self.written[0]]

    @property
    def deposit_head(self) -> bytes | None:
        """The deposit chain's head after a deposit; None for every other kind."""
        return self.written[-32:] if self.written[1] == DEPOSIT else None


class NativeApplied:
    """What one command did."""

    __slots__ = ("entries", "events")

    def __init__(self, events: list[Event], written: list[bytes]) -> None:
        self.events = events
        self.entries = [NativeEntry(entry) for entry in written]


class NativeTree:
    """The settlement tree in the core: post-roots level by level, many entries at once."""

    def __init__(self, tree: "penstock_core.SettlementTree") -> None:
        self._tree = tree

    def advance_all(self, entries: Sequence[NativeEntry]) -> list[bytes]:
        """Write the entries and return the settlement root after each."""
        return self._tree.advance([entry.written for entry in entries])

    def root(self) -> bytes:
        """The settlement root now."""
        return self._tree.root()

    def holds(self, subaccount: int) -> bool:
        """Whether the subaccount has a leaf."""
        return self._tree.holds(subaccount)

    def copy(self) -> "NativeTree":
        """An independent tree at the same root."""
        return NativeTree(self._tree.copy())

    def prove(self, subaccount: int) -> AccountProof:
        """Open an account leaf. Raises KeyError for a subaccount that was never credited."""
        leaf, siblings, markets_root, globals_hash, deposit_head, forced_head = self._tree.prove(subaccount)
        words = [siblings[at : at + 32] for at in range(0, len(siblings), 32)]
        return AccountProof(subaccount, leaf, words, markets_root, globals_hash, deposit_head, forced_head)

    def open_trade(self, packed: bytes) -> bytes:
        """What a witness needs of the leaves before this trade entry. Raises ValueError for other bytes."""
        return self._tree.open_trade(packed)


class NativeEngine:
    """The Rust state machine. Raises ImportError where `penstock-core` is not installed."""

    name = "native"
    together = 32

    def __init__(self, genesis: Genesis) -> None:
        import penstock_core

        genesis.check()
        self._genesis = genesis
        self._core = penstock_core.Engine(genesis.encode())
        separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._verifier = penstock_core.Verifier(separator)

    def verify(self, envelopes: Sequence[bytes], from_node: Sequence[bool]) -> list[NativeMessage | Reason]:
        """Verify envelopes on all cores; for each its message, or why it is refused."""
        found = self._verifier.verify(list(envelopes), list(from_node))
        return [NativeMessage(f) if isinstance(f, bytes) else Reason(f) for f in found]

    def reopen(self, envelope: bytes, signers: tuple[bytes, ...]) -> NativeMessage:
        """The message of an envelope that was verified when it was journalled."""
        return NativeMessage(self._verifier.reopen(envelope, b"".join(signers)))

    def apply(self, commands: Sequence[tuple[int, int, NativeMessage]]) -> Iterator[NativeApplied]:
        """Execute sequenced commands (sequence, time in venue µs, message); one outcome each, in order."""
        frames = b"".join(encode_command(sequence, time, message.packed) for sequence, time, message in commands)
        for events, entries in decode_applied(self._core.apply(frames)):
            yield NativeApplied(events, entries)

    def engine_root(self) -> bytes:
        """Digest of everything `apply` can read."""
        return self._core.engine_root()

    def save(self) -> bytes:
        """Everything `apply` can read: one state has one saved form, the same of every engine."""
        return self._core.save()

    def load(self, saved: bytes) -> None:
        """Go on from a saved state. Raises ValueError saying where and why for bytes that are none, and stays."""
        import penstock_core

        self._core = penstock_core.Engine.load(self._genesis.encode(), saved)

    def replay(self, records: bytes) -> int:
        """Execute journal records, signatures unchecked; the last sequence. Raises ValueError naming the sequence."""
        return self._core.replay(records)

    def resting(self) -> Iterator[AtRest]:
        """Every account, ascending, with what of it the public books are made of."""
        return decode_resting(self._core.resting())

    def tree(self) -> NativeTree:
        """The settlement tree of the state as it is now."""
        import penstock_core

        return NativeTree(penstock_core.SettlementTree(self._core.snapshot(), self._genesis.encode()))

    def account(self, subaccount: int) -> AccountView | None:
        """The account now, or None if it was never credited."""
        packed = self._core.account(subaccount)
        return None if packed is None else decode_account_view(packed)

    def guard_nonces(self, subaccount: int, slots: Sequence[int]) -> list[int] | None:
        """The guard nonce of each slot, 0 where none was seen; None if the account was never credited."""
        return self._core.guard_nonces(subaccount, list(slots))

    def market(self, market: int) -> MarketView | None:
        """The market now, or None if it is not listed."""
        packed = self._core.market(market)
        return None if packed is None else decode_market_view(packed)

    def markets(self) -> list[MarketView]:
        """Every listed market now, by its number."""
        packed, length = self._core.markets(), MARKET_VIEW.length
        return [decode_market_view(packed[at : at + length]) for at in range(0, len(packed), length)]

    def what_if(self, subaccount: int, market: int, change: int, price: int) -> WhatIf | None:
        """The account had it just bought `change` size units (sold, if negative) at `price`, no fee taken.

        None for an unknown subaccount or market. Raises ValueError for a fill that no width holds.
        """
        packed = self._core.what_if(subaccount, market, change, price)
        return None if packed is None else decode_what_if(packed)
