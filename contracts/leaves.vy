# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Leaves before the entry, opened: the two sides with their slots and sessions, the traded market
@license Apache-2.0
@dev The Python twin is src/penstock/spec/referee/leaves.py. Leaves are the challenger's: what is not a leaf that the
     venue's rules can have written reverts, and convicts nobody.
"""

import fills
import openings
import reading

uses: openings

ACCOUNT_HEAD: constant(uint256) = 128
MAX_POSITIONS: constant(uint256) = 32
SLOT_BYTES: constant(uint256) = 64
SLOTS_DEPTH: constant(uint256) = 6
SESSIONS_DEPTH: constant(uint256) = 3
MARKET_BYTES: constant(uint256) = 160
TERMS_BYTES: constant(uint256) = 67
BY_OWNER_KEY: constant(uint256) = 255
MICRO: constant(uint256) = 1_000_000
LOW_8: constant(uint256) = 2 ** 8 - 1
LOW_12: constant(uint256) = 2 ** 12 - 1
LOW_24: constant(uint256) = 2 ** 24 - 1
LOW_32: constant(uint256) = 2 ** 32 - 1
LOW_40: constant(uint256) = 2 ** 40 - 1
LOW_48: constant(uint256) = 2 ** 48 - 1
LOW_56: constant(uint256) = 2 ** 56 - 1
LOW_64: constant(uint256) = 2 ** 64 - 1
LOW_80: constant(uint256) = 2 ** 80 - 1
LOW_96: constant(uint256) = 2 ** 96 - 1

# What a fill asks of a slot: the order's size, and the slot leaf it leaves, but for what has been filled.
struct Fill:
    slot: uint256
    size: uint256
    order_size: uint256
    leaf: uint256
    order_hash: bytes32

struct Side:
    leaf_at: uint256
    present: bool
    owner: uint256
    positions: uint256
    cash: int256
    slot_fits: bool
    # The slots' root after the trade, the sessions' root.
    slots_root: bytes32
    sessions_root: bytes32
    # The session's leaf, where one is named and there is one.
    session_found: bool
    session_first: uint256
    session_second: uint256

struct Market:
    found: bool
    leaf_at: uint256
    mark: int256
    funding_index: int256
    fresh: bool
    reduce_only: bool
    tiers_at: uint256
    tiers: uint256
    terms: uint256
    slice_worth: int256
    fees: int256
    size_funding: int256
    entry_total: int256
    dust: int256
    open_interest: int256


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
        whole: bool = side.positions <= MAX_POSITIONS and length == ACCOUNT_HEAD + 32 * side.positions
        assert whole, "referee: the account leaf is cut"
        side.cash = reading._signed(reading._word(side.leaf_at + 32) >> 160, 2 ** 95)
        side.slots_root = convert(reading._word(side.leaf_at + 64), bytes32)
        side.sessions_root = convert(reading._word(side.leaf_at + 96), bytes32)
    return side.leaf_at + length, side


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
def _open_session(start: uint256, opened: Side, session: uint256) -> (uint256, Side):
    """
    @notice Nothing for the owner's own key; else present u8 · leaf · opening.
    """
    if session == BY_OWNER_KEY:
        return start, opened
    side: Side = opened
    at: uint256 = start + 1
    leaf: bytes32 = empty(bytes32)
    side.session_found = reading._byte(start) != 0
    if side.session_found:
        side.session_first = reading._word(at)
        side.session_second = reading._word(at + 32)
        leaf = keccak256(concat(0x05, convert(side.session_first, bytes32), convert(side.session_second, bytes32)))
        at += 64
    root: bytes32 = empty(bytes32)
    at, root, leaf = openings._climb_one(at, 0, SESSIONS_DEPTH, session, leaf, leaf)
    assert root == side.sessions_root, "referee: the session is not the account's"
    return at, side


@internal
@pure
def _signs(side: Side, session: uint256, signer: uint256, time: uint256, sequence: uint256) -> bool:
    """
    @notice Whether the signer is the owner, or the live session key that is named, as it was at this sequence.
    """
    if session == BY_OWNER_KEY:
        return signer == side.owner
    if not side.session_found or side.session_first >> 96 != signer:
        return False
    revoked_at: uint256 = (side.session_second >> 56) & LOW_64
    expiry: uint256 = (side.session_first >> 56) & LOW_40
    if revoked_at != 0 or time >= expiry * MICRO:
        return False
    return (side.session_second >> 120) & LOW_64 <= sequence


@internal
@pure
def _may_trade(side: Side, slot: uint256, underlying: uint256, kind: uint256) -> bool:
    """
    @notice Whether the session's scopes, slots, underlyings and kinds cover such an order.
    """
    if side.session_first & 1 == 0:
        return False
    if slot < (side.session_first >> 44) & LOW_12 or slot > (side.session_first >> 32) & LOW_12:
        return False
    underlyings: uint256 = side.session_second >> 192
    return (underlyings >> underlying) & 1 == 1 and (side.session_second >> 184) & kind != 0


@internal
@view
def _open_market(start: uint256, time: uint256) -> (uint256, Market, bytes32):
    """
    @notice leaf · terms and tiers. Where they end, the market, and the leaf's hash.
    """
    first: uint256 = reading._word(start)
    second: uint256 = reading._word(start + 32)
    terms_at: uint256 = start + MARKET_BYTES
    late_terms: uint256 = reading._word(terms_at + 35)
    tiers: uint256 = late_terms & LOW_8
    assert tiers <= fills.MAX_TIERS, "referee: the terms have too many tiers"
    length: uint256 = TERMS_BYTES + fills.TIER_BYTES * tiers
    parameters: bytes32 = keccak256(concat(0x0e, reading._short_piece(terms_at, length)))
    given: bytes32 = convert(reading._word(start + 128), bytes32)
    assert parameters == given, "referee: the terms are not the market's"
    mark: uint256 = (first >> 176) & LOW_40
    stale_after: uint256 = (late_terms >> 104) & LOW_64
    market: Market = empty(Market)
    market.found = True
    market.leaf_at = start
    market.mark = convert(mark, int256)
    market.funding_index = reading._signed(second >> 176, 2 ** 79)
    market.fresh = mark > 0 and time <= ((first >> 112) & LOW_64) + stale_after
    market.reduce_only = first & 1 == 1
    market.tiers_at = terms_at + TERMS_BYTES
    market.tiers = tiers
    return terms_at + length, market, keccak256(concat(0x06, slice(msg.data, start, 160)))


@internal
@view
def _read_sums(opened: Market) -> Market:
    """
    @notice The market with what only the traded one needs: its sums, and the terms of trading.
    """
    market: Market = opened
    at: uint256 = market.leaf_at
    third: uint256 = reading._word(at + 64)
    fourth: uint256 = reading._word(at + 96)
    market.fees = reading._signed((reading._word(at + 32) >> 16) & LOW_96, 2 ** 95)
    market.size_funding = reading._signed(third >> 96, 2 ** 159)
    market.entry_total = reading._signed(third & LOW_96, 2 ** 95)
    market.dust = convert(fourth >> 160, int256)
    market.open_interest = convert((fourth >> 8) & LOW_56, int256)
    market.terms = reading._word(at + MARKET_BYTES)
    market.slice_worth = convert(reading._word(at + MARKET_BYTES + 8) & LOW_96, int256)
    return market


@internal
@pure
def _term(market: Market, place: uint256, mask: uint256) -> int256:
    """
    @notice A field of the terms' first 32 bytes.
    """
    return convert((market.terms >> place) & mask, int256)


@internal
@view
def _market_leaf_after(market: Market) -> bytes32:
    """
    @notice The hash of the market's leaf with its present sums.
    """
    at: uint256 = market.leaf_at
    second: uint256 = reading._word(at + 32) & ~(LOW_96 << 16)
    third: uint256 = reading._low_bits(market.size_funding, 2 ** 160 - 1) << 96
    fourth: uint256 = reading._word(at + 96) & ((LOW_96 << 64) | LOW_8)
    return keccak256(
        concat(
            0x06,
            slice(msg.data, at, 32),
            convert(second | (reading._low_bits(market.fees, LOW_96) << 16), bytes32),
            convert(third | reading._low_bits(market.entry_total, LOW_96), bytes32),
            convert(
                fourth | (convert(market.dust, uint256) << 160) | (convert(market.open_interest, uint256) << 8), bytes32
            ),
            slice(msg.data, at + 128, 32),
        )
    )


@internal
@view
def _account_leaf(side: Side) -> bytes32:
    """
    @notice The hash of the account's leaf as it was; 32 zero bytes where there is none.
    """
    if not side.present:
        return empty(bytes32)
    words: Bytes[1024] = reading._positions(side.leaf_at + ACCOUNT_HEAD, side.positions)
    return keccak256(concat(0x03, slice(msg.data, side.leaf_at, 128), words))


@internal
@view
def _account_leaf_after(
    side: Side, cash: int256, market: uint256, place: uint256, held: bool, position: fills.Position
) -> bytes32:
    """
    @notice The hash of the account's leaf after a fill.
    @param place How many positions stand before the traded market's, which is there already where it is `held`.
    """
    first: uint256 = reading._word(side.leaf_at) - convert(held, uint256)
    second: uint256 = reading._word(side.leaf_at + 32) & (2 ** 160 - 1)
    words: Bytes[1024] = reading._positions(side.leaf_at + ACCOUNT_HEAD, side.positions)
    behind: uint256 = 32 * (place + convert(held, uint256))
    inserted: Bytes[32] = b""
    if position.size != 0:
        first += 1
        inserted = slice(
            abi_encode(
                (market << 232)
                | (reading._low_bits(position.size, LOW_56) << 176)
                | (reading._low_bits(position.entry, LOW_96) << 80)
                | reading._low_bits(position.funding, LOW_80)
            ),
            0,
            32,
        )
    return keccak256(
        concat(
            0x03,
            convert(first, bytes32),
            convert(second | (reading._low_bits(cash, LOW_96) << 160), bytes32),
            side.slots_root,
            side.sessions_root,
            slice(words, 0, 32 * place),
            inserted,
            slice(words, behind, len(words) - behind),
        )
    )
