"""Journal records as bulk replay takes them, and the order they must come in.

frame  length u32 · body
body   sequence u64 · time u64 · signers u8 · signer b20 each · envelope
"""

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final

from penstock.protocol.quantities import MAX_ENVELOPE, MAX_SEQUENCE
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import Verified
from penstock.venue.envelopes import reopen

_HEAD: Final = Layout(">QQB")
_LENGTH: Final = 4
_SIGNER: Final = 20
_MOST: Final = _HEAD.size + 255 * _SIGNER + MAX_ENVELOPE

Reached = tuple[int, int] | None
"""Sequence and time of the last command; None where they are not known."""


def frame(sequence: int, time: int, signers: tuple[bytes, ...], envelope: bytes) -> bytes:
    """One journal record behind its length."""
    body = b"".join((_HEAD.pack(sequence, time, len(signers)), *signers, envelope))
    return len(body).to_bytes(_LENGTH, "big") + body


def read_frames(records: bytes, reached: Reached) -> Iterator[tuple[int, int, Verified]]:
    """Sequence, time and message of each record.

    Raises ValueError naming the sequence that is no record, does not follow the one before it, or goes back in time.
    """
    at = 0
    while at < len(records):
        length = int.from_bytes(records[at : at + _LENGTH], "big")
        body = records[at + _LENGTH : at + _LENGTH + length]
        if not _HEAD.size <= length <= _MOST or len(body) != length:
            where = "at the beginning" if reached is None else f"after sequence {reached[0]}"
            raise ValueError(f"replay: no whole record {where}")
        sequence, time, count = _HEAD.unpack_from(body)
        _check_order(sequence, time, reached)
        first = _HEAD.size + count * _SIGNER
        if len(body) < first:
            raise ValueError(f"replay: sequence {sequence}: its signers are cut off")
        signers = tuple(body[i : i + _SIGNER] for i in range(_HEAD.size, first, _SIGNER))
        try:
            message = reopen(body[first:], signers)
        except Refusal as refusal:
            raise ValueError(f"replay: sequence {sequence}: {refusal.reason.name}") from refusal
        reached, at = (sequence, time), at + _LENGTH + length
        yield sequence, time, message


def _check_order(sequence: int, time: int, reached: Reached) -> None:
    if not 1 <= sequence <= MAX_SEQUENCE:
        raise ValueError(f"replay: sequence {sequence} is not from 1 to {MAX_SEQUENCE}")
    if reached is None:
        return
    last, before = reached
    if sequence != last + 1:
        raise ValueError(f"replay: sequence {sequence} comes after {last}")
    if time < before:
        raise ValueError(f"replay: sequence {sequence} goes back in time, from {before} to {time}")
