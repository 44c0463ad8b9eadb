"""One trade set up by hand: how many positions a side holds, in which markets, and how full the trees around it are."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from referee_world import SEPARATOR, ZERO, contents_of

from penstock.protocol.batch import Batch
from penstock.protocol.commands import BUY, SELL, PlaceOrder, Record
from penstock.protocol.ledger import LIST_DEPTH
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import Signer, seal, seal_bundle, verify
from penstock.protocol.terms import Genesis, default_markets
from penstock.protocol.words import keccak
from penstock.settlement.disputes import BatchContents, Sequenced
from penstock.simulation.cast import CHAIN, VAULT
from penstock.spec.merkle import Tree
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import Account, Position, Session, State
from penstock.spec.transition import apply

TIME: Final = 1_700_000_000 * MICRO
MAKER, TAKER, DECOY = (Signer(keccak(name)) for name in (b"maker", b"taker", b"decoy"))
FILLER: Final = b"\xff" * 32


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


def scene(  # long: a state, two commands, a batch, one after the other
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
    terms = default_markets(0)[0]
    listed = tuple(replace(terms, market=m, underlying=m % 64) for m in markets)
    genesis = Genesis(CHAIN, VAULT, listed, (MAKER.address,), 1)
    state = State.from_genesis(genesis)
    for market in state.markets.values():
        market.index_price = market.mark_price = 600_123
        market.priced_at, market.funding_index, market.funded_at = TIME, 123_456_789_012, TIME
        market.fees, market.size_funding, market.entry_total = 987_654_321, 1 << 90, 1 << 60
        market.dust, market.open_interest = 0x12345678, 1 << 40
    ids = (1, 1 << 23)
    for number, owner, holds in zip(ids, (MAKER, TAKER), (maker_holds, taker_holds), strict=True):
        account = state.accounts[number] = Account(owner.address, cash=123_456_789_012_345)
        account.positions = {m: Position(70_001, 70_001 * 599_999, 123_456_000_000) for m in holds}
        if keys:
            key = Signer(keccak(owner.address))
            account.sessions[0] = Session(key.address, 1 << 39, 16, 4_000, 7, (1 << 64) - 1, 7, 1)
            account.session_of[key.address] = 0
    tree = SettlementTree(state)
    commands, entries, roots = [], [], []
    opening = ZERO
    for sequence, (number, owner, side) in enumerate(zip(ids, (MAKER, TAKER), (SELL, BUY), strict=True), 1):
        signer = Signer(keccak(owner.address)) if keys else owner
        order = PlaceOrder(
            number, 4_000, TIME + sequence, NO_DEADLINE, traded, side, 600_000, 7_000, ANY_FILL, 0, False, False, 5_000
        )
        envelope = seal(SEPARATOR, order, [signer])
        if bundles:
            # 63 orders that are refused, then the one that counts.
            refused: list[Record] = [replace(order, slot=4_095, size=1, nonce=TIME + i) for i in range(63)]
            envelope = seal_bundle(SEPARATOR, number, NO_DEADLINE, [*refused, order], signer)
        commands.append(Sequenced(sequence, TIME, envelope))
        if sequence == 2:
            for index in ids:
                surround(tree._accounts, index, full.accounts)
                surround(tree._slots[index], 4_000, full.slots)
                surround(tree._sessions[index], 0, full.sessions)
                leaf = tree._leaves[index]
                roots_of = tree._slots[index].root() + tree._sessions[index].root()
                tree._leaves[index] = leaf[:64] + roots_of + leaf[128:]
                tree._accounts.set(index, keccak(b"\x03" + tree._leaves[index]))
            for market in markets:
                surround(tree._markets, market, full.markets)
        before = tree.copy()
        opening = tree.root()
        for entry in apply(state, sequence, TIME, verify(SEPARATOR, envelope)).entries:
            entries.append(entry.packed)
            roots.append(tree.advance(entry))
    assert len(entries) == 1 and entries[0][0] == 3
    # An entry of another kind before it, so that both are opened.
    entries.insert(0, bytes([4]) + (1).to_bytes(8, "big") + bytes(25))
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
