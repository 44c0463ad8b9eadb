"""One WebSocket's way out: a bounded queue and a writer, so that nobody waits for a slow reader."""

import asyncio
import logging
from collections import deque
from typing import Final

from aiohttp import WSMsgType, web

log = logging.getLogger(__name__)

MOST_MESSAGES: Final = 4_096
MOST_BYTES: Final = 8 << 20
CLOSING_TIME: Final = 5.0
"""Seconds a slow reader has to take the resync notice."""
RESYNC: Final = (
    b'{"jsonrpc":"2.0","method":"subscription",'
    b'"params":{"channel":"penstock.resync","data":{"reason":"slow consumer"}}}'
)


class Consumer:
    """A connected client as the rest of the gateway sees it: something to send to, at once and without waiting.

    `flying` counts its commands without a reply; `group` is the number of the signed receipt a reply brought last.
    """

    def __init__(
        self, socket: web.WebSocketResponse, most_messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES
    ) -> None:
        self.channels: set[str] = set()
        self.flying = 0
        self.group = 0
        self.closed = False
        self._socket = socket
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    def send(self, message: bytes) -> None:
        """Queue one text frame. A reader that lets too many gather gets a resync notice and is disconnected."""
        if self.closed:
            return
        self._queue.append(message)
        self._bytes += len(message)
        if len(self._queue) > self._most_messages or self._bytes > self._most_bytes:
            log.info("gateway: slow consumer, %d messages and %d bytes behind", len(self._queue), self._bytes)
            self._queue.clear()
            self._queue.append(RESYNC)
            self.closed = True
        self._wake.set()

    async def leave(self) -> None:
        """Close the connection from this side, behind what is queued."""
        while self._queue and not self._socket.closed:
            await asyncio.sleep(0.005)
        await self._socket.close(code=1001, message=b"the node stops")

    async def write(self) -> None:
        """Send what is queued until the connection ends. Runs as the connection's own task."""
        while not self._socket.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                message = self._queue.popleft()
                self._bytes -= len(message)
                try:
                    await self._socket.send_frame(message, WSMsgType.TEXT)
                except ConnectionError:
                    log.debug("gateway: the client left while it was written to")
                    return
            if self.closed:
                await self._socket.close(code=1008, message=b"slow consumer")

    async def run(self, request: web.Request) -> None:
        """`write`, but a reader that takes nothing, not even the resync notice, is cut off."""
        writing = asyncio.ensure_future(self.write())
        try:
            while not writing.done():
                await asyncio.wait({writing}, timeout=1.0)
                if self.closed and not writing.done():
                    await asyncio.wait({writing}, timeout=CLOSING_TIME)
                    if request.transport is not None and not writing.done():
                        request.transport.abort()
                    return
        finally:
            self.closed = True
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
