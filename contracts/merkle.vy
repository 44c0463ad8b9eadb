# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Inclusion in the 4-ary keccak trees
@license Apache-2.0
@notice A node is keccak256(0x02 ‖ c0 ‖ c1 ‖ c2 ‖ c3); an absent leaf is 32 zero bytes.
        A proof is three siblings a level, from the leaf up, each three in child order.
@dev The Python twin is src/penstock/spec/merkle.py.
"""

ACCOUNTS_DEPTH: constant(uint256) = 12
ACCOUNTS_CAPACITY: constant(uint256) = 4 ** ACCOUNTS_DEPTH


@internal
@pure
def _account_root(index: uint256, leaf_hash: bytes32, siblings: bytes32[3 * ACCOUNTS_DEPTH]) -> bytes32:
    """
    @notice The accounts root that holds `leaf_hash` at `index` beside these siblings.
    """
    # A larger index would lose its high bits below and pass for another account's.
    assert index < ACCOUNTS_CAPACITY, "merkle: index out of range"
    node: bytes32 = leaf_hash
    for level: uint256 in range(ACCOUNTS_DEPTH):
        first: uint256 = 3 * level
        node = self._parent(
            (index >> (2 * level)) & 3, node, siblings[first], siblings[first + 1], siblings[first + 2]
        )
    return node


@internal
@pure
def _parent(position: uint256, child: bytes32, a: bytes32, b: bytes32, c: bytes32) -> bytes32:
    if position == 0:
        return keccak256(concat(0x02, child, a, b, c))
    if position == 1:
        return keccak256(concat(0x02, a, child, b, c))
    if position == 2:
        return keccak256(concat(0x02, a, b, child, c))
    return keccak256(concat(0x02, a, b, c, child))
