"""The console's files, and nothing beside them."""

import socket

import aiohttp
import pytest

from venue.harness import running


@pytest.fixture
async def node(tmp_path):
    folder = tmp_path / "console"
    (folder / "parts").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "main.js").write_text("export {};")
    (folder / "parts" / "one.css").write_text("a{}")
    (folder / ".secret").write_text("x")
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    library = tmp_path / "charts.mjs"
    library.write_text("export {};")
    async with running(tmp_path / "home", funded=False, console=folder, chart_library=library) as one:
        yield one


async def fetch(node, path):
    async with aiohttp.ClientSession() as session, session.get(node.url + path) as answer:
        return answer.status, answer.headers, await answer.text()


async def test_the_console_is_served_with_headers_that_let_it_do_little(node):
    status, headers, text = await fetch(node, "")
    assert (status, text) == (200, "<!doctype html>")
    assert headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in headers["Content-Security-Policy"]
    for path, kind in (
        ("console/main.js", "text/javascript"),
        ("console/parts/one.css", "text/css"),
        ("vendor/lightweight-charts.mjs", "text/javascript"),
    ):
        status, headers, _ = await fetch(node, path)
        assert (status, headers["Content-Type"]) == (200, kind)


def ask(node, path):
    """The status line of a raw request: clients tidy paths up before they send them."""
    host, port = node.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        reply = b""
        while part := connection.recv(65_536):
            reply += part
    return int(reply.split()[1]), reply


@pytest.mark.parametrize(
    "path",
    [
        "/console/../outside.txt", "/console/%2e%2e/outside.txt", "/console/..%2foutside.txt", "/console/parts",
        "/console/parts/", "/console/", "/console/.secret", "/console/link.txt", "/console//main.js",
        "/console/parts/../../outside.txt", "/console/main.js%00", "/console/..%5coutside.txt", "/outside.txt",
        "/vendor/", "/vendor/other.mjs", "/console/nothing.js",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(node, path):
    import asyncio

    status, reply = await asyncio.to_thread(ask, node, path)
    assert status in (400, 404) and b"outside" not in reply.partition(b"\r\n\r\n")[2]


async def test_a_node_without_console_or_library_says_not_found(tmp_path):
    async with running(tmp_path, funded=False) as node:
        for path in ("", "console/main.js", "vendor/lightweight-charts.mjs"):
            assert (await fetch(node, path))[0] == 404


async def test_only_public_reads_are_open_to_other_pages(node):
    _, headers, _ = await fetch(node, "api/v2/public/get_time")
    assert headers["Access-Control-Allow-Origin"] == "*" and headers["Cache-Control"] == "no-store"
    _, headers, _ = await fetch(node, "api/v2/penstock/get_domain")
    assert "Access-Control-Allow-Origin" not in headers
