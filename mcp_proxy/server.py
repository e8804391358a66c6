"""The MCP server: requests of clients become pipeline runs and upstream calls, and what comes back, results.

The only module that makes MCP errors out of ours, and the only one that catches everything.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import structlog
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
from mcp_types import (
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
    outbound_of,
)
from mcp_proxy.clients import Clients
from mcp_proxy.desk import Desk
from mcp_proxy.hops import as_ours
from mcp_proxy.offerings import Offerings
from mcp_proxy.parking import Parking, SdkRequest, StatelessCaller
from mcp_proxy.sdk_server import SdkServer
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.tools import Tools
from mcp_proxy.upstreams import Upstream
from tool_registry.profiles import View

_INSTRUCTIONS = (
    "Switchboard stands in front of several MCP servers. Their tools are listed as <server>__<tool>. "
    "If you do not want to choose a tool yourself, call `do` with the task in plain words; "
    "`plan` says what `do` would call, without calling it."
)

_UNCACHED: Mapping[Any, CacheHint] = dict.fromkeys(CACHEABLE_METHODS, CacheHint(ttl_ms=0, scope="private"))
"""What the stateless era wants to be told: these answers depend on the upstreams of the moment."""

Shown = tuple[View, object, object, object]
"""What clients see, and how they are shown it: `expose`, `always_visible` and `schemas`."""

_LIST_CHANGES: Mapping[str, tuple[ServerEvent, Callable[[Shown], object]]] = {
    "notifications/tools/list_changed": (ToolsListChanged(), lambda shown: (shown[0].tools, *shown[1:])),
    "notifications/prompts/list_changed": (PromptsListChanged(), lambda shown: shown[0].prompts),
    "notifications/resources/list_changed": (
        ResourcesListChanged(),
        lambda shown: (shown[0].resources, shown[0].templates),
    ),
}
"""What announces a changed list in either era, and the list."""

P = TypeVar("P", bound=RequestParams)

OnSettled = Callable[[Context, Mapping[str, Any]], None]
"""Takes a message that settles the protocol version with its client, and the server's own info."""

Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class Front:
    """What clients talk to: the SDK server and the handlers behind it."""

    def __init__(
        self,
        desk: Desk,
        on_settled: OnSettled | None = None,
        parking: Parking | None = None,
        clients: Clients | None = None,
    ) -> None:
        """What the clients of `desk` talk to.

        Args:
            desk: what they can reach.
            on_settled: told when the protocol version is settled with a client.
            parking: where calls of stateless clients wait, if others have calls waiting there too.
            clients: who is connected, if there are other fronts than this.
        """
        board = desk.board
        self._desk = desk
        self._board = board
        self._on_settled = on_settled
        self._bus = InMemorySubscriptionBus()
        self._listen_handler = ListenHandler(self._bus)
        self._clients = clients or clients_of(board)
        self._clients.publish_on(self._bus)
        self._offerings = Offerings(desk, self._clients)
        self._tools = Tools(desk)
        self._parking = parking or Parking()
        self._told = self._shown
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
        board.address(self._clients)
        board.on_change(self._tell_clients)

    @property
    def options(self) -> InitializationOptions:
        """What the server says of itself in the handshake era."""
        return self.server.create_initialization_options()

    def close(self) -> None:
        """Tell nobody of anything any more. Its clients have to be gone."""
        self._board.forget(self._tell_clients)
        self._clients.publish_no_more_on(self._bus)
        self._desk.close()

    @property
    def _shown(self) -> Shown:
        exposing = self._desk.exposing
        return self._desk.seen.catalog, exposing.expose, exposing.always_visible, exposing.schemas

    def _register(self) -> None:
        self.server.middleware.append(self._remember_client)
        offerings = self._offerings
        self._handle("tools/list", PaginatedRequestParams, self._tools.list_tools)
        self._handle("tools/call", CallToolRequestParams, self._tools.call_tool)
        self._handle("prompts/list", PaginatedRequestParams, offerings.list_prompts)
        self._handle("prompts/get", GetPromptRequestParams, offerings.get_prompt)
        self._handle("resources/list", PaginatedRequestParams, offerings.list_resources)
        self._handle("resources/templates/list", PaginatedRequestParams, offerings.list_templates)
        self._handle("resources/read", ReadResourceRequestParams, offerings.read_resource)
        self._handle("completion/complete", CompleteRequestParams, offerings.complete)
        # Of the handshake era alone, and answered here.
        answer = self.server.add_request_handler
        answer("resources/subscribe", SubscribeRequestParams, offerings.subscribe)
        answer("resources/unsubscribe", UnsubscribeRequestParams, offerings.unsubscribe)
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
        if is_stateless(ctx) and ctx.method in INPUT_REQUIRED_METHODS and declared_with(ctx.params):
            return await self._parking.serve(ctx, work)
        handshake = HandshakeCaller(connection_of(ctx), outbound_of(ctx))
        before = CALLER.set(StatelessCaller(SdkRequest(ctx)) if is_stateless(ctx) else handshake)
        try:
            return await work()
        finally:
            CALLER.reset(before)

    async def _listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        seen = self._desk.seen.catalog
        watched = [uri for uri in params.notifications.resource_subscriptions or () if seen.owner_of(uri)]
        async with self._clients.watching(watched):
            return await self._listen_handler(ctx, params)

    async def _set_level(self, ctx: Context, params: SetLevelRequestParams) -> Result:
        client = connection_of(ctx)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._board.set_level, self._clients.set_level(client, params.level))
            for own in self._board.own_upstreams(client):
                tasks.start_soon(own.relay.set_level, params.level)
        return {}

    async def _roots_changed(self, ctx: Context, _params: NotificationParams) -> None:
        concerned = [*self._board.own_upstreams(connection_of(ctx))]
        if self._clients.sole("roots/list", {}):
            concerned += self._board.upstreams.values()
        for upstream in concerned:
            await upstream.relay.notify("notifications/roots/list_changed")

    async def _remember_client(self, ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        self._clients.remember(ctx, self)
        result = await call_next(ctx)
        # Handshake-era clients are settled once they say so, stateless ones with every request that is accepted.
        if self._on_settled and (ctx.method == "notifications/initialized" or is_stateless(ctx)):
            self._on_settled(ctx, self.server.server_info_stamp)
        return result

    async def _tell_clients(self) -> None:
        before, self._told = self._told, self._shown
        changed = {
            method: event
            for method, (event, part) in _LIST_CHANGES.items()
            if part(before) != part(self._told)
        }
        await self._clients.tell_changed(changed, self)
        for event in changed.values():
            await self._bus.publish(event)

    @asynccontextmanager
    async def _lifespan(self, _server: Server[Any]) -> AsyncGenerator[dict[str, Any]]:
        async with self._parking.open():
            yield {}


def clients_of(board: Switchboard) -> Clients:
    """The clients that may connect, by whatever front."""

    def owner_of(uri: str) -> Upstream | None:
        owner = board.snapshot.catalog.owner_of(uri)
        return board.upstreams.get(owner) if owner else None

    return Clients(owner_of)
