"""Reading back what the node itself once verified."""

from penstock.protocol.commands import decode_record
from penstock.protocol.signing import SIGNATURE, Member, Verified
from penstock.protocol.words import keccak

_SCHEME_AT = 32
_SIGNATURES_AT = 34


def reopen(envelope: bytes, signers: tuple[bytes, ...]) -> Verified:
    """The message of a journalled envelope, with the signers that were found when it was sequenced."""
    at = _SIGNATURES_AT + envelope[_SIGNATURES_AT - 1] * SIGNATURE
    encoded, at = _take(envelope, at)
    members = []
    count, at = envelope[at], at + 1
    for _ in range(count):
        member, at = _take(envelope, at)
        members.append(Member(decode_record(member), keccak(member)))
    return Verified(decode_record(encoded), keccak(encoded), signers, tuple(members))


def is_signed(envelope: bytes) -> bool:
    """Whether the envelope names a signature scheme: then it is unique, which a poke is not."""
    return len(envelope) > _SCHEME_AT and envelope[_SCHEME_AT] != 0


def _take(envelope: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(envelope[at : at + 2], "big")
    return envelope[at + 2 : end], end
