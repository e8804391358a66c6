"""A call in the fast lane: what is known of it, who it is for, and what becomes of it once it is asked something.

It knows what messages mean, and nothing of how they are read and written.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, cast

import anyio
from mcp import MCPError
from mcp.server.connection import Connection
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import INTERNAL_ERROR, LoggingLevel

from mcp_proxy.callers import CALLER, HandshakeCaller, declared_with, level_asked_with
from mcp_proxy.hops import forwarded
from mcp_proxy.journal import CallRecord, Outcome
from mcp_proxy.parking import StatelessCaller
from mcp_proxy.pipes import Message
from mcp_proxy.results import invalid_result, unavailable
from mcp_proxy.upstreams import NoAnswerError, Upstream, UpstreamUnavailableError
from tool_registry import ToolEntry

Write = Callable[[Message], None]
"""Sends the client a message."""

Note = Callable[[CallRecord], object]
"""Takes what the journal is told of a call."""

Check = Callable[[ToolEntry, Message], Awaitable[Message]]
"""Makes of an upstream's result what the client is to get."""

_Telling = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Flight:
    """A call on its way."""

    request: Message
    tool: ToolEntry
    upstream: Upstream
    arguments: Mapping[str, Any]
    progress_token: int | str | None
    client: str
    cancel: Callable[[str], None] = lambda _: None
    """Takes back the request upstream, for a reason."""
    parked: "ParkedFlight | None" = None
    """What it has become, once it has been asked something."""
    started: float = field(default_factory=time.perf_counter)
    deadline: float = field(init=False)
    """By `time.perf_counter`, as `started`."""

    def __post_init__(self) -> None:
        self.deadline = self.started + self.upstream.call_timeout

    @property
    def id(self) -> int | str:
        return self.request["id"]

    @property
    def params(self) -> dict[str, Any]:
        """Those of the request upstream."""
        return {**forwarded(self.request["params"]), "name": self.tool.name}

    def unavailable(self, reason: str) -> UpstreamUnavailableError:
        return UpstreamUnavailableError(self.tool.upstream, reason, in_flight=True)

    def time_out(self) -> UpstreamUnavailableError:
        """Give it up, since its time is up."""
        self.cancel("timed out")
        self.upstream.doubt()
        return NoAnswerError(self.tool.upstream, self.upstream.call_timeout)

    def record(self, outcome: Outcome, error: str | None = None) -> CallRecord:
        """What the journal is told of its end, which is now."""
        return CallRecord(
            client=self.client,
            tool=self.tool.qualified,
            upstream=self.tool.upstream,
            arguments=self.arguments,
            outcome=outcome,
            error=error,
            duration_ms=(time.perf_counter() - self.started) * 1000,
        )


class ParkedFlight:
    """The rest of a call that has been asked something: `outcome` is the work of a parked call."""

    def __init__(self, flight: Flight, caller: StatelessCaller, check: Check, note: Note) -> None:
        self._check = check
        self._flight = flight
        self._caller = caller
        self._note = note
        self._answer: Message | None = None
        self._tell, self._tellings = anyio.create_memory_object_stream[_Telling](math.inf)

    def tell(self, telling: _Telling) -> None:
        """Have the client told something: after what it was to be told before, and before the answer."""
        self._tell.send_nowait(telling)

    def progressed(self, progress: Mapping[str, Any]) -> None:
        made, total, message = (progress.get(key) for key in ("progress", "total", "message"))
        self.tell(partial(self._caller.report_progress, cast("float", made), total, message))

    def answered(self, answer: Message | None) -> None:
        self._answer = answer
        self._tell.close()

    async def outcome(self) -> Message:
        """The result, once the upstream has given it; the client is told of log entries and progress meanwhile.

        Raises:
            MCPError: the upstream answered with an error.
        """
        try:
            with anyio.fail_after(self._flight.deadline - time.perf_counter()):
                async for telling in self._tellings:
                    await telling()
        except anyio.get_cancelled_exc_class():
            self._flight.cancel("cancelled by the client")
            self._note(self._flight.record("cancelled"))
            raise
        except TimeoutError:
            return self._came_to_nothing(self._flight.time_out())
        finally:
            self._tell.close()
            self._tellings.close()
        if self._answer is None:
            return self._came_to_nothing(self._flight.unavailable("the connection closed"))
        return await self._ended(self._answer)

    async def _ended(self, answer: Message) -> Message:
        error = error_of(answer, self._flight.tool)
        if error:
            self._note(self._flight.record("failed", str(error)))
            raise MCPError(error["code"], error["message"], error.get("data"))
        result = await self._check(self._flight.tool, answer["result"])
        self._note(self._flight.record(outcome_of(result)))
        return result

    def _came_to_nothing(self, error: UpstreamUnavailableError) -> Message:
        self._note(self._flight.record("failed", str(error)))
        return unavailable(self._flight.tool.qualified, error)


async def answer_after_input(
    flight: Flight, asked: Message, caller: HandshakeCaller, on_progress: ProgressFnT
) -> Message:
    """The answer to a call whose upstream, a stateless one, has `asked` for input, once the client has given it."""
    CALLER.set(caller)
    try:
        result = await flight.upstream.request("tools/call", flight.params, on_progress, first=asked)
    except UpstreamUnavailableError as error:
        return {"result": unavailable(flight.tool.qualified, error)}
    except MCPError as error:
        return {"error": error.error.model_dump(mode="json", exclude_unset=True)}
    return {"result": result}


class LaneHandshakeCaller(HandshakeCaller):
    """The handshake-era client at the end of a lane."""

    def __init__(self, connection: Connection, write: Write) -> None:
        super().__init__(connection)
        self._write = write

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return self._declared

    @cached_property
    def _declared(self) -> Mapping[str, Any]:
        return super().capabilities

    def notify_now(self, method: str, params: Message) -> bool:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})
        return True


class LaneRequest:
    """A request of a stateless client, in the lane until the client is asked something."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    @property
    def client(self) -> object:
        return None  # the one client there is over stdio

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return declared_with(self._params)

    @property
    def log_level(self) -> LoggingLevel | None:
        return level_asked_with(self._params)

    async def notify(self, method: str, params: Message) -> None:
        """Nothing: it has been answered with what is asked. Before that, `notify_now` is the way."""

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Nothing, as above."""


class LaneStatelessCaller(StatelessCaller):
    """The stateless client of one call in a lane. The first question it is asked takes the call off the lane."""

    def __init__(self, params: Mapping[str, Any], write: Write) -> None:
        super().__init__(LaneRequest(params))
        self._write = write
        self.on_first_question: Callable[[], ParkedFlight]
        """Set by the lane before the call is sent."""
        self._parked: ParkedFlight | None = None

    def has_been_asked(self) -> None:
        if self._parked is None:
            self._parked = self.on_first_question()
        super().has_been_asked()

    def notify_now(self, method: str, params: Message) -> bool:
        if self._parked:
            self._parked.tell(partial(self.notify, method, params))
        else:
            self._write({"jsonrpc": "2.0", "method": method, "params": params})
        return True


def error_of(answer: Message, tool: ToolEntry) -> Message | None:
    """What is wrong with an answer, as a JSON-RPC error; None when it is a result."""
    if "error" not in answer:
        said = invalid_result(tool.qualified, answer.get("result"))
        return {"code": INTERNAL_ERROR, "message": said} if said else None
    error = answer["error"]
    if isinstance(error, dict):
        given = cast("Message", error)
        if isinstance(given.get("code"), int) and isinstance(given.get("message"), str):
            return given
    return {"code": INTERNAL_ERROR, "message": "the answer is not a valid JSON-RPC response"}


def outcome_of(result: Mapping[str, Any]) -> Outcome:
    """How a call with this result is recorded."""
    return "tool_error" if result.get("isError") else "ok"
