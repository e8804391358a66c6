"""What upstreams offer beside tools, to clients: lists, prompts, resources and completions, passed through."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from mcp import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    PromptReference,
    ReadResourceRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from mcp_proxy.callers import Context, HandshakeCaller, connection_of
from mcp_proxy.clients import Clients
from mcp_proxy.desk import Desk
from mcp_proxy.hops import forwarded
from mcp_proxy.parking import progress_of
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Entry

Result = dict[str, Any]
Pass = Callable[[Context, str, Mapping[str, Any]], Awaitable[Result]]

_UPSTREAM_UNAVAILABLE = -32000
"""JSON-RPC's first implementation-defined server error."""


class Offerings:
    """The handlers of everything that is found in the catalog and passed on as it is."""

    def __init__(self, desk: Desk, clients: Clients) -> None:
        self._desk = desk
        self._board = desk.board
        self._clients = clients

    async def list_prompts(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"prompts": [entry.listed() for entry in self._desk.seen.catalog.prompts.values()]}

    async def list_resources(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"resources": _definitions(self._desk.seen.catalog.resources.values())}

    async def list_templates(self, _ctx: Context, _params: PaginatedRequestParams) -> Result:
        await self._board.wait_startup()
        return {"resourceTemplates": _definitions(self._desk.seen.catalog.templates.values())}

    async def get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> Result:
        entry = await self._prompt(params.name)
        return await self._pass_on(ctx, entry.upstream, {**forwarded(ctx.params), "name": entry.name})

    async def read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> Result:
        return await self._pass_on(ctx, await self.owner_of(params.uri), forwarded(ctx.params))

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> Result:
        """Completions for an argument of a prompt or of a resource template; none where the upstream has none."""
        onward = forwarded(ctx.params)
        if isinstance(params.ref, PromptReference):
            entry = await self._prompt(params.ref.name)
            upstream = entry.upstream
            onward["ref"] = {**onward["ref"], "name": entry.name}
        else:
            template = self._desk.seen.catalog.templates.get(params.ref.uri)
            upstream = template.upstream if template else await self.owner_of(params.ref.uri)
        if self._board.upstreams[upstream].relay.lacks("completions"):
            return {"completion": {"values": []}}
        return await self._pass_on(ctx, upstream, onward)

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> Result:
        owner, client = await self.owner_of(params.uri), connection_of(ctx)
        try:
            own = self._board.own_upstream(owner, HandshakeCaller(client).session)
        except UpstreamUnavailableError as error:
            raise MCPError(_UPSTREAM_UNAVAILABLE, f"{error}") from error
        await (own.watch(params.uri) if own else self._clients.watch(client, params.uri))
        return {}

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> Result:
        client = connection_of(ctx)
        await self._clients.unwatch(client, params.uri)
        for own in self._board.own_upstreams(client):
            await own.unwatch(params.uri)
        return {}

    async def owner_of(self, uri: str) -> str:
        """The upstream that answers for a resource.

        Raises:
            MCPError: none does.
        """
        await self._board.wait_startup()
        upstream = self._desk.seen.catalog.owner_of(uri)
        if upstream is None:
            raise MCPError(INVALID_PARAMS, f"Resource not found: {uri}", {"uri": uri})
        return upstream

    async def _prompt(self, name: str) -> Entry:
        await self._board.wait_startup()
        entry = self._desk.seen.catalog.prompts.get(name)
        if entry is None:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
        return entry

    async def _pass_on(self, ctx: Context, upstream: str, params: Mapping[str, Any]) -> Result:
        try:
            async with progress_of(ctx) as on_progress:
                return await self._board.request(upstream, ctx.method, params, on_progress)
        except UpstreamUnavailableError as error:
            raise MCPError(_UPSTREAM_UNAVAILABLE, f"{error}") from error


def _definitions(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [dict(entry.definition) for entry in entries]
