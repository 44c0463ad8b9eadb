"""Domain, signatures, envelopes, bundles; and `verify`, which runs before sequencing and knows no state."""

from itertools import pairwise
from typing import Final

import sha3
from coincurve import PrivateKey, PublicKey
from msgspec import Struct

from penstock.protocol.commands import (
    INDEPENDENT,
    POKES,
    SLOT_COMMANDS,
    Bundle,
    CreditDeposit,
    PublishPrice,
    Record,
    decode_record,
    encode_record,
)
from penstock.protocol.ledger import sequenced_hash
from penstock.protocol.quantities import MAX_BUNDLE, MAX_ENVELOPE, MAX_ORACLES
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.words import keccak

UNSIGNED: Final = 0
SECP256K1_EIP712: Final = 1
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_NAME: Final = "Penstock"
_VERSION: Final = "1"
SIGNATURE: Final = 85
"""Bytes of a signature: signer b20, r b32, s b32, v u8."""


class Domain(Struct, frozen=True):
    """The EIP-712 domain: which chain's vault a signature is for."""

    chain_id: int
    vault: bytes

    def separator(self) -> bytes:
        """keccak256 of the encoded domain, 32 bytes."""
        return keccak(
            keccak(_DOMAIN_TYPE.encode())
            + keccak(_NAME.encode())
            + keccak(_VERSION.encode())
            + self.chain_id.to_bytes(32, "big")
            + self.vault.rjust(32, b"\0")
        )


class Signer:
    """A secp256k1 private key that signs records."""

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.address = address_of(self._key.public_key)

    def sign(self, separator: bytes, record_hash: bytes) -> bytes:
        """address ‖ r ‖ s ‖ v (85 bytes, low s, v 27 or 28) over the EIP-712 digest."""
        signature: bytes = self._key.sign_recoverable(digest_of(separator, record_hash), hasher=None)
        return self.address + signature[:64] + bytes([27 + signature[64]])


class Member(Struct, frozen=True):
    """One record of a message, with its struct hash."""

    record: Record
    record_hash: bytes


class Verified(Struct, frozen=True):
    """What `verify` found: the record, its hash, who signed it (ascending), and a bundle's members."""

    record: Record
    record_hash: bytes
    signers: tuple[bytes, ...]
    members: tuple[Member, ...] = ()

    @property
    def record_type(self) -> type:
        """The type of the record."""
        return type(self.record)

    @property
    def member_types(self) -> list[type]:
        """The types of a bundle's members, or of the record itself."""
        return [type(member.record) for member in self.members] or [type(self.record)]


def address_of(key: PublicKey) -> bytes:
    """The 20-byte Ethereum address of a public key."""
    return keccak(key.format(compressed=False)[1:])[12:]


def digest_of(separator: bytes, record_hash: bytes) -> bytes:
    """The EIP-712 digest that is signed."""
    return keccak(b"\x19\x01" + separator + record_hash)


def hash_record(record: Record) -> bytes:
    """The record's EIP-712 struct hash."""
    return keccak(encode_record(record))


def bundle_root(hashes: list[bytes]) -> bytes:
    """Binary Merkle root of struct hashes: leaf keccak(0x00 ‖ h), node keccak(0x01 ‖ l ‖ r), zero-padded."""
    level = [sha3.keccak_256(b"\x00" + h).digest() for h in hashes]
    while len(level) > 1:
        if len(level) % 2:
            level.append(bytes(32))
        level = [sha3.keccak_256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    root: bytes = level[0]
    return root


def seal(separator: bytes, record: Record, signers: list[Signer], members: list[Record] | None = None) -> bytes:
    """The envelope of a record signed by `signers` (any order), with a bundle's members behind it."""
    encoded = encode_record(record)
    record_hash = keccak(encoded)
    signatures = [s.sign(separator, record_hash) for s in sorted(signers, key=lambda s: s.address)]
    return pack_envelope(separator, encoded, signatures, [encode_record(m) for m in members or []])


def seal_bundle(separator: bytes, subaccount: int, deadline: int, members: list[Record], signer: Signer) -> bytes:
    """The envelope of an independent bundle of 1 to 64 records of one subaccount."""
    encoded = [encode_record(m) for m in members]
    root = bundle_root([keccak(m) for m in encoded])
    bundle = encode_record(Bundle(root, len(members), INDEPENDENT, subaccount, deadline))
    return pack_envelope(separator, bundle, [signer.sign(separator, keccak(bundle))], encoded)


def pack_envelope(separator: bytes, record: bytes, signatures: list[bytes], members: list[bytes]) -> bytes:
    """separator b32 · scheme u8 · signature count u8 · signatures · record · member count u8 · members.

    Every record is preceded by its length, u16. Unsigned envelopes have scheme 0.
    """
    parts = [separator, bytes([SECP256K1_EIP712 if signatures else UNSIGNED, len(signatures)]), *signatures]
    parts += [len(record).to_bytes(2, "big"), record, bytes([len(members)])]
    for member in members:
        parts += [len(member).to_bytes(2, "big"), member]
    return b"".join(parts)


def signatures_of(envelope: bytes) -> bytes:
    """The signatures of an envelope that was verified, 85 bytes each; none of an unsigned one."""
    return envelope[34 : 34 + envelope[33] * SIGNATURE]


def split_envelope(envelope: bytes) -> tuple[bytes, list[bytes]]:
    """The record of an envelope that was verified, and its members, all encoded."""
    record, at = _take(envelope, 34 + envelope[33] * SIGNATURE)
    members, count = [], envelope[at]
    at += 1
    for _ in range(count):
        member, at = _take(envelope, at)
        members.append(member)
    return record, members


def sequenced_leaf(sequence: int, time: int, envelope: bytes, record_hash: bytes | None = None) -> bytes:
    """The leaf of a verified envelope in a batch's sequence list; `record_hash` where it is known already."""
    record, members = split_envelope(envelope)
    return sequenced_hash(
        sequence, time, record_hash or keccak(record), keccak(signatures_of(envelope)), [keccak(m) for m in members]
    )


def verify(separator: bytes, envelope: bytes, *, from_node: bool = False) -> Verified:
    """Check everything that needs no state. Raises Refusal; never any other exception, whatever the bytes.

    `from_node` admits the records only the node itself may submit (CreditDeposit).
    """
    if len(envelope) > MAX_ENVELOPE:
        raise Refusal(Reason.MESSAGE_TOO_LARGE)
    scheme, signatures, encoded, encoded_members = _unpack(separator, envelope)
    record = decode_record(encoded)
    record_hash = keccak(encoded)
    if isinstance(record, CreditDeposit) and not from_node:
        raise Refusal(Reason.COMMAND_NOT_FOR_CLIENTS)
    _check_signature_count(record, scheme, len(signatures))
    digest = digest_of(separator, record_hash)
    signers = tuple(check_signature(digest, signature) for signature in signatures)
    if any(a >= b for a, b in pairwise(signers)):
        raise Refusal(Reason.SIGNERS_NOT_ASCENDING)
    return Verified(record, record_hash, signers, _check_members(record, encoded_members))


def check_signature(digest: bytes, signature: bytes, *, either_parity: bool = True) -> bytes:
    """The signer it names, if it is that signer's. Raises Refusal for high s, r, s or v out of range, another's key.

    Valid means that one of the two parities of R recovers the named address; v only tells which to try first. Where
    r ≥ p − n that is what verifying against the key says, so whoever knows it may verify instead of recovering. Below
    that, which happens to nobody by chance, R may have x = r + n: verifying accepts what does not recover. Without
    `either_parity` only the stated v will do, so that a signature has one byte form.
    """
    signer, r, s = signature[:20], int.from_bytes(signature[20:52], "big"), int.from_bytes(signature[52:84], "big")
    v = signature[84]
    if not 0 < r < CURVE_ORDER or not 0 < s <= CURVE_ORDER // 2 or v not in (27, 28):
        raise Refusal(Reason.SIGNATURE_MALFORMED)
    compact = signature[20:84]
    if _recover(digest, compact, v - 27) == signer:
        return signer
    if either_parity and _recover(digest, compact, 28 - v) == signer:
        return signer
    raise Refusal(Reason.SIGNATURE_WRONG)


def _recover(digest: bytes, compact: bytes, parity: int) -> bytes | None:
    try:
        key = PublicKey.from_signature_and_message(compact + bytes([parity]), digest, hasher=None)
    except Exception:  # coincurve raises a bare Exception when no point recovers
        return None
    return address_of(key)


def take_apart(envelope: bytes) -> tuple[list[bytes], bytes, list[bytes]]:
    """Signatures, record and members of an envelope. Raises Refusal when it is not exactly as long as it states."""
    if len(envelope) < 34:
        raise Refusal(Reason.MESSAGE_TRUNCATED)
    count = envelope[33]
    at = 34 + count * SIGNATURE
    signatures = [envelope[34 + i * SIGNATURE : 34 + (i + 1) * SIGNATURE] for i in range(count)]
    record, at = _take(envelope, at)
    if at >= len(envelope):
        raise Refusal(Reason.MESSAGE_TRUNCATED)
    member_count, at = envelope[at], at + 1
    members = []
    for _ in range(member_count):
        member, at = _take(envelope, at)
        members.append(member)
    if at != len(envelope):
        raise Refusal(Reason.MESSAGE_TRUNCATED)
    return signatures, record, members


def _unpack(separator: bytes, envelope: bytes) -> tuple[int, list[bytes], bytes, list[bytes]]:
    signatures, record, members = take_apart(envelope)
    if envelope[32] not in (UNSIGNED, SECP256K1_EIP712):
        raise Refusal(Reason.SCHEME_UNKNOWN)
    if envelope[:32] != separator:
        raise Refusal(Reason.DOMAIN_WRONG)
    return envelope[32], signatures, record, members


def _take(envelope: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(envelope[at : at + 2], "big")
    if at + 2 > len(envelope) or end > len(envelope):
        raise Refusal(Reason.MESSAGE_TRUNCATED)
    return envelope[at + 2 : end], end


def _check_signature_count(record: Record, scheme: int, count: int) -> None:
    unsigned = isinstance(record, (*POKES, CreditDeposit))
    wanted = count == 0 if unsigned else (1 <= count <= MAX_ORACLES if isinstance(record, PublishPrice) else count == 1)
    if not wanted or (scheme == UNSIGNED) != unsigned:
        raise Refusal(Reason.SIGNATURE_COUNT_WRONG)


def _check_members(record: Record, encoded: list[bytes]) -> tuple[Member, ...]:
    if not isinstance(record, Bundle):
        if encoded:
            raise Refusal(Reason.BUNDLE_COUNT_WRONG)
        return ()
    if not 1 <= record.count <= MAX_BUNDLE or record.count != len(encoded):
        raise Refusal(Reason.BUNDLE_COUNT_WRONG)
    if record.mode != INDEPENDENT:
        raise Refusal(Reason.BUNDLE_MODE_UNKNOWN)
    members = tuple(Member(decode_record(m), keccak(m)) for m in encoded)
    for member in members:
        if not isinstance(member.record, SLOT_COMMANDS) or member.record.subaccount != record.subaccount:
            raise Refusal(Reason.BUNDLE_MEMBER_REFUSED)
    if bundle_root([m.record_hash for m in members]) != record.root:
        raise Refusal(Reason.BUNDLE_ROOT_WRONG)
    return members
