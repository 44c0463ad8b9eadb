"""A thin JSON-RPC client: one kept-alive loopback connection, one request at a time."""

import http.client
import json
import threading
import time
from typing import Any, Final, Self
from urllib.parse import urlsplit

_IDLE_LIMIT: Final = 5.0


class RpcError(Exception):
    """The server answered with an error: its code, its message, and the revert's bytes where it sent any."""

    def __init__(self, code: int, message: str, returned: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.returned = returned


class Rpc:
    """Requests to one server. Safe to share between threads; each waits for its turn."""

    def __init__(self, host: str, port: int, timeout: float = 30.0, *, path: str = "/", secure: bool = False) -> None:
        # http.client sets TCP_NODELAY itself; without it each request would wait for an acknowledgement.
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=timeout)
        self._path = path
        self._lock = threading.Lock()
        self._number = 0
        self._used_at = time.monotonic()

    @classmethod
    def to(cls, url: str) -> Self:
        """Requests to `http[s]://HOST[:PORT][/PATH]`. Raises ValueError for another kind of URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"rpc {url!r}: http:// or https:// and a host")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or (443 if secure else 80), path=path, secure=secure)

    def request(self, method: str, *params: Any) -> Any:
        """The method's result. Raises RpcError for an error answer, OSError when the server does not answer.

        A request is never repeated: a transaction could be sent twice.
        """
        with self._lock:
            # The server may have dropped a connection left idle, which would only show after sending.
            if time.monotonic() - self._used_at > _IDLE_LIMIT:
                self._connection.close()
            self._number += 1
            body = json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
            try:
                self._connection.request("POST", self._path, body.encode(), {"Content-Type": "application/json"})
                answer = json.loads(self._connection.getresponse().read())
            except (http.client.HTTPException, OSError, ValueError) as error:
                self._connection.close()
                raise ConnectionError(f"{method}: {error or type(error).__name__}") from error
            self._used_at = time.monotonic()
        if "error" in answer:
            fault = answer["error"]
            returned = fault.get("data")
            raise RpcError(
                fault.get("code", 0), fault.get("message", ""), from_hex(returned) if isinstance(returned, str) else b""
            )
        return answer.get("result")

    def close(self) -> None:
        """Drop the connection; a later request opens it again."""
        with self._lock:
            self._connection.close()


def to_hex(value: int | bytes) -> str:
    """A quantity or bytes as JSON-RPC writes them."""
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def from_hex(text: str) -> bytes:
    """The bytes of a 0x string; empty for anything that is not one."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""
