"""Who may come in: a bounded number of connections, of which those that ask nothing have to leave.

A process that has no descriptor left can neither write a batch nor begin a journal segment, so connections end well
before: at `connections`, or `RESERVE` below what the system allows the process. Who comes then takes the place of who
has been silent longest; where everybody is being served, it is turned away.
"""

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

log = logging.getLogger(__name__)

RESERVE: Final = 256
"""Descriptors left to the journal, batches, snapshots, the chain and the page."""
LEAST: Final = 64
"""With fewer places than this there is no door."""
SWEEP: Final = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _TurnedAway(asyncio.Protocol):
    """What a connection gets for which there is no place."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it without an answer."""
        transport.close()


class Door:
    """Makes the protocols of a server's connections; knows which of them ask nothing."""

    def __init__(self, connections: int, idle_time: float) -> None:
        """At most so many `connections`, each without a request for `idle_time` s at the most. Raises ValueError where
        the system allows too few open files."""
        self.places = min(connections, open_files(connections + RESERVE) - RESERVE)
        if self.places < LEAST:
            found, wanted = self.places + RESERVE, LEAST + RESERVE
            raise ValueError(f"open files are limited to {found}: a server wants at least {wanted} (ulimit -n)")
        self.turned_away = 0
        self._idle_time = idle_time
        self._server: web.Server | None = None
        self._listening: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._idle: dict[asyncio.Protocol, float] = {}
        """Since when on the loop's clock each has asked nothing, oldest first."""

    async def open(self, server: web.Server, host: str, port: int) -> str:
        """Listen for a server; port 0 takes a free one. Returns the URL, without a slash at its end."""
        self._server = server
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._enter, host, port)
        self._sweeping = asyncio.create_task(self._sweep(), name="door")
        host, port = self._listening.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Let nobody in any more; who is inside stays."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()

    @web.middleware
    async def attend(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """While a request is being answered its connection is not idle."""
        self._idle.pop(request.protocol, None)
        try:
            return await handler(request)
        finally:
            self._idle[request.protocol] = asyncio.get_running_loop().time()

    def _enter(self) -> asyncio.Protocol:
        assert self._server is not None, "opened"
        if len(self._server.connections) >= self.places and not self._let_one_go():
            self.turned_away += 1
            if self.turned_away & (self.turned_away - 1) == 0:
                log.warning("%d connections turned away: all %d are served", self.turned_away, self.places)
            return _TurnedAway()
        protocol = self._server()
        self._idle[protocol] = asyncio.get_running_loop().time()
        return protocol

    def _let_one_go(self) -> bool:
        """End the connection that has asked nothing for longest. False if there is none."""
        while self._idle:
            protocol = next(iter(self._idle))
            del self._idle[protocol]
            if _end(protocol):
                return True
        return False

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            late = asyncio.get_running_loop().time() - self._idle_time
            while self._idle and next(iter(self._idle.values())) < late:
                self._let_one_go()


def open_files(wanted: int) -> int:
    """How many files this process may have open, after asking for `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def _end(protocol: asyncio.Protocol) -> bool:
    """Cut a connection. False if it has ended already."""
    transport = getattr(protocol, "transport", None)
    if transport is None or transport.is_closing():
        return False
    transport.abort()
    return True
