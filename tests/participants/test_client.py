"""The gateway client against a scripted server: order, pipelining, errors, subscriptions, loss."""

import asyncio
import json

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from penstock.participants.client import UNAVAILABLE, ConnectionLost, GatewayClient, GatewayError


class ScriptedGateway:
    """Answers calls from a table; keeps binary frames until told to answer them."""

    def __init__(self):
        self.arrived = []
        self.held = []
        self.hold = False
        self.socket = None

    async def serve(self, request):
        self.socket = web.WebSocketResponse()
        await self.socket.prepare(request)
        async for message in self.socket:
            if message.type is WSMsgType.BINARY:
                tag, body = int.from_bytes(message.data[:8], "big"), message.data[8:]
                self.arrived.append(body)
                if self.hold:
                    self.held.append(tag)
                else:
                    await self.answer(tag, body)
            else:
                await self.serve_call(json.loads(message.data))
        return self.socket

    async def serve_call(self, call):
        self.arrived.append(call["method"])
        if call["method"] == "public/get_time":
            await self.say({"id": call["id"], "result": 5})
        elif call["method"] == "public/subscribe":
            known = [c for c in call["params"]["channels"] if c.startswith("trades")]
            await self.say({"id": call["id"], "result": known})
            for number in range(3 * len(known)):
                await self.say({"method": "subscription", "params": {"channel": known[0], "data": [number]}})
        elif call["method"] == "public/unsubscribe":
            await self.say({"id": call["id"], "result": []})
        else:
            error = {"code": -32601, "message": "Method not found", "data": {"reason": "no such method"}}
            if call["params"]:
                told = {"reason": "Expected `int` >= 1", "param": "depth", "allowed": "1 to 1000"}
                error = {"code": -32602, "message": "Invalid params", "data": told}
            await self.say({"id": call["id"], "error": error})

    async def answer(self, tag, body=b""):
        if body == b"bad":
            await self.say({"tag": tag, "refused": "SCHEME_UNKNOWN", "message": "Scheme unknown."})
        elif body == b"full":
            await self.say({"tag": tag, "unavailable": "queue full", "message": "Not executed."})
        else:
            outcomes = [{"reason": None, "filled": 3, "average_price": 10.5}, {"reason": "FILLED_SINCE", "filled": 0}]
            await self.say({"tag": tag, "sequence": 9, "time": 7_000, "outcomes": outcomes})

    async def say(self, frame):
        await self.socket.send_str(json.dumps(frame))


@pytest.fixture
async def gateway():
    gateway = ScriptedGateway()
    app = web.Application()
    app.router.add_get("/ws/api/v2", gateway.serve)
    server = TestServer(app)
    await server.start_server()
    gateway.url = str(server.make_url("/"))
    yield gateway
    await server.close()


async def test_connecting_reads_the_venues_time_and_answers_move_it_on(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        assert client.venue_time == 5_000
        await client.submit(b"record")
        assert client.venue_time == 7_000


async def test_an_answer_carries_sequence_outcomes_refusals_and_its_latency(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        answer = await client.submit(b"record")
    assert (answer.sequence, answer.time, answer.refused) == (9, 7_000, None)
    assert [(o.reason, o.filled, o.average_price) for o in answer.outcomes] == [
        (None, 3, 10.5),
        ("FILLED_SINCE", 0, None),
    ]
    assert answer.reasons == ["FILLED_SINCE"]
    assert 0 < answer.ack_s < 5


async def test_an_envelope_refused_before_sequencing_has_a_reason_and_no_outcomes(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        answer = await client.submit(b"bad")
        assert (answer.sequence, answer.outcomes, answer.reasons) == (None, (), ["SCHEME_UNKNOWN"])
        assert (await client.submit(b"full")).reasons == [UNAVAILABLE]


async def test_frames_and_calls_leave_in_the_order_of_asking_without_waiting_for_answers(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        gateway.hold = True
        first, call, second = client.send(b"one"), client.call_soon("public/get_time"), client.send(b"two")
        await call
        while len(gateway.held) < 2:
            await asyncio.sleep(0.001)
        assert gateway.arrived[1:] == [b"one", "public/get_time", b"two"]
        assert client.in_flight == 2 and not first.done()
        for tag in reversed(gateway.held):
            await gateway.answer(tag)
        assert (await first).sequence == (await second).sequence == 9
        assert client.in_flight == 0


async def test_room_waits_until_few_enough_are_in_flight(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        gateway.hold = True
        client.send(b"one")
        client.send(b"two")
        waiting = asyncio.create_task(client.room(2))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await gateway.answer(gateway.held[0])
        await asyncio.wait_for(waiting, 1)
        assert client.in_flight == 1


async def test_an_error_response_raises_with_code_and_reason(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        with pytest.raises(GatewayError, match="Method not found") as caught:
            await client.call("public/nonsense")
        assert (caught.value.code, caught.value.reason) == (-32601, "no such method")


async def test_an_errors_text_names_the_parameter_and_what_it_may_be(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        with pytest.raises(GatewayError) as caught:
            await client.call("public/nonsense", {"depth": 0})
        assert (caught.value.param, caught.value.allowed) == ("depth", "1 to 1000")
        assert str(caught.value) == "Invalid params: Expected `int` >= 1: depth: 1 to 1000 (-32602)"


async def test_a_subscription_is_an_iterator_and_ends_with_its_block(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        async with client.subscription("trades.BTC.raw") as notifications:
            assert [await anext(notifications) for _ in range(3)] == [[0], [1], [2]]
        assert gateway.arrived[-1] == "public/unsubscribe"


async def test_a_channel_that_is_not_accepted_is_an_error(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        with pytest.raises(GatewayError, match="was not accepted"):
            await client.listen("nonsense", print)


async def test_losing_the_connection_fails_everything_that_waits_and_everything_after(gateway):
    async with await GatewayClient.connect(gateway.url) as client:
        gateway.hold = True
        pending = client.send(b"one")
        while not gateway.held:
            await asyncio.sleep(0.001)
        await gateway.socket.close()
        with pytest.raises(ConnectionLost, match="closed by the gateway"):
            await pending
        with pytest.raises(ConnectionLost):
            client.send(b"two")
        with pytest.raises(ConnectionLost):
            await client.call("public/get_time")


async def test_nobody_listening_is_said_with_the_address():
    with pytest.raises(ConnectionLost, match=r"no gateway at http://127\.0\.0\.1:9"):
        await GatewayClient.connect("http://127.0.0.1:9")


@pytest.mark.parametrize("told", ["abc", None, {}, 1e308, 1 << 53, -1, True, 1.0])
async def test_a_time_that_is_none_is_said_and_the_connection_closed(gateway, told):
    async def answer(call):
        await gateway.say({"id": call["id"], "result": told})

    gateway.serve_call = answer
    with pytest.raises(ConnectionLost, match="is no venue: its time is"):
        await GatewayClient.connect(gateway.url)
    async with asyncio.timeout(2):
        while not gateway.socket.closed:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("rest", ['"result":1e999', '"error":{"message":[1]}'])
async def test_an_answer_that_cannot_be_read_leaves_nobody_waiting(gateway, rest):
    async with await GatewayClient.connect(gateway.url) as client:
        call = client.call_soon("public/nothing")
        gateway.serve_call = None
        await gateway.socket.send_str(f'{{"id":2,{rest}}}')
        async with asyncio.timeout(2):
            with pytest.raises(ConnectionLost):
                await call


async def test_a_gateway_that_says_no_goodbye_does_not_hold_up_closing(gateway, monkeypatch):
    monkeypatch.setattr("penstock.participants.client._FAREWELL", 0.1)
    client = await GatewayClient.connect(gateway.url)

    close = client._socket.close

    async def never():
        try:
            await asyncio.sleep(60)
        finally:
            await close()

    monkeypatch.setattr(client._socket, "close", never)
    async with asyncio.timeout(2):
        await client.close()
    assert client._http.closed
