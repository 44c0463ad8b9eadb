"""JSON and JSON-RPC as nobody should send them (catalogue rows ENC-1 to ENC-3): a typed error, and the node goes on."""

import json

import aiohttp
import pytest

from penstock.venue.gateway.strict_json import _STRINGS, JsonRefusal, parse
from venue.harness import BTC, connected, running

REQUEST = '{"jsonrpc":"2.0","id":7,"method":"public/ticker","params":%s}'


@pytest.fixture
async def node(tmp_path):
    async with running(tmp_path) as running_node:
        yield running_node
        async with aiohttp.ClientSession() as session, session.get(running_node.url + "api/v2/public/test") as answer:
            assert answer.status == 200, "the node goes on"


async def post(node, body, path="api/v2"):
    async with aiohttp.ClientSession() as session, session.post(node.url + path, data=body) as answer:
        return answer.status, json.loads(await answer.read())


async def get(node, path):
    async with aiohttp.ClientSession() as session, session.get(node.url + "api/v2/" + path) as answer:
        return answer.status, json.loads(await answer.read())


REFUSED_TEXTS = {
    "nested 100,000 deep": (b"[" * 30_000 + b"]" * 30_000, "nested deeper than 32", None),
    "nested 33 deep": (b'{"a":' * 33 + b"1" + b"}" * 33, "nested deeper than 32", None),
    "a duplicate key": (REQUEST % '{"instrument_name":"a","instrument_name":"b"}', "duplicate key", "instrument_name"),
    "the same key written twice": (REQUEST % '{"a":1,"\\u0061":2}', "duplicate key", "a"),
    "a key twice at the top": ('{"id":1,"method":"public/test","id":2}', "duplicate key", "id"),
    "NaN": (REQUEST % '{"depth":NaN}', "NaN is not a number", "depth"),
    "Infinity": (REQUEST % '{"depth":[-Infinity]}', "-Infinity is not a number", "depth"),
    "a number beyond every double": (REQUEST % '{"depth":1e400}', "a number out of range", "depth"),
    "an integer of a thousand digits": (REQUEST % ('{"depth":%s}' % ("9" * 1000)), "an integer out of range", "depth"),
    "a lone surrogate": (REQUEST % '{"instrument_name":"\\ud800"}', "a lone surrogate", "instrument_name"),
    "a lone surrogate as a key": (REQUEST % '{"\\udfff":1}', "a lone surrogate", "\\udfff"),
    "UTF-8 cut short": (b'{"method":"\xe2\x82"}', "not UTF-8", None),
    "overlong UTF-8": (b'{"method":"\xc0\xaf"}', "not UTF-8", None),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not JSON", None),
    "UTF-16": ('{"method":"public/test"}'.encode("utf-16"), "not UTF-8", None),
    "a NUL in a string": (b'{"method":"a\0b"}', "not JSON", None),
    "nothing": (b"", "not JSON", None),
    "two values": (b"{} {}", "not JSON", None),
    "an unfinished object": (b'{"method":', "not JSON", None),
}


@pytest.mark.parametrize("case", REFUSED_TEXTS)
async def test_a_text_two_parsers_could_read_differently_is_refused_and_the_field_named(node, case):
    text, reason, param = REFUSED_TEXTS[case]
    status, response = await post(node, text)
    error = response["error"]
    assert (status, error["code"], response["id"]) == (400, -32700, None)
    assert error["data"]["reason"].startswith(reason) and error["data"].get("param") == param
    if isinstance(text, str):
        async with connected(node) as client:
            await client.socket.send_str(text)
            assert (await client.receive())["error"] == error


def test_nesting_up_to_32_and_brackets_in_strings_are_fine():
    assert parse(b"[" * 32 + b"]" * 32)
    assert parse(b'["' + b"[{" * 1000 + b'\\""]') == ["[{" * 1000 + '"']
    with pytest.raises(JsonRefusal, match="deeper"):
        parse(b'{"a":"\\"}"' + b',"b":[' * 40)


async def test_a_body_over_96_kib_is_refused(node):
    status, response = await post(node, b'{"method":"' + b"x" * 98_304 + b'"}')
    assert status == 413 and "98304" in response["error"]["data"]["reason"]


async def test_a_text_frame_over_96_kib_is_refused_and_the_connection_stays(node):
    async with connected(node) as client:
        await client.socket.send_str('{"method":"' + "x" * 98_304 + '"}')
        assert (await client.receive())["error"]["code"] == -32600
        assert (await client.call("public/test"))["result"]


IDENTITIES = {
    "an integer": ("7", 7),
    "a string": ('"seven"', "seven"),
    "null": ("null", None),
    "a negative integer": ("-1", -1),
    "the largest integer": ("9223372036854775807", (1 << 63) - 1),
}


@pytest.mark.parametrize("case", IDENTITIES)
async def test_an_id_comes_back_as_sent(node, case):
    text, echoed = IDENTITIES[case]
    status, response = await post(node, f'{{"id":{text},"method":"public/test"}}')
    assert status == 200 and response["id"] == echoed


@pytest.mark.parametrize("text", ["1.5", "[1]", "{}", "true", "9223372036854775808", '"' + "x" * 257 + '"'])
async def test_an_id_that_could_not_be_echoed_exactly_is_refused(node, text):
    status, response = await post(node, f'{{"id":{text},"method":"public/test"}}')
    assert (status, response["error"]["code"], response["error"]["data"]["param"]) == (400, -32600, "id")


@pytest.mark.parametrize("batch", ["[]", f"[{'1,' * 9_999}1]", '[{"method":"public/test","id":1},5]'])
async def test_a_batch_of_any_size_is_refused_whole(node, batch):
    status, response = await post(node, batch)
    assert status == 400 and response["error"]["data"]["reason"] == "batches are not served"


async def test_a_request_without_an_id_is_answered_with_null(node):
    status, response = await post(node, '{"method":"public/test"}')
    assert status == 200 and response["id"] is None and response["result"]


@pytest.mark.parametrize("name", ["__proto__", "constructor", "__class__", "public/../dev/set_clock", "", "public"])
async def test_an_unknown_method_is_not_found_whatever_it_is_called(node, name):
    status, response = await post(node, json.dumps({"id": 1, "method": name}))
    assert (status, response["error"]["code"]) == (400, -32601)


@pytest.mark.parametrize("method", ["5", "null", "[]", "{}"])
async def test_a_method_that_is_no_string_is_an_invalid_request(node, method):
    _, response = await post(node, f'{{"id":1,"method":{method}}}')
    assert response["error"]["code"] == -32600 and response["id"] == 1


WRONG_PARAMS = {
    "a depth of 0": ({"instrument_name": BTC, "depth": 0}, "depth", "integer, 1 to 1000"),
    "a depth of 1001": ({"instrument_name": BTC, "depth": 1001}, "depth", "integer, 1 to 1000"),
    "a depth in words": ({"instrument_name": BTC, "depth": "ten"}, "depth", "integer, 1 to 1000"),
    "a depth of 1.5": ({"instrument_name": BTC, "depth": 1.5}, "depth", "integer, 1 to 1000"),
    "a true depth": ({"instrument_name": BTC, "depth": True}, "depth", "integer, 1 to 1000"),
    "no instrument": ({}, "instrument_name", "an instrument_name of public/get_instruments"),
    "a list": ([1], "params", None),
}


@pytest.mark.parametrize("case", WRONG_PARAMS)
async def test_wrong_parameters_name_the_field_and_what_is_allowed(node, case):
    params, field, allowed = WRONG_PARAMS[case]
    _, response = await post(node, json.dumps({"id": 1, "method": "public/get_order_book", "params": params}))
    error = response["error"]
    assert (error["code"], error["data"]["param"]) == (-32602, field)
    assert error["data"].get("allowed") == allowed


async def test_a_get_reads_its_parameters_as_text(node):
    status, response = await get(node, f"public/get_order_book?instrument_name={BTC}&depth=5")
    assert status == 200 and response["result"]["instrument_name"] == BTC


@pytest.mark.parametrize("depth", ["1e1", "0x10", "1_0", "+1", "%201", "%EF%BC%91", "", "NaN", "-1", "1.5"])
async def test_a_get_takes_plain_decimal_integers_only(node, depth):
    status, response = await get(node, f"public/get_order_book?instrument_name={BTC}&depth={depth}")
    assert (status, response["error"]["code"]) == (400, -32602), response


async def test_a_get_with_a_parameter_twice_is_refused(node):
    _, response = await get(node, f"public/ticker?instrument_name={BTC}&instrument_name={BTC}")
    assert response["error"]["code"] == -32700 and response["error"]["data"]["param"] == "instrument_name"


async def test_a_post_to_a_method_path_must_not_name_another_method(node):
    good, response = await post(node, '{"id":1,"params":{}}', "api/v2/public/test")
    assert good == 200 and response["result"]
    bad, response = await post(node, '{"id":1,"method":"public/status"}', "api/v2/public/test")
    assert bad == 400 and response["error"]["data"]["param"] == "method"


async def test_subscribing_needs_a_socket(node):
    _, response = await post(node, '{"id":1,"method":"public/subscribe","params":{"channels":[]}}')
    assert response["error"]["code"] == -32600


async def test_what_changes_something_is_not_done_by_get(node):
    _, response = await get(node, "penstock/submit?envelope=00")
    assert response["error"]["code"] == -32600


def test_an_unfinished_string_is_passed_over_in_one_match():
    """Tried anew at each quote inside it, a frame of 64 KiB would hold the event loop for seconds."""
    text = b"[" * 33 + b'"' + b'\\"' * 16_000
    assert len(_STRINGS.findall(text)) == 1
    with pytest.raises(JsonRefusal):
        parse(text)
