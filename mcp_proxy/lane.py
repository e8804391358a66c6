"""The fast lane: a `tools/call` between a stdio client and a stdio upstream as raw messages, past the SDK.

It takes a call only when nothing can be wrong with it: a plain request for a known tool with valid
arguments, whose upstream is ready. Everything else it leaves to the SDK's path, which it must equal in
behaviour: tests/e2e/test_lane.py holds the two together.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import anyio
import orjson
import structlog
from mcp_types import LOG_LEVEL_META_KEY

from mcp_proxy.callers import ENVELOPE, LEVELS, Context, connection_of, envelope_of, is_stateless, name_of
from mcp_proxy.delivery import Delivery
from mcp_proxy.desk import Desk
from mcp_proxy.flights import (
    Flight,
    LaneHandshakeCaller,
    LaneStatelessCaller,
    ParkedFlight,
    answer_after_input,
    error_of,
    outcome_of,
)
from mcp_proxy.hops import in_era
from mcp_proxy.journal import CallRecord
from mcp_proxy.parking import Parking, subject_of
from mcp_proxy.pipes import Message, Pipe
from mcp_proxy.result_budget import LOCAL
from mcp_proxy.results import unavailable
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from tool_registry import ToolEntry, UnusableSchemaError

_SWEEP = 1.0
"""Seconds between looks for calls whose time is up."""

log = structlog.stdlib.get_logger()


class FastLane:
    """The raw calls of one stdio client. Every method is a callback and none waits."""

    def __init__(self, desk: Desk, parking: Parking) -> None:
        """The lane of a client of `desk`; its calls that have to wait for the client go on in `parking`."""
        self.pipe = Pipe(self._take, self._close)
        self._desk = desk
        self._board = desk.board
        self._parking = parking
        self._delivery = Delivery(desk)
        self._server_info: Mapping[str, Any] = {}
        self._version: str | None = None
        self._client = ""
        self._envelope: Mapping[str, Any] = {}
        self._handshake: LaneHandshakeCaller | None = None
        self._flights: dict[int | str, Flight] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def open(self, ctx: Context, server_info: Mapping[str, Any]) -> None:
        """Take calls from now on: the SDK's server, `server_info`, has settled the protocol version by `ctx`."""
        self._version, self._client, self._server_info = ctx.protocol_version, name_of(ctx), server_info
        if is_stateless(ctx):
            self._envelope = envelope_of(ctx.params)
        else:
            self._handshake = LaneHandshakeCaller(connection_of(ctx), self.pipe.write)

    def announce_tools(self) -> None:
        """Tell the client to list the tools anew."""
        self.pipe.write({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def _take(self, message: Message) -> bool:
        """Deal with a client's message, or return False to leave it to the SDK."""
        method = message.get("method")
        if method == "tools/call":
            return self._version is not None and self._call(message)
        if method == "notifications/cancelled":
            return self._cancel(message)
        return False

    def _close(self) -> None:
        """The client has gone."""
        if self._sweeper:
            self._sweeper.cancel()
        for flight in self._flights.values():
            flight.cancel("the client has gone")
            self._note(flight.record("cancelled"))
        self._flights.clear()

    def _call(self, message: Message) -> bool:
        call = _read(message, self._envelope)
        tool = self._desk.seen.catalog.tools.get(call.name) if call else None
        if call is None or tool is None or tool.preset or tool.quarantine or message["id"] in self._flights:
            return False
        upstream = self._board.upstreams[tool.upstream]
        if self._desk.validation_of(tool) != "off" and not _fits(tool, call.arguments):
            return False
        return self._send(
            Flight(message, tool, upstream, call.arguments, call.progress_token, self._client), upstream
        )

    def _send(self, flight: Flight, upstream: Upstream) -> bool:
        """Send a call on its way, if that is possible at once."""
        cancel = upstream.try_send(
            "tools/call",
            flight.params,
            self._handshake or self._stateless_caller(flight, flight.request["params"]),
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

    def _stateless_caller(self, flight: Flight, params: Mapping[str, Any]) -> LaneStatelessCaller:
        caller = LaneStatelessCaller(params, self.pipe.write)
        caller.on_first_question = lambda: self._park(flight, caller)
        return caller

    def _park(self, flight: Flight, caller: LaneStatelessCaller) -> ParkedFlight:
        """Answer the request of a stateless client with what it is asked; its next one is for the SDK's path."""
        del self._flights[flight.id]
        flight.parked = ParkedFlight(flight, caller, self._checked, self._note)
        subject = subject_of("tools/call", flight.request["params"])
        self._write_result(flight, self._parking.adopt(caller, subject, flight.parked.outcome))
        return flight.parked

    def _cancel(self, message: Message) -> bool:
        params = message.get("params")
        number = cast("dict[str, Any]", params).get("requestId") if isinstance(params, dict) else None
        flight = self._flights.pop(number, None) if isinstance(number, int | str) else None
        if flight is None:
            return False
        flight.cancel("cancelled by the client")
        self._note(flight.record("cancelled"))
        return True

    def _progressed(self, flight: Flight, progress: Mapping[str, Any]) -> None:
        if flight.parked:
            flight.parked.progressed(progress)
            return
        params = {**progress, "progressToken": flight.progress_token}
        self.pipe.write({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

    def _answered(self, flight: Flight, answer: Message | None) -> None:
        if flight.parked:
            flight.parked.answered(answer)
        elif self._flights.pop(flight.id, None) is None:
            return
        elif answer is None:
            self._came_to_nothing(flight, flight.unavailable("the connection closed"))
        elif error := error_of(answer, flight.tool):
            self.pipe.write({"jsonrpc": "2.0", "id": flight.id, "error": error})
            self._note(flight.record("failed", str(error)))
        else:
            self._return(flight, answer["result"])

    def _return(self, flight: Flight, result: Message) -> None:
        if result.get("resultType", "complete") == "complete":
            self._complete(flight, result)
        elif self._handshake:
            self._ask(flight, result, self._handshake)
        else:
            self._write_result(flight, result)

    def _complete(self, flight: Flight, result: Message) -> None:
        line = self._line(flight, result)
        if self._delivery.passes(flight.tool, result, len(line)):
            self._finish(flight, result, line)
            return
        # It is in flight until it is written: it may be cancelled, and the client may go.
        self._flights[flight.id] = flight
        flight.cancel, flight.deadline = lambda _: None, math.inf
        self._parking.start(partial(self._deliver, flight, result))

    async def _deliver(self, flight: Flight, result: Message) -> None:
        """Write a result that takes time: one that is long, or that does not fit its outputSchema."""
        result = await self._checked(flight.tool, result)
        if self._flights.get(flight.id) is flight:
            del self._flights[flight.id]
            self._finish(flight, result, self._line(flight, result))

    async def _checked(self, tool: ToolEntry, result: Message) -> Message:
        try:
            return await self._delivery.checked(tool, result, LOCAL)
        except Exception:
            log.exception("call.bug", tool=tool.qualified)
            return result

    def _finish(self, flight: Flight, result: Message, line: bytes) -> None:
        self.pipe.write_line(line)
        self._note(flight.record(outcome_of(result)))

    def _ask(self, flight: Flight, asked: Message, caller: LaneHandshakeCaller) -> None:
        """Have a handshake-era client answer what a stateless upstream has asked, and go on with the call."""
        scope = anyio.CancelScope()

        async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
            given = {"progress": progress, "total": total, "message": message}
            self._progressed(flight, {key: value for key, value in given.items() if value is not None})

        async def go_on() -> None:
            with scope:
                self._answered(flight, await answer_after_input(flight, asked, caller, tell_progress))

        self._flights[flight.id] = flight
        flight.cancel = lambda _: scope.cancel()
        flight.deadline = (
            math.inf
        )  # every request upstream has its own, and the client takes the time it takes
        self._parking.start(go_on)

    def _came_to_nothing(self, flight: Flight, error: UpstreamUnavailableError) -> None:
        self._write_result(flight, unavailable(flight.tool.qualified, error))
        self._note(flight.record("failed", str(error)))

    def _write_result(self, flight: Flight, result: Message) -> None:
        self.pipe.write_line(self._line(flight, result))

    def _line(self, flight: Flight, result: Message) -> bytes:
        ours = in_era(result, self._version or "", self._server_info)
        return orjson.dumps({"jsonrpc": "2.0", "id": flight.id, "result": ours})

    def _note(self, record: CallRecord) -> None:
        if self._board.journal:
            self._board.journal.note(record)

    def _sweep(self) -> None:
        """Give up the calls whose time is up; look again as long as there are any."""
        now = time.perf_counter()
        for flight in [flight for flight in self._flights.values() if flight.deadline < now]:
            del self._flights[flight.id]
            self._came_to_nothing(flight, flight.time_out())
        self._sweeper = None
        if self._flights:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)


@dataclass(frozen=True, slots=True)
class _PlainCall:
    """A `tools/call` without anything special."""

    name: str
    arguments: dict[str, Any]
    progress_token: int | str | None


def _read(message: Message, envelope: Mapping[str, Any]) -> _PlainCall | None:
    """The call in a request that is plain and has an envelope the SDK has accepted; it has the errors for all others."""
    number, params = message.get("id"), message.get("params")
    if not isinstance(number, int | str) or isinstance(number, bool) or not isinstance(params, dict):
        return None
    params = cast("dict[str, Any]", params)
    name, arguments, meta = params.get("name"), params.get("arguments", {}), params.get("_meta", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or not isinstance(meta, dict):
        return None
    meta = cast("dict[str, Any]", meta)
    if any(meta.get(key) != envelope.get(key) for key in ENVELOPE):
        return None
    if LOG_LEVEL_META_KEY in meta and meta[LOG_LEVEL_META_KEY] not in LEVELS:
        return None
    token = meta.get("progressToken")
    if token is not None and (isinstance(token, bool) or not isinstance(token, int | str)):
        return None
    return _PlainCall(name, cast("dict[str, Any]", arguments), token)


def _fits(tool: ToolEntry, arguments: dict[str, Any]) -> bool:
    try:
        checked = tool.checked_at_once(arguments, repair=False)
    except UnusableSchemaError:
        return False
    return checked is not None and not checked.problems
