"""The referee on chain and its Python twin: the same verdict on honest trades, on changed ones, at every gas limit.

What runs here is a share of it. `python tests/contracts/referee_world.py --entries 20000`,
`referee_mutants.py --trades 12` and `referee_gas.py --step 1` run the whole.
"""

import re
from collections.abc import Callable, Iterator
from itertools import count
from random import Random

import pytest
from msgspec.structs import replace
from referee_gas import GAUGES, Gauge, sweep
from referee_mutants import LENGTHS, Bench, choose, put_commands, put_steps
from referee_scenes import Scene, scene
from referee_world import LIBRARY, ZERO, Court, call_bytes, compare, contents_of, record_stream

from penstock.protocol.commands import CODECS, Bundle
from penstock.protocol.ledger import (
    ACCOUNTS_DEPTH,
    ENTRY_FORMS,
    LIST_DEPTH,
    MARKET_LEAF,
    MARKETS_DEPTH,
    POSITION,
    SESSIONS_DEPTH,
    SLOTS_DEPTH,
    TERMS,
    TIER,
    TRADE,
    Domains,
)
from penstock.protocol.quantities import MAX_POSITIONS, MAX_TIERS
from penstock.protocol.verdicts import Finding, Verdict
from penstock.protocol.words import keccak
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.disputes import trade_witness
from penstock.settlement.local_chain import open_chain
from penstock.spec.settlement_tree import SettlementTree

pytestmark = pytest.mark.needs_node
Recorder = Callable[[str, object], None]
NEAR = list(range(1, 9))
MAKER = 1


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with open_chain() as opened:
        yield opened


def verdict_on(chain: Chain, staged: Scene, tree: SettlementTree | None = None) -> Verdict | None:
    """What both judges say of a scene's trade; with `tree`, as if its leaves had been there before."""
    before = tree or staged.tree
    whole = staged.contents
    contents = replace(whole.batch), whole.commands, whole.entries, [before.root(), *whole.post_roots[1:]]
    court, judged = Court(chain, ZERO), contents_of(*contents)
    court.commit(judged)
    witness = trade_witness(judged, judged, staged.index, before.open_trade(whole.entries[staged.index]))
    return court.agree(judged.batch, judged.batch, witness)


def test_both_judges_call_a_thousand_honest_trades_honest(chain: Chain):
    assert compare(chain, count(100), 1_000, 900, 3) == {"HONEST": 1_000}


@pytest.mark.parametrize("seed", [0, 1, 2, 8])
def test_both_judges_say_the_same_of_every_changed_field_and_a_changed_entry_is_never_honest(chain: Chain, seed: int):
    dice = Random(seed)
    bench = Bench(chain, record_stream(seed, LENGTHS.get(seed, 400), trees=True))
    trades = choose(bench.record, 3, dice)
    put_steps(bench, trades, dice)
    put_commands(bench, trades, dice, lambda: dice.random() < 0.15)
    findings = {finding for _, finding in bench.seen}
    assert bench.seen.total() > 2_000
    assert {"HONEST", "POST_ROOT_WRONG", "FEE_WRONG", "FIELDS_IMPOSSIBLE", "no verdict"} <= findings


def without_account(tree: SettlementTree, number: int) -> SettlementTree:
    twin = tree.copy()
    del twin._leaves[number]
    twin._accounts.set(number, ZERO)
    return twin


def with_leaf(tree: SettlementTree, number: int, leaf: bytes) -> SettlementTree:
    twin = tree.copy()
    twin._leaves[number] = leaf
    twin._accounts.set(number, keccak(Domains.ACCOUNT_LEAF + leaf))
    return twin


def test_a_side_without_an_account_is_found(chain: Chain):
    staged = scene([1], [1], [1], 1)
    for number in (MAKER, 1 << 23):
        verdict = verdict_on(chain, staged, without_account(staged.tree, number))
        assert verdict == Verdict(Finding.ACCOUNT_UNKNOWN)


def test_a_market_that_is_not_listed_is_found(chain: Chain):
    staged = scene([1, 2], [2], [2], 1)
    twin = staged.tree.copy()
    del twin._market_leaves[1]
    twin._terms = {number: terms for number, terms in twin._terms.items() if number != 1}
    twin._markets.set(1, ZERO)
    assert verdict_on(chain, staged, twin) == Verdict(Finding.MARKET_UNKNOWN)


def test_a_trade_between_two_accounts_of_one_owner_is_found(chain: Chain):
    staged = scene([1], [1], [1], 1)
    taker = staged.tree._leaves[1 << 23]
    twin = with_leaf(staged.tree, MAKER, taker[:20] + staged.tree._leaves[MAKER][20:])
    assert verdict_on(chain, staged, twin) == Verdict(Finding.SELF_TRADE)


def test_a_thirty_third_position_is_found(chain: Chain):
    markets = list(range(1, 41))
    staged = scene(markets, [1], [], 40)
    words = b"".join(POSITION.pack(market, 1, 600_123, 123_456_789_012) for market in range(1, 33))
    leaf = staged.tree._leaves[MAKER]
    assert leaf[31] == 1, "the maker's number of positions"
    twin = with_leaf(staged.tree, MAKER, leaf[:31] + bytes([32]) + leaf[32:128] + words)
    assert verdict_on(chain, staged, twin) == Verdict(Finding.POSITIONS_TOO_MANY)


@pytest.mark.parametrize("gauge", GAUGES, ids=lambda gauge: gauge.name)
def test_a_judgement_costs_no_more_than_is_stated(chain: Chain, gauge: Gauge, record_property: Recorder):
    gas = gauge.measure(chain)
    record_property("gas", gas)
    assert gas.used <= gauge.limit
    assert gas.floor <= gas.used


def test_the_longest_witness_there_can_be_fits_and_no_longer_one_is_paid_for():
    alone, form = 1 + 96, ENTRY_FORMS[TRADE].length
    step = 4 + 2 * (1 + form + 32) + 2 * alone * (LIST_DEPTH - 1) + 65
    # A bundle with the longest member and signatures.
    command = 1 + 8 + 514 + 2 + CODECS[Bundle].length + 32 + 514 + 1 + 6 * 32 + LIST_DEPTH * alone
    account = 2 + 128 + 32 * MAX_POSITIONS + 2 * (1 + 64) + (SLOTS_DEPTH + SESSIONS_DEPTH) * alone
    known = 2 * MAX_POSITIONS + 1
    markets = 1 + known * (3 + 1 + MARKET_LEAF.length + TERMS.length + MAX_TIERS * TIER.length) + 96
    for level in reversed(range(MARKETS_DEPTH)):
        parents = min(known, 4**level)
        markets, known = markets + parents + 32 * (4 * parents - known), parents
    longest = step + 2 * command + 2 * account + markets + 2 * alone * (ACCOUNTS_DEPTH - 1) + 65
    source = (LIBRARY.sources / "reading.vy").read_text()
    (reserved,) = re.findall(r"MAX_WITNESS: constant\(uint256\) = ([\d_]+)", source)
    assert longest <= int(reserved) < longest + 32


def test_an_honest_trade_is_convicted_at_no_gas_limit(chain: Chain):
    answers = sweep(chain, scene(NEAR, NEAR, NEAR, 1), first=0, step=613)
    assert answers.convicted == 0
    assert answers.failed > 300 and answers.honest > 10


def test_a_false_trade_is_called_honest_at_no_gas_limit(chain: Chain):
    staged = scene(NEAR, NEAR, NEAR, 1)
    whole = staged.contents
    staged.contents = contents_of(whole.batch, whole.commands, whole.entries, [whole.post_roots[0], keccak(b"false")])
    answers = sweep(chain, staged, first=0, step=1_201)
    assert answers.honest == 0
    assert answers.failed > 100 and answers.convicted > 5


def test_a_spoilt_witness_convicts_nobody(chain: Chain):
    staged = scene(NEAR, NEAR, NEAR, 1, keys=True, bundles=True)
    court, contents = Court(chain, ZERO), staged.contents
    court.commit(contents)
    witness = trade_witness(contents, contents, 1, staged.tree.open_trade(contents.entries[1]))
    dice, refused = Random(1), 0
    for _ in range(400):
        at = dice.randrange(len(witness))
        spoilt = witness[:at] + bytes([witness[at] ^ 1 << dice.randrange(8)]) + witness[at + 1 :]
        verdict = court.agree(contents.batch, contents.batch, dice.choice((spoilt, spoilt, witness[:at])))
        assert verdict is None or verdict.finding == Finding.HONEST
        refused += verdict is None
    assert refused > 390


def test_arguments_encoded_otherwise_and_batches_never_committed_are_refused(chain: Chain):
    staged = scene([1], [1], [1], 1)
    court, contents = Court(chain, ZERO), staged.contents
    court.commit(contents)
    witness = trade_witness(contents, contents, 1, staged.tree.open_trade(contents.entries[1]))
    honest = call_bytes(contents.batch, contents.batch, witness)
    offset = 4 + 28 * 32
    moved = honest[:offset] + (30 * 32).to_bytes(32, "big") + bytes(32) + honest[offset + 32 :]
    with pytest.raises(ChainError):
        chain.call(court.referee.address, moved)
    other = replace(contents.batch, time=contents.batch.time + 1)
    assert court.on_chain(other, contents.batch, witness) == "referee: no such batch is committed"
    assert court.on_chain(contents.batch, other, witness) == "referee: no such batch is committed"
