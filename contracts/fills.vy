# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title Arithmetic of one position and of margin
@license Apache-2.0
@dev The Python twins are src/penstock/spec/positions.py and margin.py. Nothing here can overflow, whatever was
     committed: a size has 55 bits, a change 48, a price or a strike 40, an entry cost 95, a funding index 79, a rate
     24, crowding 16. So a position is worth less than 2^97, its funding less than 2^137 before scaling, a requirement
     less than 2^120 before scaling and 2^103 after it, in any crowd; 32 of them and the widths an entry may claim
     (128 bits) multiply to less than 2^240. What every position is weighed by is computed unchecked for that reason.
     `//` truncates towards zero: it is only used where that is meant, or where nothing is negative.
"""

import reading

PPM: constant(int256) = 1_000_000
MILLION: constant(uint256) = 1_000_000
CROWDING_SCALE: constant(int256) = 10_000
PREMIUM_SHARE: constant(int256) = 8
OPTION: constant(uint256) = 4
CALL: constant(uint256) = 1
FUNDING_BITS: constant(uint256) = 32
TERMS_BYTES: constant(uint256) = 111
TIER_BYTES: constant(uint256) = 18
MAX_TIERS: constant(uint256) = 8
LOW_8: constant(uint256) = 2 ** 8 - 1
LOW_24: constant(uint256) = 2 ** 24 - 1
LOW_40: constant(uint256) = 2 ** 40 - 1

struct Position:
    size: int256
    entry: int256
    funding: int256

# What a position is weighed by; `terms_at` is where the market's terms and tiers lie.
struct Weighing:
    index: int256
    mark: int256
    funding_index: int256
    crowding: int256
    expired: bool
    kind: uint256
    terms_at: uint256
    tiers: uint256


@internal
@pure
def _owed(position: Position, funding_index: int256) -> int256:
    """
    @notice What the holder pays (negative: receives), rounded against the holder.
    """
    # An arithmetic shift rounds down, so the negative of the negative rounds up.
    return -(unsafe_mul(position.size, unsafe_sub(position.funding, funding_index)) >> FUNDING_BITS)


@internal
@pure
def _fee(weighing: Weighing, size: int256, price: int256, fee_ppm: int256) -> int256:
    """
    @notice Fee of a fill, rounded up; negative where the rate is. An option's is on the index, and at most an eighth of
            the premium.
    """
    if weighing.kind != OPTION:
        return self._ceil(size * price * fee_ppm, PPM)
    premium: int256 = size * price
    fee: int256 = self._ceil(size * weighing.index * fee_ppm, PPM)
    return max(-(premium // PREMIUM_SHARE), min(self._ceil(premium, PREMIUM_SHARE), fee))


@internal
@pure
def _ceil(numerator: int256, denominator: int256) -> int256:
    """
    @notice Quotient rounded up; the denominator is positive.
    """
    if numerator >= 0:
        return (numerator + denominator - 1) // denominator
    return -(-numerator // denominator)


@internal
@pure
def _fill(before: Position, change: int256, price: int256, funding_index: int256) -> (Position, int256, int256):
    """
    @notice Settle the position's funding, then add `change` size units at `price`.
    @return The position after, what cash gains before the fee, and the dust of the funding's rounding.
    """
    owed: int256 = self._owed(before, funding_index)
    dust: int256 = (owed << FUNDING_BITS) - before.size * (funding_index - before.funding)
    after: Position = before
    after.funding = funding_index
    opening: int256 = change
    gained: int256 = -owed
    if before.size != 0 and (before.size > 0) != (change > 0):
        closing: int256 = min(abs(change), abs(before.size))
        released: int256 = before.entry * closing // abs(before.size)
        if change < 0:
            closing = -closing
        gained -= closing * price + released
        after.entry -= released
        after.size += closing
        opening -= closing
    after.size += opening
    after.entry += opening * price
    return after, gained, dust


@internal
@view
def _weigh(position: Position, weighing: Weighing) -> (int256, int256, int256):
    """
    @notice What a position adds to equity, to the initial and to the maintenance requirement.
    """
    value: int256 = unsafe_mul(position.size, weighing.mark)
    owed: int256 = self._owed(position, weighing.funding_index)
    equity: int256 = unsafe_sub(unsafe_sub(value, position.entry), owed)
    if weighing.expired:
        return equity, 0, 0
    notional: int256 = abs(value)
    initial: int256 = 0
    maintenance: int256 = 0
    if weighing.kind != OPTION:
        initial, maintenance = self._tiered(weighing, notional)
    elif position.size > 0:
        # All it can lose is what it is worth.
        return equity, value, value
    else:
        notional = unsafe_mul(-position.size, weighing.index)
        initial, maintenance = self._short_option(weighing, -position.size)
    if weighing.crowding != 0 and notional > initial:
        crowded: int256 = unsafe_mul(unsafe_sub(notional, initial), weighing.crowding)
        initial += unsafe_add(crowded, CROWDING_SCALE - 1) // CROWDING_SCALE
    return equity, initial, maintenance


@internal
@view
def _tiered(weighing: Weighing, notional: int256) -> (int256, int256):
    """
    @notice Each tier's fractions on the notional inside it, summed, rounded up.
    """
    worth: uint256 = convert(notional, uint256)
    initial: uint256 = 0
    maintenance: uint256 = 0
    below: uint256 = 0
    at: uint256 = weighing.terms_at + TERMS_BYTES
    for tier: uint256 in range(weighing.tiers, bound=MAX_TIERS):
        # notional u96 · initial_ppm u24 · maintenance_ppm u24, and what follows.
        packed: uint256 = reading._word(at)
        reach: uint256 = min(worth, packed >> 160)
        if reach <= below:
            break
        inside: uint256 = unsafe_sub(reach, below)
        initial = unsafe_add(initial, unsafe_mul(inside, (packed >> 136) & LOW_24))
        maintenance = unsafe_add(maintenance, unsafe_mul(inside, (packed >> 112) & LOW_24))
        if reach == worth:
            break
        below = reach
        at = unsafe_add(at, TIER_BYTES)
    initial = unsafe_add(initial, MILLION - 1) // MILLION
    maintenance = unsafe_add(maintenance, MILLION - 1) // MILLION
    return convert(initial, int256), convert(maintenance, int256)


@internal
@view
def _short_option(weighing: Weighing, size: int256) -> (int256, int256):
    """
    @notice The requirements of `size` options sold.
    """
    # The terms from expiry u40, strike u40, option_type u8 on.
    late_terms: uint256 = reading._word(weighing.terms_at + 74)
    out: int256 = convert((late_terms >> 176) & LOW_40, int256) - weighing.index
    initial: int256 = 0
    maintenance: int256 = 0
    initial, maintenance = self._tiered(weighing, unsafe_mul(size, weighing.index))
    if (late_terms >> 168) & LOW_8 != CALL:
        out = -out
        if weighing.mark > weighing.index:
            ignored: int256 = 0
            ignored, maintenance = self._tiered(weighing, unsafe_mul(size, weighing.mark))
    # Less what it is out of the money, but two thirds at the least, and what maintenance asks.
    least: int256 = max(unsafe_add(unsafe_mul(initial, 2), 2) // 3, maintenance)
    if out > 0:
        initial = unsafe_sub(initial, unsafe_mul(size, out))
    return max(initial, least), maintenance


@internal
@pure
def _grew_or_flipped(before: int256, after: int256) -> bool:
    """
    @notice Whether a position's signed size moved away from zero, or through it.
    """
    return after != 0 and (abs(after) > abs(before) or (before > 0) != (after > 0))


@internal
@pure
def _is_legal(
    equity_before: int256, initial_before: int256, equity: int256, initial: int256, grew: bool
) -> bool:
    """
    @notice Well margined, or no position grew or flipped and equity over requirement did not fall.
    """
    if equity >= initial:
        return True
    if grew or (equity_before < 0 and equity < equity_before):
        return False
    return equity * initial_before >= equity_before * initial


@internal
@pure
def _fits(number: int256, limit: int256) -> bool:
    """
    @notice Whether |number| < limit.
    """
    return -limit < number and number < limit
