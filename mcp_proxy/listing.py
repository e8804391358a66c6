"""What an upstream offers, listed page by page. One malformed definition costs itself, never the list."""

from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import structlog
from mcp import Client, MCPError
from mcp_types.methods import serialize_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from pydantic import ValidationError

from mcp_proxy.upstream_status import LeftOut
from mcp_proxy.wire import send_raw
from tool_registry import Offer
from tool_registry.catalog import Definition

_MOST_PAGES = 100
"""A server whose list never ends is cut off here."""

_MOST_DEFINITIONS = 10_000
"""A list goes no further; the largest servers known offer some hundreds."""

_LARGEST_DEFINITION = 1024 * 1024
"""Bytes of JSON. Every client is told of every definition, and no model could read a larger one."""

_LIST_TIMEOUT = 60.0

_ERAS = (LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION)
_COMPLETE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}

log = structlog.stdlib.get_logger()


async def list_offer(client: Client, upstream: str, prefix: str) -> tuple[Offer, tuple[LeftOut, ...]]:
    """Everything `client`'s server offers, under its own names; and what it lists beside that.

    Raises:
        MCPError: the server has tools but cannot list them.
    """
    has = client.server_capabilities
    lister = _Lister(client, upstream)
    offer = Offer(
        upstream,
        prefix,
        tools=await lister.list("tools/list", "tools") if has.tools else (),
        prompts=await lister.try_list("prompts/list", "prompts") if has.prompts else (),
        resources=await lister.try_list("resources/list", "resources") if has.resources else (),
        templates=await lister.try_list("resources/templates/list", "resourceTemplates")
        if has.resources
        else (),
    )
    return offer, tuple(lister.left_out)


@dataclass(frozen=True, slots=True)
class _Lister:
    client: Client
    upstream: str
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])

    async def try_list(self, method: str, key: str) -> tuple[Definition, ...]:
        """A list the server may have promised without having it (some do); then it is empty."""
        try:
            return await self.list(method, key)
        except MCPError as error:
            log.info("upstream.list_unavailable", upstream=self.upstream, method=method, reason=error.message)
            return ()

    async def list(self, method: str, key: str) -> tuple[Definition, ...]:
        """All pages of a list, less the definitions no client could be told of."""
        found: list[Definition] = []
        params: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            page = await send_raw(self.client.session, method, params, timeout=_LIST_TIMEOUT)
            room = _MOST_DEFINITIONS - len(found)
            items = _items(page, key)
            found += [item for item in items[:room] if self._can_be_listed(item, method, key)]
            if len(items) > room:
                break
            cursor = page.get("nextCursor")
            if not cursor or cursor == params.get("cursor"):
                return tuple(found)
            params = {"cursor": cursor}
        log.warning("upstream.list_too_long", upstream=self.upstream, method=method, kept=len(found))
        return tuple(found)

    def _can_be_listed(self, item: Any, method: str, key: str) -> bool:
        """Whether the protocol accepts the definition in either era; one it rejects would break the whole list."""
        if (size := len(orjson.dumps(item))) > _LARGEST_DEFINITION:
            self._leave_out(method, item, f"{size} bytes, of at most {_LARGEST_DEFINITION}")
            return False
        try:
            for version in _ERAS:
                serialize_server_result(method, version, {key: [item], **_COMPLETE})
        except ValidationError as error:
            self._leave_out(method, item, _why(error))
            return False
        return True

    def _leave_out(self, method: str, item: Any, reason: str) -> None:
        table = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        left_out = LeftOut(method, str(table.get("name", "?")), reason)
        self.left_out.append(left_out)
        log.warning(
            "upstream.definition_left_out",
            upstream=self.upstream,
            method=method,
            definition=str(left_out),
        )


def _why(error: ValidationError) -> str:
    """The fields at fault and what they should be, without their values."""
    problems = {
        (".".join(map(str, each["loc"][2:])), each["msg"]) for each in error.errors(include_input=False)
    }
    return "; ".join(f"{place or 'it'}: {message}" for place, message in sorted(problems))


def _items(page: dict[str, Any], key: str) -> list[Any]:
    items = page.get(key)
    return cast("list[Any]", items) if isinstance(items, list) else []
