"""The one byte form of a message: typehash, then one 32-byte word a field (EIP-712 encodeData)."""

from typing import Annotated, Any, get_args, get_type_hints

import sha3
from msgspec import Struct

from penstock.protocol.reasons import Reason, Refusal

WORD = 32


class Atom(Struct, frozen=True):
    """A static ABI atom: its name in EIP-712, how many bits it has, and whether it is signed (two's complement)."""

    name: str
    bits: int
    signed: bool = False


def keccak(payload: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not NIST SHA3-256)."""
    digest: bytes = sha3.keccak_256(payload).digest()
    return digest


Uint8 = Annotated[int, Atom("uint8", 8)]
Uint16 = Annotated[int, Atom("uint16", 16)]
Uint24 = Annotated[int, Atom("uint24", 24)]
Uint32 = Annotated[int, Atom("uint32", 32)]
Uint40 = Annotated[int, Atom("uint40", 40)]
Uint48 = Annotated[int, Atom("uint48", 48)]
Uint64 = Annotated[int, Atom("uint64", 64)]
Uint96 = Annotated[int, Atom("uint96", 96)]
Int32 = Annotated[int, Atom("int32", 32, signed=True)]
Bool = Annotated[bool, Atom("bool", 1)]
Address = Annotated[bytes, Atom("address", 160)]
Bytes32 = Annotated[bytes, Atom("bytes32", 256)]


class Codec:
    """Encodes and decodes one record type; built once per type from its annotations."""

    def __init__(self, record_type: type[Struct]) -> None:
        hints = get_type_hints(record_type, include_extras=True)
        self.record_type = record_type
        self.fields = [(name, _atom(hints[name])) for name in record_type.__struct_fields__]
        self.encode_type = f"{record_type.__name__}({','.join(f'{a.name} {n}' for n, a in self.fields)})"
        self.typehash = keccak(self.encode_type.encode())
        self.length = WORD * (1 + len(self.fields))
        self._readers = [
            (WORD * (i + 1), WORD * (i + 2), 1 << (atom.bits - atom.signed), atom)
            for i, (_, atom) in enumerate(self.fields)
        ]

    def encode(self, record: Struct) -> bytes:
        """The record's bytes. Raises ValueError naming the field that does not fit its width."""
        words = [self.typehash]
        for name, atom in self.fields:
            value = getattr(record, name)
            if atom.name in ("address", "bytes32"):
                if not isinstance(value, bytes) or len(value) * 8 != atom.bits:
                    raise ValueError(f"{self.record_type.__name__}.{name}: {value!r} is not {atom.bits // 8} bytes")
                words.append(value.rjust(WORD, b"\0"))
                continue
            # Neither 1.5 nor "1": what is signed is what was meant.
            most = 1 << (atom.bits - atom.signed)
            if not isinstance(value, int) or not (-most if atom.signed else 0) <= value < most:
                least = f"-2^{atom.bits - 1}" if atom.signed else "0"
                raise ValueError(f"{self.record_type.__name__}.{name}: {value!r} is not in {least}..{most - 1}")
            words.append(value.to_bytes(WORD, "big", signed=atom.signed))
        return b"".join(words)

    def decode(self, record: bytes) -> Struct:
        """The typed record. Raises Refusal when the length or a word's padding is wrong."""
        if len(record) != self.length:
            raise Refusal(Reason.RECORD_LENGTH_WRONG)
        values: list[Any] = []
        for start, end, limit, atom in self._readers:
            word = record[start:end]
            if atom.name == "bytes32":
                values.append(word)
                continue
            number = int.from_bytes(word, "big", signed=atom.signed)
            if not (-limit if atom.signed else 0) <= number < limit:
                raise Refusal(Reason.WORD_NOT_CANONICAL)
            if atom.name == "address":
                values.append(word[12:])
            elif atom.name == "bool":
                values.append(number == 1)
            else:
                values.append(number)
        return self.record_type(*values)


def _atom(hint: Any) -> Atom:
    for extra in get_args(hint):
        if isinstance(extra, Atom):
            return extra
    raise TypeError(f"{hint} is not a static ABI atom")
