"""Connections that ask nothing: bounded, replaced and ended, beside clients who go on being served."""

import asyncio
import resource
import subprocess
import sys

import aiohttp
import pytest

from penstock.venue.door import LEAST, RESERVE, Door
from penstock.venue.gateway.app import GatewayLimits
from venue.harness import connected, running


async def silent(node, sent=b"GET / HTTP/1.1\r\nX: "):
    """A connection that has said something, but asked nothing."""
    host, port = node.url.removeprefix("http://").removesuffix("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    return reader, writer


async def ended(reader, seconds=5):
    """Whether the other side ends it in time."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def test_who_asks_something_takes_the_place_of_who_was_silent_longest(tmp_path):
    async with running(tmp_path, limits=GatewayLimits(connections=LEAST)) as node, connected(node) as client:
        crowd = [await silent(node) for _ in range(LEAST + 20)]
        assert (await client.call("public/test"))["result"], "who is served keeps its place"
        async with aiohttp.ClientSession() as http, http.get(node.url + "api/v2/public/test") as answer:
            assert answer.status == 200, "and who comes last finds one"
        assert await ended(crowd[0][0])
        assert not await ended(crowd[-1][0], 0.2)
        for _, writer in crowd:
            writer.close()


async def test_where_everybody_is_served_the_next_one_is_turned_away_until_one_leaves(tmp_path):
    async with running(tmp_path, limits=GatewayLimits(connections=LEAST)) as node, aiohttp.ClientSession() as http:
        sockets = [await http.ws_connect(node.url + "ws/api/v2") for _ in range(LEAST)]
        reader, writer = await silent(node)
        assert await ended(reader)
        writer.close()
        await sockets.pop().close()
        await asyncio.sleep(0.1)
        async with connected(node) as client:
            assert (await client.call("public/test"))["result"]
        for socket in sockets:
            await socket.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nX: ", b"GET /api/v2/public/test HTTP/1.1\r\nHost: here\r\n\r\nGET"]
)
async def test_whoever_asks_nothing_for_the_idle_time_has_to_leave(tmp_path, sent):
    async with running(tmp_path, limits=GatewayLimits(idle_time=0.3)) as node, connected(node) as client:
        reader, writer = await silent(node, sent)
        if b"public/test" in sent:
            assert (await reader.readuntil(b"}"))[:15] == b"HTTP/1.1 200 OK"
            await reader.readuntil(b"}")
        await asyncio.sleep(2)
        assert await ended(reader, 1)
        writer.close()
        assert (await client.call("public/test"))["result"], "a socket may be silent"


def test_places_stay_below_what_the_system_allows():
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {1}));"
        "from penstock.venue.door import Door; print(Door(2_048, 1.0).places)"
    )

    def places(soft, hard):
        return subprocess.run(
            [sys.executable, "-c", program.format(soft, hard)], capture_output=True, text=True, check=False
        )

    assert places(1_024, 8_192).stdout == "2048\n", "the soft limit is raised"
    assert places(1_024, 1_024).stdout == f"{1_024 - RESERVE}\n"
    assert "open files are limited to 300: a server wants at least 320 (ulimit -n)" in places(300, 300).stderr


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP"])
async def test_a_compressed_body_is_refused_by_name(tmp_path, encoding):
    async with running(tmp_path) as node, aiohttp.ClientSession() as http:
        headers = {"Content-Encoding": encoding}
        async with http.post(node.url + "api/v2", data=b"zzzz", headers=headers) as answer:
            told = await answer.json()
    assert (answer.status, told["error"]["code"]) == (415, -32600)
    assert "none but plain ones" in told["error"]["data"]["reason"]


async def test_a_receipt_far_beyond_the_last_is_none(tmp_path):
    async with running(tmp_path) as node, connected(node) as client:
        assert (await client.call("penstock/get_receipts", from_group=(1 << 53) - 1))["result"] == []
        refused = await client.call("penstock/get_receipts", from_group=1 << 53)
        assert refused["error"]["code"] == -32602


def test_the_door_is_no_narrower_than_a_node_needs():
    assert Door(LEAST, 1.0).places == LEAST
    with pytest.raises(ValueError, match="ulimit"):
        Door(LEAST - 1, 1.0)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= LEAST + RESERVE
