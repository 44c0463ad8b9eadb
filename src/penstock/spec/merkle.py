"""The sparse 4-ary keccak tree: node = keccak(0x02 ‖ c0 ‖ c1 ‖ c2 ‖ c3), absent leaf = 32 zero bytes.

Empty subtrees are hashed like any other. A proof is three siblings a level, from the leaf up, each three in
child order. The Vyper twin is contracts/merkle.vy.
"""

from collections.abc import Sequence
from typing import Final

from penstock.protocol.words import keccak

ABSENT: Final = bytes(32)
_NODE: Final = b"\x02"
_MAX_DEPTH: Final = 32


def _empty_subtrees() -> list[bytes]:
    roots = [ABSENT]
    for _ in range(_MAX_DEPTH):
        roots.append(keccak(_NODE + roots[-1] * 4))
    return roots


EMPTY: Final = _empty_subtrees()
"""EMPTY[d] is the root of a tree of depth d without leaves."""


class Tree:
    """A tree of 4^depth leaves that hashes only the paths written since its last root."""

    def __init__(self, depth: int) -> None:
        if not 1 <= depth <= _MAX_DEPTH:
            raise ValueError(f"depth {depth} is outside 1..{_MAX_DEPTH}")
        self.depth = depth
        # One map a level, leaves first; a node equal to its empty subtree is not kept.
        self._levels: list[dict[int, bytes]] = [{} for _ in range(depth + 1)]
        self._dirty: set[int] = set()

    def set(self, index: int, leaf_hash: bytes) -> None:
        """Write a leaf's hash, 32 bytes; ABSENT removes it. Raises ValueError outside 0..4^depth-1."""
        self._check(index)
        if len(leaf_hash) != 32:
            raise ValueError(f"a leaf hash has 32 bytes, not {len(leaf_hash)}")
        if leaf_hash == ABSENT:
            self._levels[0].pop(index, None)
        else:
            self._levels[0][index] = leaf_hash
        self._dirty.add(index >> 2)

    def leaf(self, index: int) -> bytes:
        """The leaf's hash, ABSENT where none was set. Raises ValueError outside 0..4^depth-1."""
        self._check(index)
        return self._levels[0].get(index, ABSENT)

    def root(self) -> bytes:
        """The root after every write so far, 32 bytes."""
        if self._dirty:
            self._rehash()
        return self._levels[self.depth].get(0, EMPTY[self.depth])

    def proof(self, index: int) -> list[bytes]:
        """The 3 · depth siblings of a leaf, set or absent. Raises ValueError outside 0..4^depth-1."""
        self._check(index)
        if self._dirty:
            self._rehash()
        siblings = []
        for level in range(self.depth):
            nodes, empty = self._levels[level], EMPTY[level]
            first = index & ~3
            siblings += [nodes.get(child, empty) for child in range(first, first + 4) if child != index]
            index >>= 2
        return siblings

    def node(self, level: int, index: int) -> bytes:
        """The hash of a node, leaves at level 0. Raises ValueError outside the tree."""
        self._check(index << 2 * level)
        if self._dirty:
            self._rehash()
        return self._levels[level].get(index, EMPTY[level])

    def copy(self) -> "Tree":
        """An independent tree with the same leaves."""
        twin = Tree(self.depth)
        twin._levels = [dict(nodes) for nodes in self._levels]
        twin._dirty = set(self._dirty)
        return twin

    def _rehash(self) -> None:
        dirty = self._dirty
        for level in range(1, self.depth + 1):
            below, nodes = self._levels[level - 1], self._levels[level]
            child_empty, empty = EMPTY[level - 1], EMPTY[level]
            above = set()
            for node in dirty:
                first = node << 2
                hashed = keccak(
                    _NODE
                    + below.get(first, child_empty)
                    + below.get(first + 1, child_empty)
                    + below.get(first + 2, child_empty)
                    + below.get(first + 3, child_empty)
                )
                if hashed == empty:
                    nodes.pop(node, None)
                else:
                    nodes[node] = hashed
                above.add(node >> 2)
            dirty = above
        self._dirty = set()

    def _check(self, index: int) -> None:
        if not 0 <= index < 1 << 2 * self.depth:
            raise ValueError(f"index {index} is outside a tree of depth {self.depth}")


def root_from_proof(index: int, leaf_hash: bytes, siblings: Sequence[bytes]) -> bytes:
    """The root that holds the leaf beside these siblings, three a level.

    Raises ValueError when the siblings are not whole levels or the index is outside such a tree.
    """
    if len(siblings) % 3:
        raise ValueError(f"{len(siblings)} siblings are not three a level")
    node = leaf_hash
    rest = index
    for first in range(0, len(siblings), 3):
        children = list(siblings[first : first + 3])
        children.insert(rest & 3, node)
        node = keccak(_NODE + b"".join(children))
        rest >>= 2
    if rest:
        raise ValueError(f"index {index} is outside a tree with {len(siblings)} siblings a leaf")
    return node


def list_root(leaves: Sequence[bytes], depth: int) -> bytes:
    """The root of a tree whose first leaves are these hashes, 32 bytes each, in order; about a third as many hashes.

    Raises ValueError when there are more than 4^depth, or one is not a hash.
    """
    if len(leaves) > 1 << 2 * depth:
        raise ValueError(f"{len(leaves)} leaves do not fit a tree of depth {depth}")
    if any(len(leaf) != 32 for leaf in leaves):
        raise ValueError("a leaf hash has 32 bytes")
    if not leaves:
        return EMPTY[depth]
    level = list(leaves)
    for height in range(depth):
        level += [EMPTY[height]] * (-len(level) & 3)
        level = [keccak(_NODE + b"".join(level[first : first + 4])) for first in range(0, len(level), 4)]
    return level[0]
