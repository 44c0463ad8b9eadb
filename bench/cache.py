"""Streams are made once and kept under what they are made from, the code that makes them included."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bench.sealed import Sealed, seal_stream
from bench.stream import Parameters, Stream, generate

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".cache" / "bench"
_MAKERS: Final = ("instruments", "world", "frames", "twin", "stream", "sealed")
_KEPT_OF_A_NAME: Final = 3
_Made = TypeVar("_Made")


def stream_of(parameters: Parameters) -> Stream:
    """The applied stream."""
    return _kept(f"stream{parameters.instruments}", parameters, Stream, lambda: generate(parameters))


def sealed_of(parameters: Parameters, bundles: dict[int, int]) -> Sealed:
    """The signed stream, and so many bundles of each length."""
    return _kept("sealed", (parameters, bundles), Sealed, lambda: seal_stream(generate(parameters), bundles))


def _kept(name: str, made_from: object, kind: type[_Made], make: Callable[[], _Made]) -> _Made:
    path = FOLDER / f"{name}-{_digest(made_from)}"
    if path.is_file():
        os.utime(path)
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    made = make()
    FOLDER.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(msgspec.msgpack.encode(made))
    unfinished.replace(path)
    for old in sorted(FOLDER.glob(f"{name}-*"), key=lambda found: found.stat().st_mtime)[:-_KEPT_OF_A_NAME]:
        old.unlink()
    return made


def _digest(made_from: object) -> str:
    sources = [ROOT / "bench" / f"{maker}.py" for maker in _MAKERS]
    sources += sorted((ROOT / "src" / "penstock" / "protocol").glob("*.py"))
    digest = hashlib.sha256(msgspec.json.encode(made_from))
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:24]
