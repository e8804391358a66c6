"""What an upstream offers, listed page by page. One malformed definition costs itself, never the list."""

from collections.abc import Mapping
from typing import Any, cast

import structlog
from mcp import Client, MCPError
from mcp_types import Prompt, Resource, ResourceTemplate, Tool
from pydantic import BaseModel, ValidationError

from mcp_proxy.wire import send_raw
from tool_registry import Offer

_MOST_PAGES = 100
"""A server whose list never ends is cut off here."""

_LIST_TIMEOUT = 60.0

log = structlog.stdlib.get_logger()


async def list_offer(client: Client, upstream: str, prefix: str) -> Offer:
    """Everything `client`'s server offers, under its own names.

    Raises:
        MCPError: the server has tools but cannot list them.
    """
    capabilities = client.server_capabilities
    tools = await _list(client, upstream, "tools/list", "tools", Tool) if capabilities.tools else ()
    return Offer(
        upstream,
        prefix,
        tools=tools,
        prompts=await _list_optional(client, upstream, "prompts/list", "prompts", Prompt)
        if capabilities.prompts
        else (),
        resources=await _list_optional(client, upstream, "resources/list", "resources", Resource)
        if capabilities.resources
        else (),
        templates=await _list_optional(
            client, upstream, "resources/templates/list", "resourceTemplates", ResourceTemplate
        )
        if capabilities.resources
        else (),
    )


async def _list_optional(
    client: Client, upstream: str, method: str, key: str, model: type[BaseModel]
) -> tuple[Mapping[str, Any], ...]:
    """A list the server may have promised without having it (some do); then it is empty."""
    try:
        return await _list(client, upstream, method, key, model)
    except MCPError as error:
        log.info("upstream.list_unavailable", upstream=upstream, method=method, reason=error.message)
        return ()


async def _list(
    client: Client, upstream: str, method: str, key: str, model: type[BaseModel]
) -> tuple[Mapping[str, Any], ...]:
    found: list[Mapping[str, Any]] = []
    params: dict[str, Any] = {}
    for _ in range(_MOST_PAGES):
        page = await send_raw(client.session, method, params, timeout=_LIST_TIMEOUT)
        items = page.get(key)
        found += [
            item
            for item in cast("list[Any]", items if isinstance(items, list) else [])
            if _is_well_formed(item, model, upstream)
        ]
        cursor = page.get("nextCursor")
        if not cursor or cursor == params.get("cursor"):
            return tuple(found)
        params = {"cursor": cursor}
    log.warning("upstream.list_too_long", upstream=upstream, method=method, pages=_MOST_PAGES)
    return tuple(found)


def _is_well_formed(item: Any, model: type[BaseModel], upstream: str) -> bool:
    """Whether the protocol's type accepts the definition; one that breaks it would break the whole list."""
    try:
        model.model_validate(item)
    except ValidationError as error:
        name = cast("dict[str, Any]", item).get("name", "?") if isinstance(item, dict) else "?"
        places = ", ".join(".".join(map(str, problem["loc"])) or "itself" for problem in error.errors())
        log.warning(
            "upstream.definition_left_out", upstream=upstream, kind=model.__name__, name=name, invalid=places
        )
        return False
    return True
