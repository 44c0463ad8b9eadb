"""A venue small enough to read: one list of orders a market, no margin, no fees; speaks the gateway's protocol."""

import json
import time
from collections import defaultdict

from aiohttp import WSMsgType, web

from penstock.protocol.commands import (
    BUY,
    IMMEDIATE_OR_CANCEL,
    SELL,
    Bundle,
    CancelAll,
    CancelOrder,
    GrantSession,
    PlaceOrder,
    PublishPrice,
    Withdraw,
)
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import Domain, verify

DOMAIN = Domain(31337, bytes(19) + b"\x01")
UNITS = {"BTC_USDC-PERPETUAL": (0, 0.1, 0.00001), "ETH_USDC-PERPETUAL": (1, 0.01, 0.0001)}
START_US = 1_700_000_000_000_000


class Order:
    def __init__(self, sequence, record):
        self.sequence, self.record, self.size = sequence, record, record.size


class NaiveVenue:
    """State and server at once. `rate` None means that the clock is driven by `dev/set_clock`."""

    def __init__(self, owners, rate=1.0):
        self.separator = DOMAIN.separator()
        self.owners = owners
        self.rate = rate
        self.keys = defaultdict(set)
        self.guards = {}
        self.orders = {0: [], 1: []}
        self.positions = defaultdict(int)
        self.cash = dict.fromkeys(owners, 1000000)
        self.prices = {0: (0, 0, 0), 1: (0, 0, 0)}
        self.refuse_all = {}
        self.commands = []
        self.trades = []
        self.sequence = 0
        self._started = time.perf_counter()
        self._driven = START_US
        self._subscribers = defaultdict(list)
        self._shown = {}

    def now(self):
        if self.rate is None:
            return self._driven
        return START_US + int((time.perf_counter() - self._started) * 1e6 * self.rate)

    def app(self):
        app = web.Application()
        app.router.add_get("/ws/api/v2", self.serve)
        return app

    async def serve(self, request):
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                tag = int.from_bytes(message.data[:8], "big")
                await socket.send_str(json.dumps({"tag": tag, **self.submit(message.data[8:])}))
                await self.publish_books()
            elif message.type is WSMsgType.TEXT:
                call = json.loads(message.data)
                try:
                    reply = {"result": self.call(call["method"], call["params"], socket)}
                except KeyError as error:
                    reply = {"error": {"code": -32601, "message": str(error), "data": {"reason": "MARKET_UNKNOWN"}}}
                await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": call["id"], **reply}))
                await self.publish_books()
        return socket

    def call(self, method, params, socket):
        if method == "public/get_time":
            return self.now() // 1000
        if method == "penstock/get_domain":
            return {"separator": "0x" + self.separator.hex()}
        if method == "public/subscribe":
            for channel in params["channels"]:
                self._subscribers[channel].append(socket)
                self._shown.pop(channel, None)
            return params["channels"]
        if method == "public/unsubscribe":
            for channel in params["channels"]:
                self._subscribers.pop(channel, None)
            return params["channels"]
        if method == "dev/set_clock" and self.rate is None:
            assert params["time"] >= self._driven
            self._driven = params["time"]
            return "ok"
        if method == "public/get_instrument":
            market, price_unit, size_unit = UNITS[params["instrument_name"]]
            units = {"price_unit": str(price_unit), "size_unit": f"{size_unit:.5f}"}
            return {"instrument_id": market, "tick_size": price_unit, **units}
        if method == "public/ticker":
            market, price_unit, _ = UNITS[params["instrument_name"]]
            index, mark, _ = self.prices[market]
            return {"index_price": index * price_unit, "mark_price": mark * price_unit}
        if method == "penstock/get_subaccount":
            return self.subaccount(params["subaccount"])
        raise KeyError(method)

    def subaccount(self, subaccount):
        positions = [
            {"instrument_name": name, "size": f"{self.positions[subaccount, market] * size_unit:.8f}"}
            for name, (market, _, size_unit) in UNITS.items()
        ]
        cash = f"{self.cash[subaccount] / 1e6:.6f}"
        resting = [o for orders in self.orders.values() for o in orders if o.record.subaccount == subaccount]
        return {
            "cash": cash,
            "equity": cash,
            "initial_margin": "0",
            "positions": positions,
            "orders": [{"slot": o.record.slot, "nonce": o.record.nonce} for o in resting],
            "sessions": [{"key": "0x" + key.hex()} for key in self.keys[subaccount]],
        }

    def submit(self, envelope):
        try:
            verified = verify(self.separator, envelope)
        except Refusal as refusal:
            return {"refused": refusal.reason.name, "message": "refused"}
        self.sequence += 1
        records = [m.record for m in verified.members] if isinstance(verified.record, Bundle) else [verified.record]
        outcomes = []
        for record in records:
            self.commands.append(record)
            reason, filled = self.apply(record, verified.signers)
            outcomes.append({"reason": reason, "filled": filled, "average_price": None})
        return {"sequence": self.sequence, "time": self.now(), "outcomes": outcomes}

    def apply(self, record, signers):
        if type(record) in self.refuse_all:
            return self.refuse_all[type(record)], 0
        if isinstance(record, PublishPrice):
            return self.publish(record), 0
        owner = self.owners[record.subaccount]
        if signers[0] != owner and signers[0] not in self.keys[record.subaccount]:
            return "SIGNER_UNKNOWN", 0
        if signers[0] != owner and record.slot < 16:
            return "SESSION_SLOT_FORBIDDEN", 0
        if record.nonce <= self.guards.get((record.subaccount, record.slot), 0):
            return "NONCE_USED", 0
        if record.nonce > self.now() + 60_000_000:
            return "NONCE_TOO_FAR_AHEAD", 0
        self.guards[record.subaccount, record.slot] = record.nonce
        if isinstance(record, GrantSession):
            self.keys[record.subaccount].add(record.key)
        elif isinstance(record, Withdraw):
            self.cash[record.subaccount] -= record.amount
        elif isinstance(record, CancelOrder):
            return (None if self.pull(record.subaccount, record.slot) else "ORDER_UNKNOWN"), 0
        elif isinstance(record, CancelAll):
            for orders in self.orders.values():
                orders[:] = [o for o in orders if o.record.subaccount != record.subaccount]
        elif isinstance(record, PlaceOrder):
            return self.place(record)
        return None, 0

    def publish(self, record):
        index, mark, published_at = self.prices[record.market]
        if record.published_at <= published_at:
            return "PRICE_NOT_NEWER"
        if record.published_at > self.now():
            return "PRICE_TIME_INVALID"
        if index and max(abs(record.index_price - index) / index, abs(record.mark_price - mark) / mark) > 0.01:
            return "PRICE_STEP_TOO_LARGE"
        self.prices[record.market] = (record.index_price, record.mark_price, record.published_at)
        return None

    def pull(self, subaccount, slot):
        for orders in self.orders.values():
            for order in orders:
                if (order.record.subaccount, order.record.slot) == (subaccount, slot):
                    orders.remove(order)
                    return True
        return False

    def place(self, record):
        resting = self.orders[record.market]
        opposite = [o for o in resting if o.record.side != record.side and crosses(record, o.record.price)]
        opposite = [o for o in opposite if (o.record.subaccount, o.record.slot) != (record.subaccount, record.slot)]
        if record.post_only and opposite:
            return "POST_ONLY_WOULD_TRADE", 0
        self.pull(record.subaccount, record.slot)
        order, filled = Order(self.sequence, record), 0
        for other in sorted(opposite, key=lambda o: (o.record.price * (1 if record.side == BUY else -1), o.sequence)):
            size = min(order.size, other.size)
            order.size, other.size, filled = order.size - size, other.size - size, filled + size
            signed = size if record.side == BUY else -size
            self.positions[record.subaccount, record.market] += signed
            self.positions[other.record.subaccount, record.market] -= signed
            self.trades.append((record.market, other.record.price, size))
            if not other.size:
                resting.remove(other)
            if not order.size:
                break
        if order.size and record.time_in_force != IMMEDIATE_OR_CANCEL:
            resting.append(order)
        return None, filled

    def levels(self, market, side):
        sizes = defaultdict(int)
        for order in self.orders[market]:
            if order.record.side == side:
                sizes[order.record.price] += order.size
        return dict(sizes)

    async def publish_books(self):
        for name, (market, price_unit, size_unit) in UNITS.items():
            channel = f"book.{name}.raw"
            if not self._subscribers[channel]:
                continue
            book = {"bids": self.levels(market, BUY), "asks": self.levels(market, SELL)}
            before = self._shown.get(channel)
            content = {"type": "snapshot" if before is None else "change"}
            for side, sizes in book.items():
                old = (before or {}).get(side, {})
                put = [p for p in sizes if sizes[p] != old.get(p)]
                content[side] = [["new", p * price_unit, sizes[p] * size_unit] for p in put]
                content[side] += [["delete", p * price_unit, 0] for p in old.keys() - sizes.keys()]
            self._shown[channel] = book
            if before is None or content["bids"] or content["asks"]:
                frame = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": content}}
                for socket in self._subscribers[channel]:
                    await socket.send_str(json.dumps(frame))


def crosses(record, price):
    return price <= record.price if record.side == BUY else price >= record.price
