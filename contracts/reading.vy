# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Reading the witness where it lies, in the calldata of judge(batch, maker_batch, witness)
@license Apache-2.0
@notice Positions are offsets into msg.data. What lies beyond it cannot be read and reverts; that a verdict used
        nothing beyond the witness itself is asserted once, by `_assert_inside`.
"""

BATCH_AT: constant(uint256) = 4
BATCH_BYTES: constant(uint256) = 14 * 32
MAKER_BATCH_AT: constant(uint256) = BATCH_AT + BATCH_BYTES
OFFSET_AT: constant(uint256) = MAKER_BATCH_AT + BATCH_BYTES
LENGTH_AT: constant(uint256) = OFFSET_AT + 32
WITNESS_AT: constant(uint256) = LENGTH_AT + 32
# The longest witness there can be: 65 markets of eight tiers, no two of them near each other in a full tree.
MAX_WITNESS: constant(uint256) = 74_496
# What the first half hands to the second.
OPENED_BYTES: constant(uint256) = 67 * 32


@internal
@view
def _start() -> uint256:
    """
    @notice Where the witness begins. The arguments must be encoded as every encoder does it, or what is read
            here would not be what was given.
    """
    assert self._word(OFFSET_AT) == LENGTH_AT - BATCH_AT, "referee: arguments encoded otherwise"
    return WITNESS_AT


@internal
@view
def _assert_inside(at: uint256):
    """
    @notice Refuse a reading that ran over the end of the witness.
    """
    assert at <= WITNESS_AT + self._word(LENGTH_AT), "referee: the witness ends early"


@internal
@view
def _word(at: uint256) -> uint256:
    return convert(slice(msg.data, at, 32), uint256)


@internal
@view
def _byte(at: uint256) -> uint256:
    return convert(slice(msg.data, at, 1), uint256)


@internal
@view
def _short_piece(at: uint256, length: uint256) -> Bytes[255]:
    # The window ends with the calldata at the latest, so that no bytes need to follow the piece.
    start: uint256 = min(at, len(msg.data) - 255)
    return slice(slice(msg.data, start, 255), at - start, length)


@internal
@view
def _piece_hash(at: uint256, length: uint256) -> bytes32:
    """
    @notice keccak256 of a piece of at most 512 bytes: a record, or signatures.
    """
    assert length <= 512, "referee: a piece is too long"
    start: uint256 = min(at, len(msg.data) - 512)
    return keccak256(slice(slice(msg.data, start, 512), at - start, length))


@internal
@view
def _positions(at: uint256, count: uint256) -> Bytes[1024]:
    """
    @notice The position words of an account leaf, at most 32.
    """
    # 1,024 bytes of witness have not been read yet where the first account leaf lies, but 964 of arguments have.
    start: uint256 = min(at, len(msg.data) - 1024)
    return slice(slice(msg.data, start, 1024), at - start, 32 * count)


@internal
@pure
def _signed(number: uint256, sign: uint256) -> int256:
    """
    @notice The two's complement of a packed field; `sign` is its highest bit, and nothing lies above it.
    """
    return convert(number ^ sign, int256) - convert(sign, int256)


@internal
@pure
def _low_bits(number: int256, mask: uint256) -> uint256:
    """
    @notice The low bits of a signed number, as packed fields hold them; `convert` to uint256 would revert.
    """
    return convert(convert(number, bytes32), uint256) & mask
