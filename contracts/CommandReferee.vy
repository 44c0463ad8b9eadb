# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title CommandReferee
@license Apache-2.0
@notice Says what is wrong with a sequenced command on its own: what no gateway lets pass, and what Referee could not
        open because it reads no piece of more than 512 bytes. Not audited; not for real money.
@dev A contract of its own, since its arguments may be as long as an envelope. The Python twin is
     src/penstock/spec/referee/command_alone.py.
"""

import batches
import commands
import entries
import findings
import merkle

from interfaces import IBatches

LONGEST: constant(uint256) = 512
LIST_CAPACITY: constant(uint256) = 4 ** entries.LIST_DEPTH

# A command as it was published. `member` is the one at `place`; 255 stands for none.
struct Published:
    sequence: uint64
    time: uint64
    record: Bytes[65_535]
    signatures: Bytes[21_675]
    member_hashes: DynArray[bytes32, 255]
    place: uint8
    member: Bytes[65_535]
    siblings: DynArray[bytes32, 30]

SETTLEMENT: public(immutable(address))


@deploy
def __init__(settlement: address):
    """
    @notice Judge the batches of this settlement contract.
    """
    SETTLEMENT = settlement


@external
@view
def judge_command(batch: batches.Batch, command: Published) -> uint8:
    """
    @notice HONEST or COMMAND_MALFORMED; reverts for what does not open the batch, and convicts nobody then.
    """
    batch_hash: bytes32 = staticcall IBatches(SETTLEMENT).batch_hash_at(batch.number)
    assert keccak256(abi_encode(batch)) == batch_hash, "referee: no such batch is committed"
    assert command.sequence >= batch.first_sequence, "referee: the command is outside the batch"
    index: uint256 = convert(command.sequence - batch.first_sequence, uint256)
    assert index < LIST_CAPACITY, "referee: the command is outside the batch"
    root: bytes32 = self._root(index, self._leaf(command), command.siblings)
    assert root == batch.sequence_root, "referee: the command is not the one sequenced there"
    place: uint256 = convert(command.place, uint256)
    if place < len(command.member_hashes):
        assert keccak256(command.member) == command.member_hashes[place], "referee: the member is another"
        if len(command.member) > LONGEST:
            return findings.COMMAND_MALFORMED
    return findings.HONEST if self._is_well_formed(command) else findings.COMMAND_MALFORMED


@internal
@pure
def _leaf(command: Published) -> bytes32:
    members_hash: bytes32 = empty(bytes32)
    count: uint256 = len(command.member_hashes)
    if count > 0:
        # An encoded list: where it begins, its length, the hashes.
        encoded: Bytes[64 + 32 * 255] = abi_encode(command.member_hashes)
        members_hash = keccak256(slice(encoded, 64, 32 * count))
    return keccak256(
        concat(
            0x0b,
            convert(command.sequence, bytes8),
            convert(command.time, bytes8),
            keccak256(command.record),
            keccak256(command.signatures),
            members_hash,
        )
    )


@internal
@pure
def _root(index: uint256, leaf: bytes32, siblings: DynArray[bytes32, 30]) -> bytes32:
    assert len(siblings) == 3 * entries.LIST_DEPTH, "referee: thirty siblings are wanted"
    node: bytes32 = leaf
    for level: uint256 in range(entries.LIST_DEPTH):
        first: uint256 = 3 * level
        node = merkle._parent(
            (index >> (2 * level)) & 3, node, siblings[first], siblings[first + 1], siblings[first + 2]
        )
    return node


@internal
@pure
def _is_well_formed(command: Published) -> bool:
    length: uint256 = len(command.record)
    if length > LONGEST:
        return False
    typehash: bytes32 = empty(bytes32)
    if length >= 32:
        typehash = convert(slice(command.record, 0, 32), bytes32)
    once: bool = typehash == commands.PLACE_TYPEHASH or typehash == commands.BUNDLE_TYPEHASH
    if once and len(command.signatures) != commands.SIGNATURE_BYTES:
        return False
    count: uint256 = len(command.member_hashes)
    if typehash != commands.BUNDLE_TYPEHASH or length != commands.BUNDLE_BYTES:
        return count == 0
    if count == 0 or count > entries.MAX_BUNDLE:
        return False
    if convert(slice(command.record, 64, 32), uint256) != count:
        return False
    return self._bundle_root(command.member_hashes) == convert(slice(command.record, 32, 32), bytes32)


@internal
@pure
def _bundle_root(hashes: DynArray[bytes32, 255]) -> bytes32:
    """
    @notice Binary, zero-padded: leaves keccak(0x00 ‖ h), nodes keccak(0x01 ‖ l ‖ r). At most 64, at least one.
    """
    nodes: bytes32[65] = empty(bytes32[65])
    count: uint256 = len(hashes)
    for at: uint256 in range(count, bound=64):
        nodes[at] = keccak256(concat(0x00, hashes[at]))
    for _: uint256 in range(6):
        if count == 1:
            break
        nodes[count] = empty(bytes32)
        count = (count + 1) // 2
        for at: uint256 in range(count, bound=32):
            nodes[at] = keccak256(concat(0x01, nodes[2 * at], nodes[2 * at + 1]))
    return nodes[0]
