"""Stage `signed`: envelopes verified on all cores, beside libsecp256k1 alone on the same cores."""

from collections.abc import Iterator
from time import perf_counter
from types import ModuleType
from typing import Any, Final

from coincurve import PrivateKey

from bench.applied import BATCH as SETUP_BATCH
from bench.core import Companion
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
    """libsecp256k1 alone, verifications a second: the best seen on one core and on all.

    Measured in turns with ours, because a shared machine has good and bad moments; through coincurve without `rust`.
    """

    def __init__(self, rust: bool) -> None:
        self.one, self.all = 0.0, 0.0
        self.name = "libsecp256k1" if rust else "libsecp256k1 by coincurve"
        self._companion = Companion("penstock-protocol", "signing_rates") if rust else None

    def measure_one(self) -> None:
        """Look again, on one core."""
        self.one = max(self.one, self._measure(1) if self._companion else _coincurve())

    def measure_all(self) -> None:
        """Look again, on all cores; through coincurve, one core's rate times the cores."""
        self.all = max(self.all, self._measure(cores()) if self._companion else _coincurve() * cores())

    def close(self) -> None:
        """No more looks."""
        if self._companion is not None:
            self._companion.close()

    def _measure(self, threads: int) -> float:
        assert self._companion is not None
        return float(self._companion.ask(str(threads))["libsecp256k1"])


def measure_signed(core: ModuleType, sealed: Sealed, raw: Raw, runs: int, report: Report) -> float:
    """Single messages, bundles, and verifying with applying behind it, through the seam; the rate of the last."""
    verifier = set_up(core, sealed)[1]
    _check_messages(verifier, sealed)
    single, both, bundles = 0.0, 0.0, dict.fromkeys(sealed.bundles, 0.0)
    for _ in range(runs):
        raw.measure_all()
        single = max(single, _rate(verifier, sealed.envelopes))
        for length, made in sealed.bundles.items():
            bundles[length] = max(bundles[length], length * _rate(verifier, made))
        both = max(both, _verify_and_apply(core, sealed))
    unit = "messages/s"
    report.row("signed", single, raw.all, f"{raw.name}, all cores", unit)
    for length, rate in bundles.items():
        report.row(f"signed, bundles of {length}", rate, raw.all * length, f"{raw.name} × {length}, all cores", unit)
    report.row("signed, verify and apply", both, raw.all, f"{raw.name}, all cores", unit)
    return both


def measure_spec_signed(sealed: Sealed, raw: Raw, count: int, report: Report) -> None:
    """The spec on one core; it recovers every key anew."""
    separator = World(sealed.parameters.accounts).separator
    raw.measure_one()
    started = perf_counter()
    for envelope in sealed.envelopes[:count]:
        verify(separator, envelope)
    rate = count / (perf_counter() - started)
    raw.measure_one()
    report.row("signed, spec", rate, raw.one, f"{raw.name}, one core", "messages/s")


def _verified(verifier: Any, envelopes: list[bytes]) -> list[bytes]:
    found = verifier.verify(envelopes, [False] * len(envelopes))
    require(all(isinstance(message, bytes) for message in found), "an envelope of the bench was refused")
    return found  # type: ignore[no-any-return]


def _rate(verifier: Any, envelopes: list[bytes]) -> float:
    started = perf_counter()
    for at in range(0, len(envelopes), BATCH):
        _verified(verifier, envelopes[at : at + BATCH])
    return len(envelopes) / (perf_counter() - started)


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


def _coincurve() -> float:
    key = PrivateKey(keccak(b"bench raw"))
    digests = [keccak(b"%d" % at) for at in range(_RAW_MANY)]
    signatures = [key.sign(digest, hasher=None) for digest in digests]
    started = perf_counter()
    for signature, digest in zip(signatures, digests, strict=True):
        key.public_key.verify(signature, digest, hasher=None)
    return _RAW_MANY / (perf_counter() - started)
