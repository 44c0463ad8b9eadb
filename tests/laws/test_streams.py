"""Forty seeded streams of 2,500 commands each, every law checked after every command."""

from collections import Counter

import pytest

from laws.invariants import Watch, recount
from laws.streams import Stream, envelope_of, genesis, steps
from penstock.protocol import events as say
from penstock.protocol.reasons import Cause, Reason
from penstock.protocol.signing import Domain, verify
from penstock.spec.digest import engine_root
from penstock.spec.state import State
from penstock.spec.transition import apply

SEEDS = range(40)
COMMANDS = 2_500
COUNTS = Counter()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_law_holds_after_every_command(seed):
    stream = Stream(seed)
    watch = Watch(stream.state)
    for number in range(1, COMMANDS + 1):
        watch.follow(stream.state, stream.advance())
        if number % 100 == 0:
            watch.compare(stream.state)
        if number % 1_000 == 0:
            recount(stream.state)
    COUNTS.update(watch.counts)


def test_the_streams_reach_what_they_are_meant_to_reach(capsys):
    """Runs after the streams above and prints what they met; alone, it makes streams of its own."""
    seen = COUNTS or Counter(name for seed in range(6) for name in _named(seed))
    with capsys.disabled():
        print("\nstreams met:", ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    rare = {"FILL_LIMIT", "POSITION_LIMIT", "OPEN_ORDER_LIMIT", "SESSION_LIMIT", "OUT_OF_RANGE", "SESSION_KEY_INVALID"}
    rare |= {"MARKET_REDUCE_ONLY", "REDUCE_ONLY_LIMIT", "BUNDLE_MEMBER_REFUSED", "OWNER_ONLY", "SESSION_SLOT_FORBIDDEN"}
    events = [event.__name__ for event in say.Event.__args__]
    engine = [r.name for r in Reason if r >= Reason.SUBACCOUNT_UNKNOWN]
    missing = [name for name in (*events, *engine, *(c.name for c in Cause)) if not seen[name] and name not in rare]
    assert missing == []


def _named(seed):
    for step in steps(seed, COMMANDS):
        for event in step.applied.events:
            yield type(event).__name__
            if hasattr(event, "reason"):
                yield event.reason.name
            if hasattr(event, "cause"):
                yield event.cause.name


def test_a_seed_gives_the_same_stream_and_the_same_state_again():
    first, again = Stream(7), Stream(7)
    for _ in range(500):
        assert first.advance() == again.advance()
    assert engine_root(first.state) == engine_root(again.state)
    assert engine_root(first.state) != engine_root(Stream(8).state)


def test_a_stream_replayed_from_its_messages_reaches_the_same_root():
    stream = Stream(11)
    replayed = State.from_genesis(genesis())
    for _ in range(1_000):
        step = stream.advance()
        assert apply(replayed, step.sequence, step.time, step.message) == step.applied
    assert engine_root(replayed) == engine_root(stream.state)


def test_every_message_of_a_stream_survives_its_envelope():
    separator = Domain(31337, genesis().vault).separator()
    for step in steps(3, 300):
        assert verify(separator, envelope_of(step.message), from_node=True) == step.message
