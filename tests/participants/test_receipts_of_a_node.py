"""A client with a book, connected to a real node, through restarts, and to gateways that lie about it."""

import asyncio
import json

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer

from penstock.participants.client import ConnectionLost, GatewayClient
from penstock.participants.receipts import FaultKind, ReceiptBook, check_book
from penstock.protocol.commands import BUY
from penstock.protocol.receipts import decode_receipt
from penstock.protocol.signing import Signer
from venue.harness import SEPARATOR, Pen, running

OPERATOR = Signer(b"\x0f" * 32)


def orders(count):
    pen = Pen()
    return [pen.seal(pen.order(1, BUY, 599_000 - i, 100, 16 + i)) for i in range(count)]


def in_memory(**options):
    return ReceiptBook(SEPARATOR, OPERATOR.address, **options)


async def send_all(client, envelopes):
    return await asyncio.gather(*[client.send(envelope) for envelope in envelopes])


async def test_every_acknowledgement_of_an_honest_node_is_proven(tmp_path):
    book = ReceiptBook.open(tmp_path / "book", SEPARATOR, OPERATOR.address)
    async with (
        running(tmp_path / "home", operator=OPERATOR) as node,
        await GatewayClient.connect(node.url, book) as client,
    ):
        answers = await send_all(client, orders(100))
        groups = [answer.receipt.receipt for answer in answers]
        assert all(g.first_sequence <= a.sequence <= g.last_sequence for g, a in zip(groups, answers, strict=True))
        assert book.head.group == node.issuer.group
        refused = await client.submit(orders(1)[0][:-1])
        assert (refused.receipt, refused.refused) == (None, "MESSAGE_TRUNCATED")
    book.close()
    assert (book.faults, book.replies) == ([], 100)
    assert check_book(tmp_path / "book", book.venue).faults == ()


async def test_a_connection_without_a_book_asks_for_no_receipts(tmp_path):
    async with running(tmp_path, operator=OPERATOR) as node, await GatewayClient.connect(node.url) as client:
        assert (await client.submit(orders(1)[0])).receipt is None


async def test_a_book_goes_on_over_connections_and_restarts_and_hears_what_it_missed(tmp_path):
    home, kept = tmp_path / "home", tmp_path / "book"
    async with running(home, operator=OPERATOR) as node:
        book = ReceiptBook.open(kept, SEPARATOR, OPERATOR.address)
        async with await GatewayClient.connect(node.url, book) as client:
            await client.submit(orders(1)[0])
        book.close()
        async with await GatewayClient.connect(node.url) as other:
            for envelope in orders(20)[1:]:
                await other.submit(envelope)
    async with running(home, operator=OPERATOR, funded=False) as node:
        book = ReceiptBook.open(kept, SEPARATOR, OPERATOR.address)
        async with await GatewayClient.connect(node.url, book) as client:
            assert book.head.group == node.issuer.group
            answer = await client.submit(orders(21)[20])
            assert answer.receipt.receipt.epoch == 2
            assert (await client.submit(orders(1)[0])).receipt.receipt.epoch == 1, "the same again: its own group"
        book.close()
    assert book.faults == [] and book.head.epoch == 2
    assert check_book(kept, book.venue).faults == ()


async def test_a_node_that_begins_again_from_nothing_is_caught_when_the_client_comes_back(tmp_path):
    book = in_memory()
    for home in ("first", "second"):
        async with (
            running(tmp_path / home, operator=OPERATOR, funded=home == "first") as node,
            await GatewayClient.connect(node.url, book) as client,
        ):
            await client.submit(orders(1)[0])
    assert book.faults[0].kind is FaultKind.MISSING_GROUP
    assert "does not show them any more" in book.faults[0].sentence


async def test_a_node_without_receipts_is_noted_at_once_and_at_each_acknowledgement(tmp_path):
    book = in_memory()
    async with running(tmp_path) as node, await GatewayClient.connect(node.url, book) as client:
        assert (await client.submit(orders(1)[0])).receipt is None
    assert [fault.kind for fault in book.faults] == [FaultKind.MISSING_RECEIPT] * 2


async def test_what_the_callback_raises_ends_the_connection_and_is_not_lost(tmp_path):
    def stop(fault):
        raise RuntimeError(f"stop: {fault.kind}")

    book = in_memory()
    async with running(tmp_path) as node, await GatewayClient.connect(node.url, book) as client:
        book._on_fault = stop
        with pytest.raises(ConnectionLost, match="stop: MISSING_RECEIPT"):
            await client.submit(orders(1)[0])


class LyingGateway:
    """Passes everything between one client and a node, and changes what the node says on the way."""

    def __init__(self, node, lie):
        self._node, self._lie = node, lie

    async def serve(self, request):
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with ClientSession() as http, http.ws_connect(self._node.url + "ws/api/v2") as node:
            passing = asyncio.create_task(self.back(node, client))
            async for message in client:
                if message.type is WSMsgType.BINARY:
                    await node.send_bytes(message.data)
                else:
                    await node.send_str(message.data)
            passing.cancel()
        return client

    async def back(self, node, client):
        async for message in node:
            frame = self._lie(json.loads(message.data))
            if frame is not None:
                await client.send_str(json.dumps(frame))


def on_reply(change):
    def lie(frame):
        if "tag" in frame and frame.get("receipt"):
            change(frame)
        return frame

    return lie


def skip_a_group():
    pushed = []

    def lie(frame):
        if frame.get("params", {}).get("channel") == "penstock.receipts":
            pushed.append(frame)
            return None if len(pushed) == 2 else frame
        if frame.get("receipt"):
            frame["receipt"].pop("signed", None)
        return frame

    return lie


def forge(frame):
    if "signed" in frame["receipt"]:
        frame["receipt"]["signed"] = frame["receipt"]["signed"][:-4] + "ab1b"


LIES = {
    "no receipt": (on_reply(lambda frame: frame.pop("receipt")), {FaultKind.MISSING_RECEIPT}),
    "a forged one": (on_reply(forge), {FaultKind.FORGED}),
    "not hex": (on_reply(lambda frame: frame["receipt"].update(path=["zz"])), {FaultKind.WRONG_PATH}),
    "no object": (on_reply(lambda frame: frame.update(receipt="yes")), {FaultKind.MALFORMED}),
    "another index": (on_reply(lambda frame: frame["receipt"].update(index=7)), {FaultKind.WRONG_PLACE}),
    "another time": (on_reply(lambda frame: frame.update(time=frame["time"] - 1)), {FaultKind.WRONG_PLACE}),
    "another sequence": (on_reply(lambda frame: frame.update(sequence=frame["sequence"] + 9)), {FaultKind.WRONG_PLACE}),
    "a group less": (skip_a_group(), {FaultKind.MISSING_GROUP, FaultKind.MISSING_RECEIPT}),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_on_the_way_is_named_and_the_connection_goes_on(tmp_path, name):
    lie, kinds = LIES[name]
    told = []
    book = in_memory(on_fault=told.append)
    async with running(tmp_path, operator=OPERATOR) as node:
        app = web.Application()
        app.router.add_get("/ws/api/v2", LyingGateway(node, lie).serve)
        async with (
            TestServer(app) as server,
            await GatewayClient.connect(str(server.make_url("/")), book) as client,
        ):
            for envelope in orders(4):
                assert (await client.submit(envelope)).sequence is not None
    assert {fault.kind for fault in book.faults} == kinds
    assert told == book.faults
    assert all(decode_receipt(wire) for fault in book.faults for wire in fault.receipts)
