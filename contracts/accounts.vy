# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title The two accounts before the entry, opened, with their slots and sessions
@license Apache-2.0
@notice And what the first half of the Referee hands to the second.
@dev The Python twin is src/penstock/spec/referee/leaves.py. Leaves are the challenger's: what is not a leaf that the
     venue's rules can have written reverts, and convicts nobody.
"""

import commands
import entries
import openings
import reading

uses: openings

HEAD_BYTES: constant(uint256) = 128
MAX_POSITIONS: constant(uint256) = 32
SLOT_BYTES: constant(uint256) = 64
SLOTS_DEPTH: constant(uint256) = 6
SESSIONS_DEPTH: constant(uint256) = 3
BY_OWNER_KEY: constant(uint256) = 255
SCOPE_TRADE: constant(uint256) = 1
MICRO: constant(uint256) = 1_000_000
LOW_8: constant(uint256) = 2 ** 8 - 1
LOW_12: constant(uint256) = 2 ** 12 - 1
LOW_40: constant(uint256) = 2 ** 40 - 1
LOW_48: constant(uint256) = 2 ** 48 - 1
LOW_64: constant(uint256) = 2 ** 64 - 1

struct Side:
    leaf_at: uint256
    present: bool
    owner: uint256
    positions: uint256
    cash: int256
    # Whether its signer is the owner, or a live session key that may do this; but for the taker's underlyings and
    # kinds, which are compared with the market's, unless the owner signed.
    authorised: bool
    by_owner: bool
    underlyings: uint256
    kinds: uint256
    # Whether its order's slot allows the fill; the slots' root after it, and the sessions'.
    slot_fits: bool
    slots_root: bytes32
    sessions_root: bytes32
    # What its order says.
    reduce_only: bool
    max_fee_ppm: uint256

# How far the entry, its commands and its accounts have brought the judge. With a finding the rest is not looked at.
struct Opened:
    finding: uint8
    # Where the markets begin in the calldata.
    at: uint256
    entry: entries.Entry
    first: bool
    time: uint256
    builder_fits: bool
    maker: Side
    taker: Side
    pre_root: bytes32
    post_root: bytes32
    # What the batch stands for, where this is its last step.
    is_last: bool
    settlement_root: bytes32

# What a fill asks of a slot: the order's size, and the slot leaf it leaves, but for what has been filled.
struct Fill:
    slot: uint256
    size: uint256
    order_size: uint256
    leaf: uint256
    order_hash: bytes32


@internal
@view
def _open(start: uint256, entry: entries.Entry, shown: commands.Shown) -> (uint256, Side, Side):
    """
    @notice account leaves of maker and taker · slot and session of each.
    """
    maker: Side = empty(Side)
    taker: Side = empty(Side)
    at: uint256 = 0
    grant: uint256 = 0
    at, maker = self._open_account(start)
    at, taker = self._open_account(at)
    if maker.present:
        priority: uint256 = (entry.maker_priority << 8) | entry.maker_priority_member
        at, maker = self._open_slot(
            at, maker, self._fill_of(entry, shown.making, entry.maker_slot, priority, entry.maker_hash)
        )
        at, maker, grant = self._open_session(
            at, maker, entry.maker_session, shown.maker_signer, shown.time, entry.maker_sequence
        )
        maker.reduce_only = shown.making.reduce_only == 1
        maker.max_fee_ppm = shown.making.max_fee_ppm
    if taker.present:
        if entry.liquidation:
            # By nobody's key, which is said as the owner's.
            taker.slot_fits = True
            taker.reduce_only = True
            taker.authorised = True
            taker.by_owner = True
        else:
            priority: uint256 = (entry.sequence << 8) | entry.member
            at, taker = self._open_slot(
                at, taker, self._fill_of(entry, shown.taking, entry.taker_slot, priority, entry.taker_hash)
            )
            at, taker, grant = self._open_session(
                at, taker, entry.taker_session, shown.taker_signer, shown.time, entry.sequence
            )
            taker.authorised = taker.authorised and (taker.by_owner or self._covers(grant, entry.taker_slot))
            taker.reduce_only = shown.taking.reduce_only == 1
            taker.max_fee_ppm = shown.taking.max_fee_ppm
    return at, maker, taker


@internal
@view
def _open_account(start: uint256) -> (uint256, Side):
    """
    @notice length u16, 0 where there is no such account · leaf.
    """
    side: Side = empty(Side)
    length: uint256 = reading._word(start) >> 240
    side.leaf_at = start + 2
    side.present = length > 0
    if side.present:
        first: uint256 = reading._word(side.leaf_at)
        side.owner = first >> 96
        side.positions = first & LOW_8
        whole: bool = side.positions <= MAX_POSITIONS and length == HEAD_BYTES + 32 * side.positions
        assert whole, "referee: the account leaf is cut"
        side.cash = reading._signed(reading._word(side.leaf_at + 32) >> 160, 2 ** 95)
        side.slots_root = convert(reading._word(side.leaf_at + 64), bytes32)
        side.sessions_root = convert(reading._word(side.leaf_at + 96), bytes32)
    return side.leaf_at + length, side


@internal
@pure
def _fill_of(
    entry: entries.Entry, order: commands.Order, slot: uint256, priority: uint256, order_hash: bytes32
) -> Fill:
    """
    @notice The fill; with the first word of the slot leaf that the order leaves, with nothing filled.
    """
    flags: uint256 = order.side | (order.time_in_force << 1) | (order.post_only << 2) | (order.reduce_only << 3)
    return Fill(
        slot=slot,
        size=entry.size,
        order_size=order.size,
        leaf=(order.nonce << 192) | (order.price << 104) | (priority << 32) | flags,
        order_hash=order_hash,
    )


@internal
@view
def _open_slot(start: uint256, opened: Side, fill: Fill) -> (uint256, Side):
    """
    @notice present u8 · leaf · opening. Whether the slot allows the fill, and the slots' root after it.
    """
    side: Side = opened
    at: uint256 = start + 1
    old: uint256 = 0
    old_order: bytes32 = empty(bytes32)
    old_leaf: bytes32 = empty(bytes32)
    if reading._byte(start) != 0:
        old = reading._word(at)
        old_order = convert(reading._word(at + 32), bytes32)
        old_leaf = keccak256(concat(0x04, convert(old, bytes32), old_order))
        at += SLOT_BYTES
    filled: uint256 = fill.size
    side.slot_fits = fill.leaf >> 192 >= old >> 192
    if fill.leaf >> 192 == old >> 192:
        filled += (old >> 144) & LOW_48
        same: bool = old_order == fill.order_hash
        # The place in the queue: priority_sequence u64 · member u8.
        side.slot_fits = same and (old >> 32) & (2 ** 72 - 1) == (fill.leaf >> 32) & (2 ** 72 - 1)
    if filled > fill.order_size:
        side.slot_fits = False
    new_leaf: bytes32 = old_leaf
    if side.slot_fits:
        new_leaf = keccak256(concat(0x04, convert(fill.leaf | (filled << 144), bytes32), fill.order_hash))
    root: bytes32 = empty(bytes32)
    at, root, new_leaf = openings._climb_one(at, 0, SLOTS_DEPTH, fill.slot, old_leaf, new_leaf)
    assert root == side.slots_root, "referee: the slot is not the account's"
    side.slots_root = new_leaf
    return at, side


@internal
@view
def _open_session(
    start: uint256, opened: Side, session: uint256, signer: uint256, time: uint256, sequence: uint256
) -> (uint256, Side, uint256):
    """
    @notice Nothing for the owner's own key; else present u8 · leaf · opening. Whether the signer is the owner, or the
            live session key that is named, as it was at this sequence; and the first word of that session's leaf.
    """
    side: Side = opened
    if session == BY_OWNER_KEY:
        side.by_owner = True
        side.authorised = signer == side.owner
        return start, side, 0
    at: uint256 = start + 1
    first: uint256 = 0
    leaf: bytes32 = empty(bytes32)
    if reading._byte(start) != 0:
        first = reading._word(at)
        second: uint256 = reading._word(at + 32)
        side.underlyings = second >> 192
        side.kinds = (second >> 184) & LOW_8
        expiry: uint256 = (first >> 56) & LOW_40
        lives: bool = (second >> 56) & LOW_64 == 0 and time < expiry * MICRO
        side.authorised = lives and first >> 96 == signer and (second >> 120) & LOW_64 <= sequence
        leaf = keccak256(concat(0x05, convert(first, bytes32), convert(second, bytes32)))
        at += 64
    root: bytes32 = empty(bytes32)
    at, root, leaf = openings._climb_one(at, 0, SESSIONS_DEPTH, session, leaf, leaf)
    assert root == side.sessions_root, "referee: the session is not the account's"
    return at, side, first


@internal
@pure
def _covers(grant: uint256, slot: uint256) -> bool:
    """
    @notice Whether a session's scopes and slots cover an order in this slot.
    """
    if grant & SCOPE_TRADE == 0:
        return False
    return slot >= (grant >> 44) & LOW_12 and slot <= (grant >> 32) & LOW_12
