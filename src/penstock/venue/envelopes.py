"""Reading back what the node itself once verified."""

from penstock.protocol.commands import decode_record
from penstock.protocol.quantities import MAX_ENVELOPE
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import Member, Verified, take_apart
from penstock.protocol.words import keccak

_SCHEME_AT = 32


def reopen(envelope: bytes, signers: tuple[bytes, ...]) -> Verified:
    """The message of a journalled envelope, with the signers that were found when it was sequenced.

    No signature is checked. Raises Refusal when the bytes never were an envelope.
    """
    if len(envelope) > MAX_ENVELOPE:
        raise Refusal(Reason.MESSAGE_TOO_LARGE)
    _, record, members = take_apart(envelope)
    opened = tuple(Member(decode_record(member), keccak(member)) for member in members)
    return Verified(decode_record(record), keccak(record), signers, opened)


def is_signed(envelope: bytes) -> bool:
    """Whether the envelope names a signature scheme: then it is unique, which a poke is not."""
    return len(envelope) > _SCHEME_AT and envelope[_SCHEME_AT] != 0
