"""The tree behind `settlement_root`: fed by ledger entries, one post-root each, off the hot path."""

from typing import Any

from msgspec.structs import replace

from penstock.protocol.events import BY_OWNER_KEY, NO_SLOT
from penstock.protocol.ledger import (
    ACCOUNTS_DEPTH,
    DELIST,
    LIST,
    MARKETS_DEPTH,
    SESSIONS_DEPTH,
    SLOTS_DEPTH,
    AccountWrite,
    Domains,
    Entry,
    decode_entry,
)
from penstock.protocol.settlement import AccountProof
from penstock.protocol.words import keccak
from penstock.spec.ledger import account_write, global_leaf, market_leaf
from penstock.spec.merkle import Tree
from penstock.spec.multiproof import open_leaves
from penstock.spec.referee.entry import read_entry
from penstock.spec.state import State

FORCED_HEAD = bytes(32)
"""Forced requests are not built yet: their queue is empty."""


class SettlementTree:
    """Accounts, each with its slots and sessions; markets; globals; L1 heads."""

    def __init__(self, state: State) -> None:
        """The tree of a whole state, counted from nothing."""
        self._accounts = Tree(ACCOUNTS_DEPTH)
        self._markets = Tree(MARKETS_DEPTH)
        self._slots: dict[int, Tree] = {}
        self._sessions: dict[int, Tree] = {}
        self._leaves: dict[int, bytes] = {}
        self._slot_leaves: dict[tuple[int, int], bytes] = {}
        self._session_leaves: dict[tuple[int, int], bytes] = {}
        self._market_leaves: dict[int, bytes] = {}
        self._genesis = state.genesis
        self._terms = {market_id: market.terms for market_id, market in state.markets.items()}
        self._globals = keccak(Domains.GLOBALS + global_leaf(state))
        self._deposit_head = state.deposit_head
        for market_id, market in state.markets.items():
            self._write_market(market_id, market_leaf(market))
        for subaccount, account in state.accounts.items():
            self._write(account_write(state, subaccount, tuple(account.filled), tuple(account.sessions)))

    def advance(self, entry: Entry) -> bytes:
        """Write the entry's leaf versions and return the settlement root after it."""
        if entry.packed[0] in (LIST, DELIST):
            self._learn(decode_entry(entry.packed))
        for write in entry.accounts:
            self._write(write)
        for market, leaf in entry.markets:
            self._write_market(market, leaf)
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
        twin._slot_leaves, twin._session_leaves = dict(self._slot_leaves), dict(self._session_leaves)
        twin._market_leaves, twin._terms, twin._genesis = dict(self._market_leaves), dict(self._terms), self._genesis
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

    def open_trade(self, packed: bytes) -> bytes:
        """What a witness needs of the leaves before this trade entry, absent ones included.

        Read back by `referee.trade.judge_trade`. Raises ValueError for bytes that are no trade entry, or fields
        that no tree has; such an entry is judged without opening a leaf.
        """
        entry = read_entry(packed)
        if entry is None:
            raise ValueError(f"{len(packed)} bytes are no trade entry")
        sides = (
            (entry.maker, entry.maker_slot, entry.maker_session),
            (entry.taker, entry.taker_slot, entry.taker_session),
        )
        leaves = [self._leaves.get(subaccount, b"") for subaccount, _, _ in sides]
        parts = [len(leaf).to_bytes(2, "big") + leaf for leaf in leaves]
        for (subaccount, slot, session), leaf in zip(sides, leaves, strict=True):
            if leaf and slot != NO_SLOT:
                parts += _present(self._slot_leaves.get((subaccount, slot)))
                parts.append(open_leaves(self._slots[subaccount], [slot]))
            if leaf and session != BY_OWNER_KEY:
                parts += _present(self._session_leaves.get((subaccount, session)))
                parts.append(open_leaves(self._sessions[subaccount], [session]))
        held = {int.from_bytes(leaf[at : at + 3], "big") for leaf in leaves for at in range(128, len(leaf), 32)}
        markets = sorted(held | {entry.market})
        parts.append(bytes([len(markets)]))
        for market in markets:
            parts += [
                market.to_bytes(3, "big"),
                *_present(self._market_leaves.get(market)),
                self._terms[market].encode() if market in self._terms else b"",
            ]
        parts += [self._globals, self._deposit_head, FORCED_HEAD, open_leaves(self._markets, markets)]
        parts.append(open_leaves(self._accounts, [entry.maker, entry.taker]))
        return b"".join(parts)

    def _learn(self, entry: dict[str, Any]) -> None:
        """The terms of a market that is listed, or that gets an end."""
        market = entry["market"]
        if "template" not in entry:
            self._terms[market] = replace(self._terms[market], expiry=entry["expiry"])
            return
        numbers = (entry[name] for name in ("template", "expiry", "strike", "option_type"))
        self._terms[market] = self._genesis.terms_of(market, *numbers)

    def _write_market(self, market: int, leaf: bytes) -> None:
        self._market_leaves[market] = leaf
        self._markets.set(market, keccak(Domains.MARKET_LEAF + leaf))

    def _write(self, write: AccountWrite) -> None:
        slots = self._slots.setdefault(write.subaccount, Tree(SLOTS_DEPTH))
        for slot, leaf in write.slots:
            slots.set(slot, keccak(Domains.SLOT_LEAF + leaf))
            self._slot_leaves[write.subaccount, slot] = leaf
        sessions = self._sessions.setdefault(write.subaccount, Tree(SESSIONS_DEPTH))
        for session, leaf in write.sessions:
            sessions.set(session, keccak(Domains.SESSION_LEAF + leaf))
            self._session_leaves[write.subaccount, session] = leaf
        account_leaf = write.head + slots.root() + sessions.root() + write.positions
        self._leaves[write.subaccount] = account_leaf
        self._accounts.set(write.subaccount, keccak(Domains.ACCOUNT_LEAF + account_leaf))


def _present(leaf: bytes | None) -> list[bytes]:
    return [b"\0"] if leaf is None else [b"\1", leaf]
