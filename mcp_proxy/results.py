"""Outcomes as MCP tool results: the upstream's content unchanged, and beside it what was done and why."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from local_llm import Plan
from mcp_proxy.pipeline import Ending, Outcome
from mcp_proxy.redaction import is_secret_name, redact_text
from tool_registry import ArgumentProblem, Repair, ToolEntry

_SHOWN_ARGUMENTS = 600
_SHOWN_ALTERNATIVES = 5
_SHOWN_REPAIRS = 100

REPAIRS_META_KEY = "switchboard/repairs"
"""In a result's `_meta`: a list of {"pointer", "kind", "text"}."""

OUTCOME_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ending": {
            "type": "string",
            "enum": [ending.value for ending in Ending],
            "description": "How the task ended.",
        },
        "reason": {"type": "string", "description": "Why, in one line."},
        "call": {
            "type": ["object", "null"],
            "description": "The call that was made, or the best one planned.",
            "properties": {
                "tool": {"type": "string"},
                "upstream": {"type": "string"},
                "arguments": {"type": "object"},
            },
        },
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Parameters the task gives no value for.",
        },
        "planner": {"type": "string"},
        "confidence": {"type": ["number", "null"], "description": "How sure the planner was, from 0 to 1."},
        "route": {"type": "array", "items": {"type": "string"}, "description": "What happened on the way."},
        "alternatives": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Other tools that were considered.",
        },
        "milliseconds": {"type": "object", "additionalProperties": {"type": "number"}},
        "usage": {"type": ["object", "null"], "description": "Tokens and cost of an escalation."},
        "result": {"description": "The tool's structured result, if it gave one."},
    },
    "required": ["ending", "reason"],
}
"""The outputSchema of `do` and `plan`: what `describe` returns."""


def describe(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON object, by `OUTCOME_SCHEMA`."""
    call, plan = outcome.call, outcome.plan
    chosen = call.tool if call else None
    described: dict[str, Any] = {
        "ending": outcome.ending.value,
        "reason": outcome.reason,
        "call": None if call is None else _call(call.tool, call.arguments),
        "missing": list(plan.missing) if isinstance(plan, Plan) else [],
        "planner": plan.planner,
        "confidence": round(plan.confidence, 4) if isinstance(plan, Plan) else None,
        "route": list(outcome.route),
        "alternatives": [c.tool.qualified for c in outcome.candidates if c.tool is not chosen][
            :_SHOWN_ALTERNATIVES
        ],
        "milliseconds": dict(outcome.milliseconds),
        "usage": None if outcome.usage is None else asdict(outcome.usage),
    }
    if outcome.result is not None and "structuredContent" in outcome.result:
        described["result"] = outcome.result["structuredContent"]
    return described


def outcome_result(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a CallToolResult object."""
    result = outcome.result or {}
    content = [*result.get("content", []), text_block(summary(outcome))]
    meta = {"_meta": result["_meta"]} if "_meta" in result else {}
    failed = result.get("isError", False) if result else outcome.ending is not Ending.PLANNED
    told = {"content": content, "structuredContent": describe(outcome), "isError": failed, **meta}
    return with_repairs(told, outcome.repairs)


def with_repairs(result: Mapping[str, Any], repairs: Sequence[Repair]) -> dict[str, Any]:
    """A result whose `_meta` says, as `switchboard/repairs`, what was put right in the arguments, if anything."""
    if not repairs:
        return dict(result)
    told = [repair.described() for repair in repairs[:_SHOWN_REPAIRS]]
    return {**result, "_meta": {**(result.get("_meta") or {}), REPAIRS_META_KEY: told}}


def summary(outcome: Outcome) -> str:
    """An outcome in a line or two of plain words."""
    lines = [f"[switchboard] {outcome.ending.value}: {outcome.reason}"]
    if outcome.call and isinstance(outcome.plan, Plan):
        arguments = json.dumps(outcome.call.arguments, ensure_ascii=False)[:_SHOWN_ARGUMENTS]
        verb = "called" if outcome.ending is Ending.DONE else "planned"
        sure = f"{outcome.plan.planner}, confidence {outcome.plan.confidence:.2f}"
        lines.append(f"{verb} {outcome.call.tool.qualified} {arguments} ({sure})")
    return "\n".join(lines)


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


def _call(tool: ToolEntry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool": tool.qualified, "upstream": tool.upstream, "arguments": dict(arguments)}
