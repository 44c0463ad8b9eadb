"""JSON without its ambiguities: what two parsers could read differently is refused, and the field is named."""

import json
import math
import re
from typing import Any, Final

DEEPEST: Final = 32
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)
_LARGEST_INTEGER: Final = 20
"""Digits; more do not fit 64 bits."""


class JsonRefusal(ValueError):
    """The text is not the JSON this gateway reads. `param` names the field where that makes sense."""

    def __init__(self, reason: str, param: str | None = None) -> None:
        super().__init__(reason if param is None else f"{reason}: {param}")
        self.reason = reason
        self.param = param


class _Illegal:
    def __init__(self, reason: str) -> None:
        self.reason = reason


def parse(text: bytes) -> Any:
    """The parsed value. Raises JsonRefusal, and nothing else, whatever the bytes (at most 96 KiB of them)."""
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(text) > DEEPEST:
        raise JsonRefusal(f"nested deeper than {DEEPEST}")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonRefusal(f"not UTF-8 at byte {error.start}") from error
    try:
        value = _decoder.decode(decoded)
    except json.JSONDecodeError as error:
        raise JsonRefusal(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise JsonRefusal(f"nested deeper than {DEEPEST}") from error
    _check("", value)
    return value


def _depth(text: bytes) -> int:
    deepest = depth = 0
    for byte in _STRINGS.sub(b"", text):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise JsonRefusal("duplicate key", _printable(name))
        _check(name, name)
        _check(name, value)
        found[name] = value
    return found


def _check(name: str, value: Any) -> None:
    if isinstance(value, _Illegal):
        raise JsonRefusal(value.reason, _printable(name) or None)
    if isinstance(value, list):
        for element in value:
            _check(name, element)
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise JsonRefusal("a lone surrogate", _printable(name) or None) from error


def _printable(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:64]


def _float(text: str) -> float | _Illegal:
    value = float(text)
    return value if math.isfinite(value) else _Illegal("a number out of range")


def _integer(text: str) -> int | _Illegal:
    return int(text) if len(text) <= _LARGEST_INTEGER else _Illegal("an integer out of range")


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_integer,
    parse_constant=lambda text: _Illegal(f"{text} is not a number"),
)
