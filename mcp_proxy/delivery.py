"""What happens to a tool's result between its upstream and the client: the check by outputSchema, and the budget."""

import secrets
from collections.abc import Mapping
from typing import Any

from mcp.server.request_state import authenticated_principal

from mcp_proxy.callers import Context, connection_of, is_stateless
from mcp_proxy.config import ServerSettings
from mcp_proxy.desk import Desk
from mcp_proxy.kept_results import KeptResultError
from mcp_proxy.output_check import CHECKED_HERE
from mcp_proxy.read_result import READ_RESULT, passage_result, read_arguments
from mcp_proxy.result_budget import LOCAL
from mcp_proxy.results import error_result
from mcp_proxy.task_tools import own_name
from tool_registry import ToolEntry

_ANYONE = "anyone"
"""The owner of what a client got of which nothing is known: the handle alone protects it."""

_OWNER = "switchboard.owner"
"""Where a connection's state keeps by which name it owns its results."""

Result = dict[str, Any]


class Delivery:
    """The last steps of results on their way to clients."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = desk.board

    def passes(self, tool: ToolEntry, result: Mapping[str, Any], size: int) -> bool:
        """Whether an upstream's result of `size` bytes as JSON may be handed on at once and as it is."""
        board, upstream = self._board, self._board.upstreams.get(tool.upstream)
        if upstream is None:
            return True
        mode = upstream.check_output
        if board.outputs.wants(tool, result, mode):
            verdict = (
                board.outputs.verdict_at_once(tool, dict(result), mode) if size <= CHECKED_HERE else None
            )
            if verdict is None or verdict.get("isError"):
                return False
        return board.results.passes(tool, result, board.budget_of(tool), size)

    async def checked(self, tool: ToolEntry, result: Result, owner: str) -> Result:
        """An upstream's result as the client is to get it."""
        return await self.fitted(tool, await self._board.check_output(tool, result), owner)

    async def fitted(self, tool: ToolEntry, result: Result, owner: str) -> Result:
        """A checked result within the budget."""
        name = own_name(READ_RESULT, self._desk.seen.catalog.tools)
        return await self._board.results.fitted(tool, result, self._board.budget_of(tool), owner, name)

    async def read(self, arguments: Mapping[str, Any], owner: str) -> Result:
        """The answer to a call of `read_result`."""
        request = read_arguments(arguments)
        if isinstance(request, str):
            return error_result(request)
        try:
            passage = await self._board.results.read(request, owner)
        except KeptResultError as error:
            return error_result(f"Nothing was read: {error}.")
        name = own_name(READ_RESULT, self._desk.seen.catalog.tools)
        return passage_result(passage, request.handle, name)


def owner_of(ctx: Context, server: ServerSettings) -> str:
    """Who a request's client is, for what is kept for it: its principal, else its connection."""
    if server.transport == "stdio":
        return LOCAL
    if principal := authenticated_principal(ctx):
        return f"principal {principal}"
    if is_stateless(ctx) or server.stateless:
        return _ANYONE
    return connection_of(ctx).state.setdefault(_OWNER, f"connection {secrets.token_hex(16)}")
