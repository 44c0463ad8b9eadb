# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Opening leaves of the 4-ary trees, and what the root becomes when they change
@license Apache-2.0
@notice An opening is, level by level from the leaves, for each parent of what is known in ascending order: a mask
        byte (bit c: child c is given) and the given children. A child neither known nor given is the empty subtree.
@dev The Python twin is src/penstock/spec/multiproof.py.
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
    for level: uint256 in range(first, depth, bound=DEEPEST):
        mask: uint256 = convert(slice(msg.data, at, 1), uint256)
        known: uint256 = index & 3
        changed: bool = new != old
        at += 1
        old = self._parent(at, level, mask, known, old)
        if changed:
            new = self._parent(at, level, mask, known, new)
        else:
            new = old
        at += self._given(mask)
        index >>= 2
    assert index == 0, "referee: a leaf is outside its tree"
    return at, old, new


@internal
@view
def _climb_two(
    start: uint256, depth: uint256, low: uint256, high: uint256, old_leaves: bytes32[2], new_leaves: bytes32[2]
) -> (uint256, bytes32, bytes32):
    """
    @notice The same for two leaves, the lower index first.
    """
    at: uint256 = start
    old: bytes32[2] = old_leaves
    new: bytes32[2] = new_leaves
    indices: uint256[2] = [low, high]
    for level: uint256 in range(depth, bound=DEEPEST):
        if indices[0] >> 2 == indices[1] >> 2:
            mask: uint256 = convert(slice(msg.data, at, 1), uint256)
            at += 1
            children: bytes32[4] = self._children(at, level, mask)
            known: uint256 = (1 << (indices[0] & 3)) | (1 << (indices[1] & 3))
            assert mask & known == 0, "referee: an opening's mask is wrong"
            children[indices[0] & 3] = old[0]
            children[indices[1] & 3] = old[1]
            old[0] = keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
            children[indices[0] & 3] = new[0]
            children[indices[1] & 3] = new[1]
            new[0] = keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
            at += self._given(mask)
            return self._climb_one(at, level + 1, depth, indices[0] >> 2, old[0], new[0])
        for which: uint256 in range(2):
            mask: uint256 = convert(slice(msg.data, at, 1), uint256)
            known: uint256 = indices[which] & 3
            changed: bool = new[which] != old[which]
            at += 1
            old[which] = self._parent(at, level, mask, known, old[which])
            if changed:
                new[which] = self._parent(at, level, mask, known, new[which])
            else:
                new[which] = old[which]
            at += self._given(mask)
            indices[which] >>= 2
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
            at += 1
            next: uint256 = child + 1
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
                    next += 1
                known.hashes[parent] = keccak256(
                    concat(0x02, children[0], children[1], children[2], children[3])
                )
                if new_place < 4:
                    change = parent
                    children[new_place] = new
                    new = keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
            at += self._given(mask)
            known.indices[parent] = place
            parent += 1
            child = next
            if child == count:
                break
        known.count = parent
    assert known.count == 1 and known.indices[0] == 0, "referee: a leaf is outside its tree"
    return at, known.hashes[0], new


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
            at += 32
    return children


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
    absent: bytes32 = EMPTY[level]
    children: bytes32[4] = [absent, absent, absent, absent]
    if mask != 0:
        assert (mask >> known) & 1 == 0, "referee: an opening's mask is wrong"
        children = self._children(at, level, mask)
    children[known] = node
    return keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
