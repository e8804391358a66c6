"""Tool results: reading those of upstreams, and making our own."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from mcp_proxy.redaction import is_secret_name, redact_text
from tool_registry import ArgumentProblem, Repair, ToolEntry

_SHOWN_REPAIRS = 100

REPAIRS_META_KEY = "switchboard/repairs"
"""In a result's `_meta`: a list of {"pointer", "kind", "text"}."""


def with_repairs(result: Mapping[str, Any], repairs: Sequence[Repair]) -> dict[str, Any]:
    """A result whose `_meta` says, as `switchboard/repairs`, what was put right in the arguments, if anything."""
    if not repairs:
        return dict(result)
    told = [repair.described() for repair in repairs[:_SHOWN_REPAIRS]]
    return {**result, "_meta": {**(result.get("_meta") or {}), REPAIRS_META_KEY: told}}


def invalid_arguments(tool: ToolEntry, problems: tuple[ArgumentProblem, ...]) -> dict[str, Any]:
    """The CallToolResult for arguments that the upstream never saw."""
    return error_result(
        f"The arguments for {tool.qualified} do not fit its inputSchema; nothing was called.\n"
        f"{listed_problems(problems)}\nCorrect them and call again."
    )


def listed_problems(problems: Iterable[ArgumentProblem]) -> str:
    """Problems, one on each line. Their messages quote values; one that looks like a credential is not repeated."""
    return "\n".join(f"- {_discreet(problem)}" for problem in problems)


def _discreet(problem: ArgumentProblem) -> str:
    if problem.missing is None and any(map(is_secret_name, problem.pointer.split("/"))):
        return f"{problem.pointer}: does not fit the schema (its value is not repeated here)"
    return redact_text(str(problem))


def unavailable(name: str, error: Exception) -> dict[str, Any]:
    """The CallToolResult for a call whose upstream was down, or went away before it answered."""
    return error_result(f"{name} failed: {error}.")


def invalid_result(name: str, result: Any) -> str | None:
    """What to say of an upstream's result that is none; None of one that is, or that asks for input."""
    if isinstance(result, dict):
        given = cast("dict[str, Any]", result)
        match given.get("resultType", "complete"):
            case "complete" if isinstance(given.get("content"), list):
                return None
            case "input_required":
                return None
            case _:
                pass
    return f"{name} returned an invalid result"


def error_result(text: str) -> dict[str, Any]:
    """A CallToolResult that says what went wrong."""
    return {"content": [text_block(text)], "isError": True}


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def as_text(result: Mapping[str, Any], limit: int) -> str:
    """What a CallToolResult says, in at most about `limit` characters: its texts, else its structured content."""
    blocks: list[Mapping[str, Any]] = result.get("content") or []
    text = "\n".join(str(block.get("text", f"[{block.get('type')}]")) for block in blocks)
    if not text and "structuredContent" in result:
        text = json.dumps(result["structuredContent"], ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
