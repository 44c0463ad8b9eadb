"""Both judges on contracts that end: what a position weighs, what trading costs, what is closed, capped or crowded.

What runs here is a share of it: `python tests/contracts/referee_mutants.py` puts every mutant of every scene.
"""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from referee_contracts import (
    BOOK,
    CALL_IN,
    CALL_OUT,
    ENDED_CALL,
    FUTURE_ID,
    HELD,
    LONG,
    PERPETUAL,
    PUT_DEEP,
    PUT_OUT,
    SCENES,
    SHORT,
    liquidated,
    traded,
)
from referee_mutants import bench_of, put_steps, with_market
from referee_scenes import INDEX, MAKER_ID, TAKER_ID, TIME, Part, Scene, play
from referee_world import ZERO, Court, compare, contents_of

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.ledger import MARKET_LEAF, TERMS, Domains
from penstock.protocol.quantities import MICRO
from penstock.protocol.verdicts import Finding
from penstock.protocol.words import keccak
from penstock.settlement.disputes import trade_witness
from penstock.settlement.local_chain import open_chain
from penstock.simulation.profiles import CHAIN_OF_CONTRACTS
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import EXPIRED, HALTED, RESTRICTED, SHORTFALL_BOOKED, STALE

pytestmark = pytest.mark.needs_node
NOW = TIME // MICRO


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    """One court; the chain returns to where it began after every question."""
    with open_chain() as chain:
        yield Court(chain, ZERO)


def finding(court: Court, staged: Scene, tree: SettlementTree | None = None) -> Finding:
    """What both judges find in a scene's trade, as if the leaves of `tree` had been there before; whatever is after."""
    before, whole = tree or staged.tree, staged.contents
    leaves = before.open_trade(whole.entries[staged.index])
    root = whole.post_roots[staged.index]
    for _ in range(2):
        mark = court.chain.snapshot()
        batch = replace(whole.batch, settlement_root=root)
        judged = contents_of(batch, whole.commands, whole.entries, [before.root(), root])
        court.commit(judged)
        verdict = court.agree(judged.batch, judged.batch, trade_witness(judged, judged, staged.index, leaves))
        court.chain.restore(mark)
        assert verdict is not None
        if verdict.finding != Finding.POST_ROOT_WRONG:
            break
        root = verdict.post_root
    return verdict.finding


def changed(staged: Scene, market: int, **changes: Any) -> SettlementTree:
    """The scene's leaves before, with other fields of a market's leaf or terms."""
    leaf, packed = staged.tree._market_leaves[market], staged.tree._terms[market].encode()
    fields, terms = MARKET_LEAF.unpack(leaf), TERMS.unpack(packed[: TERMS.length])
    assert changes.keys() <= fields.keys() | terms.keys()
    fields |= {name: value for name, value in changes.items() if name in fields}
    terms |= {name: value for name, value in changes.items() if name in terms}
    tiers = packed[TERMS.length :]
    return with_market(staged.tree, market, MARKET_LEAF.pack(*fields.values()), TERMS.pack(*terms.values()) + tiers)


def test_both_judges_call_honest_trades_of_a_chain_of_contracts_honest(court: Court):
    assert compare(court.chain, count(100), 600, 6_000, 3, CHAIN_OF_CONTRACTS) == {"HONEST": 600}


@pytest.mark.parametrize("name", SCENES)
def test_both_judges_call_a_scene_honest(court: Court, name: str):
    assert finding(court, SCENES[name]()) == Finding.HONEST


@pytest.mark.parametrize(
    "name",
    [
        "a call out of the money: a long grows, a short grows",
        "a put worth more than the index: both flip",
        "a crowded perpetual: both open",
        "fee and rebate at an eighth of the premium",
        "a builder of an option",
        "a liquidated short put, a slice",
        "a fee of what is left, a rebate of that",
    ],
)
def test_both_judges_say_the_same_of_every_changed_field_of_a_scene(court: Court, name: str):
    dice = Random(name)
    bench = bench_of(court.chain, SCENES[name]())
    put_steps(bench, bench.record.trades, dice, lambda: dice.random() < 0.2)
    assert bench.seen.total() > 200


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize(
    ("changes", "closes"),
    [
        ({"flags": HALTED}, "everything"),
        ({"flags": HALTED | RESTRICTED | STALE}, "everything"),
        ({"expiry": NOW}, "everything"),
        ({"expiry": NOW + 1}, "nothing"),
        ({"expiry": 0}, "nothing"),
        ({"flags": RESTRICTED}, "what grows"),
        ({"flags": SHORTFALL_BOOKED}, "what grows"),
        ({"flags": STALE}, "nothing"),
        ({"priced_at": TIME - 60 * MICRO}, "nothing"),
        ({"priced_at": TIME - 60 * MICRO - 1}, "what grows"),
        ({"flags": EXPIRED, "priced_at": 0}, "nothing"),
        ({"flags": EXPIRED, "expiry": NOW}, "everything"),
    ],
)
def test_a_market_is_closed_to_whom_its_flags_its_end_and_its_price_say(
    court: Court, changes: dict[str, int], closes: str, reduces: bool
):
    order = {"reduce_only": reduces}
    staged = play(BOOK, Part(holds=SHORT), Part(holds={FUTURE_ID: HELD}, order=order), FUTURE_ID, side=SELL)
    closed = closes == "everything" or (closes == "what grows" and not reduces)
    found = finding(court, staged, changed(staged, FUTURE_ID, **changes))
    expired = changes.get("flags", 0) & EXPIRED
    # What has expired needs no margin, which the entry has not said.
    assert found == (Finding.MARKET_CLOSED if closed else Finding.TAKER_RISK_WRONG if expired else Finding.HONEST)


def test_a_market_that_is_only_held_may_be_stale_halted_or_over(court: Court):
    staged = traded(CALL_OUT, BUY, SHORT, LONG)
    for changes in ({"flags": HALTED}, {"expiry": NOW}, {"priced_at": 0}):
        assert finding(court, staged, changed(staged, FUTURE_ID, **changes)) == Finding.HONEST


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize(("above", "found"), [(0, Finding.HONEST), (1, Finding.POSITION_ABOVE_CAP)])
def test_neither_side_grows_beyond_the_markets_cap(court: Court, side: int, above: int, found: Finding):
    held, cap = {PUT_OUT: 93_000 if side == BUY else -93_000}, {"position_cap": 100_000 - above}
    for maker, taker in (({}, held), ({PUT_OUT: -held[PUT_OUT]}, {})):
        staged = play(BOOK, Part(holds=maker), Part(holds=taker), PUT_OUT, side=side)
        assert finding(court, staged, changed(staged, PUT_OUT, **cap)) == found
    # Who shrinks may, from wherever.
    staged = play(BOOK, Part(holds=held), Part(holds={PUT_OUT: -held[PUT_OUT]}), PUT_OUT, side=side)
    assert finding(court, staged, changed(staged, PUT_OUT, position_cap=0)) == Finding.HONEST


def test_the_crowd_raises_what_a_trade_needs_up_to_its_whole_notional(court: Court):
    notional = 7_000 * INDEX
    for cash, crowding, found in (
        (notional + 10_000_000, 10_000, Finding.HONEST),
        (notional - 10_000_000, 10_000, Finding.MAKER_MARGIN_BROKEN),
        (notional - 10_000_000, 9_900, Finding.HONEST),
        (notional - 10_000_000, 65_535, Finding.MAKER_MARGIN_BROKEN),
    ):
        staged = play({PERPETUAL: BOOK[PERPETUAL]}, Part(cash=cash), Part(), PERPETUAL)
        assert finding(court, staged, changed(staged, PERPETUAL, crowding=crowding)) == found
        staged = play({PERPETUAL: BOOK[PERPETUAL]}, Part(), Part(cash=cash), PERPETUAL)
        expected = Finding.TAKER_MARGIN_BROKEN if found != Finding.HONEST else found
        assert finding(court, staged, changed(staged, PERPETUAL, crowding=crowding)) == expected


def test_what_has_expired_weighs_nothing_and_a_long_option_its_worth(court: Court):
    staged = traded(CALL_IN, BUY, {}, {ENDED_CALL: -HELD, CALL_OUT: HELD})
    assert finding(court, staged) == Finding.HONEST
    for market, changes in (
        (ENDED_CALL, {"flags": 0}),
        (ENDED_CALL, {"mark_price": 20_124}),
        (CALL_OUT, {"mark_price": 9_001}),
        (CALL_OUT, {"kind": 2}),
    ):
        assert finding(court, staged, changed(staged, market, **changes)) == Finding.TAKER_RISK_WRONG
    # Neither its index nor its strike is the price of an option that is held.
    for changes in ({"index_price": 1}, {"strike": 1}, {"option_type": 2}, {"crowding": 10_000}):
        assert finding(court, staged, changed(staged, CALL_OUT, **changes)) == Finding.HONEST


@pytest.mark.parametrize(
    "changes",
    [
        {"index_price": INDEX + 100},
        {"index_price": INDEX - 100},
        {"mark_price": 2 * INDEX - 499},
        {"strike": 3 * INDEX - 3 * 99_999_999 // 100_000, "mark_price": INDEX},
        {"option_type": 1},
        {"crowding": 1},
    ],
)
def test_what_a_short_option_needs_hangs_on_index_mark_strike_and_type(court: Court, changes: dict[str, int]):
    staged = traded(CALL_OUT, BUY, {}, {PUT_DEEP: -HELD})
    assert finding(court, staged, changed(staged, PUT_DEEP, **changes)) == Finding.TAKER_RISK_WRONG


@pytest.mark.parametrize(
    ("name", "market", "changes"),
    [
        ("a rebate", PERPETUAL, {"maker_fee_ppm": -124}),
        ("a rebate", PERPETUAL, {"maker_fee_ppm": 0}),
        ("a rebate", PERPETUAL, {"taker_fee_ppm": 100}),
        ("a rebate as large as the fee", FUTURE_ID, {"taker_fee_ppm": 299}),
        ("a rebate on an option", CALL_OUT, {"index_price": INDEX - 100}),
        ("a rebate on an option", CALL_OUT, {"kind": 2}),
        ("a builder", PERPETUAL, {"taker_fee_ppm": 5_001}),
    ],
)
def test_fees_and_rebates_are_what_the_terms_say(court: Court, name: str, market: int, changes: dict[str, int]):
    staged = SCENES[name]()
    assert finding(court, staged, changed(staged, market, **changes)) == Finding.FEE_WRONG


def test_what_is_owed_to_builders_stays_inside_its_width(court: Court):
    staged = SCENES["a builder"]()
    most = (1 << 80) - 4_200_000
    assert finding(court, staged, changed(staged, PERPETUAL, builder_fees=most - 1)) == Finding.HONEST
    assert finding(court, staged, changed(staged, PERPETUAL, builder_fees=most)) == Finding.RESULT_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("market", "changes"),
    [
        (CALL_OUT, {"expiry": NOW + 1, "flags": EXPIRED}),
        (FUTURE_ID, {"expiry": NOW}),
        (CALL_OUT, {"priced_at": TIME - 60 * MICRO - 1}),
        (CALL_OUT, {"liquidation_slice": 30_000 * HELD}),
        (CALL_OUT, {"liquidation_band_ppm": 3_300}),
        (CALL_OUT, {"mark_price": 7_900}),
        (CALL_OUT, {"tick": 0}),
        (CALL_OUT, {"lot": 0}),
    ],
)
def test_a_liquidation_needs_markets_that_go_on_and_stays_in_its_band_and_slice(
    court: Court, market: int, changes: dict[str, int]
):
    # 2,000 is within a quarter of the mark of 9,000, and within one percent of the index.
    staged = liquidated(CALL_OUT, -HELD, 900_000_000, size=14_200, away=2_000)
    assert finding(court, staged) == Finding.HONEST
    assert finding(court, staged, changed(staged, market, **changes)) == Finding.LIQUIDATION_WRONG


@pytest.mark.parametrize(("beside", "found"), [(100, Finding.HONEST), (10_000, Finding.LIQUIDATION_WRONG)])
def test_a_position_without_a_fresh_price_shields_half_its_size_at_the_index(court: Court, beside: int, found: Finding):
    # 600 million are missing; 100 units of a future at 600,000 count 30 million better, 10,000 count 3,000 million.
    staged = liquidated(CALL_OUT, -HELD, 900_000_000, size=14_200, away=2_000, beside=beside)
    assert finding(court, staged) == Finding.HONEST
    stale = {"priced_at": TIME - 60 * MICRO - 1}
    assert finding(court, staged, changed(staged, FUTURE_ID, **stale)) == found


def test_a_liquidation_may_meet_another_subaccount_of_the_same_owner_and_an_order_may_not(court: Court):
    for staged, found in (
        (SCENES["a liquidated short call"](), Finding.HONEST),
        (traded(CALL_OUT, BUY, SHORT, LONG), Finding.SELF_TRADE),
    ):
        maker, taker = (staged.tree._leaves[number] for number in (MAKER_ID, TAKER_ID))
        twin = staged.tree.copy()
        twin._leaves[TAKER_ID] = maker[:20] + taker[20:]
        twin._accounts.set(TAKER_ID, keccak(Domains.ACCOUNT_LEAF + twin._leaves[TAKER_ID]))
        assert finding(court, staged, twin) == found


def test_a_liquidation_does_not_go_on_in_a_halt(court: Court):
    staged = SCENES["a liquidated long call"]()
    assert finding(court, staged, changed(staged, CALL_IN, flags=HALTED)) == Finding.MARKET_CLOSED
    assert finding(court, staged, changed(staged, CALL_IN, flags=RESTRICTED)) == Finding.HONEST
