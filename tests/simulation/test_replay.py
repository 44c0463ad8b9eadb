"""The replay against a naive venue: real signatures, real frames, real recording."""

import asyncio

import pytest
from naive_venue import UNITS

from penstock.participants.client import GatewayError
from penstock.participants.session import Session
from penstock.protocol.commands import BUY, SELL, PlaceOrder, PublishPrice
from penstock.protocol.signing import Signer
from penstock.simulation.accounts import guest
from penstock.simulation.recorded_book import RecordedBook
from penstock.simulation.recording import Quote, Trade
from penstock.simulation.replay import Replay, ReplayOptions
from penstock.simulation.tape import reachable_share


def recorded_target(recording, name, until, levels):
    book = RecordedBook()
    for event in recording.events[name]:
        if event.time_us > until:
            break
        if not isinstance(event, Trade):
            book.apply(event)
    return book.target(levels)


async def test_at_full_speed_the_venue_ends_with_the_recorded_book_and_matches_what_the_tape_predicts(
    open_venue, recording
):
    venue, client, accounts = await open_venue(rate=None)
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=2, levels=20))
    statistics = await replay.run()
    offline = reachable_share(recording, 20, seconds=2)["all"]
    assert (statistics.trades, statistics.printed) == (offline.trades, offline.printed)
    assert statistics.matched == offline.matched
    assert not statistics.refused
    assert max(statistics.mirrored_errors) == 0
    end = recording.starts_at() + 2_000_000
    for name, (market, _, _) in UNITS.items():
        target = recorded_target(recording, name, end, 20)
        assert venue.levels(market, BUY) == target.bids
        assert venue.levels(market, SELL) == target.asks


async def test_at_ten_times_real_time_the_venues_own_book_shows_the_recorded_mid(open_venue, recording):
    _, client, accounts = await open_venue(rate=10.0)
    replay = Replay(client, recording, accounts, ReplayOptions(pace=10.0, seconds=5))
    await replay.run()
    for player in replay.players.values():  # one more update, and then the quiet that the comparison waits for
        player.recorded.apply(Quote(0, 100, 1, 102, 1))
        player.dirty = True
        await player.flush()
        await client.drain()
        await asyncio.sleep(0.1)
    summary = replay.statistics.summary()
    assert summary["venue_mid_error_bps"]["count"] > 0
    assert summary["venue_mid_error_bps"]["p50"] == 0
    assert summary["mid_error_bps"]["p99"] == 0
    assert summary["ack_ms"]["count"] > 50
    assert summary["refused"] == {}


async def test_the_oracle_publishes_each_market_every_quarter_second_or_so_within_its_band(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    await Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=3)).run()
    prices = [c for c in venue.commands if isinstance(c, PublishPrice) and c.market == 0]
    assert 9 <= len(prices) <= 14
    assert all(abs(p.mark_price - p.index_price) * 1000 <= p.index_price * 4 for p in prices)
    assert abs(prices[-1].index_price - 618_100) < 700


async def test_a_loop_empties_the_book_and_starts_over(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    short = short_recording(recording, 500_000)
    length = (short.ends_at() - short.starts_at()) / 1e6
    replay = Replay(client, short, accounts, ReplayOptions(pace="max", seconds=2 * length))
    statistics = await replay.run()
    assert statistics.loops == 1
    assert not statistics.refused
    assert venue.levels(0, BUY) == recorded_target(short, "BTC_USDC-PERPETUAL", short.ends_at(), 20).bids


async def test_closing_out_leaves_everybody_flat_and_withdrawing_leaves_no_cash(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=2))
    await replay.run()
    assert any(venue.positions.values())
    report = await replay.close_out()
    assert report.flat and report.reasons == []
    assert not any(venue.positions.values())
    assert not any(venue.orders.values())
    assert await replay.withdraw_all() == {t.subaccount: 1_000_000 for t in accounts.traders}
    assert not any(venue.cash.values())


async def test_who_took_its_session_key_away_is_closed_by_its_owner_and_a_guests_own_key_is_left_alone(
    open_venue, recording
):
    venue, client, accounts = await open_venue(rate=None)
    visitor = guest()
    venue.owners[visitor.subaccount], venue.cash[visitor.subaccount] = visitor.owner().address, 0
    venue.keys[visitor.subaccount] = {b"\x07" * 20}
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=2), guests=[visitor])
    await replay.run()
    assert venue.keys[visitor.subaccount] == {b"\x07" * 20}
    for subaccount in venue.owners:
        venue.keys[subaccount].clear()
    report = await replay.close_out()
    assert report.flat and report.reasons == []


async def test_a_position_that_a_stranger_holds_the_other_side_of_is_left_and_said_so(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    stranger = Signer(bytes(31) + b"\x07")
    venue.owners[99], venue.cash[99] = stranger.address, 0
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=1))
    await replay.run()
    best = max(venue.levels(0, BUY))
    session = Session(client, venue.separator, 99, stranger)
    answer = await session.submit(session.place(16, 0, SELL, best, 100, time_in_force=1))
    assert answer.outcomes[0].filled == 100
    report = await replay.close_out()
    assert sum(report.left.values()) == 100
    assert {instrument for _, instrument in report.left} == {"BTC_USDC-PERPETUAL"}


async def test_orders_the_venue_refuses_are_counted_and_placed_again_when_it_relents(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    venue.refuse_all[PlaceOrder] = "MARGIN_TOO_LOW"
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=1, levels=5))
    await replay.run()
    assert replay.statistics.refused["MARGIN_TOO_LOW"] > 10
    assert replay.statistics.matched == 0
    venue.refuse_all.clear()
    await replay.run()
    end = recording.starts_at() + 1_000_000
    assert venue.levels(1, SELL) == recorded_target(recording, "ETH_USDC-PERPETUAL", end, 5).asks


async def test_an_audit_finds_what_vanished_and_what_should_not_be_there(open_venue, recording):
    venue, client, accounts = await open_venue(rate=None)
    replay = Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=1, levels=5))
    await replay.run()
    player = replay.players["BTC_USDC-PERPETUAL"]
    lost = venue.orders[0].pop()
    await player.audit()
    player.dirty = True
    await player.flush()
    await client.drain()
    target = player.recorded.target(5)
    assert lost.record.price in target.bids | target.asks
    assert venue.levels(0, BUY) | venue.levels(0, SELL) == target.bids | target.asks


async def test_full_speed_at_a_venue_whose_clock_cannot_be_driven_is_an_error(open_venue, recording):
    _, client, accounts = await open_venue(rate=1.0)
    with pytest.raises(GatewayError, match="dev/set_clock"):
        await Replay(client, recording, accounts, ReplayOptions(pace="max", seconds=1)).run()


def short_recording(recording, length_us):
    """The recording up to `length_us` after its start."""
    end = recording.starts_at() + length_us
    events = {name: [e for e in es if e.time_us <= end] for name, es in recording.events.items()}
    index = {name: [p for p in ps if p.time_us <= end] for name, ps in recording.index.items()}
    return type(recording)(recording.markets, events, index)
