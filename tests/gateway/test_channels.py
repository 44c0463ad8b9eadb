"""Channels: a snapshot, then changes without a gap, and nobody waits for a slow reader."""

import asyncio
import random

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MICRO
from penstock.venue.clock import DevClock
from penstock.venue.gateway.app import GatewayLimits
from venue.harness import BTC, SESSION, START, Pen, RawSocket, connected, running, submit

PRICE = 600_000
INTERVALS = ("raw", "100ms")


class Mirror:
    """A book kept from one channel alone."""

    def __init__(self):
        self.levels = {}
        self.change_id = None
        self.changes = 0

    def hear(self, said):
        if said["type"] == "snapshot":
            assert self.change_id is None
        else:
            assert said["prev_change_id"] == self.change_id < said["change_id"]
            self.changes += 1
        self.change_id = said["change_id"]
        for side in ("bids", "asks"):
            for action, price, amount in said[side]:
                assert ((side, price) in self.levels) == (action != "new")
                if action == "delete":
                    del self.levels[side, price]
                else:
                    self.levels[side, price] = amount

    def agrees_with(self, book):
        shown = {(side, price): amount for side in ("bids", "asks") for price, amount in book[side]}
        return self.levels == shown


async def flood(node, pen, dice, bundles):
    for _ in range(bundles):
        subaccount = dice.randrange(1, 4)
        records = [
            pen.order(subaccount, side := dice.randrange(2), PRICE + (2 * side - 1) * dice.randrange(-2, 12),
                      100 * dice.randrange(1, 9), slot)
            for slot in dice.sample(range(16, 60), 10)
        ]  # fmt: skip
        await submit(node, pen.seal_all(records))
        if dice.random() < 0.05:
            await submit(node, pen.seal(pen.cancel_all(subaccount)))


async def follow(client, mirrors, until):
    """Feed the mirrors until the load is over and nothing has come for a while."""
    while True:
        try:
            frame = await asyncio.wait_for(client.receive(), 0.3)
        except TimeoutError:
            if until.done():
                return
            continue
        if frame.get("method") == "subscription":
            channel = frame["params"]["channel"]
            if channel in mirrors:
                mirrors[channel].hear(frame["params"]["data"])


async def test_change_ids_have_no_gap_under_load_whenever_one_joins(tmp_path):
    async with running(tmp_path) as node:
        pen, dice = Pen(), random.Random(7)
        await flood(node, pen, dice, 5)
        loading = asyncio.create_task(flood(node, pen, dice, 400))

        async def listen(after):
            await asyncio.sleep(after)
            mirrors = {f"book.{BTC}.{interval}": Mirror() for interval in INTERVALS}
            async with connected(node) as client:
                accepted = await client.call("public/subscribe", channels=list(mirrors))
                assert accepted["result"] == list(mirrors)
                await follow(client, mirrors, loading)
                book = (await client.call("public/get_order_book", instrument_name=BTC, depth=1000))["result"]
                return [(mirror.changes, mirror.agrees_with(book)) for mirror in mirrors.values()]

        heard = await asyncio.gather(*(listen(after) for after in (0, 0.03, 0.11)))
        await loading
    for mirrors in heard:
        assert [agrees for _, agrees in mirrors] == [True, True]
        assert all(changes > 0 for changes, _ in mirrors)


async def test_a_snapshot_comes_behind_the_response_and_before_any_change(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        pen = Pen()
        await submit(node, pen.seal(pen.order(1, BUY, PRICE - 1, 100)))
        channel = f"book.{BTC}.raw"
        await client.socket.send_json({"id": 1, "method": "public/subscribe", "params": {"channels": [channel]}})
        await client.socket.send_bytes(b"\0" * 8 + pen.seal(pen.order(1, BUY, PRICE - 2, 300, 17)))
        frames = [await client.receive() for _ in range(4)]
        assert frames[0]["result"] == [channel]
        assert frames[1]["params"]["data"]["bids"] == [["new", 59999.9, 0.001]]
        assert frames[2]["tag"] == 0, "the reply before the news of it"
        change = frames[3]["params"]["data"]
        assert (change["type"], change["bids"], change["asks"]) == ("change", [["new", 59999.8, 0.003]], [])


async def test_levels_say_new_change_and_delete(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        pen, channel = Pen(), f"book.{BTC}.raw"
        await client.call("public/subscribe", channels=[channel])
        assert (await client.next_push(channel))["type"] == "snapshot"
        said = []
        for record in (
            pen.order(1, SELL, PRICE, 300),
            pen.order(2, BUY, PRICE, 100),
            pen.cancel(1),
        ):
            await submit(node, pen.seal(record))
            said += (await client.next_push(channel))["asks"]
        assert said == [["new", 60000.0, 0.003], ["change", 60000.0, 0.002], ["delete", 60000.0, 0.0]]


async def test_trades_and_tickers_are_pushed(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        pen = Pen()
        channels = [f"{kind}.{BTC}.{interval}" for kind in ("trades", "ticker") for interval in INTERVALS]
        await client.call("public/subscribe", channels=channels)
        for interval in INTERVALS:
            assert (await client.next_push(f"ticker.{BTC}.{interval}"))["last_price"] is None
        await submit(node, pen.seal(pen.order(1, SELL, PRICE, 300)))
        await submit(node, pen.seal(pen.order(2, BUY, PRICE, 100)))
        for interval in INTERVALS:
            [trade] = await client.next_push(f"trades.{BTC}.{interval}")
            assert (trade["price"], trade["amount"], trade["direction"]) == (60000.0, 0.001, "buy")
            assert trade["trade_id"] == str(trade["trade_seq"]) == str(node.sequencer.sequence << 8)
            assert (trade["index_price"], trade["mark_price"], trade["tick_direction"]) == (60000.0, 60000.0, 1)
            last = None
            while last is None:
                last = (await client.next_push(f"ticker.{BTC}.{interval}"))["last_price"]
            assert last == 60000.0


async def test_orders_of_an_expired_session_leave_the_public_book_although_nobody_sends_anything(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node, connected(node) as client:
        pen, channel = Pen(), f"book.{BTC}.100ms"
        await submit(node, pen.seal(pen.grant(1, START // MICRO + 10)))
        await submit(node, pen.seal(pen.order(1, BUY, PRICE - 1, 100), SESSION))
        await client.call("public/subscribe", channels=[channel])
        assert (await client.next_push(channel))["bids"] == [["new", 59999.9, 0.001]]
        node.clock.advance_to(START + 11 * MICRO)
        assert (await client.next_push(channel))["bids"] == [["delete", 59999.9, 0.0]]


async def test_unknown_channels_are_left_out_and_unsubscribing_stops_the_others(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        pen, channel = Pen(), f"book.{BTC}.raw"
        wanted = [channel, "book.NONE.raw", "user.orders.any.any.raw", "book.*.raw", channel]
        assert (await client.call("public/subscribe", channels=wanted))["result"] == [channel]
        assert (await client.next_push(channel))["type"] == "snapshot"
        assert (await client.call("public/unsubscribe", channels=wanted))["result"] == [channel]
        await submit(node, pen.seal(pen.order(1, BUY, PRICE - 1, 100)))
        await client.call("public/test")
        assert client.pushes == []
        assert node.market_data.markets[0].watchers == []


async def test_more_than_1000_channels_are_refused(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        refused = await client.call("public/subscribe", channels=["x"] * 1_001)
        assert (refused["error"]["code"], refused["error"]["data"]["param"]) == (-32602, "channels")


async def ask_until_behind(node, slow):
    """Ask for books and never read them, until the node has had enough."""
    for _ in range(50_000):
        if not node._gateway._consumers or any(consumer.closed for consumer in node._gateway._consumers):
            return
        await slow.ask("public/get_order_book", instrument_name=BTC, depth=1000)
        await asyncio.sleep(0)
    raise AssertionError("the node kept queueing")


async def test_a_slow_reader_is_told_to_resync_and_cut_off_while_others_go_on(tmp_path):
    limits = GatewayLimits(queued_messages=200, queued_bytes=200_000)
    async with running(tmp_path, limits=limits) as node, connected(node) as good:
        channel, mirror = f"book.{BTC}.raw", Mirror()
        await good.socket.send_json({"id": 0, "method": "public/subscribe", "params": {"channels": [channel]}})
        slow = await RawSocket.open(node)
        await slow.ask("public/subscribe", channels=[channel])
        loading = asyncio.create_task(flood(node, Pen(), random.Random(3), 40))
        reading = asyncio.create_task(follow(good, {channel: mirror}, loading))
        await asyncio.wait_for(ask_until_behind(node, slow), 20)
        frames = await asyncio.wait_for(slow.read_to_the_end(), 10)
        slow.close()
        assert frames[-1]["params"] == {"channel": "penstock.resync", "data": {"reason": "slow consumer"}}
        await loading
        await reading
        book = (await good.call("public/get_order_book", instrument_name=BTC, depth=1000))["result"]
        assert mirror.changes > 0 and mirror.agrees_with(book)


async def test_a_reader_that_takes_nothing_at_all_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock.venue.gateway.consumer.CLOSING_TIME", 0.2)
    limits = GatewayLimits(queued_messages=50, queued_bytes=100_000)
    async with running(tmp_path, limits=limits) as node:
        await flood(node, Pen(), random.Random(3), 10)
        deaf = await RawSocket.open(node)
        await asyncio.wait_for(ask_until_behind(node, deaf), 20)
        for _ in range(100):
            if not node._gateway._consumers:
                break
            await asyncio.sleep(0.05)
        assert not node._gateway._consumers
        deaf.close()
