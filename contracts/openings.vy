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

struct Leaves:
    count: uint256
    # Ascending, none twice.
    indices: uint256[MAX_LEAVES]
    old: bytes32[MAX_LEAVES]
    new: bytes32[MAX_LEAVES]

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
        mask: uint256 = reading._byte(at)
        known: uint256 = index & 3
        assert mask < 16 and (mask >> known) & 1 == 0, "referee: an opening's mask is wrong"
        at += 1
        absent: bytes32 = EMPTY[level]
        children: bytes32[4] = [absent, absent, absent, absent]
        if mask & 1 != 0:
            children[0] = convert(slice(msg.data, at, 32), bytes32)
            at += 32
        if mask & 2 != 0:
            children[1] = convert(slice(msg.data, at, 32), bytes32)
            at += 32
        if mask & 4 != 0:
            children[2] = convert(slice(msg.data, at, 32), bytes32)
            at += 32
        if mask & 8 != 0:
            children[3] = convert(slice(msg.data, at, 32), bytes32)
            at += 32
        changed: bool = new != old
        children[known] = old
        old = keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
        if changed:
            children[known] = new
            new = keccak256(concat(0x02, children[0], children[1], children[2], children[3]))
        else:
            new = old
        index >>= 2
    assert index == 0, "referee: a leaf is outside its tree"
    return at, old, new


@internal
@view
def _climb(start: uint256, depth: uint256, leaves: Leaves) -> (uint256, bytes32, bytes32):
    """
    @notice Where the opening of all these leaves ends, and the roots with their old and their new hashes.
    """
    at: uint256 = start
    known: Leaves = leaves
    for level: uint256 in range(depth, bound=DEEPEST):
        count: uint256 = known.count
        if count == 1:
            return self._climb_one(at, level, depth, known.indices[0], known.old[0], known.new[0])
        absent: bytes32 = EMPTY[level]
        child: uint256 = 0
        # The parents take the places of their children, which have been read by then.
        for parent: uint256 in range(MAX_LEAVES):
            if child == count:
                break
            mask: uint256 = reading._byte(at)
            assert mask < 16, "referee: an opening's mask is wrong"
            at += 1
            old: bytes32[4] = [absent, absent, absent, absent]
            for sibling: uint256 in range(4):
                if (mask >> sibling) & 1 != 0:
                    old[sibling] = convert(slice(msg.data, at, 32), bytes32)
                    at += 32
            new: bytes32[4] = old
            changed: bool = False
            index: uint256 = known.indices[child]
            place: uint256 = index >> 2
            for _: uint256 in range(4):
                assert (mask >> (index & 3)) & 1 == 0, "referee: an opening's mask is wrong"
                old[index & 3] = known.old[child]
                new[index & 3] = known.new[child]
                changed = changed or known.old[child] != known.new[child]
                child += 1
                if child == count:
                    break
                index = known.indices[child]
                if index >> 2 != place:
                    break
            hashed: bytes32 = keccak256(concat(0x02, old[0], old[1], old[2], old[3]))
            known.indices[parent] = place
            known.old[parent] = hashed
            if changed:
                hashed = keccak256(concat(0x02, new[0], new[1], new[2], new[3]))
            known.new[parent] = hashed
            known.count = parent + 1
    assert known.count == 1 and known.indices[0] == 0, "referee: a leaf is outside its tree"
    return at, known.old[0], known.new[0]
