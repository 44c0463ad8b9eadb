# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title A committed step, opened, and what its entry and the one before it tell on their own
@license Apache-2.0
@dev The Python twin is src/penstock/spec/referee/entry.py.
"""

import batches
import findings
import openings
import reading

uses: openings

TRADE: constant(uint256) = 3
TRADE_BYTES: constant(uint256) = 201
# Where its flags lie: the taker's side, liquidation, last fill.
FLAGS_AT: constant(uint256) = 136
HEADER_BYTES: constant(uint256) = 12
LIST_DEPTH: constant(uint256) = 10
LOW_8: constant(uint256) = 2 ** 8 - 1
LOW_16: constant(uint256) = 2 ** 16 - 1
LOW_24: constant(uint256) = 2 ** 24 - 1
LOW_40: constant(uint256) = 2 ** 40 - 1
LOW_48: constant(uint256) = 2 ** 48 - 1
LOW_64: constant(uint256) = 2 ** 64 - 1
LOW_96: constant(uint256) = 2 ** 96 - 1
MAX_MARKETS: constant(uint256) = 2 ** 16
MAX_BUNDLE: constant(uint256) = 64
MAX_SESSIONS: constant(uint256) = 64
FIRST_ORDER_SLOT: constant(uint256) = 16
SLOTS: constant(uint256) = 4096
NO_SLOT: constant(uint256) = 65_535
BY_OWNER_KEY: constant(uint256) = 255
BUY: constant(uint256) = 0

struct Step:
    index: uint256
    # Where the entry and the one before it lie, and their lengths; none before the batch's first.
    entry_at: uint256
    entry_bytes: uint256
    previous_at: uint256
    previous_bytes: uint256
    pre_root: bytes32
    post_root: bytes32
    # Something else than a trade, where the fill before it is not marked as the last of its command.
    cuts: bool

struct Entry:
    sequence: uint256
    member: uint256
    index: uint256
    market: uint256
    price: uint256
    size: uint256
    maker: uint256
    maker_slot: uint256
    maker_session: uint256
    maker_sequence: uint256
    maker_member: uint256
    maker_priority: uint256
    maker_priority_member: uint256
    maker_fee: int256
    taker: uint256
    taker_slot: uint256
    taker_session: uint256
    taker_fee: int256
    taker_equity: int256
    taker_initial: int256
    taker_held: int256
    builder: uint256
    builder_fee: int256
    scenarios: uint256
    # The taker's side; whether it is liquidated and has no order; whether this is its command's last fill.
    side: uint256
    liquidation: bool
    last: bool
    flags: uint256
    maker_hash: bytes32
    taker_hash: bytes32


@internal
@view
def _open_step(start: uint256, batch: batches.Batch) -> (uint256, Step):
    """
    @notice index u32 · entry · root after it · (where index > 0: entry before it · its root) · opening.
    """
    step: Step = empty(Step)
    step.index = reading._word(start) >> 224
    assert step.index < convert(batch.entries, uint256), "referee: the batch has no such step"
    at: uint256 = 0
    step_hash: bytes32 = empty(bytes32)
    step.entry_at = start + 5
    step.entry_bytes = reading._byte(start + 4)
    at, step.post_root, step_hash = self._take(step.entry_at, step.entry_bytes)
    step.cuts = step.entry_bytes == 0 or reading._byte(step.entry_at) != TRADE
    root: bytes32 = empty(bytes32)
    if step.index == 0:
        step.pre_root = batch.previous_root
        at, root, step_hash = openings._climb_one(at, 0, LIST_DEPTH, 0, step_hash, step_hash)
    else:
        before: bytes32 = empty(bytes32)
        step.previous_at = at + 1
        step.previous_bytes = reading._byte(at)
        at, step.pre_root, before = self._take(step.previous_at, step.previous_bytes)
        pair: bytes32[2] = [before, step_hash]
        at, root, step_hash = openings._climb_two(at, LIST_DEPTH, step.index - 1, step.index, pair, pair)
    assert root == batch.ledger_root, "referee: the step is not in the batch"
    if step.cuts:
        unfinished: bool = step.previous_bytes == TRADE_BYTES and reading._byte(step.previous_at) == TRADE
        unfinished = unfinished and (reading._byte(step.previous_at + FLAGS_AT) >> 2) & 1 == 0
        assert unfinished, "referee: the step is not a trade, nor does it cut one off"
    return at, step


@internal
@view
def _read(at: uint256) -> Entry:
    """
    @notice The fields of a trade entry, 201 bytes.
    """
    first: uint256 = reading._word(at)
    second: uint256 = reading._word(at + 32)
    third: uint256 = reading._word(at + 63)
    risk: uint256 = reading._word(at + 82)
    held: uint256 = reading._word(at + 114)
    flags: uint256 = (held >> 72) & LOW_8
    return Entry(
        sequence=(first >> 184) & LOW_64,
        member=(first >> 176) & LOW_8,
        index=(first >> 160) & LOW_16,
        market=(first >> 136) & LOW_24,
        price=(first >> 96) & LOW_40,
        size=(first >> 48) & LOW_48,
        maker=(first >> 24) & LOW_24,
        maker_slot=(first >> 8) & LOW_16,
        maker_session=first & LOW_8,
        maker_sequence=second >> 192,
        maker_member=(second >> 184) & LOW_8,
        maker_priority=(second >> 120) & LOW_64,
        maker_priority_member=(second >> 112) & LOW_8,
        maker_fee=reading._signed((second >> 16) & LOW_96, 2 ** 95),
        taker=third >> 232,
        taker_slot=(third >> 216) & LOW_16,
        taker_session=(third >> 208) & LOW_8,
        taker_fee=reading._signed((third >> 112) & LOW_96, 2 ** 95),
        taker_equity=reading._signed(risk >> 128, 2 ** 127),
        taker_initial=convert(risk & (2 ** 128 - 1), int256),
        taker_held=reading._signed(held >> 200, 2 ** 55),
        builder=(held >> 176) & LOW_24,
        builder_fee=convert((held >> 80) & LOW_96, int256),
        scenarios=((second >> 8) | (third >> 104)) & LOW_8,
        side=flags & 1,
        liquidation=flags & 2 != 0,
        last=flags & 4 != 0,
        flags=flags,
        maker_hash=convert(reading._word(at + 137), bytes32),
        taker_hash=convert(reading._word(at + 169), bytes32),
    )


@internal
@view
def _find(step: Step, batch: batches.Batch, entry: Entry) -> uint8:
    """
    @notice What the entry and the one before it tell on their own.
    """
    if not self._follows(step, batch, entry):
        return findings.ENTRY_OUT_OF_ORDER
    if not self._agrees(step, batch, entry):
        return findings.FILLS_DISAGREE
    if not self._is_possible(entry):
        return findings.FIELDS_IMPOSSIBLE
    return findings.HONEST


@internal
@view
def _is_first_fill(step: Step, entry: Entry) -> bool:
    """
    @notice Whether the entry before it is no fill of the same command.
    """
    if step.previous_bytes != TRADE_BYTES:
        return True
    header: uint256 = reading._word(step.previous_at)
    if header >> 248 != TRADE:
        return True
    return (header >> 184) & LOW_64 != entry.sequence or (header >> 176) & LOW_8 != entry.member


@internal
@view
def _take(entry_at: uint256, entry_bytes: uint256) -> (uint256, bytes32, bytes32):
    """
    @notice Where the root after an entry ends, that root, and the step's leaf hash.
    """
    at: uint256 = entry_at + entry_bytes
    root: bytes32 = convert(reading._word(at), bytes32)
    entry_hash: bytes32 = keccak256(concat(0x09, reading._short_piece(entry_at, entry_bytes)))
    return at + 32, root, keccak256(concat(0x0a, entry_hash, root))


@internal
@view
def _follows(step: Step, batch: batches.Batch, entry: Entry) -> bool:
    if entry.sequence < convert(batch.first_sequence, uint256):
        return False
    if entry.sequence > convert(batch.last_sequence, uint256):
        return False
    if step.index == 0:
        return entry.index == 0
    if step.previous_bytes < HEADER_BYTES:
        return False
    header: uint256 = reading._word(step.previous_at)
    trades: bool = header >> 248 == TRADE
    if trades and step.previous_bytes != TRADE_BYTES:
        return False
    sequence: uint256 = (header >> 184) & LOW_64
    if sequence != entry.sequence:
        return entry.index == 0 and entry.sequence > sequence
    member: uint256 = (header >> 176) & LOW_8
    if entry.index != ((header >> 160) & LOW_16) + 1:
        return False
    # Nothing but fills precedes a fill of its own command.
    return entry.member > member or (trades and entry.member == member)


@internal
@view
def _agrees(step: Step, batch: batches.Batch, entry: Entry) -> bool:
    if step.index + 1 == convert(batch.entries, uint256) and not entry.last:
        return False
    if step.previous_bytes != TRADE_BYTES or reading._byte(step.previous_at) != TRADE:
        return True
    last: bool = (reading._byte(step.previous_at + FLAGS_AT) >> 2) & 1 == 1
    if self._is_first_fill(step, entry):
        return last
    # A walk through the book meets an order once, and never a better price after a worse.
    before: uint256 = reading._word(step.previous_at)
    if (before >> 8) & LOW_40 == (entry.maker << 16) | entry.maker_slot:
        return False
    price: uint256 = (before >> 96) & LOW_40
    if price > entry.price if entry.side == BUY else price < entry.price:
        return False
    return not last and self._says_of_taker(step.previous_at) == self._says_of_taker(step.entry_at)


@internal
@view
def _says_of_taker(at: uint256) -> bytes32:
    """
    @notice Everything that all fills of one command say alike, in one hash.
    """
    market: uint256 = (reading._word(at) >> 136) & LOW_24
    names: uint256 = reading._word(at + 63) >> 208
    risk: uint256 = reading._word(at + 82)
    held: uint256 = reading._word(at + 114)
    taker_hash: uint256 = reading._word(at + 169)
    # What it held, and the builder.
    return keccak256(abi_encode(market, names, risk, held >> 176, (held >> 72) & 3, taker_hash))


@internal
@pure
def _is_possible(entry: Entry) -> bool:
    if entry.liquidation:
        owned: bool = entry.taker_slot == NO_SLOT and entry.taker_session == BY_OWNER_KEY
        if not owned or entry.taker_hash != empty(bytes32) or entry.member != 0 or entry.taker == 0:
            return False
    elif not self._is_order_slot(entry.taker_slot) or not self._is_session(entry.taker_session):
        return False
    if not self._is_order_slot(entry.maker_slot) or not self._is_session(entry.maker_session):
        return False
    if entry.flags >= 8 or entry.market >= MAX_MARKETS or entry.price == 0 or entry.size == 0:
        return False
    if entry.maker == entry.taker or entry.scenarios != 0:
        return False
    if max(entry.member, max(entry.maker_member, entry.maker_priority_member)) >= MAX_BUNDLE:
        return False
    if entry.maker_sequence == 0 or entry.maker_sequence >= entry.sequence or entry.maker_priority == 0:
        return False
    priority: uint256 = (entry.maker_priority << 8) | entry.maker_priority_member
    return priority <= (entry.maker_sequence << 8) | entry.maker_member


@internal
@pure
def _is_order_slot(slot: uint256) -> bool:
    return FIRST_ORDER_SLOT <= slot and slot < SLOTS


@internal
@pure
def _is_session(session: uint256) -> bool:
    return session < MAX_SESSIONS or session == BY_OWNER_KEY
