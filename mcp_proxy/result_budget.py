"""The result budget: a long result is kept on disk and cut before a client gets it, and read back piece by piece."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from mcp_proxy.config import ResultSettings
from mcp_proxy.cut_results import LongResult, fits_schema, is_within, size_of
from mcp_proxy.kept_results import KeptResultError, KeptResults, OpenedResult
from mcp_proxy.read_result import ReadRequest
from tool_registry import ToolEntry
from tool_registry.json_excerpt import NoSuchPlaceError
from tool_registry.reading import Passage, by_line, by_offset, by_pointer, by_search
from tool_registry.tokens import estimate_tokens

LOCAL = "local"
"""The owner of what the one client on stdio got: whoever runs Switchboard, this time and the next."""

_WEIGHED_HERE = 8
"""Characters for each token of the budget up to which a result is weighed at once; a longer one, in a thread."""

Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class ResultBudget:
    """What becomes of long results."""

    def __init__(self, settings: ResultSettings) -> None:
        self._settings = settings
        self._kept = KeptResults(settings)

    def tokens(self, own: int | None) -> int:
        """How many tokens a result may have, `own` being what its upstream says; 0 for any number."""
        return self._settings.budget if own is None else own

    def passes(
        self, tool: ToolEntry, result: Mapping[str, Any], tokens: int, size: int | None = None
    ) -> bool:
        """Whether a result may go on as it is; False when that takes longer to find out.

        Args:
            tool: whose result it is.
            result: a CallToolResult.
            tokens: its budget.
            size: its length in bytes as JSON, where that is known.
        """
        # No token is shorter than a byte.
        if not tokens or (size is not None and size <= tokens):
            return True
        size = size_of(result) if size is None else size
        return size <= tokens * _WEIGHED_HERE and is_within(result, tokens, tool)

    async def fitted(
        self, tool: ToolEntry, result: Result, tokens: int, owner: str, read_result: str
    ) -> Result:
        """The result within its budget, the rest kept for `owner`; as it came when it cannot be kept.

        Args:
            tool: whose result it is.
            result: a CallToolResult.
            tokens: its budget.
            owner: who may read the rest.
            read_result: the name by which the client calls the tool that reads it.
        """
        if self.passes(tool, result, tokens) or result.get("resultType", "complete") != "complete":
            return result
        return await self._kept.work(partial(self._fitted, tool, result, tokens, owner, read_result))

    def _fitted(self, tool: ToolEntry, result: Result, tokens: int, owner: str, read_result: str) -> Result:
        if is_within(result, tokens, tool):
            return result
        long = LongResult.of(result)
        keeps = tool.output_schema is not None and self._settings.structured == "keep"
        cut = long.cut(tokens, fits=fits_schema(tool), keeps=keeps)
        if not cut.notes:  # nothing but what an outputSchema promises is long
            return result
        handle = self._kept.keep(long.document, owner)
        if handle is None:
            return result
        total = estimate_tokens(long.document.text)
        log.info("result.cut", tool=tool.qualified, tokens=total, budget=tokens)
        return cut.told(handle, read_result, total, self._kept.max_age / 3600)

    async def read(self, request: ReadRequest, owner: str) -> Passage:
        """A piece of a kept result.

        Raises:
            KeptResultError: there is no such result for `owner`, or no such place in it.
        """
        tokens = self._settings.budget or ResultSettings.model_fields["budget"].default

        def look(opened: OpenedResult) -> Passage:
            if request.pointer is not None:
                value = opened.value()
                return by_pointer(value, request.pointer, request.offset, request.limit, tokens)
            if request.search is not None:
                return by_search(opened.text, request.search, request.offset, request.limit, tokens)
            if request.line is not None:
                return by_line(opened.text, request.line, request.lines, tokens)
            return by_offset(opened.text, request.offset, request.limit, tokens)

        try:
            return await self._kept.read(request.handle, owner, look)
        except NoSuchPlaceError as error:
            raise KeptResultError(str(error)) from error
