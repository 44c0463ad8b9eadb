"""Save, load and bulk replay behind the seam: both engines the same, and the public books rebuilt from a state."""

from dataclasses import dataclass, field

import pytest

from penstock.protocol.commands import encode_record
from penstock.protocol.events import FeesSwept, FundingAccrued, PricePublished, ShortfallCovered
from penstock.protocol.quantities import MAX_SEQUENCE, MICRO
from penstock.protocol.signing import SIGNATURE, pack_envelope
from penstock.simulation.profiles import PROFILES
from penstock.simulation.streams import Stream
from penstock.spec.queries import market_view
from penstock.venue.engine_port import SpecEngine, open_engine
from penstock.venue.frames import frame
from penstock.venue.gateway.figures import Figures
from penstock.venue.market_data import MarketData
from penstock.venue.sequencer import Executed

NAMES = ("spec", "native")
QUOTING = (PricePublished, FundingAccrued, FeesSwept, ShortfallCovered)
each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def envelope_of(message):
    """An envelope that reopens to the message; its signatures are nobody's."""
    members = [encode_record(member.record) for member in message.members]
    return pack_envelope(bytes(32), encode_record(message.record), [bytes(SIGNATURE)] * len(message.signers), members)


def frame_of(step):
    return frame(step.sequence, step.time, step.message.signers, envelope_of(step.message))


def told(engine, steps):
    """What an engine says of each step: its events, entries and leaf versions; and its roots at the end."""
    commands = [(s.sequence, s.time, engine.reopen(envelope_of(s.message), s.message.signers)) for s in steps]
    applied = list(engine.apply(commands))
    events = [list(a.events) for a in applied]
    entries = [[entry.packed for entry in a.entries] for a in applied]
    tree = engine.tree()
    return events, entries, engine.engine_root(), tree.root()


@pytest.mark.needs_native
@each_profile
def test_both_engines_save_the_same_bytes_and_go_on_from_them_alike(profile):
    stream = Stream(11, profile)
    engines = [open_engine(stream.genesis, name) for name in NAMES]
    for count in (150, 1, 249):
        steps = [stream.advance() for _ in range(count)]
        spec, native = (told(engine, steps) for engine in engines)
        assert spec == native
        saved = engines[0].save()
        assert engines[1].save() == saved
        followed = [engine.tree() for engine in engines]
        loaded = [open_engine(stream.genesis, name) for name in NAMES]
        for engine in loaded:
            engine.load(saved)
            assert engine.save() == saved
            assert list(engine.resting()) == list(engines[0].resting())
        assert {tree.root() for tree in [*followed, *(engine.tree() for engine in loaded)]} == {spec[3]}
        # One goes on loaded and one as it was.
        engines = [engines[0], loaded[1]] if count == 1 else loaded


@pytest.mark.needs_native
@each_profile
def test_bulk_replay_leads_to_the_state_that_the_stream_left(profile):
    stream = Stream(12, profile)
    steps = [stream.advance() for _ in range(1_200)]
    frames = [frame_of(step) for step in steps]
    half = open_engine(stream.genesis, "spec")
    assert half.replay(b"".join(frames[:500])) == 500
    for name in NAMES:
        whole, rest = open_engine(stream.genesis, name), open_engine(stream.genesis, name)
        assert whole.replay(b"") == 0
        assert whole.replay(b"".join(frames[:700])) == 700
        assert whole.replay(b"".join(frames[700:])) == 1_200
        rest.load(half.save())
        assert rest.replay(b"".join(frames[500:])) == 1_200
        expected = SpecEngine(stream.genesis)
        expected.state = stream.state
        assert whole.save() == rest.save() == expected.save()


def replayable():
    stream = Stream(13)
    return stream.genesis, [stream.advance() for _ in range(40)]


def frames_but(steps, at, changed):
    return b"".join(frame_of(s) for s in steps[:at]) + changed + b"".join(frame_of(s) for s in steps[at + 1 :])


def broken(steps):
    """Records that are refused, each with what is said of it."""
    tenth = steps[9]
    signers, envelope = tenth.message.signers, envelope_of(tenth.message)
    yield "sequence 11 comes after 9", frames_but(steps, 9, b"")
    yield "sequence 9 comes after 9", frames_but(steps, 9, frame(9, tenth.time, signers, envelope))
    yield (
        f"sequence 10 goes back in time, from {steps[8].time} to {steps[8].time - 1}",
        frames_but(steps, 9, frame(10, steps[8].time - 1, signers, envelope)),
    )
    for sequence in (0, MAX_SEQUENCE + 1):
        why = f"sequence {sequence} is not from 1 to {MAX_SEQUENCE}"
        yield why, frames_but(steps, 9, frame(sequence, tenth.time, signers, envelope))
    yield "sequence 10: MESSAGE_TRUNCATED", frames_but(steps, 9, frame(10, tenth.time, signers, envelope[:-1]))
    yield "sequence 10: MESSAGE_TRUNCATED", frames_but(steps, 9, frame(10, tenth.time, signers, b""))
    yield "sequence 10: MESSAGE_TOO_LARGE", frames_but(steps, 9, frame(10, tenth.time, signers, bytes(65_537)))
    strange = pack_envelope(bytes(32), bytes(64), [], [])
    yield "sequence 10: TYPE_UNKNOWN", frames_but(steps, 9, frame(10, tenth.time, signers, strange))
    cut = frame(10, tenth.time, signers, b"")
    cut = (17).to_bytes(4, "big") + cut[4:20] + b"\2"
    yield "sequence 10: its signers are cut off", frames_but(steps, 9, cut)
    yield "no whole record after sequence 9", frames_but(steps, 9, b"\0\0\0\0")
    yield "no whole record after sequence 9", frames_but(steps, 9, b"\xff\xff\xff\xff")
    yield "no whole record after sequence 39", frames_but(steps, 39, frame_of(steps[39])[:-1])
    yield "no whole record after sequence 0", b"\0\0"


@pytest.mark.needs_native
@pytest.mark.parametrize("name", NAMES)
def test_replay_refuses_what_is_no_record_or_not_the_next_one_and_names_it(name):
    genesis, steps = replayable()
    for why, records in broken(steps):
        with pytest.raises(ValueError, match=f"replay: {why}$"):
            open_engine(genesis, name).replay(records)


@pytest.mark.needs_native
@pytest.mark.parametrize("name", NAMES)
def test_replay_follows_what_was_applied_and_after_a_load_begins_anywhere(name):
    genesis, steps = replayable()
    engine = open_engine(genesis, name)
    told(engine, steps[:10])
    with pytest.raises(ValueError, match="sequence 12 comes after 10"):
        engine.replay(frame_of(steps[11]))
    engine = open_engine(genesis, name)
    told(engine, steps[:10])
    assert engine.replay(frame_of(steps[10])) == 11
    engine.load(engine.save())
    assert engine.replay(b"") == 0
    assert engine.replay(frame_of(steps[11])) == 12


@pytest.mark.needs_native
@pytest.mark.parametrize("name", NAMES)
def test_a_refused_load_leaves_an_engine_as_it_was(name):
    genesis, steps = replayable()
    engine = open_engine(genesis, name)
    told(engine, steps)
    saved, root = engine.save(), engine.engine_root()
    for strange in (b"", saved[:-1], saved + b"\0", saved[:100] + b"\x55" + saved[101:]):
        with pytest.raises(ValueError, match="saved state"):
            engine.load(strange)
        assert engine.engine_root() == root
    assert engine.save() == saved


@dataclass
class Following:
    """A stream on an engine, and the public market data that followed all of it."""

    stream: Stream
    market_data: MarketData = field(init=False)
    commands: list = field(default_factory=list)

    def __post_init__(self):
        self.market_data = MarketData(self.stream.genesis)

    def advance(self, *others):
        step, state = self.stream.advance(), self.stream.state
        views = ()
        if any(isinstance(event, QUOTING) for event in step.applied.events):
            views = tuple(market_view(state, market) for market in state.markets)
        applied = step.applied
        executed = Executed(step.sequence, step.time, b"", step.message, applied.events, applied.entries, views)
        for market_data in (self.market_data, *others):
            market_data.follow([executed])

    def restored(self, name):
        engine = open_engine(self.stream.genesis, name)
        expected = SpecEngine(self.stream.genesis)
        expected.state = self.stream.state
        engine.load(expected.save())
        return MarketData.restore(self.stream.genesis, self.market_data.time, engine.markets(), engine.resting())


def public(market_data):
    """All that the public and the keepers see, but trades, the day's statistics and when a book last moved."""
    shown = {}
    for number, market in market_data.markets.items():
        ticker = Figures(market).order_book(10_000, market_data.time)
        for unlike in ("timestamp", "change_id", "last_price", "stats"):
            del ticker[unlike]
        levels = [side.top() for side in market.sides]
        shown[number] = ticker, levels, market.rate_time, market.open_interest
    orders = {subaccount: orders for subaccount, orders in market_data.orders.items() if orders}
    return shown, orders, market_data.dead, market_data.positions, market_data.accounts, market_data.time


@pytest.mark.needs_native
@pytest.mark.parametrize("name", NAMES)
@each_profile
def test_market_data_from_a_state_is_what_followed_every_event_then_and_later(profile, name):
    following = Following(Stream(14, profile))
    for count in (60, 340, 400):
        for _ in range(count):
            following.advance()
        restored = following.restored(name)
        assert public(restored) == public(following.market_data)
        ids = {number: market.change_id for number, market in following.market_data.markets.items()}
        for number in range(500):
            following.advance(restored)
            if number % 100 == 0:
                assert public(restored) == public(following.market_data)
        assert public(restored) == public(following.market_data)
        for number, market in restored.markets.items():
            assert market.change_id == following.market_data.markets[number].change_id - ids.get(number, 0)


@pytest.mark.needs_native
def test_orders_of_a_restored_session_leave_when_it_expires_although_nobody_says_anything():
    seen = 0
    for seed in range(8):
        following = Following(Stream(20 + seed))
        for _ in range(600):
            following.advance()
        restored = following.restored("native")
        before = len(restored.dead)
        for seconds in (1, 10, 100, 1_000, 100_000):
            time = following.market_data.time + seconds * MICRO
            for market_data in (restored, following.market_data):
                market_data.advance(time)
            assert public(restored) == public(following.market_data)
        seen += len(restored.dead) - before
    assert seen > 0
