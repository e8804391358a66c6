"""The fast lane: a `tools/call` between a stdio client and a stdio upstream as raw messages, past the SDK.

It takes a call only when nothing can be wrong with it: a plain request for a known tool with valid
arguments, whose upstream is ready. Everything else it leaves to the SDK's path, which it must equal in
behaviour: tests/e2e/test_lane.py holds the two together.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import structlog
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    INTERNAL_ERROR,
    LOG_LEVEL_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.delivery import Delivery
from mcp_proxy.hops import forwarded, in_era
from mcp_proxy.journal import CallRecord, Outcome
from mcp_proxy.pipes import Message, Pipe
from mcp_proxy.result_budget import LOCAL
from mcp_proxy.results import unavailable
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import ToolEntry, UnusableSchemaError

_ENVELOPE = (CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY)
_SWEEP = 1.0
"""Seconds between looks for calls whose time is up."""

log = structlog.stdlib.get_logger()


@dataclass(slots=True)
class _Flight:
    """A call on its way."""

    request: Message
    tool: ToolEntry
    arguments: Mapping[str, Any]
    progress_token: int | str | None
    deadline: float
    """By `time.perf_counter`."""
    cancel: Callable[[str], None] = lambda _: None
    started: float = field(default_factory=time.perf_counter)

    @property
    def id(self) -> int | str:
        return self.request["id"]


class FastLane:
    """The raw calls of one stdio client. Every method is a callback and none waits."""

    def __init__(self, board: Switchboard) -> None:
        self.pipe = Pipe(self._take, self._close)
        self._board = board
        self._delivery = Delivery(board)
        self._server_info: Mapping[str, Any] = {}
        self._version: str | None = None
        self._client = ""
        self._flights: dict[int | str, _Flight] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def open(self, version: str, client: str, server_info: Mapping[str, Any]) -> None:
        """Take calls from now on: the SDK's server, `server_info`, has settled the protocol version with `client`."""
        self._version, self._client, self._server_info = version, client, server_info

    def announce_tools(self) -> None:
        """Tell the client to list the tools anew."""
        self.pipe.write({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def _take(self, message: Message) -> bool:
        """Deal with a client's message, or return False to leave it to the SDK."""
        method = message.get("method")
        if method == "tools/call":
            return self._version is not None and self._call(message, self._version)
        if method == "notifications/cancelled":
            return self._cancel(message)
        return False

    def _close(self) -> None:
        """The client has gone."""
        if self._sweeper:
            self._sweeper.cancel()
        for flight in self._flights.values():
            flight.cancel("the client has gone")
            self._note(flight, "cancelled")
        self._flights.clear()

    def _call(self, message: Message, version: str) -> bool:
        call = _read(message, version)
        tool = self._board.snapshot.catalog.tools.get(call.name) if call else None
        if call is None or tool is None or message["id"] in self._flights:
            return False
        upstream = self._board.upstreams[tool.upstream]
        if upstream.validation != "off" and not _fits(tool, call.arguments):
            return False
        # In front of a handshake-era upstream, a stateless client may have to be asked something in the
        # middle of the call, by way of an answer that asks for input; in front of a stateless upstream, a
        # handshake-era client's log level goes with the call: the SDK's path knows how.
        is_stateless = version in MODERN_PROTOCOL_VERSIONS
        if is_stateless != upstream.is_modern and (is_stateless or upstream.relay.level):
            return False
        deadline = time.perf_counter() + upstream.call_timeout
        flight = _Flight(message, tool, call.arguments, call.progress_token, deadline)
        cancel = upstream.try_send(
            "tools/call",
            {**forwarded(message["params"]), "name": tool.name},
            lambda answer: self._answered(flight, answer),
            None if flight.progress_token is None else lambda progress: self._progressed(flight, progress),
        )
        if cancel is None:
            return False
        flight.cancel = cancel
        self._flights[flight.id] = flight
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        return True

    def _cancel(self, message: Message) -> bool:
        params = message.get("params")
        number = cast("dict[str, Any]", params).get("requestId") if isinstance(params, dict) else None
        flight = self._flights.pop(number, None) if isinstance(number, int | str) else None
        if flight is None:
            return False
        flight.cancel("cancelled by the client")
        self._note(flight, "cancelled")
        return True

    def _progressed(self, flight: _Flight, progress: Mapping[str, Any]) -> None:
        params = {**progress, "progressToken": flight.progress_token}
        self.pipe.write({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

    def _answered(self, flight: _Flight, answer: Message | None) -> None:
        if self._flights.pop(flight.id, None) is None:
            return
        if answer is None:
            self._unavailable(flight, "the connection closed")
        elif "error" in answer:
            self._fail(flight, answer["error"])
        else:
            self._return(flight, answer.get("result"))

    def _return(self, flight: _Flight, result: Any) -> None:
        kind = _kind(result)
        if kind == "complete":
            self._complete(flight, result)
        elif kind == "input_required" and self._version in MODERN_PROTOCOL_VERSIONS:
            self._write_result(flight, result)
        elif kind == "input_required":
            # Nothing has been done yet, and the SDK's path can ask a handshake-era client: begin again there.
            self.pipe.pass_on(flight.request)
        else:
            message = f"{flight.tool.qualified} returned an invalid result"
            self._fail(flight, {"code": INTERNAL_ERROR, "message": message})

    def _complete(self, flight: _Flight, result: dict[str, Any]) -> None:
        line = self._line(flight, result)
        if self._delivery.passes(flight.tool, result, len(line)):
            self._finish(flight, result, line)
            return
        # It is in flight until it is written: it may be cancelled, and the client may go.
        self._flights[flight.id] = flight
        flight.cancel, flight.deadline = lambda _: None, math.inf
        self._board.start_soon(self._deliver, flight, result)

    async def _deliver(self, flight: _Flight, result: dict[str, Any]) -> None:
        """Write a result that takes time: one that is long, or that does not fit its outputSchema."""
        try:
            result = await self._delivery.checked(flight.tool, result, LOCAL)
        except Exception:
            log.exception("call.bug", tool=flight.tool.qualified)
        if self._flights.get(flight.id) is flight:
            del self._flights[flight.id]
            self._finish(flight, result, self._line(flight, result))

    def _finish(self, flight: _Flight, result: Mapping[str, Any], line: bytes) -> None:
        self.pipe.write_line(line)
        self._note(flight, "tool_error" if result.get("isError") else "ok")

    def _fail(self, flight: _Flight, error: Any) -> None:
        self.pipe.write({"jsonrpc": "2.0", "id": flight.id, "error": error})
        self._note(flight, "failed", str(error))

    def _unavailable(self, flight: _Flight, reason: str) -> None:
        error = UpstreamUnavailableError(flight.tool.upstream, reason, in_flight=True)
        self._write_result(flight, unavailable(flight.tool.qualified, error))
        self._note(flight, "failed", str(error))

    def _write_result(self, flight: _Flight, result: Mapping[str, Any]) -> None:
        self.pipe.write_line(self._line(flight, result))

    def _line(self, flight: _Flight, result: Mapping[str, Any]) -> bytes:
        ours = in_era(result, self._version or "", self._server_info)
        return orjson.dumps({"jsonrpc": "2.0", "id": flight.id, "result": ours})

    def _note(self, flight: _Flight, outcome: Outcome, error: str | None = None) -> None:
        if self._board.journal:
            self._board.journal.note(
                CallRecord(
                    client=self._client,
                    tool=flight.tool.qualified,
                    upstream=flight.tool.upstream,
                    arguments=flight.arguments,
                    outcome=outcome,
                    error=error,
                    duration_ms=(time.perf_counter() - flight.started) * 1000,
                )
            )

    def _sweep(self) -> None:
        """Give up the calls whose time is up; look again as long as there are any."""
        now = time.perf_counter()
        for flight in [flight for flight in self._flights.values() if flight.deadline < now]:
            del self._flights[flight.id]
            flight.cancel("timed out")
            limit = self._board.upstreams[flight.tool.upstream].call_timeout
            self._unavailable(flight, f"no answer within {limit:g} s (call_timeout)")
        self._sweeper = None
        if self._flights:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)


@dataclass(frozen=True, slots=True)
class _PlainCall:
    """A `tools/call` without anything special."""

    name: str
    arguments: dict[str, Any]
    progress_token: int | str | None


def _read(message: Message, version: str) -> _PlainCall | None:
    """The call in a request that is plain and in the settled era; the SDK has the errors for all others."""
    number, params = message.get("id"), message.get("params")
    if not isinstance(number, int | str) or isinstance(number, bool) or not isinstance(params, dict):
        return None
    params = cast("dict[str, Any]", params)
    name, arguments, meta = params.get("name"), params.get("arguments", {}), params.get("_meta", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or not isinstance(meta, dict):
        return None
    meta = cast("dict[str, Any]", meta)
    if version in MODERN_PROTOCOL_VERSIONS and not (
        meta.get(PROTOCOL_VERSION_META_KEY) == version
        and all(isinstance(meta.get(key), dict) for key in _ENVELOPE)
    ):
        return None
    if LOG_LEVEL_META_KEY in meta:
        return None  # log entries have to find their way to this very call
    token = meta.get("progressToken")
    if token is not None and (isinstance(token, bool) or not isinstance(token, int | str)):
        return None
    return _PlainCall(name, cast("dict[str, Any]", arguments), token)


def _fits(tool: ToolEntry, arguments: dict[str, Any]) -> bool:
    try:
        return not tool.check(arguments)
    except UnusableSchemaError:
        return False


def _kind(result: Any) -> str:
    """What a result claims to be: "complete", "input_required", or "invalid"."""
    if not isinstance(result, dict):
        return "invalid"
    result = cast("dict[str, Any]", result)
    kind = result.get("resultType", "complete")
    if kind == "complete":
        return "complete" if isinstance(result.get("content"), list) else "invalid"
    return kind if isinstance(kind, str) else "invalid"
