"""Fifty seeds through the spec and the native core; that a difference is found; and that everything there is occurs.

Where the core is not built the spec runs alone, and is held to its laws after every command.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from laws.invariants import Watch
from penstock.engine.native import available
from penstock.protocol.commands import RECORD_TYPES
from penstock.protocol.events import Event
from penstock.protocol.reasons import Cause, Reason
from penstock.simulation.profiles import PROFILES
from penstock.simulation.side_by_side import NativeHands, SpecHands, Tally, Task, run
from penstock.simulation.streams import Stream
from penstock.spec.digest import engine_root

TESTS = Path(__file__).resolve().parents[1]
SEEDS = range(100, 150)
COMMANDS = 1_000
ELSEWHERE: dict[str, str] = {}
"""What these streams do not reach, with the test that makes it: {"REASON": "tests/…/test_file.py::test_name"}."""
DONE: dict[int, Tally] = {}


def held_to_the_laws():
    """A watch of one stream."""
    watches = []

    def look(stream, step):
        if not watches:
            watches.append(Watch(stream.state))
        watches[0].follow(stream.state, step)
        if step.sequence % 250 == 0:
            watches[0].compare(stream.state)

    return look


def outcome_of(seed, commands=COMMANDS):
    if available():
        return run(Task(seed, commands, saves=300), NativeHands)
    return run(Task(seed, commands, saves=300), watch=held_to_the_laws())


@pytest.mark.parametrize("seed", SEEDS)
def test_spec_and_core_say_the_same_of_every_command(seed):
    outcome = outcome_of(seed)
    DONE[seed] = outcome.tally
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.tally.saves == 3


@cache
def counted():
    """What the streams above met, together; what has not run here runs on the spec alone."""
    tally = Tally()
    for seed in SEEDS:
        tally.add(DONE[seed] if seed in DONE else run(Task(seed, COMMANDS)).tally)
    return tally


def test_every_reason_cause_event_and_record_occurs_in_the_streams_or_has_a_test_of_its_own():
    tally = counted()
    missing = [e.__name__ for e in Event.__args__ if not tally.events[e.__name__]]
    missing += [r.name for r in Reason if not tally.reasons[r.name]]
    missing += [c.name for c in Cause if not tally.causes[c.name]]
    missing += [r.__name__ for r in RECORD_TYPES if not tally.records[r.__name__]]
    assert [name for name in missing if name not in ELSEWHERE] == []


def test_what_is_made_elsewhere_is_made_by_a_test_that_exists():
    for name, test in ELSEWHERE.items():
        file, _, function = test.partition("::")
        text = (TESTS.parent / file).read_text("utf-8")
        assert re.search(rf"^(async )?def {function}\(", text, re.MULTILINE), test
        assert name in text


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_seed_gives_the_same_stream_with_and_without_envelopes(profile):
    plain, sealed, other = Stream(5, profile), Stream(5, profile, envelopes=2), Stream(6, profile)
    attempts = set()
    for _ in range(400):
        first, second = plain.advance(), sealed.advance()
        other.advance()
        assert first.attempts == ()
        assert (first.message, first.time, first.applied) == (second.message, second.time, second.applied)
        attempts |= set(second.attempts)
    assert engine_root(plain.state) == engine_root(sealed.state) != engine_root(other.state)
    assert {type(a.outcome).__name__ for a in attempts} == {"Verified", "Reason"}


def test_a_stream_spoken_to_in_bytes_is_the_same_stream():
    assert run(Task(3, 600, envelopes=1), SpecHands).difference is None
    assert run(Task(4, 300, envelopes=1), SpecHands).difference is None


class Lying(SpecHands):
    """The spec, with one answer changed."""

    def __init__(self, genesis, about, at):
        super().__init__(genesis)
        self._about, self._at, self._asked = about, at, 0

    def _lies(self, about):
        self._asked += about == self._about
        return about == self._about and self._asked == self._at

    def verify(self, envelopes, from_node):
        found = super().verify(envelopes, from_node)
        return [*found[:-1], Reason.SCHEME_UNKNOWN] if self._lies("verify") else found

    def apply(self, commands):
        if self._lies("panic"):
            raise RuntimeError("index out of bounds")
        found = super().apply(commands)
        if self._lies("short"):
            return found[:-1]
        if not self._lies("event"):
            return found
        # The first event of the batch is a credited deposit: its amount's last byte, before block and head.
        at = 4 + 2 + 1 + 8 + 8 + 3 + 20 + 12 - 1
        return found[:at] + bytes([found[at] ^ 1]) + found[at + 1 :]

    def engine_root(self):
        return bytes(32) if self._lies("engine root") else super().engine_root()

    def settlement_roots(self, written):
        found = super().settlement_roots(written)
        return [found[0], bytes(32), *found[2:]] if self._lies("settlement root") else found

    def opening(self, packed):
        return super().opening(packed) + (b"\0" if self._lies("opening") else b"")

    def views(self, subaccount):
        return super().views(subaccount)[: -1 if self._lies("views") else None]

    def save(self):
        return super().save() + (b"\0" if self._lies("saved") else b"")

    def load(self, saved):
        super().load(saved)
        if self._lies("loaded"):
            self._state.accounts[1].guards[4_000] = 1


@pytest.mark.parametrize(
    ("about", "at", "what", "sequence"),
    [
        ("event", 1, "event 0", 1),
        ("short", 2, "not an applied frame", 200),
        ("panic", 3, "raised within the last 100 commands", 300),
        ("engine root", 2, "engine root", 200),
        ("settlement root", 1, "settlement root after", 2),
        ("verify", 1, "verify(", None),
        ("opening", 1, "opening of the leaves", None),
        ("views", 2, "views of subaccount", 200),
        ("saved", 2, "saved state", 400),
        ("loaded", 1, "engine root", 300),
    ],
)
def test_a_lie_is_found_and_reported_with_the_line_that_replays_it(about, at, what, sequence):
    outcome = run(Task(7, 500, saves=200), lambda genesis: Lying(genesis, about, at))
    difference = outcome.difference
    assert difference is not None
    assert what in difference.what
    assert sequence in (None, difference.sequence)
    assert difference.expected != difference.found
    assert f"make sim SEED=7 COMMANDS={difference.sequence}" in difference.replay
    assert all(text in str(difference) for text in (difference.record, difference.expected, difference.found))
    again = run(Task(7, 100 * -(-difference.sequence // 100), saves=200), lambda genesis: Lying(genesis, about, at))
    assert again.difference == difference
