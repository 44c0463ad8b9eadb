"""Three oracles of which two must sign, on loopback sockets, at a real node: right prices, or none; never a wrong one.

Each fault kind of a price feed is here with its answer: lying, down, hanging, stale, zero, negative, not a number,
an outlier, all but one source down, wrong decimals, and a proposer that dies.
"""

import asyncio
import math

import pytest
from aiohttp import web
from msgspec.structs import replace

from penstock.pricing.index import Flaw
from penstock.protocol.commands import PublishPrice
from penstock.protocol.instruments import OPTION
from penstock.protocol.quantities import MICRO, PPM
from penstock.protocol.signing import Signer, digest_of, hash_record, seal
from penstock.venue.oracle.cosigning import Objected
from penstock.venue.oracle.decisions import Outcome
from penstock.venue.oracle.endpoint import ask_status
from penstock.venue.oracle.oracle import Oracle, PeerFailed
from penstock.venue.oracle.sources import Quote, wall_clock

from .loopback import serving
from .oracles import (
    GENESIS,
    KEYS,
    RULES,
    SEPARATOR,
    TERMS,
    UNITS,
    USD,
    Told,
    dropped,
    quorum,
    told,
)


def impostor(answer):
    """A server that is no oracle; gives its URL."""
    return serving("*", "/{path:.*}", answer)


async def test_two_of_three_publish_what_they_see_in_turn_and_sign_in_ascending_order(tmp_path):
    async with quorum(tmp_path) as q:
        taken = await q.more(7)
        assert set(q.indices) == {UNITS}
        assert {event.mark_price for _, event in taken} == {UNITS}
        signers = [executed.message.signers for executed, _ in taken]
        assert all(len(pair) == 2 and pair == tuple(sorted(pair)) for pair in signers)
        times = [event.published_at for _, event in taken]
        assert times == sorted(times)
        await q.until(lambda: all(seat.count(Outcome.PUBLISHED) for seat in q.seats))
        assert all(seat.count(Outcome.REFUSED) == 0 for seat in q.seats)


async def test_a_lying_oracle_is_outvoted_and_nothing_it_proposes_is_signed(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        liar, *honest = q.seats
        liar.say(USD * 1.05)
        await liar.oracle.look()
        q.start()
        await q.more(4)
        await q.until(lambda: liar.count(Outcome.WITHHELD, "NO_QUORUM") >= 1)
        await q.until(lambda: any(seat.count(Outcome.OBJECTED, "INDEX_OFF") for seat in honest))
        assert set(q.indices) == {UNITS}
        assert liar.count(Outcome.PUBLISHED) == liar.count(Outcome.COSIGNED) == 0


async def test_two_honest_ones_that_disagree_publish_nothing_with_the_third_down(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        high, low, third = q.seats
        await third.die()
        high.say(USD * 1.01)
        await high.oracle.look()
        high.start()
        low.start()
        await q.until(lambda: high.count(Outcome.WITHHELD, "NO_QUORUM") and low.count(Outcome.WITHHELD, "NO_QUORUM"))
        assert q.published == []


async def test_a_proposer_that_dies_is_replaced_by_the_next_in_turn(tmp_path):
    async with quorum(tmp_path) as q:
        await q.more(2)
        dead, *living = q.seats
        await dead.die()
        taken = await q.more(6)
        assert set(q.indices) == {UNITS}
        slots = [event.published_at // RULES.slot_us() for _, event in taken]
        turns = living[0].oracle._turns
        replaced = [slot for slot in slots if turns.rank(dead.key.address, TERMS, slot) == 0]
        assert replaced
        assert all({*executed.message.signers} == {seat.key.address for seat in living} for executed, _ in taken[1:])


async def test_with_two_of_three_down_nothing_is_published(tmp_path):
    async with quorum(tmp_path) as q:
        await q.more(1)
        alone, *others = q.seats
        for other in others:
            await other.die()
        before = alone.count(Outcome.WITHHELD, "NO_QUORUM")
        last = len(q.published)
        await q.until(lambda: alone.count(Outcome.WITHHELD, "NO_QUORUM") > before + 1)
        assert len(q.published) <= last + 1  # what was on its way
        assert alone.count(Outcome.PEER_FAILED, "UNREACHABLE") > 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda request: web.Response(body=b"\x01" * 85), "BAD_SIGNATURE"),
        (lambda request: web.Response(body=b"yes"), "BAD_ANSWER"),
        (lambda request: web.Response(body=b"\xff" * (1 << 20)), "BAD_ANSWER"),
        (lambda request: web.json_response({"reason": "NO_SUCH_REASON", "message": "no"}, status=409), "BAD_ANSWER"),
        (lambda request: web.HTTPFound("http://127.0.0.1:1/"), "BAD_ANSWER"),
    ],
)
async def test_a_peer_that_answers_nonsense_gives_no_signature_and_does_no_harm(tmp_path, answer, reason):
    async def nonsense(request):
        answered = answer(request)
        if isinstance(answered, Exception):
            raise answered
        return answered

    async with quorum(tmp_path, start=False) as q, impostor(nonsense) as url:
        first, second, third = q.seats
        await third.die()
        for seat in (first, second):
            seat.peers[-1].name = url
        first.start()
        second.start()
        await q.more(3)
        await q.until(lambda: first.count(Outcome.PEER_FAILED, reason) or second.count(Outcome.PEER_FAILED, reason))
        assert set(q.indices) == {UNITS}


async def test_a_peer_that_never_answers_blocks_nobody(tmp_path):
    async def hang(_):
        await asyncio.sleep(60)

    async with quorum(tmp_path, start=False) as q, impostor(hang) as url:
        first, second, third = q.seats
        await third.die()
        for seat in (first, second):
            seat.peers.insert(0, seat.peers.pop())
            seat.peers[0].name = url
        first.start()
        second.start()
        taken = await q.more(4)
        slots = [event.published_at // RULES.slot_us() for _, event in taken]
        assert slots[-1] - slots[0] <= 6
        await second.die()
        await q.until(lambda: first.count(Outcome.PEER_FAILED, "TIMED_OUT"))


async def test_anothers_signature_sent_back_counts_once(tmp_path):
    """A peer that hands on somebody else's good signature adds nothing to the quorum."""

    async with quorum(tmp_path, start=False) as q:
        first, *_ = q.seats
        record = PublishPrice(0, 1, UNITS, UNITS)
        own = seal(SEPARATOR, record, [first.key])[34 : 34 + 85]
        stranger = seal(SEPARATOR, record, [Signer(b"\x05" * 32)])[34 : 34 + 85]
        digest = digest_of(SEPARATOR, hash_record(record))
        for signature in (own, stranger):
            with pytest.raises(PeerFailed, match="no other oracle"):
                first.oracle._check(signature, digest)


SICK = [
    (Flaw.STALE, lambda _: Quote(USD, USD, wall_clock() - 181 * MICRO)),
    (Flaw.NOT_POSITIVE, 0.0),
    (Flaw.NOT_POSITIVE, -USD),
    (Flaw.NOT_A_NUMBER, math.nan),
    (Flaw.NOT_A_NUMBER, math.inf),
    (Flaw.CROSSED, lambda _: Quote(USD + 1, USD, wall_clock())),
    (Flaw.FAR_OFF, USD * 1e10),
    (Flaw.FAR_OFF, USD / 100),
    (Flaw.SILENT, None),
    (Flaw.SILENT, OSError("no route")),
    (Flaw.SILENT, lambda _: Quote("sixty", "thousand", 0)),
    (Flaw.SILENT, lambda _: asyncio.sleep(60)),
]


@pytest.mark.parametrize(("flaw", "said"), SICK)
async def test_one_sick_source_of_four_at_every_oracle_is_dropped_by_name_and_the_price_is_right(tmp_path, flaw, said):
    async with quorum(tmp_path, start=False) as q:
        for seat in q.seats:
            seat.sources.append(Told("sick", said))
        await q.look()
        q.start()
        await q.more(2)
        assert set(q.indices) == {UNITS}
        for seat in q.seats:
            assert dropped(seat) == {"sick": flaw}
            assert seat.count(Outcome.DROPPED) == 1


@pytest.mark.parametrize(("flaw", "said"), SICK)
async def test_too_many_sick_sources_publish_nothing_and_say_which(tmp_path, flaw, said):
    async with quorum(tmp_path, start=False) as q:
        for seat in q.seats:
            seat.say(said, slice(0, 1))
        await q.look()
        q.start()
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "NO_INDEX") for seat in q.seats))
        assert q.published == []
        for seat in q.seats:
            decision = next(d for d in seat.oracle.decisions.newest if d.reason == "NO_INDEX")
            assert (decision.market, decision.outcome) == (TERMS.name, Outcome.WITHHELD)
            assert decision.detail == "2 of 3 sources live, 3 wanted"
            assert [(one.name, one.flaw) for one in decision.dropped] == [("north", flaw)]


async def test_an_outlier_that_is_no_nonsense_is_clamped(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        for seat in q.seats:
            seat.say(USD * 1.2, slice(0, 1))
        await q.look()
        q.start()
        await q.more(2)
        assert set(q.indices) == {round(UNITS * (1 + 0.005 / 3))}


async def test_all_sources_but_one_down_stops_publication_and_it_goes_on_when_they_are_back(tmp_path):
    async with quorum(tmp_path) as q:
        await q.more(1)
        for seat in q.seats:
            seat.say(OSError("down"), slice(1, 3))
        await q.look()
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "NO_INDEX") for seat in q.seats))
        stopped = len(q.published)
        await q.slots(2)
        assert len(q.published) == stopped
        for seat in q.seats:
            seat.say(USD)
        await q.more(2)
        assert set(q.indices) == {UNITS}


async def test_sources_that_all_moved_the_decimal_point_are_not_walked_to(tmp_path):
    async with quorum(tmp_path) as q:
        await q.more(1)
        for seat in q.seats:
            seat.say(USD * 100)
        await q.look()
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "FAR_FROM_COMMITTED") for seat in q.seats))
        assert set(q.indices) == {UNITS}


async def test_a_price_out_of_the_records_range_is_withheld(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        for seat in q.seats:
            seat.say(1e12)
        await q.look()
        q.start()
        await q.until(lambda: q.seats[0].count(Outcome.WITHHELD, "OUT_OF_RANGE"))
        assert q.published == []


async def test_a_jump_is_walked_in_steps_the_venue_takes(tmp_path):
    async with quorum(tmp_path) as q:
        await q.more(1)
        for seat in q.seats:
            seat.say(USD * 1.025)
        await q.until(lambda: q.indices[-1] == UNITS * 1.025)
        steps = [after / before - 1 for before, after in zip(q.indices, q.indices[1:], strict=False)]
        assert max(steps) <= RULES.step_ppm / PPM
        assert q.indices == sorted(q.indices)
        assert all(seat.count(Outcome.REFUSED) == 0 for seat in q.seats)


async def test_a_venue_that_is_away_is_waited_for(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        for seat in q.seats:
            await seat.venue.close()
            seat.venue._url = "http://127.0.0.1:1"
            seat.start()
        await q.until(lambda: all(seat.count(Outcome.WITHHELD, "VENUE_SILENT") for seat in q.seats))
        for seat in q.seats:
            seat.venue._url = q.node.url
        await q.more(2)
        assert set(q.indices) == {UNITS}


async def test_status_shows_views_counts_and_decisions_as_json(tmp_path):
    async with quorum(tmp_path) as q:
        seat = q.seats[0]
        await q.until(lambda: seat.count(Outcome.PUBLISHED))
        seat.say(0.0, slice(0, 1))
        await q.until(lambda: seat.count(Outcome.WITHHELD, "NO_INDEX"))
        shown = await ask_status(seat.endpoint.url)
        assert shown["oracle"] == "0x" + seat.key.address.hex()
        assert shown["threshold"] == 2 and len(shown["oracles"]) == 3 and len(shown["peers"]) == 2
        market = shown["markets"][TERMS.name]
        assert market["view"] is None and market["reason"] == "NO_INDEX"
        assert market["dropped"] == [{"name": "north", "flaw": "zero or negative"}]
        counts = {(row["outcome"], row["reason"]): row["count"] for row in shown["counts"]}
        assert counts["published", ""] >= 1
        last = next(d for d in reversed(shown["decisions"]) if d["outcome"] == "withheld")
        assert last["market"] == TERMS.name and last["time"] > 0 and last["dropped"]


async def test_proposals_too_large_and_of_strangers_are_refused_by_name(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        seat, other, _ = q.seats
        peer = other.peers[0]
        assert peer.name == seat.endpoint.url
        cases = [
            (b"", "NOT_A_PROPOSAL"),
            (b"\x00" * 4_096, "NOT_A_PROPOSAL"),
            (seal(SEPARATOR, PublishPrice(0, 1, 1, 1), [Signer(b"\x05" * 32)]), "NOT_AN_ORACLE"),
            (seal(SEPARATOR, PublishPrice(0, 1, 1, 1), [seat.key]), "NOT_AN_ORACLE"),
            (seal(b"\x01" * 32, PublishPrice(0, 1, 1, 1), [other.key]), "NOT_A_PROPOSAL"),
            (seal(SEPARATOR, PublishPrice(0, 1, 1, 1), [other.key, q.seats[2].key]), "NOT_A_PROPOSAL"),
        ]
        for envelope, reason in cases:
            with pytest.raises(PeerFailed) as failed:
                await peer.sign(envelope)
            assert failed.value.reason == reason
        assert seat.count(Outcome.COSIGNED) == 0


async def test_two_proposals_at_once_get_one_signature(tmp_path):
    async with quorum(tmp_path, start=False) as q:
        seat, other, _ = q.seats
        turns = seat.oracle._turns
        while True:
            now = await other.venue.time()
            if turns.is_due(other.key.address, TERMS, now):
                break
            await asyncio.sleep(0.01)
        envelopes = [seal(SEPARATOR, PublishPrice(0, now, UNITS + i, UNITS), [other.key]) for i in range(2)]
        given = await asyncio.gather(*(seat.oracle.cosign(e) for e in envelopes), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in given) == ["Objected", "bytes"]
        refused = next(answer for answer in given if isinstance(answer, Objected))
        assert refused.objection.name == "TOO_SOON"


async def test_a_hostile_quorum_doubles_a_price_in_seventy_steps_that_take_fourteen_seconds(tmp_path):
    """The largest harm of docs/concepts/prices.md: a step of 1 % every 200 ms of venue time, and not one sooner."""
    async with quorum(tmp_path, start=False) as q:
        venue = q.seats[0].venue
        interval = TERMS.price_interval
        price, at = UNITS, await venue.time() - 15 * MICRO
        for step in range(71):
            envelope = seal(SEPARATOR, PublishPrice(0, at + step * interval, price, price), KEYS[:2])
            assert await venue.submit(envelope) == []
            price = price * 101 // 100
            early = seal(SEPARATOR, PublishPrice(0, at + (step + 1) * interval - 1, price, price), KEYS[:2])
            assert await venue.submit(early) == ["PRICE_NOT_NEWER"]
        assert len(q.indices) == 71
        assert q.indices[-1] > 2 * UNITS


async def test_what_is_no_perpetual_is_neither_priced_nor_signed():
    """An option valued at its index would be a wrong price."""
    option = replace(TERMS, market=1, name="BTC_USDC-27MAR27-100000-C", kind=OPTION)
    genesis = replace(GENESIS, markets=(TERMS, option))
    oracle = Oracle(KEYS[0], genesis, told(), None)
    assert list(oracle.status()["markets"]) == [TERMS.name]
    with pytest.raises(Objected, match="MARKET_UNKNOWN"):
        await oracle.cosign(seal(SEPARATOR, PublishPrice(1, 1, UNITS, UNITS), [KEYS[1]]))


def test_a_key_that_is_no_oracle_and_wrong_sources_are_refused_at_once():
    venue = None
    with pytest.raises(ValueError, match="none of the venue's oracles"):
        Oracle(Signer(b"\x05" * 32), GENESIS, told(), venue)
    with pytest.raises(ValueError, match="given twice"):
        Oracle(KEYS[0], GENESIS, [*told(), told()[0]], venue)
