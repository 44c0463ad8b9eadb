"""What an oracle walks to, whose turn it is, and what it refuses to sign: without sockets."""

import itertools
import logging
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.pricing.delivery import Delivery
from penstock.pricing.index import Dropped, Flaw
from penstock.protocol.commands import CancelAll, PublishPrice
from penstock.protocol.events import PricePublished
from penstock.protocol.instruments import CALL, NO_OPTION, OPTION, PERPETUAL, PUT
from penstock.protocol.quantities import MICRO, PPM
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import Signer, seal
from penstock.venue.oracle.contracts import Ignored
from penstock.venue.oracle.cosigning import Cosigner, Objected, Objection, step_towards
from penstock.venue.oracle.decisions import CROSSED, FOLDED, Decision, Decisions, Outcome, Withheld
from penstock.venue.oracle.rules import MOST_PREMIUM, OracleRules
from penstock.venue.oracle.steps import NOT_SETTLING, Bounds, Price, Settling, next_step, price_of, price_record, within
from penstock.venue.oracle.turns import Turns
from penstock.venue.oracle.viewing import NoView, View, settling_of
from spec.contracts import CALL_MARKET, future, option
from world import World, terms

from .oracles import GENESIS, KEYS, RULES, SEPARATOR, TERMS, UNITS

PRICES = st.integers(1, (1 << 39) - 1)
NOW = 1_700_000_000 * MICRO
HERE = Price(UNITS, UNITS)
BOUNDS = Bounds.of(TERMS, RULES.step_ppm)


def own_turn(proposer=KEYS[1], at=NOW):
    """A moment at which it is the proposer's turn."""
    turns = Turns(GENESIS.oracles, RULES)
    return turns.begins(proposer.address, TERMS, turns.slot(TERMS, at) + 1)


def new_cosigner():
    """The first oracle, which has signed nothing yet."""
    return Cosigner(KEYS[0], GENESIS.oracles, {TERMS.market: TERMS}, SEPARATOR, Turns(GENESIS.oracles, RULES), RULES)


def objection(record=None, *, signers=(KEYS[1],), time=None, committed=HERE, view=HERE, cosigner=None, **changes):
    """The name of what a cosigner objects to, or None if it signs."""
    record = record or PublishPrice(TERMS.market, own_turn(), UNITS, UNITS)
    record = replace(record, **changes) if changes else record
    cosigner = cosigner or new_cosigner()
    seen = View(0, view) if isinstance(view, Price) else view
    try:
        proposal = cosigner.read(seal(SEPARATOR, record, list(signers)))
        cosigner.judge(proposal, record.published_at + 1_000 if time is None else time, committed, seen)
        cosigner.sign(proposal)
    except Objected as objected:
        return objected.objection.name
    return None


@given(PRICES, st.floats(-0.0099, 0.0099), PRICES, st.floats(-0.004, 0.004))
@example(1_000, -0.009765625, 1_009, 0.0)  # on the edge of the band, and too small to stay on it
def test_the_venue_takes_every_step_and_the_walk_arrives(start, off, goal, wanted_off):
    start, goal = max(start, 1_000), max(goal, 1_000)
    goal = min(max(goal, start // 2), start * 2)
    low, high = BOUNDS.marks_at(start)
    committed = Price(start, min(max(round(start * (1 + off)), low), high))
    wanted = Price(goal, round(goal * (1 + wanted_off)))
    world = World(traders=0)
    assert isinstance(world.price(committed.index, committed.mark)[-1], PricePublished)
    for _ in range(200):
        step = next_step(committed, wanted, BOUNDS)
        assert step is not None
        world.wait(1)
        assert isinstance(world.price(step.index, step.mark)[-1], PricePublished)
        if step == committed:
            break
        committed = step
    assert committed == wanted


@given(
    st.sampled_from([CALL, PUT]), st.integers(200_000, 2_000_000), st.integers(200_000, 2_000_000),
    st.integers(200_000, 2_000_000), st.floats(-0.05, 1.05), st.floats(0, 1),
)  # fmt: skip
def test_the_venue_takes_every_step_of_an_options_mark_and_the_walk_arrives(right, strike, start, goal, off, wanted):
    """A step is measured by the index; the band is around the intrinsic value and the most it can pay."""
    listed = option(CALL_MARKET, strike, right)
    bounds = Bounds.of(listed, RULES.step_ppm)
    goal = min(max(goal, start // 2), start * 2)

    def between(index, share):
        intrinsic = max(0, index - strike if right == CALL else strike - index)
        return max(1, round(intrinsic + share * ((index if right == CALL else strike) - intrinsic)))

    first, last = between(start, off), Price(goal, between(goal, wanted))
    world = World([terms(), listed], traders=0)
    committed = next_step(Price(0, 0), Price(start, first), bounds)
    assert isinstance(world.price(committed.index, committed.mark, market=CALL_MARKET)[-1], PricePublished)
    for _ in range(400):
        step = next_step(committed, last, bounds)
        assert step is not None
        assert bounds.is_step(step, committed) and bounds.is_in_band(step)
        world.wait(1)
        assert isinstance(world.price(step.index, step.mark, market=CALL_MARKET)[-1], PricePublished)
        if step == committed:
            break
        committed = step
    assert committed == last


@given(
    st.sampled_from([NO_OPTION, CALL, PUT]), st.integers(1, 3_000), st.integers(1, 3_000), st.integers(1, 3_000),
    st.integers(1, 3_000), st.integers(1, 3_000),
)  # fmt: skip
def test_what_is_judged_a_step_in_the_band_is_what_the_venue_takes(right, strike, index, mark, then, after):
    listed = option(CALL_MARKET, strike, right) if right else future(CALL_MARKET)
    bounds, world = Bounds.of(listed), World([terms(), listed], traders=0)
    taken = isinstance(world.price(index, mark, market=CALL_MARKET)[-1], PricePublished)
    assert bounds.is_in_band(Price(index, mark)) == taken
    if taken:
        world.wait(1)
        reason = getattr(world.price(then, after, market=CALL_MARKET)[-1], "reason", None)
        assert bounds.is_step(Price(then, after), Price(index, mark)) == (reason is not Reason.PRICE_STEP_TOO_LARGE)
        if reason is not Reason.PRICE_STEP_TOO_LARGE:
            assert bounds.is_in_band(Price(then, after)) == (reason is None)


def test_from_no_price_the_first_is_the_wanted_one_with_its_mark_in_the_band():
    assert next_step(Price(0, 0), Price(1_000, 2_000), BOUNDS) == Price(1_000, 1_010)


def test_where_the_mark_cannot_follow_the_index_waits_for_it():
    assert next_step(Price(1_000, 990), Price(1_009, 1_009), BOUNDS) == Price(1_008, 998)


def test_a_committed_mark_far_outside_the_band_has_no_step():
    assert next_step(Price(1_000_000, 1_100_000), Price(1_000_000, 1_000_000), BOUNDS) is None
    broken = replace(TERMS, mark_band_ppm=1)
    found = step_towards(Price(UNITS, UNITS), Price(UNITS, UNITS * 2), broken, RULES)
    assert found is Withheld.NO_STEP


def test_a_premium_is_said_as_it_is_within_its_width():
    assert next_step(HERE, Price(UNITS, UNITS, -123), BOUNDS).premium == -123
    assert next_step(HERE, Price(UNITS, UNITS, 1 << 40), BOUNDS).premium == MOST_PREMIUM
    assert next_step(Price(0, 0), Price(1, 1, -(1 << 40)), BOUNDS).premium == -MOST_PREMIUM


def test_a_record_says_the_price_it_was_built_from():
    record = price_record(3, NOW, Price(5, 6, 7))
    assert (record.market, record.published_at) == (3, NOW)
    assert (record.index_price, record.mark_price, record.premium) == (5, 6, 7)
    assert price_of(record) == Price(5, 6, 7)


@given(st.integers(0, 1 << 50), st.integers(0, 99), st.booleans())
def test_in_every_slot_each_oracle_has_one_rank_and_the_first_rotates(slot, market, dated):
    terms = replace(TERMS, market=market, kind=OPTION if dated else PERPETUAL)
    turns, length = Turns(GENESIS.oracles, RULES), RULES.contract_slot_us() if dated else RULES.slot_us()
    ranks = [turns.rank(key.address, terms, slot) for key in KEYS]
    assert sorted(ranks) == [0, 1, 2]
    assert [turns.rank(key.address, terms, slot + 1) for key in KEYS] == [(rank - 1) % 3 for rank in ranks]
    begins = [turns.begins(key.address, terms, slot) for key in KEYS]
    assert {turns.slot(terms, at) for at in begins} == {slot}
    assert turns.slot(terms, min(begins) - 1) == slot - 1 and turns.slot(terms, min(begins) + length) == slot + 1
    assert max(begins) + turns.patience(terms) < min(begins) + length + 3
    assert all(turns.is_due(key.address, terms, at) for key, at in zip(KEYS, begins, strict=True))
    assert not any(
        turns.is_due(key.address, terms, at - 1) for key, at, rank in zip(KEYS, begins, ranks, strict=True) if rank
    )


def test_fifty_contracts_do_not_begin_at_once():
    turns, slot = Turns(GENESIS.oracles, RULES), RULES.contract_slot_us()
    listed = [replace(TERMS, market=market, kind=OPTION) for market in range(2, 52)]
    begins = sorted(min(turns.begins(key.address, one, 0) for key in KEYS) for one in listed)
    assert max(after - before for before, after in itertools.pairwise([*begins, begins[0] + slot])) < slot / 20


def test_what_it_would_have_said_itself_is_signed():
    assert objection() is None


def test_within_the_tolerance_is_near_enough():
    assert objection(index_price=UNITS + 1_200, mark_price=UNITS - 1_200) is None
    assert objection(index_price=UNITS + 1_201) == "INDEX_OFF"
    assert objection(mark_price=UNITS - 1_201) == "MARK_OFF"


def test_a_step_on_the_way_to_the_own_view_is_signed_and_the_view_itself_is_not():
    crashed = Price(UNITS * 8 // 10, UNITS * 8 // 10)
    step = UNITS - UNITS * 9 // 1_000
    assert objection(view=crashed, index_price=step, mark_price=step) is None
    assert objection(view=crashed, index_price=crashed.index, mark_price=crashed.mark) == "STEP_TOO_LARGE"
    assert objection(view=crashed) == "INDEX_OFF"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"market": 7}, "MARKET_UNKNOWN"),
        ({"index_price": 0}, "PRICE_NOT_POSITIVE"),
        ({"mark_price": 0}, "PRICE_NOT_POSITIVE"),
        ({"index_price": UNITS * 102 // 100}, "STEP_TOO_LARGE"),
        ({"mark_price": UNITS * 98 // 100}, "STEP_TOO_LARGE"),
        ({"index_price": UNITS + 5_000, "mark_price": UNITS - 5_000}, "MARK_OUT_OF_BAND"),
        ({"published_at": own_turn() - 1}, "OUT_OF_TURN"),
        ({"signers": (Signer(b"\x05" * 32),)}, "NOT_AN_ORACLE"),
        ({"signers": (KEYS[0],)}, "NOT_AN_ORACLE"),
        ({"signers": (KEYS[1], KEYS[2])}, "NOT_A_PROPOSAL"),
        ({"record": CancelAll(1, 0, 1, 1)}, "NOT_A_PROPOSAL"),
        ({"time": own_turn() - 1}, "NOT_FRESH"),
        ({"time": own_turn() + 5 * MICRO + 1}, "NOT_FRESH"),
        ({"view": None}, "NO_VIEW"),
        ({"view": NoView(0, Withheld.NO_INDEX, "2 of 3 sources live, 3 wanted")}, "NO_VIEW"),
        ({"view": Price(UNITS * 10, UNITS * 10)}, "NO_VIEW"),
        ({"view": Price(UNITS * 99 // 100, UNITS)}, "INDEX_OFF"),
        ({"view": Price(UNITS, UNITS * 1_004 // 1_000)}, "MARK_OFF"),
        ({"committed": Price(UNITS * 2, UNITS * 2)}, "STEP_TOO_LARGE"),
        ({"committed": Price(0, 0), "index_price": UNITS + 2_000}, "INDEX_OFF"),
    ],
)
def test_what_it_cannot_vouch_for_is_not_signed_and_the_objection_has_a_name(changes, name):
    assert objection(**changes) == name


def test_a_premium_nobody_here_sees_is_not_signed():
    assert objection(premium=2_000_000) == "PREMIUM_OFF"
    assert objection(premium=999_999) is None


OPTION_TERMS = replace(
    TERMS, market=5, kind=OPTION, name="BTC_USDC-27MAR27-70000-C", strike=700_000, option_type=CALL,
    price_step_ppm=20_000, mark_band_ppm=50_000, expiry=own_turn() // MICRO + 86_400,
)  # fmt: skip
WORTH = 4_000
"""400 USD, an option's mark."""


def option_objection(index=UNITS, mark=WORTH, *, own=WORTH, committed=WORTH, at=None, terms=OPTION_TERMS, premium=0):
    """The name of what a cosigner objects to in an option's price, or None if it signs."""
    turns = Turns(GENESIS.oracles, RULES)
    due = turns.begins(KEYS[1].address, terms, turns.slot(terms, NOW) + 1)
    cosigner = Cosigner(KEYS[0], GENESIS.oracles, {terms.market: terms}, SEPARATOR, turns, RULES)
    record = PublishPrice(terms.market, due if at is None else at, index, mark, premium)
    seen, here = Price(UNITS, own), Price(UNITS, committed)
    return objection(record, committed=here, view=View(0, seen), cosigner=cosigner)


def test_an_options_mark_is_signed_within_a_part_of_the_index_and_no_premium_is():
    reach = UNITS * RULES.option_tolerance_ppm // PPM
    assert option_objection() is None
    assert option_objection(mark=WORTH + reach) is None and option_objection(mark=WORTH - reach) is None
    assert option_objection(mark=WORTH + reach + 1) == option_objection(mark=WORTH - reach - 1) == "MARK_OFF"
    assert option_objection(premium=1) == "PREMIUM_OFF"
    assert objection(premium=1) is None, "a perpetual has one"


def test_an_options_step_and_band_are_measured_by_the_index():
    step, own_step = UNITS * 20_000 // PPM, UNITS * RULES.step_ppm // PPM
    far = {"own": WORTH + 5 * step}
    assert option_objection(mark=WORTH + own_step, **far) is None, "many times 0.9 % of 400 USD"
    assert option_objection(mark=WORTH + step, **far) == "MARK_OFF"
    assert option_objection(mark=WORTH + step + 1, **far) == "STEP_TOO_LARGE"
    beyond = UNITS + UNITS * 50_000 // PPM
    assert option_objection(mark=beyond + 1, own=beyond, committed=beyond) == "MARK_OUT_OF_BAND"
    assert option_objection(mark=beyond, own=beyond, committed=beyond) is None


def test_at_its_expiry_a_contract_is_not_signed():
    end = OPTION_TERMS.expiry * MICRO
    assert option_objection(at=end) == "ENDED"
    assert option_objection(at=end - 1) != "ENDED"


NEAR = st.integers(UNITS * 97 // 100, UNITS * 103 // 100)
VALUES = st.one_of(NEAR, st.integers(0, (1 << 40) - 1))


@given(index=VALUES, mark=VALUES, here=st.one_of(st.just(0), NEAR), sees=NEAR, into=st.integers(-MICRO, MICRO))
def test_whatever_is_proposed_what_gets_signed_is_near_the_own_next_step_and_in_the_venues_bounds(
    index, mark, here, sees, into
):
    committed = Price(here, here)
    at = own_turn() + into
    record = PublishPrice(TERMS.market, at, index, mark)
    if objection(record, committed=committed, view=Price(sees, sees)) is not None:
        return
    own = next_step(committed, Price(sees, sees), BOUNDS)
    assert within(index, own.index, RULES.tolerance_ppm) and within(mark, own.mark, RULES.tolerance_ppm)
    assert within(mark, index, TERMS.mark_band_ppm)
    assert here == 0 or (within(index, here, TERMS.price_step_ppm) and within(mark, here, TERMS.price_step_ppm))
    assert Turns(GENESIS.oracles, RULES).is_due(KEYS[1].address, TERMS, at)


@given(off=st.integers(-1_190, 1_190), mark_off=st.integers(-1_190, 1_190))
def test_what_is_near_and_in_turn_is_signed(off, mark_off):
    assert objection(index_price=UNITS + off, mark_price=UNITS + mark_off) is None


def test_of_the_others_one_price_of_a_market_is_signed_in_a_slot():
    turns, cosigner = Turns(GENESIS.oracles, RULES), new_cosigner()
    at = own_turn()
    assert objection(cosigner=cosigner) is None
    assert objection(cosigner=cosigner) == "TOO_SOON"
    assert objection(cosigner=cosigner, published_at=at + turns.pace(TERMS) + 1) == "TOO_SOON"
    assert objection(cosigner=cosigner, published_at=own_turn(at=at)) is None
    assert objection(cosigner=cosigner, published_at=at) == "TOO_SOON"


def test_after_an_own_proposal_that_came_to_nothing_anothers_is_signed_in_the_same_slot():
    turns, cosigner = Turns(GENESIS.oracles, RULES), new_cosigner()
    at = own_turn()
    cosigner.note(PublishPrice(TERMS.market, at, UNITS, UNITS))
    assert objection(cosigner=cosigner, published_at=at + turns.pace(TERMS) - 1) == "TOO_SOON"
    assert objection(cosigner=cosigner, published_at=at + turns.pace(TERMS)) is None


def test_the_first_price_of_a_market_wants_only_the_own_view():
    assert objection(committed=Price(0, 0)) is None


def test_every_objection_is_a_sentence_of_its_own():
    assert len(set(Objection)) == len(list(Objection)) == 17
    assert str(Objected(Objection.NOT_FRESH, "1 at 2")) == (
        "NOT_FRESH: published too long ago, or in the future: 1 at 2"
    )


def test_decisions_are_counted_kept_and_said_aloud_when_they_are_new(caplog):
    heard = []
    decisions = Decisions(heard.append)
    stale = (Dropped("north", Flaw.STALE),)
    with caplog.at_level(logging.WARNING):
        for time in range(300):
            decisions.add(Decision(time, "BTC", Outcome.WITHHELD, "NO_INDEX", "2 of 3", None, stale))
        decisions.add(Decision(300, "BTC", Outcome.WITHHELD, "VIEW_STALE"))
        decisions.add(Decision(301, "BTC", Outcome.PUBLISHED))
    assert decisions.count(Outcome.WITHHELD) == 301
    assert decisions.count(Outcome.WITHHELD, "NO_INDEX") == 300
    assert len(decisions.newest) == 256 and len(heard) == 302
    assert [record.getMessage() for record in caplog.records] == [
        "BTC withheld NO_INDEX 2 of 3 north: too old", "BTC withheld VIEW_STALE  ",
    ]  # fmt: skip


def test_that_a_market_is_published_again_is_said_and_the_next_failure_is_new(caplog):
    decisions = Decisions()
    with caplog.at_level(logging.INFO):
        for second, (outcome, reason) in enumerate([
            (Outcome.WITHHELD, "STARTING"), (Outcome.PUBLISHED, ""), (Outcome.WITHHELD, "NO_QUORUM"),
            (Outcome.WITHHELD, "NO_QUORUM"), (Outcome.COSIGNED, ""), (Outcome.PUBLISHED, ""), (Outcome.PUBLISHED, ""),
            (Outcome.WITHHELD, "NO_QUORUM"), (Outcome.OBJECTED, "TOO_SOON"),
        ]):  # fmt: skip
            decisions.add(Decision(second * MICRO, "BTC", outcome, reason))
    assert [(record.levelname, record.getMessage().rstrip()) for record in caplog.records] == [
        ("INFO", "BTC withheld STARTING"),
        ("WARNING", "BTC withheld NO_QUORUM"),
        ("INFO", "BTC publishes again, after 2 withheld in 3 s"),
        ("WARNING", "BTC withheld NO_QUORUM"),
    ]
    assert Objection.TOO_SOON.name == CROSSED


@pytest.mark.parametrize("words", [Withheld, Objection, Ignored])
def test_every_reason_is_in_the_operators_page(words):
    page = (Path(__file__).parents[2] / "docs" / "operating" / "oracles.md").read_text()
    assert [word.name for word in words if f"`{word.name}`" not in page] == []


def test_every_outcome_is_in_the_operators_page():
    page = (Path(__file__).parents[2] / "docs" / "operating" / "oracles.md").read_text()
    assert [word for word in Outcome if f"`{word}`" not in page] == []


def test_too_soon_is_told_in_milliseconds():
    turns, cosigner, at = Turns(GENESIS.oracles, RULES), new_cosigner(), own_turn()
    cosigner.note(PublishPrice(TERMS.market, at, UNITS, UNITS))
    with pytest.raises(Objected, match="0 ms after the last one signed here, wants 50"):
        cosigner.read(seal(SEPARATOR, PublishPrice(TERMS.market, at, UNITS, UNITS), [KEYS[1]]))
    assert turns.pace(TERMS) == 50_000


SETTLED = Settling(500_000, UNITS * 90 // 100)
"""Half is known, ten percent below the index: it will settle 5 % below."""


def test_in_the_last_half_hour_the_band_reaches_to_what_the_market_will_settle_at():
    assert SETTLED.expected(UNITS) == UNITS * 95 // 100 and NOT_SETTLING.expected(UNITS) == UNITS
    bounds = Bounds.of(TERMS, RULES.step_ppm, SETTLED)
    assert bounds.marks_at(UNITS) == (UNITS * 95 // 100 * 99 // 100, UNITS * 101 // 100)
    here, wanted = Price(UNITS, UNITS * 98 // 100), Price(UNITS, UNITS * 95 // 100)
    assert next_step(here, wanted, bounds) == Price(UNITS, here.mark - here.mark * RULES.step_ppm // PPM)
    assert objection(committed=here, view=View(0, wanted, (), SETTLED), mark_price=here.mark * 991 // 1_000) is None
    below = {"committed": here, "mark_price": here.mark * 991 // 1_000}
    assert objection(view=wanted, **below) == "MARK_OUT_OF_BAND"


@pytest.mark.parametrize("right", [NO_OPTION, CALL, PUT])
@given(index=st.integers(500, 2_000), mark=st.integers(1, 3_000), before=st.integers(500, 2_000))
def test_in_the_last_half_hour_what_is_judged_in_the_band_is_what_the_venue_takes(right, index, mark, before):
    listed = option(CALL_MARKET, 1_000, right) if right else future(CALL_MARKET)
    listed = replace(listed, price_step_ppm=1_000_000)
    world, end = World([terms(), listed], traders=0), listed.expiry * MICRO
    world.wait((end - world.time) // MICRO - 1_700)
    first = Bounds.of(listed).marks_at(before)
    assert isinstance(world.price(before, sum(first) // 2, market=CALL_MARKET)[-1], PricePublished)
    delivery = Delivery(end)
    delivery.take(before, world.state.markets[CALL_MARKET].priced_at)
    world.wait(850)
    at = world.time + 1
    reason = getattr(world.price(index, mark, market=CALL_MARKET)[-1], "reason", None)
    if reason is Reason.PRICE_STEP_TOO_LARGE:
        return
    # Both round: a unit of difference is no matter.
    bounds = Bounds.of(listed, settling=settling_of(delivery, at, 1.0))
    low, high = bounds.marks_at(index)
    assert reason is None if low + 1 <= mark <= high - 1 else True
    assert reason is Reason.MARK_OUT_OF_BAND if mark < low - 1 or mark > high + 1 else True


def test_what_was_decided_about_ended_contracts_is_counted_together():
    decisions = Decisions()
    for market in ("A", "B", "B", "C"):
        decisions.add(Decision(0, market, Outcome.PUBLISHED))
    for market in ("A", "B"):
        decisions.add(Decision(1, market, Outcome.ENDED))
        decisions.fold(market)
    assert decisions.counts == {
        ("C", Outcome.PUBLISHED, ""): 1, (FOLDED, Outcome.PUBLISHED, ""): 3, (FOLDED, Outcome.ENDED, ""): 2,
    }  # fmt: skip
    assert decisions.count(Outcome.PUBLISHED) == 4 and len(decisions.newest) == 6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"every": 0}, "every"), ({"step_ppm": 0}, "step_ppm"), ({"tolerance_ppm": 200_000}, "tolerance_ppm"),
        ({"farthest": 0}, "farthest"), ({"view_for": 0.5}, "view_for"), ({"impact_notional": 0}, "impact_notional"),
        ({"fresh_for": float("nan")}, "fresh_for"), ({"list_every": 0}, "list_every"), ({"at_once": 0}, "at_once"),
        ({"contracts_every": 60}, "contracts_every"), ({"clocks_apart": 0.5}, "clocks_apart"),
        ({"option_tolerance_ppm": 0}, "option_tolerance_ppm"),
    ],
)  # fmt: skip
def test_rules_out_of_range_are_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=named):
        OracleRules(**changes).check()
