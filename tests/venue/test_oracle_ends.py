"""Three oracles and a perpetual that is delisted: its mark goes to what it will settle at, and then it is let go."""

import pytest
from msgspec.structs import replace

from penstock.protocol.commands import DelistMarket, ListMarket, PublishPrice
from penstock.protocol.instruments import NO_OPTION
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import default_markets, default_templates
from penstock.spec.status import NOTICE
from penstock.venue.clock import DevClock
from penstock.venue.oracle.cosigning import Objected
from penstock.venue.oracle.decisions import Outcome
from penstock.venue.oracle.ends import Ends
from penstock.venue.oracle.oracle import Oracle

from .harness import START
from .oracles import GENESIS, KEYS, RULES, SEPARATOR, UNITS, USD, quorum, told

DAY = 86_400
GOVERNOR = Signer(b"\x60" * 32)
BTC, ETH = default_markets()
DELISTING = replace(GENESIS, markets=(BTC, ETH), templates=default_templates(), governor=GOVERNOR.address)
END = ((START + NOTICE) // MICRO // DAY + 2) * DAY + 43_200
"""Noon, with more than a week's notice."""
NEXT = END + 20 * 3_600
"""08:00 on the day after: a future's expiry."""
ENDING_RULES = replace(RULES, contracts_every=0.4, list_every=0.1, clocks_apart=1e9)


async def delist(q):
    """The governor gives the first perpetual its end; every oracle hears of it."""
    now = await q.seats[0].venue.time()
    assert await q.seats[0].venue.submit(seal(SEPARATOR, DelistMarket(0, now, END), [GOVERNOR])) == []
    await q.until(lambda: all(seat.count(Outcome.DELISTED) == 1 for seat in q.seats))


async def test_in_its_last_half_hour_a_delisted_perpetuals_mark_goes_to_what_it_will_settle_at(tmp_path):
    clock = DevClock(START, 1.0)
    async with quorum(tmp_path, rules=ENDING_RULES, genesis=DELISTING, clock=clock) as q:
        await q.more_of((0, 1), 1)
        await delist(q)
        clock.not_before((END - 600) * MICRO)
        for seat in q.seats:
            seat.say(USD * 1.03)
        goal = round(UNITS * 1.03)
        await q.until(lambda: q.of(0)[-1].index_price == goal)
        last = (await q.more_of((0,), 3))[0][-1]
        # Twenty minutes of the old index are known; a mark in the band of the new one would be 1.0197 of it.
        assert last.mark_price == pytest.approx(UNITS * (2 / 3 + 1.03 / 3), rel=1e-3)
        assert q.of(1)[-1].mark_price > 0.99 * goal, "the other has no end"
        refused = {reason for seat in q.seats for _, outcome, reason in seat.oracle.decisions.counts
                   if outcome == Outcome.REFUSED}  # fmt: skip
        assert not refused - {"PRICE_NOT_NEWER"}


async def test_at_its_end_a_perpetual_is_let_go_and_its_futures_are_still_priced(tmp_path):
    clock = DevClock(START, 1.0)
    async with quorum(tmp_path, rules=ENDING_RULES, genesis=DELISTING, clock=clock) as q:
        await q.more_of((0, 1), 1)
        await delist(q)
        clock.not_before((END - 6) * MICRO)
        await q.more_of((0,), 1)
        listing = await q.node.sequencer.submit_local(ListMarket(0, NEXT, 0, NO_OPTION))
        assert listing.outcomes[0].reason is None
        await q.until(lambda: all(seat.count(Outcome.ENDED) == 1 for seat in q.seats))
        await q.slots(2)  # what was on its way when the clock struck
        before = [counts_of(seat, BTC.name) for seat in q.seats]
        assert {event.index_price for event in (await q.more_of((1, 2), 4))[2]} == {UNITS}
        assert before == [counts_of(seat, BTC.name) for seat in q.seats]
        assert all(counts.get((BTC.name, Outcome.REFUSED, "MARKET_EXPIRED"), 0) <= 1 for counts in before)
        for seat in q.seats:
            assert list(seat.oracle.status()["markets"]) == [ETH.name, "BTC_USDC-24NOV23"]
        late = Oracle(KEYS[0], DELISTING, told(), q.seats[0].venue, rules=ENDING_RULES)
        await late.take_up()
        assert BTC.name not in late.status()["markets"], "one started after the end hears of it too"


def counts_of(seat, name):
    return {key: times for key, times in seat.oracle.decisions.counts.items() if key[0] == name}


async def test_a_perpetual_is_not_signed_at_its_end_or_later(tmp_path):
    async with quorum(tmp_path, rules=ENDING_RULES, genesis=DELISTING, start=False) as q:
        now = await q.seats[0].venue.time()
        assert await q.seats[0].venue.submit(seal(SEPARATOR, DelistMarket(0, now, END), [GOVERNOR])) == []
        await q.look()
        for at, objection in ((END * MICRO - 1, "NOT_FRESH|OUT_OF_TURN"), (END * MICRO, "ENDED")):
            with pytest.raises(Objected, match=objection):
                await q.seats[0].oracle.cosign(seal(SEPARATOR, PublishPrice(0, at, UNITS, UNITS), [KEYS[1]]))


async def test_a_venue_that_tells_another_end_later_is_not_believed_and_that_is_said_once(tmp_path):
    async with quorum(tmp_path, rules=ENDING_RULES, genesis=DELISTING, start=False) as q:
        seat = q.seats[0]
        for expiry in (END, END + 60, 0, END + 60):
            seat.venue.ends = saying(expiry)
            await seat.oracle.take_up()
        said = [(one.outcome, one.reason, one.detail) for one in seat.oracle.decisions.newest if one.market == BTC.name]
        assert said == [
            (Outcome.DELISTED, "", str(END)), (Outcome.IGNORED, "END_CONTRADICTED", f"{END + 60}, not {END}"),
        ]  # fmt: skip


def saying(expiry):
    """A venue that tells this end of the first perpetual."""

    async def ends(terms):
        return 0 if terms.market else expiry

    return ends


async def test_until_the_venue_has_said_what_ends_nothing_is_proposed_or_signed(tmp_path):
    async def silent(_):
        raise ConnectionError("no answer")

    async with quorum(tmp_path, start=False) as q:
        new = Oracle(KEYS[0], GENESIS, told(), q.seats[1].venue, rules=RULES)
        terms = GENESIS.markets[0]
        await new.propose(terms, 0)
        await new.look()
        q.seats[1].venue.ends = silent
        await new.take_up()
        await new.propose(terms, 0)
        said = [(one.reason, one.detail) for one in new.decisions.newest]
    assert said == [
        ("STARTING", "the sources are asked for the first time"), ("VENUE_SILENT", "listing: no answer"),
        ("STARTING", "the venue has not said yet which perpetuals end"),
    ]  # fmt: skip


def test_an_end_is_taken_up_once_and_kept():
    ends = Ends([BTC, ETH])
    assert ends.take({0: 0, 1: 0}) == ([], [])
    assert ends.take({0: END, 1: 0}) == ([replace(BTC, expiry=END)], [])
    assert ends.take({0: END, 1: 0}) == ([], [])
    assert ends.take({0: 0, 1: 0}) == ([], [(replace(BTC, expiry=END), 0)])
    assert ends.take({0: 5, 1: 0}) == ([], []), "said before"
    assert ends.over(END * MICRO - 1) == [] and ends.over(END * MICRO) == [replace(BTC, expiry=END)]
