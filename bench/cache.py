"""Streams are made once: kept by what they are made from, the code that makes them included."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from bench.sealed import Sealed, seal_stream
from bench.stream import Parameters, Stream, generate

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".cache" / "bench"
_MAKERS: Final = ("bench/world.py", "bench/frames.py", "bench/twin.py", "bench/stream.py", "bench/sealed.py")
_CHUNK: Final = 1 << 28


def stream_of(parameters: Parameters) -> Stream:
    """The applied stream."""
    return _kept("stream", parameters, Stream, lambda: generate(parameters))


def sealed_of(parameters: Parameters, bundles: dict[int, int]) -> Sealed:
    """The signed stream, and `bundles` many bundles of each length."""
    return _kept("sealed", (parameters, bundles), Sealed, lambda: seal_stream(generate(parameters), bundles))


def _kept[Made](name: str, made_from: object, kind: type[Made], make: Callable[[], Made]) -> Made:
    raise NotImplementedError
