"""The MCP server: requests of clients become pipeline runs and upstream calls, and what comes back, results.

The only module that makes MCP errors, and the only one that catches everything.
"""

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakSet

import structlog
from mcp import MCPError
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.connection import Connection
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ToolsListChanged,
)
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy import __version__
from mcp_proxy.hops import as_ours, forwarded
from mcp_proxy.person import ClientPerson, InputNeeded
from mcp_proxy.results import error_result, invalid_arguments, outcome_result, unavailable
from mcp_proxy.switchboard import InvalidArgumentsError, Switchboard
from mcp_proxy.task_tools import DO, PLAN, read_request
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Entry, UnusableSchemaError

_INSTRUCTIONS = (
    "Switchboard stands in front of several MCP servers. Their tools are listed as <server>__<tool>. "
    "If you do not want to choose a tool yourself, call `do` with the task in plain words; "
    "`plan` says what `do` would call, without calling it."
)

_UNCACHED: Mapping[Any, CacheHint] = dict.fromkeys(CACHEABLE_METHODS, CacheHint(ttl_ms=0, scope="private"))
"""What the stateless era wants to be told: these answers depend on the upstreams of the moment."""

_LIST_CHANGES = {
    "notifications/tools/list_changed": ToolsListChanged(),
    "notifications/prompts/list_changed": PromptsListChanged(),
    "notifications/resources/list_changed": ResourcesListChanged(),
}

P = TypeVar("P", bound=RequestParams)

OnSettled = Callable[[str, str, Mapping[str, Any]], None]
"""Takes the protocol version settled with a client, the client's name and version, and the server's own info."""

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class Front:
    """What clients talk to: the SDK server and the handlers behind it."""

    def __init__(self, board: Switchboard, on_settled: OnSettled | None = None) -> None:
        self._board = board
        self._on_settled = on_settled
        self._connections: WeakSet[Connection] = WeakSet()
        self._bus = InMemorySubscriptionBus()
        self.server = _sdk_server(board.settings.server.name, self._bus)
        self.server.middleware.append(self._remember_connection)
        self._handle("tools/list", PaginatedRequestParams, self._list_tools)
        self._handle("tools/call", CallToolRequestParams, self._call_tool)
        self._handle("prompts/list", PaginatedRequestParams, self._list_prompts)
        self._handle("prompts/get", GetPromptRequestParams, self._get_prompt)
        self._handle("resources/list", PaginatedRequestParams, self._list_resources)
        self._handle("resources/templates/list", PaginatedRequestParams, self._list_templates)
        self._handle("resources/read", ReadResourceRequestParams, self._read_resource)
        board.on_change(self._tell_clients)

    @property
    def options(self) -> InitializationOptions:
        """What the server says of itself in the handshake era."""
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return self.server.create_initialization_options(changes)

    def _handle(
        self, method: str, params_type: type[P], handler: Callable[[Context, P], Awaitable[Result]]
    ) -> None:
        """Have `handler` answer `method`."""

        async def completed(ctx: Context, params: P) -> Result:
            return as_ours(await handler(ctx, params))

        self.server.add_request_handler(method, params_type, completed)

    async def _list_tools(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        tools = [entry.listed() for entry in self._board.snapshot.catalog.tools.values()]
        return {"tools": [DO, PLAN, *tools]}

    async def _list_prompts(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"prompts": [entry.listed() for entry in self._board.snapshot.catalog.prompts.values()]}

    async def _list_resources(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"resources": _definitions(self._board.snapshot.catalog.resources.values())}

    async def _list_templates(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"resourceTemplates": _definitions(self._board.snapshot.catalog.templates.values())}

    async def _call_tool(self, ctx: Context, params: CallToolRequestParams) -> Result:
        try:
            if params.name in (DO["name"], PLAN["name"]):
                return await self._carry_out(ctx, params)
            return await self._call_directly(ctx, params)
        except InputNeeded as needed:
            return needed.result.model_dump(by_alias=True, mode="json", exclude_none=True)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  one call's fault must not end the server
            return _failed(error, params.name)

    async def _carry_out(self, ctx: Context, params: CallToolRequestParams) -> Result:
        request = read_request(params.name, params.arguments or {})
        if isinstance(request, str):
            return error_result(request)
        await self._board.wait_startup()
        outcome = await self._board.do(
            request.task,
            ClientPerson(ctx, params),
            dry_run=request.dry_run,
            on_progress=_progress_to(ctx),
            client=_client(ctx),
        )
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
            tool, forwarded(ctx.params), _progress_to(ctx), client=_client(ctx)
        )
        if result.get("resultType") == "input_required":
            return error_result(f"{params.name} asks for input in a way that Switchboard cannot pass on yet.")
        return result

    async def _get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> Result:
        await self._board.wait_startup()
        entry = self._board.snapshot.catalog.prompts.get(params.name)
        if entry is None:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
        return await self._pass_on(ctx, entry.upstream, {**forwarded(ctx.params), "name": entry.name})

    async def _read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> Result:
        await self._board.wait_startup()
        upstream = self._board.snapshot.catalog.owner_of(params.uri)
        if upstream is None:
            raise MCPError(INVALID_PARAMS, f"Resource not found: {params.uri}", {"uri": params.uri})
        return await self._pass_on(ctx, upstream, forwarded(ctx.params))

    async def _pass_on(self, ctx: Context, upstream: str, params: Mapping[str, Any]) -> Result:
        try:
            return await self._board.request(upstream, ctx.method, params, _progress_to(ctx))
        except UpstreamUnavailableError as error:
            raise MCPError(_UPSTREAM_UNAVAILABLE, f"{error}") from error

    async def _remember_connection(self, ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        # Change notifications go to connections, which the SDK hands out per request only.
        self._connections.add(ctx.session._connection)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        # Handshake-era clients are settled once they say so, stateless ones with every request.
        if self._on_settled and (
            ctx.method == "notifications/initialized" or ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        ):
            self._on_settled(ctx.protocol_version, _client(ctx), self.server.server_info_stamp)
        return await call_next(ctx)

    async def _tell_clients(self) -> None:
        for connection in list(self._connections):
            for method in _LIST_CHANGES:
                await connection.notify(method, None)
        for event in _LIST_CHANGES.values():
            await self._bus.publish(event)


_UPSTREAM_UNAVAILABLE = -32000
"""JSON-RPC's first implementation-defined server error."""


def _sdk_server(name: str, bus: InMemorySubscriptionBus) -> Server[Any]:
    return Server(
        name,
        version=__version__,
        title="Switchboard",
        instructions=_INSTRUCTIONS,
        on_subscriptions_listen=ListenHandler(bus),
        cache_hints=_UNCACHED,
    )


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


def _definitions(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [dict(entry.definition) for entry in entries]


def _progress_to(ctx: Context) -> ProgressFnT | None:
    """A callback that hands progress to the client, if it asked for any."""
    return ctx.session.report_progress if ctx.meta and "progress_token" in ctx.meta else None


def _client(ctx: Context) -> str:
    params = ctx.session.client_params
    return f"{params.client_info.name} {params.client_info.version}" if params else ""
