"""What crosses the seam to the native core, in bytes: messages in; events and written ledger entries out.

message  signers u8 · signer b20 each · hashed record · members u8 · hashed record each
hashed record  record hash b32 · length u16 · record
command  sequence u64 · time u64 · length u32 · message
applied  length u32 · events u16 · (kind u8 · fields) each · entries u16 · (length u32 · written) each
written  length u8 · packed entry · accounts u8 · account write each · markets u8 · (market u24 · leaf b192) each
         · flags u8 (1: global leaf, 2: deposit head) · global leaf b64 · deposit head b32
account write  subaccount u24 · head b64 · positions u8 · word b32 each · slots u8 · (slot u16 · leaf b64) each
         · sessions u8 · (session u8 · leaf b64) each
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from penstock.protocol import events as say
from penstock.protocol.commands import decode_record, encode_record
from penstock.protocol.events import Event
from penstock.protocol.forms import Form
from penstock.protocol.ledger import ACCOUNT_LEAF, GLOBALS, MARKET_LEAF, SESSION_LEAF, SLOT_LEAF, AccountWrite, Entry
from penstock.protocol.reasons import Cause, Reason
from penstock.protocol.signing import Member, Verified

_ORDER: Final = "subaccount u24, slot u16, nonce u64, "
_OFFER: Final = "market u24, side u8, price u40, size u48, "
_EVENTS: Final[list[tuple[type, str]]] = [
    (say.SlotGuarded, "subaccount u24, slot u16, nonce u64"),
    (say.Refused, "member u8, reason u8"),
    (
        say.DepositCredited,
        "sequence u64, deposit u64, subaccount u24, owner b20, amount u96, l1_block u64, head b32",
    ),
    (
        say.CashWithdrawn,
        "sequence u64, member u8, subaccount u24, slot u16, nonce u64, amount u96, record_hash b32",
    ),
    (
        say.SessionGranted,
        "sequence u64, member u8, subaccount u24, session u8, key b20, expiry u40, slot_first u16, slot_last u16, "
        "scopes u32, underlyings u64, kinds u8, from_sequence u64, record_hash b32",
    ),
    (say.SessionRevoked, "sequence u64, member u8, subaccount u24, session u8, key b20, record_hash b32"),
    (
        say.OrderRested,
        "subaccount u24, slot u16, nonce u64, first_nonce u64, " + _OFFER + "filled u48, sequence u64, member u8, "
        "session u8, post_only u8, reduce_only u8, record_hash b32",
    ),
    (say.OrderAmended, _ORDER + _OFFER + "accepted u64, session u8, post_only u8, record_hash b32"),
    (say.OrderCancelled, _ORDER + _OFFER + "cause u8"),
    (say.RemainderCancelled, _ORDER + _OFFER + "cause u8"),
    (say.AllCancelled, "subaccount u24, stamp u64"),
    (
        say.Traded,
        "sequence u64, member u8, market u24, price u40, size u48, taker_side u8, maker u24, maker_slot u16, "
        "maker_nonce u64, maker_session u8, maker_accepted u64, maker_priority u64, maker_priority_member u8, "
        "maker_fee i96, taker u24, taker_slot u16, taker_nonce u64, taker_session u8, taker_price u40, "
        "taker_flags u32, taker_fee i96, taker_equity i128, taker_initial u128, taker_held i56, "
        "builder u24, builder_fee u96, liquidation u8, last u8, "
        "maker_hash b32, taker_hash b32",
    ),
    (
        say.PricePublished,
        "sequence u64, market u24, published_at u64, index_price u40, mark_price u40, premium i32, rate_time i96, "
        "window_sum u72, priced_since u64, crowding u16, signers u8",
    ),
    (say.FundingAccrued, "sequence u64, market u24, funded_at u64, funding_index i80"),
    (say.FeesSwept, "sequence u64, market u24, fees i96, dust u96, repaid u96"),
    (say.ShortfallCovered, "sequence u64, subaccount u24, market u24, from_fees u96, covered u96, booked u96"),
    (say.MarketListed, "sequence u64, market u24, template u16, expiry u40, strike u40, option_type u8"),
    (say.MarketFlagged, "sequence u64, market u24, flags u16, until u64, flagged_at u64, nonce u64"),
    (say.MarketDelisted, "sequence u64, market u24, expiry u40, nonce u64"),
    (say.MarketExpired, "sequence u64, market u24, index_price u40, mark_price u40, funding_index i80"),
    (say.PositionExpired, "sequence u64, subaccount u24, market u24, size i56, cash i96"),
    (say.BuilderPaid, "sequence u64, market u24, subaccount u24, amount u96"),
]
EVENT_FORMS: Final = {
    number: (event, Form(event.__name__, layout)) for number, (event, layout) in enumerate(_EVENTS, start=1)
}
"""Kind byte of each event, its type and its packed form."""
_KINDS: Final = {event: (number, form) for number, (event, form) in EVENT_FORMS.items()}
_FLAGS: Final = {"post_only", "reduce_only", "liquidation", "last"}
_ENUMS: Final[dict[str, type[Reason] | type[Cause]]] = {"reason": Reason, "cause": Cause}
_CASTS: Final = {
    number: [
        (at, bool if name in _FLAGS else _ENUMS[name])
        for at, (name, _, _) in enumerate(form.fields)
        if name in _FLAGS or name in _ENUMS
    ]
    for number, (_, form) in EVENT_FORMS.items()
}
_HEAD: Final = ACCOUNT_LEAF.length - 64


def encode_message(message: Verified) -> bytes:
    """A verified message as the core takes it."""
    parts = [
        bytes([len(message.signers)]),
        *message.signers,
        _hashed(message.record_hash, encode_record(message.record)),
    ]
    parts.append(bytes([len(message.members)]))
    parts += [_hashed(member.record_hash, encode_record(member.record)) for member in message.members]
    return b"".join(parts)


class PackedMessage(Struct, frozen=True):
    """A message taken apart, its records still encoded; members as (hash, record)."""

    signers: tuple[bytes, ...]
    record_hash: bytes
    record: bytes
    members: tuple[tuple[bytes, bytes], ...]

    @staticmethod
    def of(packed: bytes) -> "PackedMessage":
        """Raises ValueError when the bytes are not exactly one message."""
        reader = _Reader(packed)
        signers = tuple(reader.take(20) for _ in range(reader.number(1)))
        record_hash, record = reader.take(32), reader.take(reader.number(2))
        members = tuple((reader.take(32), reader.take(reader.number(2))) for _ in range(reader.number(1)))
        reader.finish()
        return PackedMessage(signers, record_hash, record, members)

    def decode(self) -> Verified:
        """The typed message. Raises Refusal for a record that is none."""
        members = tuple(Member(decode_record(record), record_hash) for record_hash, record in self.members)
        return Verified(decode_record(self.record), self.record_hash, self.signers, members)


def decode_message(packed: bytes) -> Verified:
    """The typed message. Raises ValueError when the bytes are not exactly one message."""
    return PackedMessage.of(packed).decode()


def encode_command(sequence: int, time: int, message: bytes) -> bytes:
    """One sequenced command; a batch is several, one after the other."""
    return sequence.to_bytes(8, "big") + time.to_bytes(8, "big") + len(message).to_bytes(4, "big") + message


def encode_event(event: Event) -> bytes:
    """kind u8 · fields."""
    number, form = _KINDS[type(event)]
    return bytes([number]) + form.pack(*(getattr(event, name) for name, _, _ in form.fields))


def encode_applied(events: Sequence[Event], entries: Sequence[Entry]) -> bytes:
    """What one command did, as the core says it."""
    parts = [len(events).to_bytes(2, "big"), *map(encode_event, events), len(entries).to_bytes(2, "big")]
    for entry in entries:
        written = encode_written(entry)
        parts += [len(written).to_bytes(4, "big"), written]
    body = b"".join(parts)
    return len(body).to_bytes(4, "big") + body


def decode_applied(packed: bytes) -> Iterator[tuple[list[Event], list[bytes]]]:
    """For each command of a batch its events, and its written entries still packed.

    Raises ValueError when the bytes are not exactly a batch of them.
    """
    at = 0
    while at < len(packed):
        end = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        at, events = _events(packed, at + 4)
        entries = []
        for _ in range(int.from_bytes(packed[at : at + 2], "big")):
            first = at + 6
            at = first + int.from_bytes(packed[at + 2 : first], "big") - 2
            entries.append(packed[first : at + 2])
        at += 2
        if at != end or end > len(packed):
            raise ValueError(f"a command's events and entries end at {at}, not at {end} of {len(packed)}")
        yield events, entries


def _events(packed: bytes, at: int) -> tuple[int, list[Event]]:
    events: list[Event] = []
    count = int.from_bytes(packed[at : at + 2], "big")
    at += 2
    for _ in range(count):
        number = packed[at]
        event, form = EVENT_FORMS[number]
        end = at + 1 + form.length
        values: list[Any] = form.values(packed[at + 1 : end])
        for index, cast in _CASTS[number]:
            values[index] = cast(values[index])
        events.append(event(*values))
        at = end
    return at, events


def encode_written(entry: Entry) -> bytes:
    """A ledger entry with the leaf versions it leaves."""
    parts = [bytes([len(entry.packed)]), entry.packed, bytes([len(entry.accounts)])]
    for write in entry.accounts:
        parts += [write.subaccount.to_bytes(3, "big"), write.head, bytes([len(write.positions) // 32]), write.positions]
        parts.append(bytes([len(write.slots)]))
        parts += [slot.to_bytes(2, "big") + leaf for slot, leaf in write.slots]
        parts.append(bytes([len(write.sessions)]))
        parts += [bytes([session]) + leaf for session, leaf in write.sessions]
    parts.append(bytes([len(entry.markets)]))
    parts += [market.to_bytes(3, "big") + leaf for market, leaf in entry.markets]
    parts.append(bytes([(entry.global_leaf is not None) | (entry.deposit_head is not None) << 1]))
    return b"".join([*parts, entry.global_leaf or b"", entry.deposit_head or b""])


def decode_written(written: bytes) -> Entry:
    """The typed entry. Raises ValueError when the bytes are not exactly one written entry."""
    reader = _Reader(written)
    packed = reader.take(reader.number(1))
    accounts = tuple(_account_write(reader) for _ in range(reader.number(1)))
    markets = tuple((reader.number(3), reader.take(MARKET_LEAF.length)) for _ in range(reader.number(1)))
    flags = reader.number(1)
    global_leaf = reader.take(GLOBALS.length) if flags & 1 else None
    deposit_head = reader.take(32) if flags & 2 else None
    reader.finish()
    return Entry(packed, accounts, markets, global_leaf, deposit_head)


def _account_write(reader: "_Reader") -> AccountWrite:
    subaccount, head = reader.number(3), reader.take(_HEAD)
    positions = reader.take(32 * reader.number(1))
    slots = tuple((reader.number(2), reader.take(SLOT_LEAF.length)) for _ in range(reader.number(1)))
    sessions = tuple((reader.number(1), reader.take(SESSION_LEAF.length)) for _ in range(reader.number(1)))
    return AccountWrite(subaccount, head, positions, slots, sessions)


def _hashed(record_hash: bytes, record: bytes) -> bytes:
    return record_hash + len(record).to_bytes(2, "big") + record


class _Reader:
    """A cursor over bytes of our own making; running past the end is an error of whoever wrote them."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at = packed, 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._packed):
            raise ValueError(f"{len(self._packed)} bytes end before byte {end}")
        taken, self._at = self._packed[self._at : end], end
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def finish(self) -> None:
        if self._at != len(self._packed):
            raise ValueError(f"{len(self._packed) - self._at} bytes too many")
