"""The MCP server: requests of clients become pipeline runs and upstream calls, and what comes back, results.

The only module that makes MCP errors out of ours, and the only one that catches everything.
"""

import difflib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
import structlog
from mcp import MCPError
from mcp.server import Server
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    GetPromptRequestParams,
    NotificationParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    RequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)
from mcp_types.methods import INPUT_REQUIRED_METHODS

from mcp_proxy import __version__
from mcp_proxy.callers import (
    CALLER,
    Context,
    HandshakeCaller,
    connection_of,
    declared_with,
    is_stateless,
    name_of,
    outbound_of,
)
from mcp_proxy.clients import Clients
from mcp_proxy.delivery import Delivery, owner_of
from mcp_proxy.hops import as_ours, forwarded
from mcp_proxy.offerings import Offerings
from mcp_proxy.parking import Parking, StatelessCaller
from mcp_proxy.person import ClientPerson, InputNeeded
from mcp_proxy.read_result import READ_RESULT
from mcp_proxy.relay import Relay
from mcp_proxy.results import error_result, invalid_arguments, outcome_result, unavailable
from mcp_proxy.sdk_server import SdkServer
from mcp_proxy.switchboard import InvalidArgumentsError, Switchboard
from mcp_proxy.task_tools import DO, PLAN, own_name, read_request
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Catalog, UnusableSchemaError

_INSTRUCTIONS = (
    "Switchboard stands in front of several MCP servers. Their tools are listed as <server>__<tool>. "
    "If you do not want to choose a tool yourself, call `do` with the task in plain words; "
    "`plan` says what `do` would call, without calling it."
)

_UNCACHED: Mapping[Any, CacheHint] = dict.fromkeys(CACHEABLE_METHODS, CacheHint(ttl_ms=0, scope="private"))
"""What the stateless era wants to be told: these answers depend on the upstreams of the moment."""

_LIST_CHANGES: Mapping[str, tuple[ServerEvent, Callable[[Catalog], object]]] = {
    "notifications/tools/list_changed": (ToolsListChanged(), lambda c: c.tools),
    "notifications/prompts/list_changed": (PromptsListChanged(), lambda c: c.prompts),
    "notifications/resources/list_changed": (ResourcesListChanged(), lambda c: (c.resources, c.templates)),
}
"""What announces a changed list in either era, and the list."""

P = TypeVar("P", bound=RequestParams)

OnSettled = Callable[[str, str, Mapping[str, Any]], None]
"""Takes the protocol version settled with a client, the client's name and version, and the server's own info."""

Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class Front:
    """What clients talk to: the SDK server and the handlers behind it."""

    def __init__(self, board: Switchboard, on_settled: OnSettled | None = None) -> None:
        self._board = board
        self._on_settled = on_settled
        self._bus = InMemorySubscriptionBus()
        self._listen_handler = ListenHandler(self._bus)
        self._clients = Clients(self._bus, self._relay_of)
        self._offerings = Offerings(board, _progress_to)
        self._parking = Parking()
        self._delivery = Delivery(board)
        self._told = board.snapshot.catalog
        self.server = SdkServer(
            board.settings.server.name,
            version=__version__,
            title="Switchboard",
            instructions=_INSTRUCTIONS,
            on_subscriptions_listen=self._listen,
            cache_hints=_UNCACHED,
            lifespan=self._lifespan,
        )
        self._register()
        for upstream in board.upstreams.values():
            upstream.relay.audience = self._clients
        board.on_change(self._tell_clients)

    @property
    def options(self) -> InitializationOptions:
        """What the server says of itself in the handshake era."""
        return self.server.create_initialization_options()

    def _register(self) -> None:
        self.server.middleware.append(self._remember_client)
        offerings = self._offerings
        self._handle("tools/list", PaginatedRequestParams, self._list_tools)
        self._handle("tools/call", CallToolRequestParams, self._call_tool)
        self._handle("prompts/list", PaginatedRequestParams, offerings.list_prompts)
        self._handle("prompts/get", GetPromptRequestParams, offerings.get_prompt)
        self._handle("resources/list", PaginatedRequestParams, offerings.list_resources)
        self._handle("resources/templates/list", PaginatedRequestParams, offerings.list_templates)
        self._handle("resources/read", ReadResourceRequestParams, offerings.read_resource)
        self._handle("completion/complete", CompleteRequestParams, offerings.complete)
        # Of the handshake era alone, and answered here.
        answer = self.server.add_request_handler
        answer("resources/subscribe", SubscribeRequestParams, self._subscribe)
        answer("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)
        answer("logging/setLevel", SetLevelRequestParams, self._set_level)
        hear = self.server.add_notification_handler
        hear("notifications/roots/list_changed", NotificationParams, self._roots_changed)
        # An upstream may have asked for roots before there was a client to have any.
        hear("notifications/initialized", NotificationParams, self._roots_changed)

    def _handle(
        self, method: str, params_type: type[P], handler: Callable[[Context, P], Awaitable[Result]]
    ) -> None:
        """Have `handler` answer `method`."""

        async def completed(ctx: Context, params: P) -> Result:
            return as_ours(await self._on_behalf(ctx, partial(handler, ctx, params)))

        self.server.add_request_handler(method, params_type, completed)

    async def _on_behalf(self, ctx: Context, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do the work for the client of a request: what upstreams ask in the meantime, it is asked."""
        if is_stateless(ctx) and ctx.method in INPUT_REQUIRED_METHODS and declared_with(ctx):
            return await self._parking.serve(ctx, work)
        handshake = HandshakeCaller(connection_of(ctx), outbound_of(ctx))
        before = CALLER.set(StatelessCaller(ctx) if is_stateless(ctx) else handshake)
        try:
            return await work()
        finally:
            CALLER.reset(before)

    def _own_tools(self) -> dict[str, Result]:
        """Switchboard's own tools by the name they go by."""
        taken = self._board.snapshot.catalog.tools
        own = (DO, PLAN, READ_RESULT) if self._board.cuts_results else (DO, PLAN)
        return {own_name(tool, taken): tool for tool in own}

    async def _list_tools(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        own = [{**tool, "name": name} for name, tool in self._own_tools().items()]
        return {"tools": own + [entry.listed() for entry in self._board.snapshot.catalog.tools.values()]}

    async def _call_tool(self, ctx: Context, params: CallToolRequestParams) -> Result:
        try:
            own = self._own_tools().get(params.name)
            if own is READ_RESULT:
                return await self._delivery.read(params.arguments or {}, self._owner(ctx))
            return await (self._carry_out(ctx, params, own) if own else self._call_directly(ctx, params))
        except InputNeeded as needed:
            return needed.result.model_dump(by_alias=True, mode="json", exclude_none=True)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  one call's fault must not end the server
            return _failed(error, params.name)

    async def _carry_out(self, ctx: Context, params: CallToolRequestParams, own: Result) -> Result:
        request = read_request(own["name"], params.arguments or {})
        if isinstance(request, str):
            return error_result(request)
        if isinstance(caller := CALLER.get(), StatelessCaller):
            # It would repeat the task, not the call that the task has led to.
            caller.repeats_request = False
        await self._board.wait_startup()
        outcome = await self._board.do(
            request.task,
            ClientPerson(ctx, params),
            dry_run=request.dry_run,
            on_progress=_progress_to(ctx),
            client=name_of(ctx),
        )
        if outcome.call and outcome.result:
            tool, result = outcome.call.tool, dict(outcome.result)
            outcome = replace(outcome, result=await self._delivery.fitted(tool, result, self._owner(ctx)))
        return outcome_result(outcome)

    async def _call_directly(self, ctx: Context, params: CallToolRequestParams) -> Result:
        if params.name not in self._board.snapshot.catalog.tools:
            await self._board.wait_startup()
        tools = self._board.snapshot.catalog.tools
        tool = tools.get(params.name)
        if tool is None:
            near = difflib.get_close_matches(params.name, tools, n=3)
            hint = f"; near names: {', '.join(near)}" if near else ""
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}{hint}")
        result = await self._board.call_tool(
            tool, forwarded(ctx.params), _progress_to(ctx), client=name_of(ctx)
        )
        return await self._delivery.fitted(tool, result, self._owner(ctx))

    def _owner(self, ctx: Context) -> str:
        return owner_of(ctx, self._board.settings.server)

    async def _subscribe(self, ctx: Context, params: SubscribeRequestParams) -> Result:
        await self._offerings.owner_of(params.uri)
        await self._clients.watch(connection_of(ctx), params.uri)
        return {}

    async def _unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> Result:
        await self._clients.unwatch(connection_of(ctx), params.uri)
        return {}

    async def _listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        async with self._clients.watching(params.notifications.resource_subscriptions or ()):
            return await self._listen_handler(ctx, params)

    async def _set_level(self, ctx: Context, params: SetLevelRequestParams) -> Result:
        level = self._clients.set_level(connection_of(ctx), params.level)
        async with anyio.create_task_group() as tasks:
            for upstream in self._board.upstreams.values():
                tasks.start_soon(upstream.relay.set_level, level)
        return {}

    async def _roots_changed(self, _ctx: Context, _params: NotificationParams) -> None:
        if self._clients.sole("roots/list", {}):
            for upstream in self._board.upstreams.values():
                await upstream.relay.notify("notifications/roots/list_changed")

    async def _remember_client(self, ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        self._clients.remember(ctx)
        # Handshake-era clients are settled once they say so, stateless ones with every request.
        if self._on_settled and (ctx.method == "notifications/initialized" or is_stateless(ctx)):
            self._on_settled(ctx.protocol_version, name_of(ctx), self.server.server_info_stamp)
        return await call_next(ctx)

    async def _tell_clients(self) -> None:
        before, self._told = self._told, self._board.snapshot.catalog
        changed = {
            method: event
            for method, (event, part) in _LIST_CHANGES.items()
            if part(before) != part(self._told)
        }
        await self._clients.tell_changed(changed)
        for event in changed.values():
            await self._bus.publish(event)

    def _relay_of(self, uri: str) -> Relay | None:
        owner = self._board.snapshot.catalog.owner_of(uri)
        return self._board.upstreams[owner].relay if owner else None

    @asynccontextmanager
    async def _lifespan(self, _server: Server[Any]) -> AsyncGenerator[dict[str, Any]]:
        async with self._parking.open():
            yield {}


def _failed(error: Exception, name: str) -> Result:
    """Why the call of tool `name` came to nothing, as a result the client's model can act on."""
    match error:
        case InvalidArgumentsError():
            return invalid_arguments(error.tool, error.problems)
        case UnusableSchemaError():
            return error_result(
                f"{name} cannot be called: its inputSchema is unusable ({error}). Tell its author."
            )
        case UpstreamUnavailableError():
            return unavailable(name, error)
        case _:
            log.error("call.bug", tool=name, exc_info=error)
            return error_result(f"{name}: a fault inside Switchboard; the details are in its log on stderr.")


def _progress_to(ctx: Context) -> ProgressFnT | None:
    """A callback that hands progress to the client, if it asked for any."""
    if not ctx.meta or "progress_token" not in ctx.meta:
        return None
    caller = CALLER.get()
    return caller.report_progress if isinstance(caller, StatelessCaller) else ctx.session.report_progress
