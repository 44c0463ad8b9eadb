"""Orders and cancels as the core takes them, packed without building a record: a bench needs millions.

`tests/bench` holds them to `protocol.wire`. The widths are words of 32 bytes, as EIP-712 encodes a record.
"""

from collections.abc import Iterator
from itertools import pairwise
from struct import Struct as Layout
from typing import Final

import sha3

from penstock.protocol.commands import CODECS, CancelOrder, PlaceOrder
from penstock.protocol.quantities import ANY_FILL, NO_DEADLINE
from penstock.protocol.signing import SIGNATURE, pack_envelope
from penstock.protocol.wire import PackedMessage

_PLACE: Final = Layout(">32s 28xI 28xI 24xQ 24xQ 28xI 28xI 24xQ 24xQ 24xQ 28xI 28xI 28xI 28xI 28xI 28xI")
_CANCEL: Final = Layout(">32s 28xI 28xI 24xQ 24xQ")
_HEAD: Final = Layout(">QQIB20s32sH")
_AROUND: Final = 1 + 20 + 32 + 2 + 1
"""Bytes of a message with one signer, less its record."""
_PLACE_TYPE: Final = CODECS[PlaceOrder].typehash
_CANCEL_TYPE: Final = CODECS[CancelOrder].typehash
_MAX_FEE: Final = 1_000
HEAD: Final = 20
"""Bytes of a command before its message."""


def place(
    sequence: int, time: int, signer: bytes, subaccount: int, slot: int, market: int, side: int, price: int, size: int,
    immediate: bool = False,
) -> bytes:  # fmt: skip
    """The command frame of a limit order whose nonce is its time, and which no builder brought."""
    record = _PLACE.pack(
        _PLACE_TYPE, subaccount, slot, time, NO_DEADLINE, market, side, price, size, ANY_FILL, immediate, 0, 0,
        _MAX_FEE, 0, 0,
    )  # fmt: skip
    return _frame(sequence, time, signer, record)


def cancel(sequence: int, time: int, signer: bytes, subaccount: int, slot: int) -> bytes:
    """The command frame of a cancel whose nonce is its time."""
    return _frame(sequence, time, signer, _CANCEL.pack(_CANCEL_TYPE, subaccount, slot, time, NO_DEADLINE))


def _frame(sequence: int, time: int, signer: bytes, record: bytes) -> bytes:
    length = len(record)
    record_hash = sha3.keccak_256(record).digest()
    return _HEAD.pack(sequence, time, _AROUND + length, 1, signer, record_hash, length) + record + b"\0"


def split(frames: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each command of a batch: sequence, time, message."""
    at = 0
    while at < len(frames):
        end = at + HEAD + int.from_bytes(frames[at + 16 : at + HEAD], "big")
        yield (
            int.from_bytes(frames[at : at + 8], "big"),
            int.from_bytes(frames[at + 8 : at + 16], "big"),
            frames[at + HEAD : end],
        )
        at = end


def blank_envelope(separator: bytes, message: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Signers and envelope of a verified message, its signatures blank: nobody looks at them again in a journal."""
    parts = PackedMessage.of(message)
    signatures = [signer + bytes(SIGNATURE - len(signer)) for signer in parts.signers]
    return parts.signers, pack_envelope(separator, parts.record, signatures, [record for _, record in parts.members])


def batches(frames: bytes, size: int) -> list[bytes]:
    """The same commands, `size` at a time."""
    starts, at = [0], 0
    while at < len(frames):
        for _ in range(size):
            if at >= len(frames):
                break
            at += HEAD + int.from_bytes(frames[at + 16 : at + HEAD], "big")
        starts.append(at)
    return [frames[start:end] for start, end in pairwise(starts)]
