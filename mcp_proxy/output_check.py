"""Results against their tool's outputSchema: logged, or replaced by an error, when they do not fit."""

from collections.abc import Mapping
from typing import Any, Literal

import anyio.to_thread
import orjson
import structlog

from mcp_proxy.results import error_result, listed_problems, text_block
from tool_registry import ArgumentProblem, ToolEntry, UnusableSchemaError
from tool_registry.keywords import BRIEF, FULL, Effort
from tool_registry.schema import TooCostlyError

Mode = Literal["enforce", "warn", "off"]

CHECKED_HERE = 64 * 1024
"""Bytes of JSON up to which a result is checked at once, if its schema makes that brief; else it is in a thread."""

_LONGEST_WATCHED = 8 * 1024 * 1024
"""Bytes up to which "warn" looks at all: its client shall not wait many seconds for a log line."""

_SHOWN_PROBLEMS = 10

Result = dict[str, Any]

log = structlog.stdlib.get_logger()


class OutputCheck:
    """The check of all results. A tool that errs is logged once, not with every call."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def wants(self, tool: ToolEntry, result: Mapping[str, Any], mode: Mode) -> bool:
        """Whether there is anything to check: an error needs no structured content."""
        return (
            mode != "off"
            and tool.output_schema is not None
            and not result.get("isError")
            and result.get("resultType", "complete") == "complete"
        )

    async def checked(self, tool: ToolEntry, result: Result, mode: Mode) -> Result:
        """The result, or what stands for it; a long one is looked at in a thread."""
        if not self.wants(tool, result, mode):
            return result
        size = len(orjson.dumps(result.get("structuredContent")))
        at_once = self.verdict_at_once(tool, result, mode) if size <= CHECKED_HERE else None
        if at_once is not None:
            return at_once
        if size > _LONGEST_WATCHED and mode == "warn":
            log.info("result.unchecked", tool=tool.qualified, bytes=size)
            return result
        return await anyio.to_thread.run_sync(self.verdict, tool, result, mode)

    def verdict_at_once(self, tool: ToolEntry, result: Result, mode: Mode) -> Result | None:
        """The verdict; None, after some 10 ms at most, where it takes longer and is better reached in a thread."""
        try:
            return self.verdict(tool, result, mode, BRIEF)
        except TooCostlyError:
            return None

    def verdict(self, tool: ToolEntry, result: Result, mode: Mode, effort: Effort = FULL) -> Result:
        """The result if it fits, or is only warned of; else an error that says why, and what the upstream said.

        Raises:
            TooCostlyError: it cannot be said with this effort.
        """
        try:
            problems = output_problems(tool, result, effort)
        except UnusableSchemaError as error:
            self._tell(tool, f"its outputSchema is unusable ({error})")
            return result
        if not problems:
            return result
        self._tell(tool, ", ".join(problem.pointer or "/" for problem in problems[:_SHOWN_PROBLEMS]))
        return result if mode == "warn" else unfit_result(tool, result, problems)

    def _tell(self, tool: ToolEntry, where: str) -> None:
        if tool.qualified not in self._told:
            self._told.add(tool.qualified)
            # Not the messages, which quote values.
            log.warning("result.unfit", tool=tool.qualified, upstream=tool.upstream, where=where)


def output_problems(
    tool: ToolEntry, result: Mapping[str, Any], effort: Effort = FULL
) -> tuple[ArgumentProblem, ...]:
    """Where a result does not fit the tool's outputSchema.

    Raises:
        UnusableSchemaError: the schema itself is broken.
        TooCostlyError: it cannot be said with this effort.
    """
    if result.get("structuredContent") is None:
        return (ArgumentProblem("", "there is no structuredContent, which an outputSchema promises"),)
    return tool.output_problems(result["structuredContent"], effort)


def unfit_result(tool: ToolEntry, result: Result, problems: tuple[ArgumentProblem, ...]) -> Result:
    """An error in the place of a result that does not fit, with all that the upstream said to be read."""
    content = list(result.get("content") or ())
    if not content and result.get("structuredContent") is not None:
        content = [text_block(orjson.dumps(result["structuredContent"]).decode())]
    why = error_result(
        f"{tool.qualified} was called, but its result does not fit its outputSchema "
        f'(check_output = "enforce" for {tool.upstream}). What it answered follows.\n'
        f"{listed_problems(problems[:_SHOWN_PROBLEMS])}"
    )
    rest = {key: value for key, value in result.items() if key != "structuredContent"}
    return {**rest, **why, "content": [*why["content"], *content]}
