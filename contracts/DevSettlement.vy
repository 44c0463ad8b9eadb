# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title DevSettlement
@license Apache-2.0
@notice UNSAFE. The chain of batches with any window, even none, for demos and tests only: a wrong root can be
        final before anyone could refute it.
"""

import batches

initializes: batches

exports: batches.__interface__

UNSAFE: public(constant(bool)) = True


@deploy
def __init__(
    operator: address,
    vault: address,
    finality_window: uint256,
    minimum_bond: uint256,
    genesis_root: bytes32,
    ruleset: bytes32,
):
    """
    @notice Take every window as given.
    """
    batches.__init__(operator, vault, finality_window, minimum_bond, genesis_root, ruleset)
