"""Oracles among themselves over HTTP: proposals in binary, signatures in binary, objections and status in JSON."""

import asyncio
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING

from penstock.protocol.signing import SIGNATURE
from penstock.venue.door import Door
from penstock.venue.oracle.cosigning import MOST_PROPOSAL, Objected, Objection
from penstock.venue.oracle.oracle import Oracle, PeerFailed
from penstock.venue.oracle.telling import told_by

PROPOSALS: Final = "/proposals"
STATUS: Final = "/status"
BODY_TIME: Final = 2.0
MOST_CONNECTIONS: Final = 256
IDLE_TIME: Final = 30.0
_MOST_ANSWER: Final = 4_096
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_encode: Final = msgspec.json.Encoder().encode


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an objection."""

    reason: str
    message: str = ""


class Endpoint:
    """Serves one oracle: `POST /proposals` gives its signature or its objection, `GET /status` what it sees."""

    def __init__(self, oracle: Oracle) -> None:
        self.url = ""
        self._oracle = oracle
        self._door = Door(MOST_CONNECTIONS, IDLE_TIME)
        application = web.Application(client_max_size=MOST_PROPOSAL, middlewares=[self._door.attend])
        application.add_routes([web.post(PROPOSALS, self._propose), web.get(STATUS, self._status)])
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> str:
        """Listen; port 0 takes a free one. Returns the URL."""
        await self._runner.setup()
        assert self._runner.server is not None, "set up"
        self.url = await self._door.open(self._runner.server, host, port)
        return self.url

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.close()
        await self._runner.cleanup()

    async def _propose(self, request: web.Request) -> web.Response:
        coded = [coding for coding in request.headers.getall(CONTENT_ENCODING, ()) if coding.lower() != "identity"]
        if coded:
            return _refuse(415, Objection.NOT_A_PROPOSAL.name, "Content-Encoding: wants none, or identity")
        try:
            envelope = await asyncio.wait_for(request.read(), BODY_TIME)
        except web.HTTPRequestEntityTooLarge:
            return _refuse(413, Objection.NOT_A_PROPOSAL.name, f"over {MOST_PROPOSAL} bytes")
        except TimeoutError:
            return _refuse(408, Objection.NOT_A_PROPOSAL.name, f"the body took over {BODY_TIME:.0f} s")
        except (ConnectionError, web.RequestPayloadError) as error:
            # It has what it needs from others, and left; or its body is none.
            return _refuse(400, Objection.NOT_A_PROPOSAL.name, told_by(error))
        try:
            signature = await self._oracle.cosign(envelope)
        except Objected as objected:
            return _refuse(409, objected.objection.name, str(objected))
        return web.Response(body=signature, content_type="application/octet-stream", headers=_HEADERS)

    async def _status(self, _: web.Request) -> web.Response:
        return web.Response(body=_encode(self._oracle.status()), content_type="application/json", headers=_HEADERS)


class HttpPeer:
    """Another oracle at a URL. One connection pool is shared by all peers of an oracle."""

    def __init__(self, http: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self.name = url.rstrip("/")
        self._http = http
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def sign(self, envelope: bytes) -> bytes:
        """Its signature under a proposal. Raises PeerFailed: its objection, or why there is no answer to use."""
        try:
            async with self._http.post(
                self.name + PROPOSALS, data=envelope, timeout=self._timeout, allow_redirects=False
            ) as answer:
                body = await _read(answer)
        except TimeoutError as error:
            raise PeerFailed("TIMED_OUT") from error
        except (aiohttp.ClientError, OSError) as error:
            raise PeerFailed("UNREACHABLE", str(error)) from error
        if answer.status == 200 and len(body) == SIGNATURE:
            return body
        try:
            refused = msgspec.json.decode(body, type=Refused)
            objection = Objection[refused.reason]
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
            raise PeerFailed("BAD_ANSWER", f"status {answer.status}, {len(body)} bytes") from error
        raise PeerFailed(objection.name, refused.message[:200])


async def ask_status(url: str, timeout: float = 5.0) -> dict[str, Any]:
    """The status of the oracle at `url`. Raises ConnectionError when there is none."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as http,
            http.get(url.rstrip("/") + STATUS, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ConnectionError(f"no oracle at {url}: status {answer.status}")
            found: dict[str, Any] = msgspec.json.decode(await answer.read(), type=dict[str, Any])
            return found
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise ConnectionError(f"no oracle at {url}: {str(error) or 'timed out'}") from error


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, or as much of it as any honest answer has."""
    body = b""
    async for chunk in answer.content.iter_chunked(_MOST_ANSWER):
        body += chunk
        if len(body) > _MOST_ANSWER:
            break
    return body


def _refuse(status: int, reason: str, message: str) -> web.Response:
    return web.Response(
        body=_encode(Refused(reason, message)), status=status, content_type="application/json", headers=_HEADERS
    )
