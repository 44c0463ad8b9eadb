# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Opening leaves of the 4-ary trees, and what the root becomes when they change
@license Apache-2.0
@notice An opening is, level by level from the leaves, for each parent of what is known in ascending order: a mask
        byte (bit c: child c is given) and the given children. A child neither known nor given is the empty subtree.
@dev The Python twin is src/penstock/spec/multiproof.py. Offsets and counters are added unchecked: nothing beyond the
     calldata can be read, and the loops are bounded.
"""

import reading

MAX_LEAVES: constant(uint256) = 65
DEEPEST: constant(uint256) = 12

# Four bits for each mask: how many children it gives.
GIVEN: constant(uint256) = 4_841_987_667_533_046_032

struct Leaves:
    count: uint256
    # Ascending, none twice.
    indices: uint256[MAX_LEAVES]
    hashes: bytes32[MAX_LEAVES]

EMPTY: immutable(bytes32[DEEPEST])


@deploy
def __init__():
    """
    @notice Hash the empty subtrees once.
    """
    roots: bytes32[DEEPEST] = empty(bytes32[DEEPEST])
    for level: uint256 in range(1, DEEPEST):
        below: bytes32 = roots[level - 1]
        roots[level] = keccak256(concat(0x02, below, below, below, below))
    EMPTY = roots


@internal
@view
def _climb_one(
    start: uint256, first: uint256, depth: uint256, leaf: uint256, old_leaf: bytes32, new_leaf: bytes32
) -> (uint256, bytes32, bytes32):
    """
    @notice Where the opening of one node ends, and the roots with its old and its new hash.
    @param first The node's level; 0 for a leaf.
    """
    at: uint256 = start
    index: uint256 = leaf
    old: bytes32 = old_leaf
    new: bytes32 = new_leaf
    # Where the nodes differ, so do their parents.
    changed: bool = new != old
    for level: uint256 in range(first, depth, bound=DEEPEST):
        mask: uint256 = convert(slice(msg.data, at, 1), uint256)
        known: uint256 = index & 3
        at = unsafe_add(at, 1)
        old = self._parent(at, level, mask, known, old)
        if changed:
            new = self._parent(at, level, mask, known, new)
        at = unsafe_add(at, self._given(mask))
        index >>= 2
    assert index == 0, "referee: a leaf is outside its tree"
    if not changed:
        return at, old, old
    return at, old, new


@internal
@view
def _climb_two(
    start: uint256, depth: uint256, first: uint256, second: uint256, old_leaves: bytes32[2], new_leaves: bytes32[2]
) -> (uint256, bytes32, bytes32):
    """
    @notice The same for two leaves, the lower index first.
    """
    at: uint256 = start
    low: uint256 = first
    high: uint256 = second
    old_low: bytes32 = old_leaves[0]
    old_high: bytes32 = old_leaves[1]
    new_low: bytes32 = new_leaves[0]
    new_high: bytes32 = new_leaves[1]
    for level: uint256 in range(depth, bound=DEEPEST):
        if low >> 2 == high >> 2:
            mask: uint256 = convert(slice(msg.data, at, 1), uint256)
            at = unsafe_add(at, 1)
            assert mask & ((1 << (low & 3)) | (1 << (high & 3))) == 0, "referee: an opening's mask is wrong"
            children: bytes32[4] = self._children(at, level, mask)
            at = unsafe_add(at, self._given(mask))
            children[low & 3] = old_low
            children[high & 3] = old_high
            old_low = self._hash(children)
            children[low & 3] = new_low
            children[high & 3] = new_high
            new_low = self._hash(children)
            return self._climb_one(at, level + 1, depth, low >> 2, old_low, new_low)
        at, old_low, new_low = self._step(at, level, low & 3, old_low, new_low)
        at, old_high, new_high = self._step(at, level, high & 3, old_high, new_high)
        low >>= 2
        high >>= 2
    raise "referee: a leaf is outside its tree"


@internal
@view
def _climb_many(  # long: a loop over levels around one over parents, in one frame for the memory's sake
    start: uint256, depth: uint256, leaves: Leaves, changes: uint256, new_leaf: bytes32
) -> (uint256, bytes32, bytes32):
    """
    @notice The same for many leaves, of which one changes: the one at place `changes`.
    """
    at: uint256 = start
    known: Leaves = leaves
    change: uint256 = changes
    new: bytes32 = new_leaf
    for level: uint256 in range(depth, bound=DEEPEST):
        count: uint256 = known.count
        if count == 1:
            return self._climb_one(at, level, depth, known.indices[0], known.hashes[0], new)
        child: uint256 = 0
        parent: uint256 = 0
        changed: uint256 = change
        # The parents take the places of their children, which have been read by then.
        for _: uint256 in range(MAX_LEAVES):
            index: uint256 = known.indices[child]
            hashed: bytes32 = known.hashes[child]
            place: uint256 = index >> 2
            mask: uint256 = convert(slice(msg.data, at, 1), uint256)
            at = unsafe_add(at, 1)
            next: uint256 = unsafe_add(child, 1)
            if next == count or known.indices[next] >> 2 != place:
                known.hashes[parent] = self._parent(at, level, mask, index & 3, hashed)
                if child == changed:
                    change = parent
                    if new == hashed:
                        new = known.hashes[parent]
                    else:
                        new = self._parent(at, level, mask, index & 3, new)
            else:
                children: bytes32[4] = self._children(at, level, mask)
                new_place: uint256 = 4
                for known_child: uint256 in range(4):
                    assert (mask >> (index & 3)) & 1 == 0, "referee: an opening's mask is wrong"
                    children[index & 3] = known.hashes[next - 1]
                    if next - 1 == changed:
                        new_place = index & 3
                    if next == count or known.indices[next] >> 2 != place:
                        break
                    index = known.indices[next]
                    next = unsafe_add(next, 1)
                known.hashes[parent] = self._hash(children)
                if new_place < 4:
                    change = parent
                    children[new_place] = new
                    new = self._hash(children)
            at = unsafe_add(at, self._given(mask))
            known.indices[parent] = place
            parent = unsafe_add(parent, 1)
            child = next
            if child == count:
                break
        known.count = parent
    assert known.count == 1 and known.indices[0] == 0, "referee: a leaf is outside its tree"
    return at, known.hashes[0], new


@internal
@view
def _step(
    start: uint256, level: uint256, known: uint256, old: bytes32, new: bytes32
) -> (uint256, bytes32, bytes32):
    """
    @notice One level up from a node that is known alone.
    """
    mask: uint256 = convert(slice(msg.data, start, 1), uint256)
    given_at: uint256 = unsafe_add(start, 1)
    above: bytes32 = self._parent(given_at, level, mask, known, old)
    at: uint256 = unsafe_add(given_at, self._given(mask))
    if new == old:
        return at, above, above
    return at, above, self._parent(given_at, level, mask, known, new)


@internal
@pure
def _given(mask: uint256) -> uint256:
    """
    @notice How many bytes of children follow a mask.
    """
    return ((GIVEN >> (mask << 2)) & 15) << 5


@internal
@view
def _children(start: uint256, level: uint256, mask: uint256) -> bytes32[4]:
    """
    @notice The given children, and the empty subtree in the places of the others.
    """
    at: uint256 = start
    absent: bytes32 = EMPTY[level]
    children: bytes32[4] = [absent, absent, absent, absent]
    assert mask < 16, "referee: an opening's mask is wrong"
    for child: uint256 in range(4):
        if (mask >> child) & 1 != 0:
            children[child] = convert(slice(msg.data, at, 32), bytes32)
            at = unsafe_add(at, 32)
    return children


@internal
@pure
def _hash(children: bytes32[4]) -> bytes32:
    return keccak256(concat(0x02, children[0], children[1], children[2], children[3]))


@internal
@view
def _parent(at: uint256, level: uint256, mask: uint256, known: uint256, node: bytes32) -> bytes32:
    """
    @notice The hash over one known child and what the mask says of its siblings.
    """
    if mask == 15 ^ (1 << known):
        # Every sibling is given.
        if known == 0:
            return keccak256(concat(0x02, node, slice(msg.data, at, 96)))
        if known == 1:
            return keccak256(concat(0x02, slice(msg.data, at, 32), node, slice(msg.data, at + 32, 64)))
        if known == 2:
            return keccak256(concat(0x02, slice(msg.data, at, 64), node, slice(msg.data, at + 64, 32)))
        return keccak256(concat(0x02, slice(msg.data, at, 96), node))
    if mask == 0:
        # None is, and so all are empty.
        absent: bytes32 = EMPTY[level]
        if known == 0:
            return keccak256(concat(0x02, node, absent, absent, absent))
        if known == 1:
            return keccak256(concat(0x02, absent, node, absent, absent))
        if known == 2:
            return keccak256(concat(0x02, absent, absent, node, absent))
        return keccak256(concat(0x02, absent, absent, absent, node))
    assert (mask >> known) & 1 == 0, "referee: an opening's mask is wrong"
    children: bytes32[4] = self._children(at, level, mask)
    children[known] = node
    return self._hash(children)
