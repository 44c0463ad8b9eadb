"""The spec doing the core's work on the core's bytes."""

from collections.abc import Iterator
from time import perf_counter

from bench.frames import split
from penstock.protocol.ledger import Entry
from penstock.protocol.terms import Genesis
from penstock.protocol.wire import decode_message, encode_applied
from penstock.spec.digest import engine_root
from penstock.spec.state import State
from penstock.spec.transition import apply


class SpecRun:
    """A spec state fed with command frames."""

    def __init__(self, genesis: Genesis, setup: bytes) -> None:
        self.state = State.from_genesis(genesis)
        self.entries: list[Entry] = []
        self.seconds = 0.0
        for sequence, time, message in split(setup):
            apply(self.state, sequence, time, decode_message(message))

    def apply(self, frames: bytes) -> Iterator[bytes]:
        """Applied frames of one batch, one by one. The time of decoding, applying and encoding is added up."""
        for sequence, time, message in split(frames):
            started = perf_counter()
            applied = apply(self.state, sequence, time, decode_message(message))
            packed = encode_applied(applied.events, applied.entries)
            self.seconds += perf_counter() - started
            self.entries += applied.entries
            yield packed

    def engine_root(self) -> bytes:
        """Digest of everything `apply` can read."""
        return engine_root(self.state)
