"""The node on either engine: the same outcomes, the same roots, and either reads the other's journal."""

import random

import pytest

from penstock.protocol.commands import BUY, SELL, AccrueFunding, PublishPrice
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import seal
from penstock.venue.clock import DevClock
from penstock.venue.engine_port import SpecEngine, open_engine
from penstock.venue.recovery import replay_journal
from venue.harness import GENESIS, ORACLES, SEPARATOR, START, Pen, running, submit

pytestmark = pytest.mark.needs_native
NAMES = ("spec", "native")
PRICE = 600_000


def envelopes(pen, seed, count):
    """Signed orders and cancels of three traders around one price, some of them spoilt."""
    dice = random.Random(seed)
    for _ in range(count):
        trader, slot, side = dice.randrange(1, 4), dice.randrange(16, 24), dice.choice((BUY, SELL))
        if dice.random() < 0.15:
            yield pen.seal(pen.cancel(trader, slot))
            continue
        price = PRICE + dice.randrange(-3, 4) + (-2 if side == BUY else 2)
        sealed = pen.seal(pen.order(trader, side, price, 100 * dice.randrange(1, 9), slot))
        yield sealed if dice.random() < 0.9 else sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:]


async def story(home, name):
    """What one engine's node answers, and where it ends."""
    async with running(home, engine=open_engine(GENESIS, name), clock=DevClock(START, 0)) as node:
        answers = [await submit(node, envelope) for envelope in envelopes(Pen(), 5, 300)]
        views = [node.engine.account(subaccount) for subaccount in range(5)], node.engine.markets()
        return answers, views, node.engine.engine_root(), [side.top() for side in node.market_data.markets[0].sides]


async def test_both_engines_give_the_same_answers_views_books_and_root(tmp_path):
    spec, native = [await story(tmp_path / name, name) for name in NAMES]
    assert spec == native


@pytest.mark.parametrize(("writer", "reader"), [NAMES, NAMES[::-1]])
async def test_a_journal_of_one_engine_leads_the_other_to_the_same_roots(tmp_path, writer, reader):
    _, _, root, _ = await story(tmp_path, writer)
    own, other = replay_journal(tmp_path, GENESIS, engine=writer), replay_journal(tmp_path, GENESIS, engine=reader)
    assert own == other
    assert own.engine_root == root
    assert own.entries > 0


def test_the_trees_of_both_engines_begin_at_one_root_and_prove_alike():
    trees = [open_engine(GENESIS, name).tree() for name in NAMES]
    assert trees[0].root() == trees[1].root() == trees[1].copy().root()
    assert trees[0].prove(0) == trees[1].prove(0)
    for tree in trees:
        assert tree.holds(0) and not tree.holds(1)
        with pytest.raises(KeyError):
            tree.prove(1)
        with pytest.raises(ValueError):
            tree.open_trade(b"no entry")


def test_bytes_that_are_none_are_refused_by_name_and_change_nothing():
    core = pytest.importorskip("penstock_core")
    engine = core.Engine(GENESIS.encode())
    root = engine.engine_root()
    for broken in (b"\0", bytes(19), bytes(20) + b"\1", (1).to_bytes(8, "big") + bytes(8) + b"\xff\xff\xff\xff"):
        with pytest.raises(ValueError):
            engine.apply(broken)
    for genesis in (b"", b"\1", GENESIS.encode()[:-1], GENESIS.encode() + b"\0"):
        with pytest.raises(ValueError):
            core.Engine(genesis)
    with pytest.raises(ValueError, match="32 bytes"):
        core.Verifier(b"short")
    with pytest.raises(ValueError, match="from_node"):
        core.Verifier(bytes(32)).verify([b"one"], [])
    assert core.Verifier(bytes(32)).verify([b"", bytes(65_537)], [False, True]) == [
        Reason.MESSAGE_TRUNCATED,
        Reason.MESSAGE_TOO_LARGE,
    ]
    assert engine.engine_root() == root


def test_an_engine_is_chosen_by_name():
    assert open_engine(GENESIS, "spec").name == "spec"
    assert open_engine(GENESIS, "native").name == open_engine(GENESIS).name == "native"
    with pytest.raises(ValueError, match="auto, native, spec"):
        open_engine(GENESIS, "fast")
    assert isinstance(open_engine(GENESIS, "spec"), SpecEngine)


def test_funding_at_the_end_of_time_is_not_due_in_either_engine():
    end, oracle = (1 << 64) - 1, ORACLES
    told = {}
    for name in NAMES:
        engine, events = open_engine(GENESIS, name), []
        stamps = (START, START + MICRO, end - 5, end - 3)
        records = [(PublishPrice(0, at, 600_000, 601_000), at, oracle) for at in stamps]
        records.insert(3, (AccrueFunding(0), end - 4, []))
        records.append((AccrueFunding(0), end, []))
        for sequence, (record, at, signers) in enumerate(records, 1):
            [message] = engine.verify([seal(SEPARATOR, record, signers)], [True])
            events += next(iter(engine.apply([(sequence, at, message)]))).events
        told[name] = events, engine.engine_root()
    assert told["spec"] == told["native"]
