"""Opening several leaves of one tree at once, and what its root becomes when they change.

An opening is, level by level from the leaves, for each parent of what is known in ascending order: a mask byte
(bit c: child c is given) and the given children, 32 bytes each. A child neither known nor given is the empty
subtree. The Vyper twin is contracts/openings.vy.
"""

from collections.abc import Mapping, Sequence

from penstock.protocol.words import keccak
from penstock.spec.merkle import EMPTY, Tree


class OpeningWrong(Exception):
    """The bytes are no opening of these leaves. Says nothing about the leaves."""


def open_leaves(tree: Tree, indices: Sequence[int]) -> bytes:
    """The opening of these leaves, set or absent. Raises ValueError for an index outside the tree."""
    known = sorted(set(indices))
    parts = []
    for level in range(tree.depth):
        parents = sorted({index >> 2 for index in known})
        for parent in parents:
            children = range(parent << 2, (parent << 2) + 4)
            given = [c for c in children if c not in known and tree.node(level, c) != EMPTY[level]]
            parts.append(bytes([sum(1 << (c & 3) for c in given)]))
            parts += [tree.node(level, c) for c in given]
        known = parents
    return b"".join(parts)


def climb(opening: bytes, at: int, depth: int, leaves: Mapping[int, tuple[bytes, bytes]]) -> tuple[int, bytes, bytes]:
    """Where the opening ends, and the root with the old and with the new leaf hashes.

    `leaves` maps an index to its (old, new) hash. Raises OpeningWrong when the bytes end early or a mask names a
    child that is known.
    """
    known = dict(leaves)
    for level in range(depth):
        above: dict[int, tuple[bytes, bytes]] = {}
        for parent in sorted({index >> 2 for index in known}):
            if at >= len(opening):
                raise OpeningWrong("an opening ends early")
            mask, at = opening[at], at + 1
            children = []
            for child in range(4):
                node = known.get(parent << 2 | child)
                if mask >> child & 1:
                    given, at = opening[at : at + 32], at + 32
                    if node is not None or len(given) != 32:
                        raise OpeningWrong("an opening gives a child that is known, or ends early")
                    node = given, given
                children.append(node or (EMPTY[level], EMPTY[level]))
            if mask >> 4:
                raise OpeningWrong("an opening's mask has bits above four children")
            above[parent] = _parent([old for old, _ in children]), _parent([new for _, new in children])
        known = above
    if list(known) != [0]:
        raise OpeningWrong("a leaf is outside its tree")
    return at, *known[0]


def _parent(children: list[bytes]) -> bytes:
    return keccak(b"\x02" + b"".join(children))
