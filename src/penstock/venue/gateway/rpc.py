"""JSON-RPC 2.0 as Deribit's clients speak it: requests in, one response each, errors typed and never a stack trace."""

import logging
import re
from collections.abc import Callable, Mapping
from inspect import isawaitable
from time import perf_counter
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from penstock.venue.gateway.consumer import Consumer

log = logging.getLogger(__name__)

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
NOT_FOUND: Final = 13020
QUEUE_FULL: Final = 10047
UNAVAILABLE: Final = 11051
INTERNAL_ERROR: Final = 11094
LONGEST_ID: Final = 256
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_TRUTHS: Final = {"true": True, "false": False}
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


class RpcError(Exception):
    """An error response: Deribit's code, a message, and `data` with a reason and where known the parameter."""

    def __init__(self, code: int, message: str, reason: str, **more: Any) -> None:
        super().__init__(f"{message}: {reason}")
        self.code = code
        self.message = message
        self.details = {"reason": reason, **more}


class Nothing(Struct, frozen=True):
    """Parameters of a method that has none."""


class Method(Struct, frozen=True):
    """One row of the table. `answer` takes the parameters, and before them the consumer if it `needs_socket`.

    What does not only read is not answered by GET, which any web page could make a browser send.
    """

    parameters: type[Struct]
    answer: Callable[..., Any]
    needs_socket: bool = False
    reads_only: bool = True


class Rpc:
    """The method table and the way through it. `now` is venue time in µs."""

    def __init__(self, methods: Mapping[str, Method], now: Callable[[], int]) -> None:
        self.methods = methods
        self._now = now

    async def call(self, request: Any, consumer: Consumer | None = None) -> tuple[dict[str, Any], bool]:
        """The response to one parsed JSON-RPC request, and whether it is a result."""
        started, begun = self._now(), perf_counter()
        identity = None
        try:
            if not isinstance(request, dict):
                reason = "batches are not served" if isinstance(request, list) else "not an object"
                raise RpcError(INVALID_REQUEST, "Invalid Request", reason)
            identity = _identity(request)
            name = request.get("method")
            if not isinstance(name, str):
                raise RpcError(INVALID_REQUEST, "Invalid Request", "a string is needed", param="method")
            result = await self._run(name, request.get("params", {}), consumer, strict=True)
            answer, good = {"result": result}, True
        except RpcError as error:
            answer, good = {"error": error_object(error)}, False
        return self._respond(answer, identity, started, begun), good

    async def call_by_name(self, name: str, params: dict[str, str]) -> tuple[dict[str, Any], bool]:
        """The response to a GET: parameters as text."""
        started, begun = self._now(), perf_counter()
        try:
            method = self.methods.get(name)
            if method is not None and not method.reads_only:
                raise RpcError(INVALID_REQUEST, "Invalid Request", "by POST or WebSocket only", param="method")
            answer, good = {"result": await self._run(name, params, None, strict=False)}, True
        except RpcError as error:
            answer, good = {"error": error_object(error)}, False
        return self._respond(answer, None, started, begun), good

    def refuse(self, error: RpcError) -> dict[str, Any]:
        """The response to something that is not a request."""
        return self._respond({"error": error_object(error)}, None, self._now(), perf_counter())

    async def _run(self, name: str, params: Any, consumer: Consumer | None, *, strict: bool) -> Any:
        method = self.methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", "no such method", param="method")
        if method.needs_socket and consumer is None:
            raise RpcError(INVALID_REQUEST, "Invalid Request", "over a WebSocket only", param="method")
        try:
            converted = convert(params if strict else _from_text(params, method.parameters), method.parameters)
            result = method.answer(consumer, converted) if method.needs_socket else method.answer(converted)
            return await result if isawaitable(result) else result
        except RpcError:
            raise
        except Exception as error:
            # A read that fails is our bug, never a reason to stop matching.
            log.exception("gateway: %s failed", name)
            raise RpcError(INTERNAL_ERROR, "internal_server_error", "the node failed to answer") from error

    def _respond(self, answer: dict[str, Any], identity: Any, started: int, begun: float) -> dict[str, Any]:
        took = round((perf_counter() - begun) * 1e6)
        response = {"jsonrpc": "2.0", "id": identity, **answer}
        return response | {"usIn": started, "usOut": started + took, "usDiff": took, "testnet": True}


def convert(params: Any, parameters: type[Struct]) -> Struct:
    """Typed parameters; names the method does not have are ignored. Raises RpcError naming field and allowed values."""
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "Invalid params", "params must be an object", param="params")
    try:
        return msgspec.convert(params, parameters)
    except msgspec.ValidationError as error:
        text = str(error)
        path, missing = _PATH.search(text), _MISSING.search(text)
        field = path[1] if path else missing[1] if missing else "params"
        reason = _PATH.sub("", text).replace("`", "")
        raise RpcError(
            INVALID_PARAMS, "Invalid params", reason, param=field, allowed=_allowed(parameters, field)
        ) from error


def _from_text(params: dict[str, str], parameters: type[Struct]) -> dict[str, Any]:
    """A query's values: plain decimal integers, `true` and `false` where the method wants such; the rest stays text.

    So `1e3` stays text where an integer is wanted, and is refused.
    """
    hints = get_type_hints(parameters)
    found: dict[str, Any] = {}
    for name, text in params.items():
        wanted = _kinds(hints.get(name))
        if int in wanted and _INTEGER.fullmatch(text):
            found[name] = int(text)
        else:
            found[name] = _TRUTHS.get(text, text) if bool in wanted else text
    return found


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types a hint allows: itself, or each of a union."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def error_object(error: RpcError) -> dict[str, Any]:
    """The `error` member of a response."""
    return {"code": error.code, "message": error.message, "data": error.details}


def _allowed(parameters: type[Struct], path: str) -> str:
    """What the field may be, as its annotation says."""
    hint = get_type_hints(parameters, include_extras=True).get(re.split(r"[.\[]", path)[0])
    extras = [extra for kind in (hint, *get_args(hint)) for extra in get_args(kind)]
    described = [extra.description for extra in extras if isinstance(extra, Meta) and extra.description]
    return described[0] if described else "see the reference of this method"


def _identity(request: dict[str, Any]) -> int | str | None:
    """The request's id. An integer of 64 bits, a short string or null; anything else could not be echoed exactly."""
    identity = request.get("id")
    if identity is None or (isinstance(identity, str) and len(identity) <= LONGEST_ID):
        return identity
    if isinstance(identity, int) and not isinstance(identity, bool) and -(1 << 63) <= identity < 1 << 63:
        return identity
    raise RpcError(INVALID_REQUEST, "Invalid Request", "an integer, a string or null is needed", param="id")
