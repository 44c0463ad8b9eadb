"""Stage `signed`: envelopes verified on all cores, beside libsecp256k1 alone on the same cores."""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from types import ModuleType
from typing import Any, Final

from coincurve import PrivateKey

from bench.applied import BATCH as SETUP_BATCH
from bench.core import has_cargo, run_example
from bench.frames import batches, split
from bench.machine import cores
from bench.report import Report, require
from bench.sealed import Sealed
from bench.world import World
from penstock.protocol.signing import verify
from penstock.protocol.wire import encode_command
from penstock.protocol.words import keccak

BATCH: Final = 1_024
_RAW_MANY: Final = 2_000


class Raw:
    """libsecp256k1 alone, verifications a second: the best of what was seen so far on one core and on all."""

    def __init__(self) -> None:
        self.one, self.all, self.name = 0.0, 0.0, "libsecp256k1"

    def measure(self) -> None:
        """Look again; a shared machine has good and bad moments."""
        if not has_cargo():
            self.name = "libsecp256k1 by coincurve"
            self.one = max(self.one, _coincurve())
            self.all = self.one * cores()
            return
        for line in run_example("penstock-protocol", "signing_rates"):
            rate = float(line["libsecp256k1"])
            if line["threads"] == 1:
                self.one = max(self.one, rate)
            if line["threads"] == cores():
                self.all = max(self.all, rate)


def measure_signed(core: ModuleType, sealed: Sealed, raw: Raw, runs: int, report: Report) -> float:
    """Single messages, bundles, and verifying with applying behind it, through the seam; the rate of the last."""
    verifier = set_up(core, sealed)[1]
    raw.measure()
    _check_messages(verifier, sealed)
    single = _rate(len(sealed.envelopes), runs, lambda: _verify_all(verifier, sealed.envelopes))
    bundles = {
        length: length * _rate(len(made), runs, lambda made=made: _verify_all(verifier, made))  # type: ignore[misc]
        for length, made in sealed.bundles.items()
    }
    both = max(_verify_and_apply(core, sealed) for _ in range(runs))
    raw.measure()
    unit = "messages/s"
    report.row("signed", single, raw.all, f"{raw.name}, all cores", unit)
    for length, rate in bundles.items():
        report.row(f"signed, bundles of {length}", rate, raw.all * length, f"{raw.name} × {length}, all cores", unit)
    report.row("signed, verify and apply", both, raw.all, f"{raw.name}, all cores", unit)
    report.check("signed: libsecp256k1 alone", f"{raw.one:,.0f}/s on one core, {raw.all:,.0f}/s on {cores()}")
    return both


def measure_spec_signed(sealed: Sealed, raw: Raw, count: int, report: Report) -> None:
    """The spec on one core; it recovers every key anew."""
    separator = World(sealed.parameters.accounts).separator
    rate = _rate(count, 1, lambda: [verify(separator, envelope) for envelope in sealed.envelopes[:count]])
    if not raw.one:
        raw.measure()
    report.row("signed, spec", rate, raw.one, f"{raw.name}, one core", "messages/s")


def _verified(verifier: Any, envelopes: list[bytes]) -> list[bytes]:
    found = verifier.verify(envelopes, [False] * len(envelopes))
    require(all(isinstance(message, bytes) for message in found), "an envelope of the bench was refused")
    return found  # type: ignore[no-any-return]


def _verify_all(verifier: Any, envelopes: list[bytes]) -> None:
    for at in range(0, len(envelopes), BATCH):
        _verified(verifier, envelopes[at : at + BATCH])


def _check_messages(verifier: Any, sealed: Sealed) -> None:
    """What is verified is what the unsigned stream says."""
    messages = _verified(verifier, sealed.envelopes)
    require(messages == [message for _, _, message in split(sealed.timed)], "a verified message differs from its frame")


def set_up(core: ModuleType, sealed: Sealed) -> tuple[Any, Any]:
    """A fresh engine after the set-up, and a verifier that knows every signer."""
    world = World(sealed.parameters.accounts)
    engine, verifier = core.Engine(world.genesis.encode()), core.Verifier(world.separator)
    for batch in batches(sealed.setup, SETUP_BATCH):
        engine.apply(batch)
    _verified(verifier, sealed.greetings)
    return engine, verifier


def verified_batches(verifier: Any, sealed: Sealed) -> Iterator[tuple[list[tuple[int, int]], list[bytes], list[bytes]]]:
    """The timed commands: their sequences and times, their envelopes, and what was verified of them."""
    stamps = [(sequence, time) for sequence, time, _ in split(sealed.timed)]
    for at in range(0, len(stamps), BATCH):
        envelopes = sealed.envelopes[at : at + BATCH]
        yield stamps[at : at + BATCH], envelopes, _verified(verifier, envelopes)


def _verify_and_apply(core: ModuleType, sealed: Sealed) -> float:
    """Messages a second, each verified in its batch and then applied with it."""
    engine, verifier = set_up(core, sealed)
    started = perf_counter()
    for stamps, _, messages in verified_batches(verifier, sealed):
        engine.apply(b"".join(encode_command(*s, m) for s, m in zip(stamps, messages, strict=True)))
    return len(sealed.envelopes) / (perf_counter() - started)


def _rate(count: int, runs: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(runs):
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return count / min(seconds)


def _coincurve() -> float:
    key, digests = PrivateKey(keccak(b"bench raw")), [keccak(b"%d" % at) for at in range(_RAW_MANY)]
    signatures: Sequence[bytes] = [key.sign(digest, hasher=None) for digest in digests]
    public = key.public_key
    pairs = list(zip(signatures, digests, strict=True))
    return _rate(_RAW_MANY, 2, lambda: [public.verify(*pair, hasher=None) for pair in pairs])
