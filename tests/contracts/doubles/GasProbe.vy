# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title GasProbe
@license Apache-2.0
@notice Test double. Asks the same question again and again, each time with a little more gas, and says where the
        answers change. It stands for a contract that acts on the verdict.
"""

MOST_ROUNDS: constant(uint256) = 100_000


@external
def sweep(target: address, payload: Bytes[16384], first: uint256, step: uint256, rounds: uint256) -> (
    uint256, uint256, uint256
):
    """
    @notice How many calls failed, how many came back with a verdict of zero, and how many with any other answer.
    @param first Gas of the first call; each later one has `step` more.
    """
    failed: uint256 = 0
    honest: uint256 = 0
    other: uint256 = 0
    for number: uint256 in range(rounds, bound=MOST_ROUNDS):
        success: bool = False
        returned: Bytes[96] = b""
        success, returned = raw_call(
            target,
            payload,
            max_outsize=96,
            gas=first + step * number,
            is_static_call=True,
            revert_on_failure=False,
        )
        if not success:
            failed += 1
        elif len(returned) == 64 and convert(slice(returned, 0, 32), uint256) == 0:
            honest += 1
        else:
            other += 1
    return failed, honest, other
