# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Markets before the entry, opened, and the leaves that the trade leaves
@license Apache-2.0
@dev The Python twin is src/penstock/spec/referee/leaves.py. Leaves are the challenger's: what is not a leaf that the
     venue's rules can have written reverts, and convicts nobody.
"""

import accounts
import fills
import reading

MARKET_BYTES: constant(uint256) = 192
MICRO: constant(uint256) = 1_000_000
SHORTFALL_BOOKED: constant(uint256) = 1
RESTRICTED: constant(uint256) = 2
HALTED: constant(uint256) = 4
EXPIRED: constant(uint256) = 16
LOW_8: constant(uint256) = 2 ** 8 - 1
LOW_16: constant(uint256) = 2 ** 16 - 1
LOW_24: constant(uint256) = 2 ** 24 - 1
LOW_40: constant(uint256) = 2 ** 40 - 1
LOW_48: constant(uint256) = 2 ** 48 - 1
LOW_56: constant(uint256) = 2 ** 56 - 1
LOW_64: constant(uint256) = 2 ** 64 - 1
LOW_80: constant(uint256) = 2 ** 80 - 1
LOW_96: constant(uint256) = 2 ** 96 - 1

struct Market:
    found: bool
    leaf_at: uint256
    weighing: fills.Weighing
    flags: uint256
    # Whether it has a price not older than its terms allow, or one that does not age; whether its expiry has come.
    fresh: bool
    over: bool
    # The terms' first 32 bytes.
    terms: uint256
    fees: int256
    size_funding: int256
    entry_total: int256
    dust: int256
    open_interest: int256
    builder_fees: int256


@internal
@view
def _open_market(start: uint256) -> (uint256, Market, bytes32):
    """
    @notice leaf · terms and tiers. Where they end, the market, and the leaf's hash.
    """
    first: uint256 = reading._word(start)
    second: uint256 = reading._word(start + 32)
    terms_at: uint256 = start + MARKET_BYTES
    tiers: uint256 = reading._byte(terms_at + fills.TERMS_BYTES - 1)
    assert tiers <= fills.MAX_TIERS, "referee: the terms have too many tiers"
    length: uint256 = fills.TERMS_BYTES + fills.TIER_BYTES * tiers
    parameters: bytes32 = keccak256(concat(0x0e, reading._short_piece(terms_at, length)))
    given: bytes32 = convert(reading._word(start + 160), bytes32)
    assert parameters == given, "referee: the terms are not the market's"
    market: Market = empty(Market)
    market.found = True
    market.leaf_at = start
    market.flags = first & LOW_16
    market.terms = reading._word(terms_at)
    market.weighing.index = convert(first >> 216, int256)
    market.weighing.mark = convert((first >> 176) & LOW_40, int256)
    market.weighing.funding_index = reading._signed(second >> 176, 2 ** 79)
    market.weighing.crowding = convert(second & LOW_16, int256)
    market.weighing.expired = market.flags & EXPIRED != 0
    market.weighing.kind = (market.terms >> 216) & LOW_8
    market.weighing.terms_at = terms_at
    market.weighing.tiers = tiers
    return terms_at + length, market, keccak256(concat(0x06, slice(msg.data, start, 192)))


@internal
@view
def _at(opened: Market, time: uint256) -> Market:
    """
    @notice The market at a venue time: fresh or not, over or not.
    """
    market: Market = opened
    terms_at: uint256 = market.weighing.terms_at
    expiry: uint256 = reading._word(terms_at + 74) >> 216
    market.over = expiry != 0 and expiry * MICRO <= time
    market.fresh = market.weighing.expired
    if not market.fresh and market.weighing.mark > 0:
        priced_at: uint256 = (reading._word(market.leaf_at) >> 112) & LOW_64
        market.fresh = time <= priced_at + (reading._word(terms_at + 46) >> 192)
    return market


@internal
@view
def _read_sums(opened: Market) -> Market:
    """
    @notice The market with what only the traded one needs: its sums.
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
    market.builder_fees = convert((reading._word(at + 128) >> 40) & LOW_80, int256)
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
def _slice_worth(market: Market) -> int256:
    """
    @notice The notional up to which a position is liquidated whole.
    """
    return convert(reading._word(market.weighing.terms_at + 8) & LOW_96, int256)


@internal
@view
def _position_cap(market: Market) -> int256:
    return convert((reading._word(market.weighing.terms_at + 74) >> 112) & LOW_56, int256)


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
    fifth: uint256 = reading._word(at + 128) & ~(LOW_80 << 40)
    return keccak256(
        concat(
            0x06,
            slice(msg.data, at, 32),
            convert(second | (reading._low_bits(market.fees, LOW_96) << 16), bytes32),
            convert(third | reading._low_bits(market.entry_total, LOW_96), bytes32),
            convert(
                fourth | (convert(market.dust, uint256) << 160) | (convert(market.open_interest, uint256) << 8), bytes32
            ),
            convert(fifth | (convert(market.builder_fees, uint256) << 40), bytes32),
            slice(msg.data, at + 160, 32),
        )
    )


@internal
@view
def _account_leaf(side: accounts.Side) -> bytes32:
    """
    @notice The hash of the account's leaf as it was; 32 zero bytes where there is none.
    """
    if not side.present:
        return empty(bytes32)
    words: Bytes[1024] = reading._positions(side.leaf_at + accounts.HEAD_BYTES, side.positions)
    return keccak256(concat(0x03, slice(msg.data, side.leaf_at, 128), words))


@internal
@view
def _account_leaf_after(
    side: accounts.Side, cash: int256, market: uint256, place: uint256, held: bool, position: fills.Position
) -> bytes32:
    """
    @notice The hash of the account's leaf after a fill.
    @param place How many positions stand before the traded market's, which is there already where it is `held`.
    """
    first: uint256 = reading._word(side.leaf_at) - convert(held, uint256)
    second: uint256 = reading._word(side.leaf_at + 32) & (2 ** 160 - 1)
    words: Bytes[1024] = reading._positions(side.leaf_at + accounts.HEAD_BYTES, side.positions)
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
