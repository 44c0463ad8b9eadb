# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title What was sequenced, opened: the record and signature at a sequence number, and whether a trade may rest on them
@license Apache-2.0
@dev The Python twin is src/penstock/spec/referee/commands.py.
"""

import batches
import entries
import findings
import openings
import reading

uses: openings

PLACE_TYPEHASH: constant(bytes32) = keccak256(
    "PlaceOrder(uint24 subaccount,uint16 slot,uint64 nonce,uint64 deadline,uint24 market,uint8 side,uint40 price,uint48 size,uint48 fill_guard,uint8 time_in_force,bool post_only,bool reduce_only,uint24 max_fee_ppm,uint24 builder,uint24 builder_fee_ppm)"
)
BUNDLE_TYPEHASH: constant(bytes32) = keccak256(
    "Bundle(bytes32 root,uint8 count,uint8 mode,uint24 subaccount,uint64 deadline)"
)
LIQUIDATE_TYPEHASH: constant(bytes32) = keccak256("Liquidate(uint24 subaccount)")
DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PLACE_BYTES: constant(uint256) = 16 * 32
BUNDLE_BYTES: constant(uint256) = 6 * 32
LIQUIDATE_BYTES: constant(uint256) = 2 * 32
SIGNATURE_BYTES: constant(uint256) = 85
CURVE_ORDER: constant(uint256) = (
    115792089237316195423570985008687907852837564279074904382605163141518161494337
)
HALF_CURVE_ORDER: constant(uint256) = CURVE_ORDER // 2
# What two recoveries need and more: a call that runs out of gas may not look like a signature that is none.
RECOVERY_GAS: constant(uint256) = 20_000
INDEPENDENT: constant(uint256) = 0
BUY: constant(uint256) = 0
GOOD_TIL_CANCELLED: constant(uint256) = 0
IMMEDIATE_OR_CANCEL: constant(uint256) = 1
DEEPEST_PATH: constant(uint256) = 6
MAX_BUILDER_FEE_PPM: constant(uint256) = 1_000
PPM: constant(uint256) = 1_000_000
NOTHING: constant(uint256) = 0
SIGNATURES: constant(uint256) = 1
SIGNATURES_HASH: constant(uint256) = 2

struct Command:
    time: uint256
    record_at: uint256
    record_bytes: uint256
    record_hash: bytes32
    signed: bool
    signatures_at: uint256
    signatures_bytes: uint256
    # The record at the entry's place in a bundle, proven; or the record itself.
    member_at: uint256
    member_bytes: uint256
    member_hash: bytes32
    well_placed: bool
    bundled: bool
    bundle_subaccount: uint256
    bundle_deadline: uint256

struct Order:
    subaccount: uint256
    slot: uint256
    nonce: uint256
    deadline: uint256
    market: uint256
    side: uint256
    price: uint256
    size: uint256
    time_in_force: uint256
    post_only: uint256
    reduce_only: uint256
    max_fee_ppm: uint256
    builder: uint256
    builder_fee_ppm: uint256

# What the commands have shown: venue time, orders, signers. A liquidation has no taking order.
struct Shown:
    time: uint256
    taking: Order
    taker_signer: uint256
    making: Order
    maker_signer: uint256


@internal
@view
def _open(
    start: uint256, batch: batches.Batch, sequence: uint256, member: uint256, order: bool
) -> (uint256, Command):
    """
    @notice form u8 (0 nothing is sequenced there, 1 signatures, 2 their hash) · time u64 · signatures (u16 length) or
            their hash · record (u16 length) · hash of its members' hashes · a bundle's member (u16 length) and its
            path · opening.
    """
    command: Command = empty(Command)
    leaf: bytes32 = empty(bytes32)
    at: uint256 = start + 1
    form: uint256 = reading._byte(start)
    assert form <= SIGNATURES_HASH, "referee: a command's form is unknown"
    if form != NOTHING:
        command.time = reading._word(at) >> 192
        signatures_hash: bytes32 = convert(reading._word(at + 8), bytes32)
        at += 40
        if form == SIGNATURES:
            command.signed = True
            command.signatures_bytes = convert(signatures_hash, uint256) >> 240
            command.signatures_at = at - 30
            signatures_hash = reading._piece_hash(at - 30, command.signatures_bytes)
            at = command.signatures_at + command.signatures_bytes
        command.record_bytes = reading._word(at) >> 240
        command.record_at = at + 2
        command.record_hash = reading._piece_hash(at + 2, command.record_bytes)
        at += 2 + command.record_bytes
        members_hash: bytes32 = convert(reading._word(at), bytes32)
        at, command = self._place(at + 32, command, member, order)
        # Nothing is sequenced after the last command, whose time the batch bears.
        command.well_placed = command.well_placed and command.time <= convert(batch.time, uint256)
        leaf = keccak256(
            concat(
                0x0b,
                convert(convert(sequence, uint64), bytes8),
                convert(convert(command.time, uint64), bytes8),
                command.record_hash,
                signatures_hash,
                members_hash,
            )
        )
    root: bytes32 = empty(bytes32)
    index: uint256 = sequence - convert(batch.first_sequence, uint256)
    at, root, leaf = openings._climb_one(at, 0, entries.LIST_DEPTH, index, leaf, leaf)
    assert root == batch.sequence_root, "referee: the command is not the one sequenced there"
    return at, command


@internal
@view
def _order_of(command: Command, order_hash: bytes32) -> (bool, Order):
    """
    @notice The order that was sequenced there, if it is one and has this hash.
    """
    if not command.well_placed or command.member_hash != order_hash:
        return False, empty(Order)
    at: uint256 = command.member_at
    if command.member_bytes != PLACE_BYTES or convert(reading._word(at), bytes32) != PLACE_TYPEHASH:
        return False, empty(Order)
    order: Order = Order(
        subaccount=reading._word(at + 32),
        slot=reading._word(at + 64),
        nonce=reading._word(at + 96),
        deadline=reading._word(at + 128),
        market=reading._word(at + 160),
        side=reading._word(at + 192),
        price=reading._word(at + 224),
        size=reading._word(at + 256),
        time_in_force=reading._word(at + 320),
        post_only=reading._word(at + 352),
        reduce_only=reading._word(at + 384),
        max_fee_ppm=reading._word(at + 416),
        builder=reading._word(at + 448),
        builder_fee_ppm=reading._word(at + 480),
    )
    excess: uint256 = (order.subaccount | order.market | order.max_fee_ppm) >> 24
    excess |= ((order.builder | order.builder_fee_ppm) >> 24) | (order.slot >> 16)
    excess |= ((order.nonce | order.deadline) >> 64) | ((order.side | order.time_in_force) >> 8)
    excess |= (order.price >> 40) | ((order.size | reading._word(at + 288)) >> 48)
    excess |= (order.post_only | order.reduce_only) >> 1
    if excess != 0 or (command.bundled and command.bundle_subaccount != order.subaccount):
        return False, empty(Order)
    return True, order


@internal
@view
def _liquidates(command: Command, subaccount: uint256) -> bool:
    """
    @notice Whether the poke sequenced there is to liquidate this subaccount.
    """
    if not command.well_placed or command.record_bytes != LIQUIDATE_BYTES:
        return False
    if convert(reading._word(command.record_at), bytes32) != LIQUIDATE_TYPEHASH:
        return False
    return reading._word(command.record_at + 32) == subaccount


@internal
@view
def _signer_of(command: Command, vault: address) -> uint256:
    """
    @notice Who signed, as a number, or zero when the command does not carry exactly one good signature.
    @dev The domain is computed anew, so that a fork of the chain does not judge by the other's.
    """
    assert command.signed, "referee: the signature is missing"
    if command.signatures_bytes != SIGNATURE_BYTES:
        return 0
    at: uint256 = command.signatures_at
    signer: uint256 = reading._word(at) >> 96
    r: uint256 = reading._word(at + 20)
    s: uint256 = reading._word(at + 52)
    v: uint256 = reading._byte(at + 84)
    if r == 0 or r >= CURVE_ORDER or s == 0 or s > HALF_CURVE_ORDER or (v != 27 and v != 28):
        return 0
    domain: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPEHASH, keccak256("Penstock"), keccak256("1"), chain.id, vault)
    )
    digest: bytes32 = keccak256(concat(0x1901, domain, command.record_hash))
    assert msg.gas > RECOVERY_GAS, "referee: not enough gas to recover a signer"
    # v only tells which parity to try first. Where nothing recovers the answer is zero, which signs for nobody.
    if convert(convert(ecrecover(digest, v, r, s), uint160), uint256) == signer:
        return signer
    if convert(convert(ecrecover(digest, 55 - v, r, s), uint160), uint256) == signer:
        return signer
    return 0


@internal
@pure
def _taker_may(entry: entries.Entry, order: Order, command: Command) -> bool:
    """
    @notice Whether the order allows this trade as an aggressor.
    """
    if order.subaccount != entry.taker or order.slot != entry.taker_slot:
        return False
    if order.market != entry.market or order.side != entry.side:
        return False
    fits: bool = entry.price <= order.price if entry.side == BUY else entry.price >= order.price
    return (
        fits
        and order.post_only == 0
        and order.time_in_force <= IMMEDIATE_OR_CANCEL
        and self._is_in_time(order, command)
    )


@internal
@pure
def _maker_may(entry: entries.Entry, order: Order, command: Command) -> bool:
    """
    @notice Whether the order allows this trade from the book.
    """
    if order.subaccount != entry.maker or order.slot != entry.maker_slot:
        return False
    if order.market != entry.market or order.side != 1 - entry.side or order.price != entry.price:
        return False
    return order.time_in_force == GOOD_TIL_CANCELLED and self._is_in_time(order, command)


@internal
@pure
def _builder_fits(entry: entries.Entry, order: Order) -> bool:
    """
    @notice Whether the builder is the one the order names, and gets what it says; in a liquidation, which has no order,
            nobody. That there is such a builder is by replay only.
    """
    if order.builder_fee_ppm > MAX_BUILDER_FEE_PPM or (order.builder == 0 and order.builder_fee_ppm > 0):
        return False
    fee: uint256 = (entry.size * entry.price * order.builder_fee_ppm + PPM - 1) // PPM
    return entry.builder == order.builder and entry.builder_fee == convert(fee, int256)


@internal
@pure
def _is_in_time(order: Order, command: Command) -> bool:
    if command.bundled and command.time > command.bundle_deadline:
        return False
    return command.time <= order.deadline


@internal
@view
def _place(start: uint256, opened: Command, member: uint256, order: bool) -> (uint256, Command):
    """
    @notice Find the record that stands at the entry's place: itself, or a member of the bundle it is.
    """
    command: Command = opened
    command.member_at = command.record_at
    command.member_bytes = command.record_bytes
    command.member_hash = command.record_hash
    command.well_placed = member == 0
    at: uint256 = command.record_at
    if not order or command.record_bytes != BUNDLE_BYTES:
        return start, command
    if convert(reading._word(at), bytes32) != BUNDLE_TYPEHASH:
        return start, command
    count: uint256 = reading._word(at + 64)
    mode: uint256 = reading._word(at + 96)
    command.bundle_subaccount = reading._word(at + 128)
    command.bundle_deadline = reading._word(at + 160)
    canonical: bool = command.bundle_subaccount >> 24 == 0 and command.bundle_deadline >> 64 == 0
    command.well_placed = canonical and member < count and count <= entries.MAX_BUNDLE and mode == INDEPENDENT
    if not command.well_placed:
        return start, command
    command.bundled = True
    command.member_bytes = reading._word(start) >> 240
    command.member_at = start + 2
    command.member_hash = reading._piece_hash(start + 2, command.member_bytes)
    root: bytes32 = convert(reading._word(at + 32), bytes32)
    return self._prove(start + 2 + command.member_bytes, root, command.member_hash, member), command


@internal
@view
def _prove(start: uint256, root: bytes32, record_hash: bytes32, index: uint256) -> uint256:
    """
    @notice Where the path of a bundle's member ends: depth u8 · its siblings. The path must lead to the root.
    """
    depth: uint256 = reading._byte(start)
    fits: bool = depth <= DEEPEST_PATH and index >> depth == 0
    assert fits, "referee: a bundle's path is too long or too short"
    at: uint256 = start + 1
    node: bytes32 = keccak256(concat(0x00, record_hash))
    for level: uint256 in range(depth, bound=DEEPEST_PATH):
        sibling: bytes32 = convert(reading._word(at), bytes32)
        at += 32
        if (index >> level) & 1 == 1:
            node = keccak256(concat(0x01, sibling, node))
        else:
            node = keccak256(concat(0x01, node, sibling))
    assert node == root, "referee: the member is not in the bundle"
    return at


@internal
@view
def _authored(
    command: Command, entry: entries.Entry, takes: bool, order_hash: bytes32, vault: address, first: uint8
) -> (uint8, Order, uint256):
    """
    @notice The order and its signer; or, from `first` on, which of three is wrong: command, signature, order.
    """
    found: bool = False
    order: Order = empty(Order)
    found, order = self._order_of(command, order_hash)
    if not found:
        return first, order, 0
    signer: uint256 = self._signer_of(command, vault)
    if signer == 0:
        return first + 1, order, 0
    allowed: bool = False
    if takes:
        allowed = self._taker_may(entry, order, command)
    else:
        allowed = self._maker_may(entry, order, command)
    return (findings.HONEST if allowed else first + 2), order, signer
