"""One trade set up by hand: what a side holds, in which markets, and how full the trees around it are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from referee_world import SEPARATOR, ZERO, contents_of

from penstock.protocol.batch import Batch
from penstock.protocol.commands import BUY, Liquidate, PlaceOrder, Record
from penstock.protocol.ledger import LIST_DEPTH
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import Signer, seal, seal_bundle, verify
from penstock.protocol.terms import Genesis, MarketTerms, default_markets
from penstock.protocol.words import keccak
from penstock.settlement.disputes import BatchContents, Sequenced
from penstock.simulation.cast import CHAIN, VAULT
from penstock.spec.merkle import Tree
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import Account, Market, Position, Session, State
from penstock.spec.transition import apply

TIME: Final = 1_700_000_000 * MICRO
MAKER, TAKER, DECOY = (Signer(keccak(name)) for name in (b"maker", b"taker", b"decoy"))
FILLER: Final = b"\xff" * 32


INDEX: Final = 600_123
RICH: Final = 123_456_789_012_345
MAKER_ID, TAKER_ID = 1, 1 << 23


class Listing(Struct, frozen=True):
    """A market of a scene: terms other than those of the default perpetual, and fields of its state."""

    terms: dict[str, Any] = {}
    state: dict[str, Any] = {}


class Part(Struct, frozen=True):
    """What one side brings: cash, positions as size by market (bought at 1 below the mark), fields of its order.

    `dies` says that it takes because it is liquidated.
    """

    cash: int = RICH
    holds: Mapping[int, int] = {}
    order: dict[str, Any] = {}
    dies: bool = False


class Scene(Struct):
    """A batch with one trade (its last step), and the tree before it."""

    contents: BatchContents
    index: int
    tree: SettlementTree


class Fullness(Struct, frozen=True):
    """In each tree, on how many levels from a leaf up every sibling holds something of its own."""

    accounts: int
    slots: int
    sessions: int
    markets: int
    lists: int


EMPTY: Final = Fullness(0, 0, 0, 0, 0)
TO_THE_BRIM: Final = Fullness(12, 6, 3, 8, LIST_DEPTH)
"""The dearest there is: 16.7 million accounts, all slots filled, 65,536 markets, a million entries."""
ORDINARY: Final = Fullness(7, 3, 1, 3, 6)
"""About 10,000 accounts, 64 filled slots each, 4 session keys, 64 markets, a batch of 4,096 entries."""


def surround(tree: Tree, index: int, levels: int) -> None:
    """Give every sibling on the lower levels of a leaf's way up something of its own."""
    for level in range(levels):
        parent = index >> (2 * level + 2)
        for child in range(4):
            node = parent << 2 | child
            if node != index >> 2 * level:
                leaf = node << 2 * level
                if tree.leaf(leaf) == ZERO:
                    tree.set(leaf, keccak(FILLER + leaf.to_bytes(4, "big")))


def spread(count: int) -> list[int]:
    """Market numbers as far from each other as the tree allows."""
    return sorted(int(f"{i:04x}"[::-1], 16) for i in range(count))


def scene(
    markets: Sequence[int],
    maker_holds: Sequence[int],
    taker_holds: Sequence[int],
    traded: int,
    *,
    full: Fullness = EMPTY,
    keys: bool = False,
    bundles: bool = False,
) -> Scene:
    """Maker and taker with a position in each market they hold; the taker buys one lot of `traded`.

    `full` says how full the trees around them are, `keys` lets session keys sign, `bundles` sends both orders as the
    last of 64 in a bundle.
    """
    listed = {m: Listing() for m in markets}
    maker, taker = (Part(holds=dict.fromkeys(holds, 70_001)) for holds in (maker_holds, taker_holds))
    return play(listed, maker, taker, traded, full=full, keys=keys, bundles=bundles)


def play(  # long: a state, two commands, a batch, one after the other
    listed: Mapping[int, Listing],
    maker: Part,
    taker: Part,
    traded: int,
    *,
    side: int = BUY,
    full: Fullness = EMPTY,
    keys: bool = False,
    bundles: bool = False,
) -> Scene:
    """The maker's order in `traded`, taken on `side` by the taker's, or by the taker's liquidation."""
    state = State.from_genesis(
        Genesis(CHAIN, VAULT, tuple(_terms(m, listing) for m, listing in listed.items()), (MAKER.address,), 1)
    )
    for number, listing in listed.items():
        _set_up(state.markets[number], listing)
    ids, parts = (MAKER_ID, TAKER_ID), (maker, taker)
    for number, owner, part in zip(ids, (MAKER, TAKER), parts, strict=True):
        _enter(state, number, owner, part, keys=keys)
    tree = SettlementTree(state)
    commands, entries, roots = [], [], []
    opening = ZERO
    for sequence, (number, owner, part) in enumerate(zip(ids, (MAKER, TAKER), parts, strict=True), 1):
        direction = side if part is taker else 1 - side
        price = listed[traded].state.get("mark_price", 600_000)
        order = PlaceOrder(
            number, 4_000, TIME + sequence, NO_DEADLINE, traded, direction, price, 7_000, ANY_FILL, 0, False, False,
            5_000,
        )  # fmt: skip
        envelope = _envelope(replace(order, **part.order), owner, part, keys=keys, bundled=bundles)
        commands.append(Sequenced(sequence, TIME, envelope))
        if sequence == 2:
            _fill_up(tree, ids, list(listed), full)
        before = tree.copy()
        opening = tree.root()
        for entry in apply(state, sequence, TIME, verify(SEPARATOR, envelope)).entries:
            entries.append(entry.packed)
            roots.append(tree.advance(entry))
    # What a liquidation books behind its trade is another entry's matter.
    assert entries[0][0] == 3 and all(entry[0] != 3 for entry in entries[1:])
    del entries[1:], roots[1:]
    # An entry of another kind before it, so that both are opened.
    entries.insert(0, bytes([4]) + (1).to_bytes(8, "big") + bytes(29))
    roots.insert(0, opening)
    width = max(2, 4**full.lists)
    batch = Batch(1, ZERO, roots[-1], ZERO, ZERO, ZERO, ZERO, 1, width, 2, 0, 0, ZERO, 0)
    contents = contents_of(batch, commands, entries, roots)
    if full.lists:
        for tree_of in (contents._steps, contents._sequence):
            surround(tree_of, 0, full.lists)
            surround(tree_of, 1, full.lists)
        # The last of so many: its index is another leaf's, so that the trade stays in the middle.
        ledger, sequence_root = contents.roots()
        contents.batch = replace(batch, ledger_root=ledger, sequence_root=sequence_root, entries=width)
    return Scene(contents, 1, before)


def _terms(number: int, listing: Listing) -> MarketTerms:
    changes = {"market": number, "underlying": number % 64, **listing.terms}
    return replace(default_markets(0)[0], **changes)


def _set_up(market: Market, listing: Listing) -> None:
    usual = {
        "index_price": INDEX, "mark_price": INDEX, "priced_at": TIME, "funding_index": 123_456_789_012,
        "funded_at": TIME, "fees": 987_654_321, "size_funding": 1 << 90, "entry_total": 1 << 60, "dust": 0x12345678,
        "open_interest": 1 << 40, "builder_fees": 0xABCDEF, "premium": -77, "window_sum": 1 << 50,
        "priced_since": TIME - 1,
    }  # fmt: skip
    for name, value in (usual | listing.state).items():
        setattr(market, name, value)


def _enter(state: State, number: int, owner: Signer, part: Part, *, keys: bool) -> None:
    account = state.accounts[number] = Account(owner.address, cash=part.cash)
    for market, size in part.holds.items():
        entry = size * (state.markets[market].mark_price - 1)
        account.positions[market] = Position(size, entry, 123_456_000_000)
    if keys:
        key = Signer(keccak(owner.address))
        account.sessions[0] = Session(key.address, 1 << 39, 16, 4_000, 7, (1 << 64) - 1, 7, 1)
        account.session_of[key.address] = 0


def _envelope(order: PlaceOrder, owner: Signer, part: Part, *, keys: bool, bundled: bool) -> bytes:
    if part.dies:
        return seal(SEPARATOR, Liquidate(order.subaccount), [])
    signer = Signer(keccak(owner.address)) if keys else owner
    if not bundled:
        return seal(SEPARATOR, order, [signer])
    # 63 orders that are refused, then the one that counts.
    refused: list[Record] = [replace(order, slot=4_095, size=1, nonce=TIME + i) for i in range(63)]
    return seal_bundle(SEPARATOR, order.subaccount, NO_DEADLINE, [*refused, order], signer)


def _fill_up(tree: SettlementTree, accounts: Sequence[int], markets: Sequence[int], full: Fullness) -> None:
    for index in accounts:
        surround(tree._accounts, index, full.accounts)
        surround(tree._slots[index], 4_000, full.slots)
        surround(tree._sessions[index], 0, full.sessions)
        leaf = tree._leaves[index]
        roots = tree._slots[index].root() + tree._sessions[index].root()
        tree._leaves[index] = leaf[:64] + roots + leaf[128:]
        tree._accounts.set(index, keccak(b"\x03" + tree._leaves[index]))
    for market in markets:
        surround(tree._markets, market, full.markets)
