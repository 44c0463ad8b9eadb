"""Forty seeded streams of 2,500 commands each, every law checked after every command."""

import pytest

from laws.invariants import Watch, recount
from penstock.protocol.signing import Domain, verify
from penstock.simulation.envelopes import envelope_of
from penstock.simulation.streams import Stream, steps
from penstock.spec.digest import engine_root
from penstock.spec.state import State
from penstock.spec.transition import apply

SEEDS = range(40)
COMMANDS = 2_500


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


def test_a_seed_gives_the_same_stream_and_the_same_state_again():
    first, again = Stream(7), Stream(7)
    for _ in range(500):
        assert first.advance() == again.advance()
    assert engine_root(first.state) == engine_root(again.state)
    assert engine_root(first.state) != engine_root(Stream(8).state)


def test_a_stream_replayed_from_its_messages_reaches_the_same_root():
    stream = Stream(11)
    replayed = State.from_genesis(stream.genesis)
    for _ in range(1_000):
        step = stream.advance()
        assert apply(replayed, step.sequence, step.time, step.message) == step.applied
    assert engine_root(replayed) == engine_root(stream.state)


def test_every_message_of_a_stream_survives_its_envelope():
    genesis = Stream(3).genesis
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    for step in steps(3, 300):
        assert verify(separator, envelope_of(separator, step.message), from_node=True) == step.message
