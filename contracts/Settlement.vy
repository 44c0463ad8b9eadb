# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Settlement
@license Apache-2.0
@notice The chain of batches with production windows. Not audited; not for real money.
"""

import batches

initializes: batches

exports: batches.__interface__

SHORTEST_FINALITY_WINDOW: public(constant(uint256)) = 7 * 86_400


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
    @notice Refuse windows too short for a dispute, and a venue without a bond.
    """
    assert finality_window >= SHORTEST_FINALITY_WINDOW, "settlement: finality window below 7 days"
    assert minimum_bond > 0, "settlement: no minimum bond"
    batches.__init__(operator, vault, finality_window, minimum_bond, genesis_root, ruleset)
