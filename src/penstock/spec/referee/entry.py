"""The trade entry as the referee reads it, and what it can find in the entry and the one before it."""

from typing import Final

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.commands import BUY
from penstock.protocol.events import BY_OWNER_KEY, NO_SLOT
from penstock.protocol.ledger import ENTRY_FORMS, LIST_DEPTH, TRADE, Domains, step_hash
from penstock.protocol.quantities import FIRST_ORDER_SLOT, MAX_BUNDLE, MAX_MARKETS, MAX_SESSIONS, SLOTS
from penstock.protocol.verdicts import Finding
from penstock.protocol.words import keccak
from penstock.spec.referee.witness import Witness

_FORM: Final = ENTRY_FORMS[TRADE]
_HEADER: Final = 12


class TradeEntry(Struct, frozen=True):
    """The fields of the packed trade entry, in its order."""

    kind: int
    sequence: int
    member: int
    index: int
    market: int
    price: int
    size: int
    maker: int
    maker_slot: int
    maker_session: int
    maker_sequence: int
    maker_member: int
    maker_priority: int
    maker_priority_member: int
    maker_fee: int
    maker_scenario: int
    taker: int
    taker_slot: int
    taker_session: int
    taker_fee: int
    taker_scenario: int
    taker_equity: int
    taker_initial: int
    taker_held: int
    builder: int
    builder_fee: int
    flags: int
    maker_hash: bytes
    taker_hash: bytes

    @property
    def side(self) -> int:
        """The taker's."""
        return self.flags & 1

    @property
    def liquidation(self) -> bool:
        """Whether the taker is being liquidated and has no order."""
        return self.flags >> 1 & 1 == 1

    @property
    def last(self) -> bool:
        """Whether this is the last fill of its command."""
        return self.flags >> 2 & 1 == 1


class Step(Struct, frozen=True):
    """A committed step: its entry, the root after it, the entry and the root before it."""

    index: int
    is_last: bool
    entry: bytes
    post_root: bytes
    previous: bytes
    pre_root: bytes


def open_step(witness: Witness, batch: Batch) -> Step:
    """index u32 · entry · post-root · (where index > 0: previous entry · its post-root) · opening."""
    index = witness.number(4)
    witness.require(index < batch.entries, "the batch has no such step")
    entry, post_root = witness.piece(1), witness.take(32)
    leaves = {index: _leaf(entry, post_root)}
    previous, pre_root = b"", batch.previous_root
    if index:
        previous, pre_root = witness.piece(1), witness.take(32)
        leaves[index - 1] = _leaf(previous, pre_root)
    root, _ = witness.climb(LIST_DEPTH, leaves)
    witness.require(root == batch.ledger_root, "the step is not in the batch")
    before = read_entry(previous)
    unfinished = before is not None and not before.last
    witness.require(entry[:1] == bytes([TRADE]) or unfinished, "the step is not a trade, nor does it cut one off")
    return Step(index, index == batch.entries - 1, entry, post_root, previous, pre_root)


def read_entry(packed: bytes) -> TradeEntry | None:
    """The trade entry, or None when it has another length."""
    return TradeEntry(*_FORM.values(packed)) if len(packed) == _FORM.length and packed[0] == TRADE else None


def find_in_entry(step: Step, batch: Batch, entry: TradeEntry) -> Finding:
    """What the entry and the one before it tell on their own."""
    if not _follows(step, batch, entry):
        return Finding.ENTRY_OUT_OF_ORDER
    if not _agrees(step, entry):
        return Finding.FILLS_DISAGREE
    return Finding.HONEST if _possible(entry) else Finding.FIELDS_IMPOSSIBLE


def is_first_fill(step: Step, entry: TradeEntry) -> bool:
    """Whether the entry before it is no fill of the same command."""
    previous = read_entry(step.previous)
    return previous is None or (previous.sequence, previous.member) != (entry.sequence, entry.member)


def _leaf(entry: bytes, post_root: bytes) -> tuple[bytes, bytes]:
    leaf = step_hash(keccak(Domains.LEDGER_ENTRY + entry), post_root)
    return leaf, leaf


def _follows(step: Step, batch: Batch, entry: TradeEntry) -> bool:
    if not batch.first_sequence <= entry.sequence <= batch.last_sequence:
        return False
    if step.index == 0:
        return entry.index == 0
    previous = step.previous
    if len(previous) < _HEADER or (previous[0] == TRADE and len(previous) != _FORM.length):
        return False
    sequence, member, index = int.from_bytes(previous[1:9], "big"), previous[9], int.from_bytes(previous[10:12], "big")
    if sequence == entry.sequence:
        # Nothing but fills precedes a fill of its own command.
        follows = entry.member > member or (entry.member == member and previous[0] == TRADE)
        return follows and entry.index == index + 1
    return entry.index == 0 and entry.sequence > sequence


def _agrees(step: Step, entry: TradeEntry) -> bool:
    if step.is_last and not entry.last:
        return False
    previous = read_entry(step.previous)
    if previous is None:
        return True
    if is_first_fill(step, entry):
        return previous.last
    # A walk through the book meets an order once, and never a better price after a worse.
    walks = previous.price <= entry.price if entry.side == BUY else previous.price >= entry.price
    walks = walks and (previous.maker, previous.maker_slot) != (entry.maker, entry.maker_slot)
    return not previous.last and walks and _of_taker(previous) == _of_taker(entry)


def _of_taker(entry: TradeEntry) -> tuple[int | bytes, ...]:
    return (
        entry.market, entry.taker, entry.taker_slot, entry.taker_session, entry.taker_equity, entry.taker_initial,
        entry.taker_held, entry.builder, entry.flags & 3, entry.taker_hash,
    )  # fmt: skip


def _possible(entry: TradeEntry) -> bool:
    if entry.liquidation:
        taker_fits = entry.taker_slot == NO_SLOT and entry.taker_session == BY_OWNER_KEY
        taker_fits = taker_fits and entry.taker_hash == bytes(32) and entry.member == 0 and entry.taker != 0
    else:
        taker_fits = FIRST_ORDER_SLOT <= entry.taker_slot < SLOTS and _session_fits(entry.taker_session)
    return (
        taker_fits
        and entry.flags < 8
        and entry.market < MAX_MARKETS
        and entry.price > 0
        and entry.size > 0
        and entry.maker != entry.taker
        and FIRST_ORDER_SLOT <= entry.maker_slot < SLOTS
        and _session_fits(entry.maker_session)
        and entry.member < MAX_BUNDLE
        and entry.maker_member < MAX_BUNDLE
        and entry.maker_priority_member < MAX_BUNDLE
        and 0 < entry.maker_sequence < entry.sequence
        and entry.maker_priority > 0
        and (entry.maker_priority, entry.maker_priority_member) <= (entry.maker_sequence, entry.maker_member)
        and entry.maker_scenario == entry.taker_scenario == 0
    )


def _session_fits(session: int) -> bool:
    return session < MAX_SESSIONS or session == BY_OWNER_KEY
