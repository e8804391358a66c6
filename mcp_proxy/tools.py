"""Tools towards clients: which of them a client is shown, and what its calls become.

The one place that turns what a call may come to into results.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio.to_thread
import structlog
from mcp import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, PaginatedRequestParams

from mcp_proxy.absences import why_missing
from mcp_proxy.callers import CALLER, Context, client_of, name_of
from mcp_proxy.delivery import Delivery, owner_of
from mcp_proxy.desk import Desk
from mcp_proxy.failures import failure
from mcp_proxy.feedback import FEEDBACK, give_feedback
from mcp_proxy.hops import forwarded
from mcp_proxy.outcome import Outcome
from mcp_proxy.own_tools import read_arguments
from mcp_proxy.parking import StatelessCaller, progress_of
from mcp_proxy.person import ClientPerson
from mcp_proxy.profile_settings import OWN
from mcp_proxy.read_result import READ_RESULT
from mcp_proxy.results import error_result, invalid_result
from mcp_proxy.search_tools import CALL_TOOL, FIND_TOOLS, CallArguments, FindArguments, found
from mcp_proxy.task_runner import TaskRunner
from mcp_proxy.task_tools import DO, PLAN, own_name, read_request
from mcp_proxy.telling import outcome_result
from tool_registry import ToolEntry
from tool_registry.exposure import Choice, Exposure, always_visible, choose, matches, takes_combinators
from tool_registry.safe_form import flattened

_OWN_TOOLS = (DO, PLAN, FIND_TOOLS, CALL_TOOL, READ_RESULT, FEEDBACK)

OWN_NAMES = tuple(str(tool["name"]) for tool in _OWN_TOOLS)
"""The names of Switchboard's own tools, where no upstream's tool has them."""

_SHOWN_WITH: Mapping[Exposure, tuple[dict[str, Any], ...]] = {
    Exposure.ALL: (DO, PLAN, READ_RESULT),
    Exposure.SEARCH: (FIND_TOOLS, CALL_TOOL, READ_RESULT),
    Exposure.PLAN: (DO, PLAN, FIND_TOOLS, CALL_TOOL, READ_RESULT, FEEDBACK),
}
"""Switchboard's own tools that go with an exposure in any case. Those that are not shown can be called too."""

Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class Tools:
    """tools/list and tools/call, for the clients of one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._delivery = Delivery(desk)
        self._runner = TaskRunner(desk)
        self._said: set[tuple[str, Choice]] = set()

    async def list_tools(self, ctx: Context, _params: PaginatedRequestParams) -> Result:
        """What the client of a request is shown."""
        await self._desk.board.wait_startup()
        client = client_of(ctx)
        tools = list(self.shown(self._exposure(client)))
        form = self._desk.exposing.form_for(client)
        if form == "flat" or (form == "auto" and not takes_combinators(client)):
            # A stranger's schema may take a while.
            tools = await anyio.to_thread.run_sync(_all_flattened, tools)
        return {"tools": tools}

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> Result:
        """The result of a call; what went wrong becomes a result too, which the client's model can act on.

        Raises:
            MCPError: there is no such tool, or its upstream answered with an error of the protocol.
        """
        try:
            own = self._own().get(params.name)
            if own is None:
                return await self._call(ctx, params.name, forwarded(ctx.params))
            return await self._use_own(ctx, params, own)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  one call's fault must not end the server
            return failure(error, params.name)

    def _own(self) -> dict[str, Result]:
        """Switchboard's own tools by the name they go by."""
        taken = self._desk.seen.catalog.tools
        return {own_name(tool, taken): tool for tool in _OWN_TOOLS}

    def shown(self, exposure: Exposure) -> Iterator[Result]:
        """What a client with this exposure is shown, Switchboard's own tools first."""
        seen = self._desk.seen
        patterns = self._desk.exposing.always_visible
        for name, tool in self._own().items():
            if tool is READ_RESULT and not self._desk.board.cuts_results:
                continue
            if tool in _SHOWN_WITH[exposure] or matches(f"{OWN}/{tool['name']}", patterns):
                yield {**tool, "name": name}
        entries = seen.catalog.tools.values()
        for entry in entries if exposure is Exposure.ALL else always_visible(entries, patterns):
            yield entry.listed()

    def _exposure(self, client: str) -> Exposure:
        seen = self._desk.seen
        mode = self._desk.exposing.mode_for(client)
        if mode != "auto":
            return Exposure(mode)
        choice = choose(client, len(seen.catalog.tools) + len(_SHOWN_WITH[Exposure.ALL]), lambda: seen.tokens)
        if (client, choice) not in self._said:
            self._said.add((client, choice))
            log.info("client.exposure", client=client, exposure=choice.exposure.value, reason=choice.reason)
        return choice.exposure

    async def _use_own(self, ctx: Context, params: CallToolRequestParams, own: Result) -> Result:
        arguments = params.arguments or {}
        match own["name"]:
            case "read_result":
                return await self._delivery.read(arguments, self._owner(ctx))
            case "find_tools":
                return await self._find(arguments)
            case "call_tool":
                return await self._call_through(ctx, arguments)
            case "feedback":
                board, seen = self._desk.board, self._desk.seen.catalog.tools
                return await give_feedback(arguments, board.journal, seen, name_of(ctx))
            case _:
                return await self._carry_out(ctx, params, own)

    async def _call_through(self, ctx: Context, arguments: Mapping[str, Any]) -> Result:
        called = read_arguments(CALL_TOOL["name"], arguments, CallArguments)
        if isinstance(called, str):
            return error_result(called)
        if called.name in self._own():
            return error_result(f"{called.name} is a tool of Switchboard's own: call it directly.")
        onward = {**forwarded(ctx.params), "name": called.name, "arguments": called.arguments}
        return await self._call(ctx, called.name, onward)

    async def _find(self, arguments: Mapping[str, Any]) -> Result:
        asked = read_arguments(FIND_TOOLS["name"], arguments, FindArguments)
        if isinstance(asked, str):
            return error_result(asked)
        await self._desk.board.wait_startup()
        seen = self._desk.seen
        if asked.server and asked.server not in self._desk.board.upstreams:
            known = ", ".join(self._desk.board.upstreams)
            return error_result(f"There is no server {asked.server!r}. There are: {known}.")
        limit = len(seen.catalog.tools) if asked.server else asked.limit
        candidates = await self._desk.retrieval.search(asked.query, limit)
        fitting = [each for each in candidates if asked.server in {"", each.tool.upstream}][: asked.limit]
        return found(fitting, len(seen.catalog.tools), schemas=asked.schemas)

    async def _carry_out(self, ctx: Context, params: CallToolRequestParams, own: Result) -> Result:
        request = read_request(own["name"], params.arguments or {})
        if isinstance(request, str):
            return error_result(request)
        if (caller := CALLER.get()) is None:
            raise RuntimeError("a request is served on nobody's behalf")
        if isinstance(caller, StatelessCaller):
            # It would repeat the task, not the call that the task has led to.
            caller.repeats_request = False
        await self._desk.board.wait_startup()
        async with progress_of(ctx) as on_progress:
            outcome = await self._runner.do(
                request.task,
                ClientPerson(caller),
                request.wishes,
                on_progress=on_progress,
                client=name_of(ctx),
            )
        return outcome_result(await self._delivered(outcome, self._owner(ctx)))

    async def _delivered(self, outcome: Outcome, owner: str) -> Outcome:
        """The outcome with its results within the budget."""
        steps = [
            made
            if made.result is None
            else replace(
                made, result=await self._delivery.fitted(made.plan.call.tool, dict(made.result), owner)
            )
            for made in outcome.steps
        ]
        return replace(outcome, steps=tuple(steps))

    async def _call(self, ctx: Context, name: str, onward: Mapping[str, Any]) -> Result:
        tool = await self._known(name)
        async with progress_of(ctx) as on_progress:
            result = await self._desk.call_tool(tool, onward, on_progress, client=name_of(ctx))
        if said := invalid_result(tool.qualified, result):
            raise MCPError(INTERNAL_ERROR, said)
        return await self._delivery.fitted(tool, result, self._owner(ctx))

    def _owner(self, ctx: Context) -> str:
        return owner_of(ctx, self._desk.board.settings.server)

    async def _known(self, name: str) -> ToolEntry:
        if name not in self._desk.seen.catalog.tools:
            await self._desk.board.wait_startup()
        tools = self._desk.seen.catalog.tools
        if tool := tools.get(name):
            return tool
        if unavailable := why_missing(name, self._desk):
            raise unavailable
        near = difflib.get_close_matches(name, tools, n=3)
        hint = f"; near names: {', '.join(near)}" if near else ""
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {name}{hint}")


def _all_flattened(tools: Iterable[Result]) -> list[Result]:
    return [dict(flattened(tool)) for tool in tools]
