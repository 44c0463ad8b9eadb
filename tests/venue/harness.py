"""A node, the keys of its people, and a client that speaks both of its languages, for tests over real sockets."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
from msgspec.structs import replace

from penstock.protocol.commands import (
    ALL_SCOPES,
    GOOD_TIL_CANCELLED,
    CancelAll,
    CancelOrder,
    CreditDeposit,
    GrantSession,
    PlaceOrder,
    PublishPrice,
)
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import Domain, Signer, seal, seal_bundle
from penstock.protocol.terms import Genesis, default_markets
from penstock.venue.clock import DevClock
from penstock.venue.node import Node, NodeConfig

START = 1_700_000_000 * MICRO
OWNERS = [Signer(bytes([0x11 + i]) * 32) for i in range(4)]
ORACLES = [Signer(bytes([0x71 + i]) * 32) for i in range(2)]
SESSION = Signer(b"\x5e" * 32)
GENESIS = Genesis(31337, b"\x77" * 20, default_markets(0), tuple(o.address for o in ORACLES), 2)
SEPARATOR = Domain(GENESIS.chain_id, GENESIS.vault).separator()
BTC = "BTC_USDC-PERPETUAL"
ETH = "ETH_USDC-PERPETUAL"


def owner(subaccount):
    """Who signs for a test subaccount."""
    return OWNERS[subaccount - 1]


class Pen:
    """Writes records with nonces that never repeat, and seals them."""

    def __init__(self, nonce=START):
        self.nonce = nonce

    def next_nonce(self):
        self.nonce += 1
        return self.nonce

    def order(self, subaccount, side, price, size, slot=16, **changes):
        record = PlaceOrder(
            subaccount, slot, self.next_nonce(), NO_DEADLINE, 0, side, price, size, ANY_FILL, GOOD_TIL_CANCELLED,
            False, False, 1_000,
        )  # fmt: skip
        return replace(record, **changes)

    def cancel(self, subaccount, slot=16):
        return CancelOrder(subaccount, slot, self.next_nonce(), NO_DEADLINE)

    def cancel_all(self, subaccount):
        return CancelAll(subaccount, 0, self.next_nonce(), NO_DEADLINE)

    def grant(self, subaccount, expiry, key=SESSION):
        return GrantSession(
            subaccount, 2, self.next_nonce(), NO_DEADLINE, key.address, expiry, 16, 4095, ALL_SCOPES, 3, 1
        )

    def seal(self, record, signer=None):
        return seal(SEPARATOR, record, [signer or owner(record.subaccount)])

    def seal_all(self, records, signer=None):
        subaccount = records[0].subaccount
        return seal_bundle(SEPARATOR, subaccount, NO_DEADLINE, records, signer or owner(subaccount))

    def price(self, index, at, market=0):
        return seal(SEPARATOR, PublishPrice(market, at, index, index), ORACLES)


def config(home, **changes):
    """A node with small segments, without keepers and without a disk reserve, unless told otherwise."""
    return replace(NodeConfig(home, GENESIS, keepers=None, disk_reserve=0, segment_bytes=1 << 20), **changes)


async def credit(node, accounts=3, cash=1_000_000 * MICRO):
    """Credit each subaccount."""
    for subaccount in range(1, accounts + 1):
        deposit = CreditDeposit(subaccount - 1, subaccount, owner(subaccount).address, cash, 1)
        assert (await node.sequencer.submit_local(deposit)).outcomes[0].reason is None


async def fund(node, accounts=3, cash=1_000_000 * MICRO):
    """Credit each subaccount, and give both markets a price."""
    await credit(node, accounts, cash)
    pen = Pen()
    for market, index in ((0, 600_000), (1, 300_000)):
        answer = await submit(node, pen.price(index, node.clock.now(), market))
        assert answer.outcomes[0].reason is None


async def submit(node, envelope):
    """The answer to one envelope, without a socket."""
    answered = asyncio.get_running_loop().create_future()
    node.sequencer.submit(envelope, answered.set_result)
    return await answered


@asynccontextmanager
async def running(
    home, *, funded=True, clock=None, engine=None, batches=None, observers=(), restored=None, operator=None, **changes
):
    """A started node; stopped at the end."""
    node = Node(
        config(home, **changes),
        clock=clock or DevClock(START),
        engine=engine,
        batches=batches,
        observers=observers,
        restored=restored or (lambda _: None),
        operator=operator,
    )
    await node.start()
    try:
        if funded:
            await fund(node)
        yield node
    finally:
        await node.stop()


class Client:
    """One WebSocket: methods, signed frames, and what the channels say."""

    def __init__(self, socket):
        self.socket = socket
        self.pushes = []
        self.frames = []
        self._next = 0

    async def receive(self):
        """The next text frame, parsed."""
        message = await self.socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def until(self, wanted):
        """The next frame that is `wanted`; pushes met on the way are kept."""
        while True:
            frame = await self.receive()
            if frame.get("method") == "subscription":
                self.pushes.append(frame["params"])
            if wanted(frame):
                return frame

    async def call(self, method, **params):
        """The response to a method."""
        self._next += 1
        identity = self._next
        await self.socket.send_json({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
        return await self.until(lambda frame: frame.get("id") == identity)

    async def send(self, envelope):
        """The reply to a signed frame."""
        self._next += 1
        tag = self._next
        await self.socket.send_bytes(tag.to_bytes(8, "big") + envelope)
        return await self.until(lambda frame: frame.get("tag") == tag)

    async def next_push(self, channel):
        """The next message of a channel, in order, from what was kept or what comes."""
        while True:
            for at, push in enumerate(self.pushes):
                if push["channel"] == channel:
                    return self.pushes.pop(at)["data"]
            await self.until(lambda frame: frame.get("method") == "subscription")


@asynccontextmanager
async def connected(node, **options):
    """A client of the node."""
    async with aiohttp.ClientSession() as session, session.ws_connect(node.url + "ws/api/v2", **options) as socket:
        yield Client(socket)


class RawSocket:
    """A WebSocket without a library, so that a test decides when it reads."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, node):
        host, port = node.url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 12)
        writer.write(
            f"GET /ws/api/v2 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def ask(self, method, **params):
        """Send a request and do not wait for anything."""
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        # FIN and text, masked with zeros, a length of 16 bits.
        self._writer.write(b"\x81\xfe" + len(body).to_bytes(2, "big") + bytes(4) + body)
        await self._writer.drain()

    async def read_to_the_end(self):
        """Every text frame until the close frame or the end, parsed."""
        frames = []
        while True:
            try:
                head = await self._reader.readexactly(2)
                length = head[1] & 127
                if length >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                body = await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return frames
            if head[0] & 15 == 8:
                return frames
            if head[0] & 15 == 1:
                frames.append(json.loads(body))

    def close(self):
        """Leave."""
        self._writer.close()
