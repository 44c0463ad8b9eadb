"""Packed layouts: fields of stated width one after the other, big-endian, two's complement, whole bytes in all."""

from struct import Struct
from typing import Any, Final

from penstock.protocol.reasons import Reason, Refusal

_PLAIN: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Form:
    """A packed layout: fields `name uN|iN|bN` in order, big-endian, two's complement, whole bytes in all."""

    def __init__(self, name: str, layout: str) -> None:
        self.name = name
        self.layout = layout
        self.fields: list[tuple[str, str, int]] = []
        for field in layout.split(", "):
            field_name, width = field.split(" ")
            self.fields.append((field_name, width[0], int(width[1:]) * (8 if width[0] == "b" else 1)))
        self.bits = sum(bits for _, _, bits in self.fields)
        if self.bits & 7:
            raise ValueError(f"{name} is {self.bits} bits, not whole bytes")
        self.length = self.bits >> 3
        aligned = all(bits & 7 == 0 for _, _, bits in self.fields)
        self._struct = Struct(">" + "".join(_code(sign, bits) for _, sign, bits in self.fields)) if aligned else None
        self._wide = [
            (at, sign == "i") for at, (_, sign, bits) in enumerate(self.fields) if sign != "b" and bits not in _PLAIN
        ]

    def pack(self, *values: int | bytes) -> bytes:
        """The packed bytes. Raises ValueError naming the field that does not fit."""
        packed = 0
        for (name, sign, bits), value in zip(self.fields, values, strict=True):
            if isinstance(value, bytes):
                number = int.from_bytes(value, "big")
                if len(value) << 3 != bits:
                    raise ValueError(f"{self.name}.{name}: {len(value)} bytes, wants {bits >> 3}")
            else:
                number = value
            low = -(1 << (bits - 1)) if sign == "i" else 0
            if not low <= number < low + (1 << bits):
                raise ValueError(f"{self.name}.{name}: {number} does not fit {sign}{bits}")
            packed = (packed << bits) | (number & ((1 << bits) - 1))
        return packed.to_bytes(self.length, "big")

    def unpack(self, packed: bytes) -> dict[str, Any]:
        """Field values by name. Total on inputs of the right length; Refusal(RECORD_LENGTH_WRONG) otherwise."""
        return dict(zip((name for name, _, _ in self.fields), self.values(packed), strict=True))

    def values(self, packed: bytes) -> list[Any]:
        """Field values in order; like `unpack`."""
        if len(packed) != self.length:
            raise Refusal(Reason.RECORD_LENGTH_WRONG)
        if self._struct is None:
            return self._shifted(packed)
        values: list[Any] = list(self._struct.unpack(packed))
        for at, signed in self._wide:
            values[at] = int.from_bytes(values[at], "big", signed=signed)
        return values

    def _shifted(self, packed: bytes) -> list[Any]:
        """Where fields do not begin on bytes: shift them off the end of one large number."""
        rest = int.from_bytes(packed, "big")
        values: list[Any] = []
        for _, sign, bits in reversed(self.fields):
            number = rest & ((1 << bits) - 1)
            rest >>= bits
            if sign == "b":
                values.append(number.to_bytes(bits >> 3, "big"))
            else:
                values.append(number - (1 << bits) if sign == "i" and number >> (bits - 1) else number)
        return values[::-1]


def _code(sign: str, bits: int) -> str:
    """The struct code of a field; what has none is taken as bytes."""
    if sign == "b" or bits not in _PLAIN:
        return f"{bits >> 3}s"
    return _PLAIN[bits].lower() if sign == "i" else _PLAIN[bits]
