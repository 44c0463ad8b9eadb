"""The tree behind `settlement_root`: fed by ledger entries, one post-root each, off the hot path."""

from msgspec import Struct

from penstock.protocol.ledger import (
    ACCOUNTS_DEPTH,
    MARKETS_DEPTH,
    SESSIONS_DEPTH,
    SLOTS_DEPTH,
    AccountWrite,
    Domains,
    Entry,
)
from penstock.protocol.words import keccak
from penstock.spec.ledger import account_write, global_leaf, market_leaf
from penstock.spec.merkle import Tree
from penstock.spec.state import State

FORCED_HEAD = bytes(32)
"""Forced requests are not built yet: their queue is empty."""


class AccountProof(Struct, frozen=True):
    """What opens one account leaf under a settlement root."""

    subaccount: int
    leaf: bytes
    siblings: list[bytes]
    markets_root: bytes
    globals_hash: bytes
    deposit_head: bytes
    forced_head: bytes


class SettlementTree:
    """Accounts, each with its slots and sessions; markets; globals; L1 heads."""

    def __init__(self, state: State) -> None:
        """The tree of a whole state, counted from nothing."""
        self._accounts = Tree(ACCOUNTS_DEPTH)
        self._markets = Tree(MARKETS_DEPTH)
        self._slots: dict[int, Tree] = {}
        self._sessions: dict[int, Tree] = {}
        self._leaves: dict[int, bytes] = {}
        self._globals = keccak(Domains.GLOBALS + global_leaf(state))
        self._deposit_head = state.deposit_head
        for market_id, market in state.markets.items():
            self._markets.set(market_id, keccak(Domains.MARKET_LEAF + market_leaf(market)))
        for subaccount, account in state.accounts.items():
            self._write(account_write(state, subaccount, tuple(account.filled), tuple(account.sessions)))

    def advance(self, entry: Entry) -> bytes:
        """Write the entry's leaf versions and return the settlement root after it."""
        for write in entry.accounts:
            self._write(write)
        for market, leaf in entry.markets:
            self._markets.set(market, keccak(Domains.MARKET_LEAF + leaf))
        if entry.global_leaf is not None:
            self._globals = keccak(Domains.GLOBALS + entry.global_leaf)
        if entry.deposit_head is not None:
            self._deposit_head = entry.deposit_head
        return self.root()

    def root(self) -> bytes:
        """The settlement root now."""
        return keccak(
            Domains.SETTLEMENT_ROOT
            + self._accounts.root()
            + self._markets.root()
            + self._globals
            + self._deposit_head
            + FORCED_HEAD
        )

    def holds(self, subaccount: int) -> bool:
        """Whether the subaccount has a leaf."""
        return subaccount in self._leaves

    def copy(self) -> "SettlementTree":
        """An independent tree at the same root."""
        twin = object.__new__(SettlementTree)
        twin._accounts, twin._markets = self._accounts.copy(), self._markets.copy()
        twin._slots = {subaccount: tree.copy() for subaccount, tree in self._slots.items()}
        twin._sessions = {subaccount: tree.copy() for subaccount, tree in self._sessions.items()}
        twin._leaves = dict(self._leaves)
        twin._globals, twin._deposit_head = self._globals, self._deposit_head
        return twin

    def prove(self, subaccount: int) -> AccountProof:
        """Open an account leaf. Raises KeyError for a subaccount that was never credited."""
        return AccountProof(
            subaccount,
            self._leaves[subaccount],
            self._accounts.proof(subaccount),
            self._markets.root(),
            self._globals,
            self._deposit_head,
            FORCED_HEAD,
        )

    def _write(self, write: AccountWrite) -> None:
        slots = self._slots.setdefault(write.subaccount, Tree(SLOTS_DEPTH))
        for slot, leaf in write.slots:
            slots.set(slot, keccak(Domains.SLOT_LEAF + leaf))
        sessions = self._sessions.setdefault(write.subaccount, Tree(SESSIONS_DEPTH))
        for session, leaf in write.sessions:
            sessions.set(session, keccak(Domains.SESSION_LEAF + leaf))
        account_leaf = write.head + slots.root() + sessions.root() + write.positions
        self._leaves[write.subaccount] = account_leaf
        self._accounts.set(write.subaccount, keccak(Domains.ACCOUNT_LEAF + account_leaf))
