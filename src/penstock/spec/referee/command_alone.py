"""What is wrong with a sequenced command on its own: what no gateway lets pass, and what `judge` could not open.

The venue verifies every envelope before it gets a number. A batch that holds one which cannot have passed is wrong,
whatever it did; and `judge` needs no more than 512 bytes of anything. The Vyper twin is contracts/CommandReferee.vy.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.commands import CODECS, Bundle, PlaceOrder
from penstock.protocol.ledger import LIST_DEPTH, sequenced_hash
from penstock.protocol.quantities import MAX_BUNDLE
from penstock.protocol.signing import SIGNATURE, bundle_root
from penstock.protocol.verdicts import Finding
from penstock.protocol.words import keccak
from penstock.spec.merkle import root_from_proof
from penstock.spec.referee.judge import Committed
from penstock.spec.referee.witness import LONGEST_COMMAND, WitnessWrong

NO_PLACE: Final = 255
_SIGNED_ONCE: Final = (CODECS[PlaceOrder].typehash, CODECS[Bundle].typehash)
_BUNDLE: Final = CODECS[Bundle]
_COUNT: Final = slice(64, 96)


class CommandQuestion(Struct, frozen=True):
    """A command as it was published, and its siblings in the sequence list; `member` is the one at `place`, if any."""

    sequence: int
    time: int
    record: bytes
    signatures: bytes
    member_hashes: list[bytes]
    place: int
    member: bytes
    siblings: list[bytes]


def judge_command(committed: Committed, batch: Batch, question: CommandQuestion) -> Finding:
    """HONEST or COMMAND_MALFORMED. Raises WitnessWrong for what does not open the batch."""
    if committed.batch_hash_at(batch.number) != batch.hash():
        raise WitnessWrong("no such batch is committed")
    index = question.sequence - batch.first_sequence
    if not 0 <= index < 4**LIST_DEPTH:
        raise WitnessWrong("the command is outside the batch")
    leaf = sequenced_hash(
        question.sequence, question.time, keccak(question.record), keccak(question.signatures), question.member_hashes
    )
    if root_from_proof(index, leaf, question.siblings) != batch.sequence_root:
        raise WitnessWrong("the command is not the one sequenced there")
    if question.place < len(question.member_hashes):
        if keccak(question.member) != question.member_hashes[question.place]:
            raise WitnessWrong("the member is another")
        if len(question.member) > LONGEST_COMMAND:
            return Finding.COMMAND_MALFORMED
    return Finding.HONEST if _well_formed(question) else Finding.COMMAND_MALFORMED


def _well_formed(question: CommandQuestion) -> bool:
    record, hashes = question.record, question.member_hashes
    if len(record) > LONGEST_COMMAND:
        return False
    if record[:32] in _SIGNED_ONCE and len(question.signatures) != SIGNATURE:
        return False
    if record[:32] != _BUNDLE.typehash or len(record) != _BUNDLE.length:
        return not hashes
    return _holds(record, hashes)


def _holds(record: bytes, hashes: Sequence[bytes]) -> bool:
    """Whether these members are the bundle's."""
    if not hashes or len(hashes) > MAX_BUNDLE or len(hashes) != int.from_bytes(record[_COUNT], "big"):
        return False
    return bundle_root(list(hashes)) == record[32:64]
