"""Receipts over real sockets: in replies, on their channel, by method, and their absence said aloud."""

import asyncio
from itertools import pairwise

import aiohttp
import pytest

from penstock.protocol.commands import BUY
from penstock.protocol.receipts import check_path, check_receipt, decode_receipt, receipt_leaf
from penstock.protocol.signing import Signer
from venue.harness import SEPARATOR, Pen, connected, running

PRICE = 600_000
OPERATOR = Signer(b"\x0f" * 32)
CHANNEL = "penstock.receipts"


@pytest.fixture
async def node(tmp_path):
    async with running(tmp_path, operator=OPERATOR) as one:
        yield one


def orders(count):
    pen = Pen()
    return [pen.seal(pen.order(1, BUY, PRICE - 1 - i, 100, 16 + i)) for i in range(count)]


def unhex(text):
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


def proven(envelope, reply, signed):
    """Whether the reply's receipt proves the envelope's place under the signed receipt."""
    told, receipt = reply["receipt"], decode_receipt(unhex(signed)).receipt
    check_receipt(SEPARATOR, OPERATOR.address, decode_receipt(unhex(signed)))
    assert (told["group"], told["index"]) == (receipt.group, reply["sequence"] - receipt.first_sequence)
    leaf = receipt_leaf(reply["sequence"], reply["time"], envelope)
    return check_path(leaf, told["index"], receipt.count, [unhex(s) for s in told["path"]], receipt.root)


async def test_a_reply_proves_its_place_and_brings_the_signed_receipt_once_a_group(node):
    async with connected(node) as client:
        envelopes, signed, brought = orders(40), {}, []
        for tag, envelope in enumerate(envelopes):
            await client.socket.send_bytes(tag.to_bytes(8, "big") + envelope)
        for tag, envelope in enumerate(envelopes):
            reply = await client.until(lambda frame, tag=tag: frame.get("tag") == tag)
            group = reply["receipt"]["group"]
            if "signed" in reply["receipt"]:
                brought.append(group)
                signed[group] = reply["receipt"]["signed"]
            assert proven(envelope, reply, signed[group])
        assert brought == sorted(set(brought)), "once each, in order"


async def test_an_envelope_sent_again_gets_the_receipt_of_its_own_group_again(node):
    async with connected(node) as client:
        first, second = orders(2)
        reply = await client.send(first)
        await client.send(second)
        again = await client.send(first)
    assert again == reply | {"tag": again["tag"]}
    assert proven(first, again, again["receipt"]["signed"])


async def test_submit_brings_the_whole_receipt(node):
    [envelope] = orders(1)
    async with connected(node) as client:
        reply = (await client.call("penstock/submit", envelope="0x" + envelope.hex()))["result"]
    assert proven(envelope, reply, reply["receipt"]["signed"])


async def test_what_is_refused_before_sequencing_has_no_receipt(node):
    async with connected(node) as client:
        assert "receipt" not in await client.send(orders(1)[0][:-1])


async def test_the_channel_sends_every_groups_receipt_in_order_and_before_its_replies(node):
    async with connected(node) as client, connected(node) as other:
        assert (await client.call("public/subscribe", channels=[CHANNEL]))["result"] == [CHANNEL]
        before = node.issuer.group
        for envelope in orders(10):
            sequence = (await other.send(envelope))["sequence"]
            assert sequence == node.sequencer.durable_sequence
        pushed = [decode_receipt(unhex(await client.next_push(CHANNEL))).receipt for _ in range(10)]
        assert [receipt.group for receipt in pushed] == list(range(before + 1, before + 11))
        assert all(a.hash() == b.previous for a, b in pairwise(pushed))
        [last] = orders(11)[10:]
        reply = await client.send(last)
        assert [push["channel"] for push in client.pushes] == [CHANNEL], "the push was met on the way to the reply"
        assert reply["receipt"]["signed"] == client.pushes[0]["data"]
        assert (await client.call("public/unsubscribe", channels=[CHANNEL]))["result"] == [CHANNEL]


async def test_receipts_can_be_asked_for_by_number(node):
    async with connected(node) as client:
        last = node.issuer.group
        found = (await client.call("penstock/get_receipts", from_group=1, count=1000))["result"]
        assert [decode_receipt(unhex(wire)).receipt.group for wire in found] == list(range(1, last + 1))
        assert (await client.call("penstock/get_receipts", from_group=last, count=5))["result"] == found[-1:]
        assert (await client.call("penstock/get_receipts", from_group=last + 1))["result"] == []
        async with aiohttp.ClientSession() as http:
            url = f"{node.url}api/v2/penstock/get_receipts?from_group=2&count=1"
            assert (await (await http.get(url)).json())["result"] == [found[1]]


@pytest.mark.parametrize(
    ("params", "field"),
    [({}, "from_group"), ({"from_group": 0}, "from_group"), ({"from_group": 1, "count": 0}, "count")],
)
async def test_a_request_for_receipts_names_what_is_wrong_with_it(node, params, field):
    async with connected(node) as client:
        error = (await client.call("penstock/get_receipts", **params))["error"]
        assert (error["code"], error["data"]["param"]) == (-32602, field)


async def test_the_domain_names_the_operator_and_the_status_has_no_complaint(node):
    async with connected(node) as client:
        domain = (await client.call("penstock/get_domain"))["result"]
        assert domain["operator"] == "0x" + OPERATOR.address.hex()
        assert "no signed receipts" not in (await client.call("public/status"))["result"]["unsafe"]


async def test_a_node_without_an_issuer_sends_no_receipts_and_says_so(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        assert "receipt" not in await client.send(orders(1)[0])
        assert (await client.call("public/subscribe", channels=[CHANNEL]))["result"] == []
        assert (await client.call("penstock/get_receipts", from_group=1))["result"] == []
        assert (await client.call("penstock/get_domain"))["result"]["operator"] is None
        assert "no signed receipts" in (await client.call("public/status"))["result"]["unsafe"]


async def test_a_group_that_cannot_be_receipted_stops_the_node_and_nobody_is_answered(tmp_path):
    async with running(tmp_path, operator=OPERATOR) as node:
        node.issuer.issue([(node.sequencer.sequence + 1, node.clock.now(), orders(1)[0])])
        answered = []
        node.sequencer.submit(orders(2)[1], answered.append)
        assert await asyncio.wait_for(node.run(), 5) == 1
        assert answered == []
        assert isinstance(node.sequencer.failure, ValueError)
