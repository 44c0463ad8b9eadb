"""The signed bytes of a stream's messages, and the ways in which they are spoilt before `verify` sees them.

Every spoiling takes a letter (an envelope in parts) and changes one thing. Dice of its own: with or without envelopes
a seed gives the same messages.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.commands import (
    ATOMIC,
    INDEPENDENT,
    Bundle,
    CreditDeposit,
    Liquidate,
    PublishPrice,
    Record,
    SlotCommand,
    encode_record,
)
from penstock.protocol.quantities import MAX_BUNDLE, MAX_ENVELOPE, NO_DEADLINE
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import (
    CURVE_ORDER,
    SECP256K1_EIP712,
    UNSIGNED,
    Domain,
    Verified,
    bundle_root,
    seal,
    verify,
)
from penstock.protocol.words import keccak
from penstock.simulation.cast import ORACLES, SIGNERS, STRANGER, VAULT

SPOILT: Final = 0.4
"""How many of the messages that begin as bytes have a spoilt twin before them."""


class Attempt(Struct, frozen=True):
    """One envelope, and what `verify` said of it."""

    envelope: bytes
    from_node: bool
    outcome: Verified | Reason


class Letter(Struct):
    """An envelope in parts that may be changed."""

    separator: bytes
    scheme: int
    signatures: list[bytes]
    record: bytes
    members: list[bytes]

    def pack(self) -> bytes:
        """The envelope's bytes, whatever the parts are."""
        parts = [self.separator, bytes([self.scheme, len(self.signatures)]), *self.signatures]
        parts += [len(self.record).to_bytes(2, "big"), self.record, bytes([len(self.members)])]
        for member in self.members:
            parts += [len(member).to_bytes(2, "big"), member]
        return b"".join(parts)

    def sign(self, *signers: bytes) -> None:
        """Sign the record as it is now."""
        ordered = sorted(signers)
        self.signatures = [SIGNERS[s].sign(self.separator, keccak(self.record)) for s in ordered]


class Post:
    """Opens one envelope in `one_in` (0: none), and before some of them a spoilt one."""

    def __init__(self, seed: int, separator: bytes, one_in: int) -> None:
        self._dice = Random(f"envelopes of {seed}")
        self._separator = separator
        self._one_in = one_in

    def attempts(self, message: Verified) -> tuple[Attempt, ...]:
        """The envelopes of a message that were opened: perhaps a spoilt one, then its own. Mostly none."""
        if not self._one_in or self._dice.randrange(self._one_in):
            return ()
        own = attempt(self._separator, envelope_of(self._separator, message), True)
        if own.outcome != message:
            raise AssertionError(f"the envelope of {message} opens as {own.outcome}")
        if self._dice.random() >= SPOILT:
            return (own,)
        envelope, from_node = spoil(self._dice, self._separator, message)
        return attempt(self._separator, envelope, from_node), own


def attempt(separator: bytes, envelope: bytes, from_node: bool) -> Attempt:
    """Open an envelope and note what came of it."""
    try:
        return Attempt(envelope, from_node, verify(separator, envelope, from_node=from_node))
    except Refusal as refusal:
        return Attempt(envelope, from_node, refusal.reason)


def envelope_of(separator: bytes, message: Verified) -> bytes:
    """The signed bytes of a stream's message."""
    signers = [SIGNERS[address] for address in message.signers]
    return seal(separator, message.record, signers, [m.record for m in message.members])


def spoil(dice: Random, separator: bytes, message: Verified) -> tuple[bytes, bool]:
    """A spoilt envelope of the message, and whether it comes from the node itself."""
    letter = _letter(separator, message)
    ways: list[Callable[[Random, Letter], bytes | None]] = [*_OF_BYTES, *_OF_RECORDS]
    if message.signers:
        ways += _OF_SIGNATURES
    if isinstance(message.record, CreditDeposit):
        return letter.pack(), False
    if isinstance(message.record, Bundle | SlotCommand) and dice.random() < 0.4:
        ways, letter = list(_OF_BUNDLES), _bundle(letter, message)
    spoilt = dice.choice(ways)(dice, letter)
    return letter.pack() if spoilt is None else spoilt, dice.random() < 0.5


def _letter(separator: bytes, message: Verified) -> Letter:
    letter = Letter(separator, UNSIGNED, [], encode_record(message.record), [])
    letter.members = [encode_record(m.record) for m in message.members]
    if message.signers:
        letter.scheme = SECP256K1_EIP712
        letter.sign(*message.signers)
    return letter


def _bundle(letter: Letter, message: Verified) -> Letter:
    """The message as a bundle: itself, or a bundle of one."""
    if isinstance(message.record, Bundle):
        return letter
    root = bundle_root([message.record_hash])
    subaccount = getattr(message.record, "subaccount", 0)
    letter.members = [letter.record]
    letter.record = encode_record(Bundle(root, 1, INDEPENDENT, subaccount, NO_DEADLINE))
    letter.sign(*message.signers)
    return letter


# --- the bytes ---


def _too_large(dice: Random, letter: Letter) -> bytes:
    packed = letter.pack()
    return packed + bytes(MAX_ENVELOPE + dice.choice((0, 1)) - len(packed))


def _cut(dice: Random, letter: Letter) -> bytes:
    packed = letter.pack()
    return packed[: dice.randrange(len(packed))]


def _longer(dice: Random, letter: Letter) -> bytes:
    return letter.pack() + dice.randbytes(dice.choice((1, 2, 32)))


def _flipped_bit(dice: Random, letter: Letter) -> bytes:
    packed = bytearray(letter.pack())
    packed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
    return bytes(packed)


def _noise(dice: Random, letter: Letter) -> bytes:
    return letter.pack()[: dice.choice((0, 32, 33, 34))] + dice.randbytes(dice.randrange(200))


def _scheme(dice: Random, letter: Letter) -> None:
    letter.scheme = dice.choice((2, 255, 1 - letter.scheme))


def _domain(dice: Random, letter: Letter) -> None:
    letter.separator = dice.choice((Domain(1, VAULT), Domain(31337, bytes(20)))).separator()


# --- the record ---


def _type(dice: Random, letter: Letter) -> None:
    letter.record = dice.choice((bytes(32), keccak(b"Place()"), b"", letter.record[:31])) + letter.record[32:]


def _length(dice: Random, letter: Letter) -> None:
    letter.record = dice.choice((letter.record[:-1], letter.record + b"\0", letter.record[:32], letter.record[:-32]))


def _word(dice: Random, letter: Letter) -> None:
    letter.record = _widened(dice, letter.record)


def _widened(dice: Random, record: bytes) -> bytes:
    """One bit set in the first byte of some word: outside every width but that of a bundle's root."""
    at = 32 * dice.randrange(1, len(record) // 32)
    return record[:at] + bytes([record[at] ^ 0x80]) + record[at + 1 :]


def _members_behind(dice: Random, letter: Letter) -> None:
    letter.members.append(letter.record)


# --- the signatures ---


def _count(dice: Random, letter: Letter) -> None:
    letter.signatures = dice.choice(([], letter.signatures * 2, letter.signatures * 20))


def _malformed(dice: Random, letter: Letter) -> None:
    signature = letter.signatures[0]
    s = int.from_bytes(signature[52:84], "big")
    wrong = dice.choice(
        (
            signature[:20] + bytes(32) + signature[52:], signature[:20] + b"\xff" * 32 + signature[52:],
            signature[:52] + bytes(32) + signature[84:], signature[:52] + b"\xff" * 32 + signature[84:],
            signature[:52] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - signature[84]]),
            signature[:84] + bytes([dice.choice((0, 1, 26, 29, 255))]),
            signature[:20] + CURVE_ORDER.to_bytes(32, "big") + signature[52:],
        )
    )  # fmt: skip
    letter.signatures[0] = wrong


def _other_signer(dice: Random, letter: Letter) -> None:
    signature = letter.signatures[0]
    digest = keccak(letter.record + b"!")
    letter.signatures[0] = dice.choice(
        (
            STRANGER.address + signature[20:],
            bytes(20) + signature[20:],
            SIGNERS[signature[:20]].sign(letter.separator, digest),
            signature[:20] + dice.randbytes(31) + b"\1" + signature[52:],
        )
    )


def _other_parity(dice: Random, letter: Letter) -> None:
    """Still valid: v is a hint."""
    signature = letter.signatures[-1]
    letter.signatures[-1] = signature[:84] + bytes([55 - signature[84]])


def _unordered(dice: Random, letter: Letter) -> None:
    letter.record = encode_record(dice.choice(_PRICES))
    letter.sign(*(oracle.address for oracle in ORACLES))
    first, second, third = letter.signatures
    letter.signatures = dice.choice(([third, first, second], [first, first], [second, first, third]))


# --- bundles ---


def _resigned(letter: Letter, **changes: int | bytes) -> None:
    signer = letter.signatures[0][:20]
    letter.record = encode_record(replace(_bundle_of(letter), **changes))
    letter.sign(signer)


def _bundle_of(letter: Letter) -> Bundle:
    """The letter's bundle, stated anew over its present members."""
    root = bundle_root([keccak(member) for member in letter.members] or [bytes(32)])
    subaccount = int.from_bytes(letter.members[0][32:64], "big") & 0xFFFFFF if letter.members else 0
    return Bundle(root, min(255, len(letter.members)), INDEPENDENT, subaccount, NO_DEADLINE)


def _stated_count(dice: Random, letter: Letter) -> None:
    _resigned(letter, count=dice.choice((0, len(letter.members) + 1, 65, 255)))


def _held_count(dice: Random, letter: Letter) -> None:
    letter.members = dice.choice(([], letter.members[:1] * 65, letter.members[:1] * (MAX_BUNDLE + 100)))
    _resigned(letter)


def _mode(dice: Random, letter: Letter) -> None:
    _resigned(letter, mode=dice.choice((ATOMIC, ATOMIC, 2, 255)))


def _stranger(dice: Random, letter: Letter) -> None:
    """A member of another subaccount, or one that no bundle may hold."""
    at = dice.randrange(len(letter.members))
    subaccount = int.from_bytes(letter.members[at][32:64], "big")
    foreign = letter.members[at][:32] + (subaccount ^ 1).to_bytes(32, "big") + letter.members[at][64:]
    bad: list[Record] = [*_PRICES, Liquidate(subaccount & 0xFFFFFF), CreditDeposit(0, 1, VAULT, 1, 1)]
    choices = [foreign, letter.record, *(encode_record(record) for record in bad)]
    wanted = _bundle_of(letter).subaccount
    letter.members.insert(at, dice.choice(choices))
    _resigned(letter, subaccount=wanted)


def _member_bytes(dice: Random, letter: Letter) -> None:
    """A member that is no record: refused for its own reason."""
    member = letter.members[-1]
    choices = (b"", bytes(32) + member[32:], member[:-1], member + bytes(32), _widened(dice, member))
    letter.members[-1] = dice.choice(choices)


def _root(dice: Random, letter: Letter) -> None:
    roots = (bytes(32), dice.randbytes(32), bundle_root([keccak(m) for m in (*letter.members, letter.record)]))
    _resigned(letter, root=dice.choice(roots))


def _reordered(dice: Random, letter: Letter) -> None:
    """Other members than were signed: in another order, or one of them twice."""
    letter.members = letter.members[::-1] if len(letter.members) > 1 else letter.members
    if dice.random() < 0.5:
        letter.members[0] = letter.members[-1]


_PRICES: Final = (PublishPrice(0, 1, 5, 5), PublishPrice(1, 1 << 60, 1, 1))
_OF_BYTES: Final = (_cut, _longer, _flipped_bit, _flipped_bit, _noise, _scheme, _domain, _too_large)
_OF_RECORDS: Final = (_type, _length, _word, _members_behind)
_OF_SIGNATURES: Final = (_count, _malformed, _malformed, _other_signer, _other_parity, _unordered)
_OF_BUNDLES: Final = (_stated_count, _held_count, _mode, _stranger, _member_bytes, _root, _reordered)
