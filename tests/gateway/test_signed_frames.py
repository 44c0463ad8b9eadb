"""Signed records over a real socket: every malformed one is refused by its own name, and the node goes on."""

import pytest

from penstock.protocol.commands import BUY, SELL, CreditDeposit, encode_record
from penstock.protocol.quantities import MAX_ENVELOPE
from penstock.protocol.signing import CURVE_ORDER, Domain, pack_envelope, seal
from venue.harness import SEPARATOR, Pen, connected, owner, running, submit

PRICE = 600_000
SIGNATURE = slice(34, 119)


@pytest.fixture
async def node(tmp_path):
    async with running(tmp_path) as running_node:
        yield running_node


def high_s(envelope):
    """The same signature with the other s: valid mathematics, another byte form of the same order."""
    r, s, v = envelope[54:86], int.from_bytes(envelope[86:118], "big"), envelope[118]
    twin = r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    return envelope[:54] + twin + envelope[119:]


def with_bytes(envelope, at, *values):
    return envelope[:at] + bytes(values) + envelope[at + len(values) :]


def swapped_bundle(pen):
    """A bundle whose second member is not what its root says."""
    orders = [pen.order(1, BUY, PRICE - 1, 100, slot) for slot in (16, 17)]
    whole = pen.seal_all(orders)
    return whole[: -len(encode_record(orders[1]))] + encode_record(pen.order(1, BUY, PRICE - 2, 100, 17))


def malformed():
    pen = Pen()
    order = pen.order(1, BUY, PRICE - 1, 100)
    good = pen.seal(order)
    record_at = SIGNATURE.stop + 2
    return {
        "MESSAGE_TOO_LARGE": good + bytes(MAX_ENVELOPE),
        "MESSAGE_TRUNCATED": good[:-1],
        "SCHEME_UNKNOWN": with_bytes(good, 32, 9),
        "DOMAIN_WRONG": seal(Domain(1, b"\x77" * 20).separator(), order, [owner(1)]),
        "TYPE_UNKNOWN": with_bytes(good, record_at, good[record_at] ^ 1),
        "RECORD_LENGTH_WRONG": pack_envelope(SEPARATOR, encode_record(order) + bytes(32), [good[SIGNATURE]], []),
        "WORD_NOT_CANONICAL": with_bytes(good, record_at + 32, 1),
        "COMMAND_NOT_FOR_CLIENTS": seal(SEPARATOR, CreditDeposit(0, 1, owner(1).address, 1, 1), []),
        "SIGNATURE_COUNT_WRONG": pack_envelope(SEPARATOR, encode_record(order), [good[SIGNATURE]] * 2, []),
        "SIGNATURE_MALFORMED": high_s(good),
        "SIGNATURE_WRONG": with_bytes(good, 54, *(CURVE_ORDER - 1).to_bytes(32, "big")),
        "BUNDLE_COUNT_WRONG": pack_envelope(SEPARATOR, encode_record(order), [good[SIGNATURE]], [b"x"]),
        "BUNDLE_ROOT_WRONG": swapped_bundle(pen),
    }


@pytest.mark.parametrize("reason", malformed())
async def test_a_malformed_envelope_is_refused_by_its_own_reason_and_the_node_goes_on(node, reason):
    before = node.sequencer.sequence
    async with connected(node) as client:
        reply = await client.send(malformed()[reason])
        assert reply["refused"] == reason and reply["message"].endswith(".")
        assert "sequence" not in reply
        pen = Pen()
        accepted = await client.send(pen.seal(pen.order(1, BUY, PRICE - 1, 100)))
    assert accepted["outcomes"] == [{"reason": None, "filled": 0, "average_price": None}]
    assert accepted["sequence"] == before + 1, "what was refused took no number"


async def test_an_envelope_cut_at_any_byte_is_refused(node):
    pen = Pen()
    whole = pen.seal(pen.order(1, BUY, PRICE - 1, 100))
    before = node.sequencer.sequence
    async with connected(node) as client:
        for cut in range(len(whole)):
            assert "refused" in await client.send(whole[:cut]), cut
    assert node.sequencer.sequence == before


async def test_a_frame_too_short_for_a_tag_is_refused(node):
    async with connected(node) as client:
        await client.socket.send_bytes(b"1234567")
        assert await client.receive() == {"tag": None, "refused": "MESSAGE_TRUNCATED", "message": "Message truncated."}


async def test_an_order_signed_by_a_stranger_is_sequenced_and_refused_by_the_engine(node):
    async with connected(node) as client:
        reply = await client.send(Pen().seal(Pen().order(1, BUY, PRICE, 100), owner(2)))
    assert [outcome["reason"] for outcome in reply["outcomes"]] == ["SIGNER_UNKNOWN"]


async def test_a_bundle_gets_one_outcome_a_member_with_fills_and_mean_price(node):
    pen = Pen()
    await submit(node, pen.seal_all([pen.order(1, SELL, PRICE + 10 * i, 100, 16 + i) for i in range(3)]))
    async with connected(node) as client:
        bundle = [
            pen.order(2, BUY, PRICE + 10, 300, 16),
            pen.order(2, BUY, PRICE, 150, 17),
            pen.order(2, BUY, PRICE, 100, 18),
        ]
        reply = await client.send(pen.seal_all(bundle))
    assert reply["outcomes"] == [
        {"reason": None, "filled": 200, "average_price": PRICE + 5.0},
        {"reason": "SIZE_OFF_LOT", "filled": 0, "average_price": None},
        {"reason": None, "filled": 0, "average_price": None},
    ]


async def test_the_same_envelope_again_gets_the_recorded_outcome_also_on_another_connection(node):
    pen = Pen()
    envelope = pen.seal(pen.order(1, BUY, PRICE - 1, 100))
    async with connected(node) as one, connected(node) as other:
        first, again = await one.send(envelope), await other.send(envelope)
    for reply in (first, again):
        reply.pop("tag")
    assert first == again
    assert node.market_data.markets[0].sides[BUY].top() == [(PRICE - 1, 100)]


async def test_tags_are_64_bits_and_come_back_as_sent(node):
    async with connected(node) as client:
        await client.socket.send_bytes(b"\xff" * 8 + b"nonsense")
        assert (await client.receive())["tag"] == (1 << 64) - 1


async def test_a_connection_with_too_many_commands_on_their_way_is_told_so(node, monkeypatch):
    monkeypatch.setattr("penstock.venue.gateway.signed.MOST_FLYING", 0)
    pen = Pen()
    async with connected(node) as client:
        reply = await client.send(pen.seal(pen.order(1, BUY, PRICE - 1, 100)))
    assert reply["unavailable"] == "queue full" and "sequence" not in reply


async def test_submit_over_http_gives_the_same_outcome_as_a_frame(node):
    pen = Pen()
    envelope = pen.seal(pen.order(1, BUY, PRICE - 1, 100))
    async with connected(node) as client:
        framed = await client.send(envelope)
        called = await client.call("penstock/submit", envelope="0x" + envelope.hex())
        refused = await client.call("penstock/submit", envelope=envelope[:-1].hex())
        not_hex = await client.call("penstock/submit", envelope="xyz")
    framed.pop("tag")
    assert called["result"] == framed
    assert refused["result"] == {"refused": "MESSAGE_TRUNCATED", "message": "Message truncated."}
    assert not_hex["error"]["code"] == -32602 and not_hex["error"]["data"]["param"] == "envelope"


async def test_a_bundle_of_64_orders_fits_into_one_submit(node):
    pen = Pen()
    bundle = pen.seal_all([pen.order(1, BUY, PRICE - 1 - i, 100, 16 + i) for i in range(64)])
    async with connected(node) as client:
        result = (await client.call("penstock/submit", envelope=bundle.hex()))["result"]
    assert [outcome["reason"] for outcome in result["outcomes"]] == [None] * 64
