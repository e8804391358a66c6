"""Arguments against their tool's inputSchema, where others wait: briefly at once, or in a thread for as long as it takes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from tool_registry import Checked, ToolEntry

_THREADS = 2


class ArgumentCheck:
    """The check of all arguments. What a schema costs beyond the ordinary delays its own calls alone."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_THREADS)

    async def checked(self, tool: ToolEntry, arguments: Mapping[str, Any], *, repair: bool) -> Checked:
        """As `ToolEntry.checked`.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid, or takes too much.
        """
        checked = tool.checked_at_once(arguments, repair=repair)
        if checked is not None:
            return checked
        work = partial(tool.checked, arguments, repair=repair)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter, abandon_on_cancel=True)
