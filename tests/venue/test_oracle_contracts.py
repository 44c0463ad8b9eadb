"""Three oracles price what is listed while they run: a future and options, on loopback sockets, at a real node."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from penstock.pricing import black
from penstock.protocol.commands import ListMarket, PublishPrice
from penstock.protocol.instruments import CALL, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.quantities import MICRO, PPM
from penstock.protocol.signing import seal
from penstock.protocol.terms import default_markets, default_templates
from penstock.venue.clock import DevClock
from penstock.venue.oracle.contracts import MOST_IGNORED, Contracts, Ignored
from penstock.venue.oracle.cosigning import Objected
from penstock.venue.oracle.decisions import Outcome
from penstock.venue.oracle.endpoint import ask_status
from penstock.venue.oracle.oracle import Oracle
from penstock.venue.oracle.port import Listed
from penstock.venue.oracle.room import Room
from penstock.venue.oracle.volatility import flat_in_time, surfaces

from .harness import START
from .oracles import GENESIS, KEYS, RULES, SEPARATOR, UNITS, USD, Quorum, quorum, told

DATED = replace(GENESIS, markets=default_markets(), templates=default_templates())
DAY = 86_400
EXPIRY = (START // MICRO // DAY + 1) * DAY + 8 * 3_600
"""08:00 on 15 November 2023."""
YEAR_US = 365 * DAY * MICRO
DATED_RULES = replace(RULES, contracts_every=0.4, list_every=0.1, clocks_apart=1e9)
BTC_FUTURE, BTC_OPTION, ETH_FUTURE, ETH_OPTION = range(4)
"""Templates."""
SIGMA = 0.55
STATED = surfaces({"BTC": flat_in_time(SIGMA)})
STRIKE = UNITS
FUT, CALL_AT, PUT_UP = 2, 3, 4
"""The numbers that the contracts of `venue` get: a future, a call at the money, a put 2,000 USD in the money."""


@asynccontextmanager
async def venue(home, *, ahead=3_600, stated=(STATED,) * 3, rules=DATED_RULES, listings=True):
    """A quorum `ahead` seconds before the expiry, its perpetuals priced, then three contracts listed."""
    clock = DevClock((EXPIRY - ahead) * MICRO, 1.0)
    async with quorum(home, rules=rules, genesis=DATED, clock=clock, volatilities=stated) as q:
        await q.more_of((0, 1), 1)
        if listings:
            await list_all(
                q, (BTC_FUTURE, 0, NO_OPTION), (BTC_OPTION, STRIKE, CALL), (BTC_OPTION, STRIKE + 20_000, PUT)
            )
        yield q


async def list_all(q: Quorum, *contracts):
    """List contracts that end at EXPIRY."""
    for template, strike, option_type in contracts:
        answer = await q.node.sequencer.submit_local(ListMarket(template, EXPIRY, strike, option_type))
        assert answer.outcomes[0].reason is None


def worth(event, strike, is_call, sigma=SIGMA):
    """Black-76 at the time of a price, its index the forward; price units."""
    years = (EXPIRY * MICRO - event.published_at) / YEAR_US
    return float(black.price(event.index_price, strike, sigma, years, is_call=is_call))


async def test_a_future_and_two_options_are_priced_as_soon_as_they_are_listed(tmp_path):
    async with venue(tmp_path) as q:
        taken = await q.more_of((FUT, CALL_AT, PUT_UP))
        assert {(event.index_price, event.mark_price) for event in taken[FUT]} == {(UNITS, UNITS)}
        for event in taken[CALL_AT]:
            assert event.mark_price == pytest.approx(worth(event, STRIKE, is_call=True), abs=3)
        for event in taken[PUT_UP]:
            assert event.mark_price == pytest.approx(worth(event, STRIKE + 20_000, is_call=False), abs=3)
        assert all(event.premium == 0 for events in taken.values() for event in events)
        assert 1_300 < taken[CALL_AT][0].mark_price < 1_500
        for seat in q.seats:
            assert seat.count(Outcome.TAKEN_UP) == 3 and not wrong(seat)
        shown = (await ask_status(q.seats[0].endpoint.url))["markets"]
        assert "BTC_USDC-15NOV23-60000-C" in shown
        assert shown["BTC_USDC-15NOV23"]["view"]["mark_price"] == "60000.0"


async def test_one_oracle_down_the_others_go_on(tmp_path):
    async with venue(tmp_path) as q:
        await q.more_of((FUT, CALL_AT, PUT_UP), 1)
        dead, *living = q.seats
        await dead.die()
        taken = await q.more_of((FUT, CALL_AT, PUT_UP), 4)
        assert all(seat.count(Outcome.PUBLISHED) for seat in living)
        slots = [event.published_at // DATED_RULES.contract_slot_us() for event in taken[CALL_AT]]
        assert slots[-1] - slots[0] <= 8


async def test_a_lying_proposers_option_mark_is_not_signed(tmp_path):
    lies = surfaces({"BTC": flat_in_time(3.0)})
    async with venue(tmp_path, stated=(lies, STATED, STATED)) as q:
        liar, *honest = q.seats
        taken = await q.more_of((FUT, CALL_AT, PUT_UP), 4)
        await q.until(lambda: all(seat.count(Outcome.OBJECTED, "MARK_OFF") for seat in honest))
        for event in q.of(CALL_AT):
            assert event.mark_price == pytest.approx(worth(event, STRIKE, is_call=True), abs=3)
        named = "BTC_USDC-15NOV23-60000-C"
        assert liar.oracle.decisions.counts[named, Outcome.PUBLISHED, ""] == 0
        assert liar.oracle.decisions.counts[named, Outcome.COSIGNED, ""] == 0
        assert taken[FUT], "of the future it sees what the others see"


async def test_oracles_that_state_slightly_different_volatilities_sign_each_others_marks(tmp_path):
    stated = [surfaces({"BTC": flat_in_time(sigma)}) for sigma in (0.5, 0.55, 0.6)]
    async with venue(tmp_path, stated=stated) as q:
        await q.until(lambda: all(seat.oracle.decisions.counts[
            "BTC_USDC-15NOV23-60000-C", Outcome.PUBLISHED, ""] for seat in q.seats))  # fmt: skip
        assert all(seat.count(Outcome.OBJECTED, "MARK_OFF") == 0 for seat in q.seats)
        marks = [event.mark_price for event in q.of(CALL_AT)]
        assert max(marks) - min(marks) <= UNITS * DATED_RULES.option_tolerance_ppm // PPM


async def test_when_its_expiry_is_reached_a_contract_is_neither_proposed_nor_signed(tmp_path):
    async with venue(tmp_path, ahead=8) as q:
        await q.more_of((FUT, CALL_AT, PUT_UP), 1)
        await q.until(lambda: all(seat.count(Outcome.ENDED) == 3 for seat in q.seats))
        assert q.node.clock.now() >= EXPIRY * MICRO
        await q.slots(2)  # what was on its way when the clock struck
        before, said = (
            [len(q.of(market)) for market in (FUT, CALL_AT, PUT_UP)],
            [of_contracts(seat) for seat in q.seats],
        )
        await q.more_of((0, 1), 4)
        assert before == [len(q.of(market)) for market in (FUT, CALL_AT, PUT_UP)]
        assert said == [of_contracts(seat) for seat in q.seats]
        for seat in q.seats:
            assert list(seat.oracle.status()["markets"]) == ["BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL"]
        late = seal(SEPARATOR, PublishPrice(CALL_AT, EXPIRY * MICRO, UNITS, 1), [q.seats[1].key])
        with pytest.raises(Objected, match="MARKET_UNKNOWN"):
            await q.seats[0].oracle.cosign(late)


def wrong(seat):
    """Why the venue refused prices that a quorum had signed, but for those that another oracle's was ahead of."""
    reasons = {reason for (_, outcome, reason) in seat.oracle.decisions.counts if outcome == Outcome.REFUSED}
    return reasons - {"PRICE_NOT_NEWER"}


def of_contracts(seat):
    """How many decisions of each kind an oracle took about contracts."""
    return {key: times for key, times in seat.oracle.decisions.counts.items() if "15NOV23" in key[0]}


async def test_options_of_a_base_without_a_stated_volatility_are_not_priced_and_each_oracle_says_so_once(tmp_path):
    async with venue(tmp_path, listings=False) as q:
        await list_all(q, (ETH_FUTURE, 0, NO_OPTION), (ETH_OPTION, 6_000_000, CALL), (BTC_OPTION, STRIKE, CALL))
        await q.more_of((2, 4), 3)
        assert q.of(3) == []
        for seat in q.seats:
            said = [one for one in seat.oracle.decisions.newest if one.reason == "NO_VOLATILITY"]
            assert [(one.market, one.outcome, one.detail) for one in said] == [
                ("ETH_USDC-15NOV23-60000-C", Outcome.WITHHELD, "none stated for ETH")
            ]
            shown = seat.oracle.status()["markets"]["ETH_USDC-15NOV23-60000-C"]
            assert shown["view"] is None and shown["reason"] == "NO_VOLATILITY"


async def test_what_the_venue_makes_up_is_ignored_and_said_once(tmp_path):
    good = Listed(9, "BTC_USDC-15NOV23-61000-C", "BTC", OPTION, EXPIRY, 61_000.0, CALL)
    false = [
        replace(good, name="BTC_USDC-15NOV23-61000-P"),
        replace(good, strike=61_001.0, name="BTC_USDC-15NOV23-61001-C"),
        replace(good, strike=float("nan")),
        replace(good, expiry=EXPIRY + 3_600),
        replace(good, expiry=EXPIRY + 50 * DAY, name="BTC_USDC-4JAN24-61000-C"),
        replace(good, base="SOL", name="SOL_USDC-15NOV23-61000-C"),
        Listed(9, "BTC_USDC-16NOV23", "BTC", FUTURE, EXPIRY + DAY, 1.0),
        replace(good, number=1),
        replace(good, number=1 << 16),
    ]
    async with venue(tmp_path) as q:
        await q.more_of((FUT,), 1)
        for seat in q.seats:
            seat.venue.listed = told_also(seat.venue.listed, false)
        await q.until(lambda: all(seat.count(Outcome.IGNORED) == len(false) + 1 for seat in q.seats))
        await q.more_of((FUT, CALL_AT, PUT_UP), 3)
        for seat in q.seats:
            assert seat.count(Outcome.IGNORED) == len(false) + 1
            assert seat.count(Outcome.IGNORED, "NO_TEMPLATE") == 7
            assert seat.count(Outcome.IGNORED, "NUMBER_TAKEN") == 2
            assert seat.count(Outcome.IGNORED, "NOT_READ") == 1
            assert len(seat.oracle.status()["markets"]) == 5


def told_also(listed, false):
    """What a venue tells, and what it makes up."""

    async def tell():
        true, unread = await listed()
        return [*true, *false], [*unread, "a riddle"]

    return tell


async def test_a_venue_that_swaps_two_numbers_gets_honest_signatures_under_the_wrong_marks(tmp_path):
    """What docs/concepts/prices.md says an operator can do: nothing in a price says which contract a number is."""
    async with venue(tmp_path, listings=False) as q:
        for seat in q.seats:
            seat.venue.listed = swapping(seat.venue.listed, 2, 3)
        await list_all(q, (BTC_OPTION, STRIKE, CALL), (BTC_OPTION, STRIKE + 20_000, PUT))
        await q.until(lambda: q.of(2) and q.of(3))
        call, put = q.of(2)[0], q.of(3)[0]
        off = [call.mark_price - worth(call, STRIKE, is_call=True)]
        off += [put.mark_price - worth(put, STRIKE + 20_000, is_call=False)]
        assert min(map(abs, off)) > UNITS * 5_000 // PPM, "half a percent of the index, in the first publication"


def swapping(listed, one, other):
    """What a venue tells, with two numbers exchanged."""

    async def tell():
        true, unread = await listed()
        return [replace(each, number=one + other - each.number) for each in true], unread

    return tell


async def test_when_the_index_jumps_an_options_mark_is_walked_in_steps_of_the_index(tmp_path):
    async with venue(tmp_path) as q:
        await q.more_of((FUT, CALL_AT, PUT_UP), 1)
        for seat in q.seats:
            seat.say(USD * 1.03)
        goal = round(UNITS * 1.03)
        await q.until(lambda: all(q.of(market)[-1].index_price == goal for market in (FUT, CALL_AT, PUT_UP)))
        last = (await q.more_of((CALL_AT,), 3))[CALL_AT][-1]
        assert last.mark_price == pytest.approx(worth(last, STRIKE, is_call=True), abs=3)
        marks = [event.mark_price for event in q.of(CALL_AT)]
        steps = [after - before for before, after in itertools.pairwise(marks)]
        assert UNITS // 1_000 < max(steps) <= goal * DATED_RULES.step_ppm // PPM, "many times the old mark's 0.9 %"
        assert not any(wrong(seat) for seat in q.seats)


async def test_while_venue_time_is_far_from_the_own_clock_no_contract_is_priced(tmp_path):
    async with venue(tmp_path, rules=replace(DATED_RULES, clocks_apart=60.0)) as q:
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "CLOCKS_APART") >= 3 for seat in q.seats))
        await q.more_of((0, 1), 2)
        assert not any(q.of(market) for market in (FUT, CALL_AT, PUT_UP))


async def test_a_venue_that_does_not_say_what_is_listed_is_asked_again(tmp_path):
    async def silent():
        raise ConnectionError("no answer")

    async with venue(tmp_path, listings=False) as q:
        hears = [seat.venue.listed for seat in q.seats]
        for seat in q.seats:
            seat.venue.listed = silent
        await list_all(q, (BTC_FUTURE, 0, NO_OPTION))
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "VENUE_SILENT") > 1 for seat in q.seats))
        for seat, hear in zip(q.seats, hears, strict=True):
            seat.venue.listed = hear
        await q.more_of((2,), 2)


async def test_what_the_gateway_tells_in_no_known_form_is_named(tmp_path):
    async with venue(tmp_path, listings=False) as q:
        port = q.seats[0].venue
        ask = port._call

        async def strange(method, parameters):
            return [*await ask(method, parameters), {"kind": "spot"}, "nonsense"]

        port._call = strange
        listed, unread = await port.listed()
        assert listed == [] and len(unread) == 2 and unread[1].startswith("nonsense: Expected `object`")

        async def stranger(*_):
            return {}

        port._call = stranger
        with pytest.raises(ConnectionError, match="no list"):
            await port.listed()


def test_a_contract_keeps_its_number_and_a_number_its_contract():
    contracts, time = Contracts(DATED), (EXPIRY - 3_600) * MICRO
    future = Listed(2, "BTC_USDC-15NOV23", "BTC", FUTURE, EXPIRY)
    other = Listed(2, "ETH_USDC-15NOV23", "ETH", FUTURE, EXPIRY)
    assert [one.terms.name for one in contracts.take([future], (), time)[0]] == [future.name]
    assert contracts.take([future, other, replace(future, number=3)], (), time) == (
        [],
        [
            (Ignored.NUMBER_TAKEN, f"2 '{other.name}': 'ETH', kind 2, expiry {EXPIRY}, strike 0, type 0"),
            (Ignored.RENUMBERED, f"3 '{future.name}': 'BTC', kind 2, expiry {EXPIRY}, strike 0, type 0"),
        ],
    )
    assert [one.terms.market for one in contracts.drop([replace(future, ended=True)], time)] == [2]
    assert contracts.take([replace(future, ended=True), other], (), time) == ([], []), "said before"
    assert len(contracts.take([future], (), time)[0]) == 1, "a venue that called it ended takes that back"
    assert contracts.drop([], time) == [] and len(contracts.drop([], EXPIRY * MICRO)) == 1
    assert contracts.take([future], (), EXPIRY * MICRO) == ([], [])


def test_a_flood_of_false_contracts_is_cut_off_with_a_word():
    contracts = Contracts(DATED)
    said = contracts.take((), [f"riddle {n}" for n in range(3 * MOST_IGNORED)], 0)[1]
    assert len(said) == MOST_IGNORED + 1 and said[-1][0] is Ignored.TOO_MANY
    assert contracts.take((), ["another"], 0) == ([], [])


async def test_a_proposal_that_waited_until_its_slot_was_over_is_withheld(tmp_path):
    oracle = Oracle(KEYS[0], DATED, told(), None, rules=replace(DATED_RULES, contracts_every=0.05))
    contract = default_templates()[0].terms.contract(2, EXPIRY, 0, NO_OPTION)
    proposed = []

    async def slow(terms, time):
        proposed.append(terms.name)
        await asyncio.sleep(0.2)

    oracle.propose, room = slow, Room(1)
    oracle._markets[contract.market] = contract
    await asyncio.gather(*(oracle._propose_soon(terms, 0, room) for terms in (contract, contract, DATED.markets[0])))
    assert sorted(proposed) == ["BTC_USDC-15NOV23", "BTC_USDC-PERPETUAL"]
    assert oracle.decisions.count(Outcome.WITHHELD, "LATE") == 1
    del oracle._markets[contract.market]
    await oracle._propose_soon(contract, 0, room)
    assert len(proposed) == 2, "it ended while it waited"


async def test_a_market_whose_proposal_is_still_under_way_gets_no_second_one(tmp_path):
    async with venue(tmp_path) as q:
        await q.more_of((FUT,), 1)
        seat = q.seats[0]
        under_way, most, propose = set(), [], seat.oracle.propose

        async def slow(terms, time):
            most.append(terms.market in under_way)
            under_way.add(terms.market)
            await asyncio.sleep(3 * DATED_RULES.every)
            under_way.discard(terms.market)
            await propose(terms, time)

        seat.oracle.propose = slow
        await q.until(lambda: len(most) >= 8)
        assert not any(most)
