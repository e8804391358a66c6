"""Outcomes as MCP tool results: the upstreams' content unchanged, and beside it what was done and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from local_llm import Plan
from mcp_proxy.outcome import Ending, Made, Outcome
from mcp_proxy.results import text_block, with_repairs
from tool_registry import Repair, ToolEntry

_SHOWN_ARGUMENTS = 600
_SHOWN_ALTERNATIVES = 5

_CALL: Mapping[str, Any] = {
    "tool": {"type": "string"},
    "upstream": {"type": "string"},
    "arguments": {"type": "object"},
}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
_SURE: Mapping[str, Any] = {
    "type": ["number", "null"],
    "description": "How sure the planner was, from 0 to 1; null if it does not measure that.",
}

OUTCOME_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Its id in the journal."},
        "ending": {
            "type": "string",
            "enum": [ending.value for ending in Ending],
            "description": "How the task ended.",
        },
        "reason": {"type": "string", "description": "Why, in one line."},
        "steps": {
            "type": "array",
            "description": "The calls that were made, in order; of a dry run, those that would have been.",
            "items": {
                "type": "object",
                "properties": {
                    **_CALL,
                    "planner": {"type": "string"},
                    "confidence": _SURE,
                    "reason": {"type": "string"},
                    "repairs": {"type": "array", "items": {"type": "object"}},
                    "failed": {"type": "boolean"},
                    "milliseconds": {"type": "number"},
                    "result": {"description": "The tool's structured result, if it gave one."},
                },
                "required": ["tool", "arguments", "failed"],
            },
        },
        "call": {
            "type": ["object", "null"],
            "description": "The last call that was made or, where the task did not end with one, planned.",
            "properties": dict(_CALL),
        },
        "missing": {**_TEXTS, "description": "Parameters the task gives no value for."},
        "problems": {
            **_TEXTS,
            "description": "What is wrong with the arguments of a call that was not made.",
        },
        "resume": {
            "type": "string",
            "description": "With `answers` for what is missing, give this to `do` to go on where it stopped.",
        },
        "planner": {"type": "string"},
        "confidence": _SURE,
        "strategy": {"type": "string"},
        "privacy": {"type": "string", "enum": ["normal", "high"]},
        "route": {**_TEXTS, "description": "What happened on the way."},
        "alternatives": {**_TEXTS, "description": "Other tools that were considered."},
        "milliseconds": {"type": "object", "additionalProperties": {"type": "number"}},
        "usage": {"type": ["object", "null"], "description": "Tokens and cost of all escalation."},
        "spent": {
            "type": "array",
            "items": {"type": "object"},
            "description": "The same by whom it was paid to.",
        },
        "result": {"description": "The last tool's structured result, if it gave one."},
    },
    "required": ["ending", "reason"],
}
"""The outputSchema of `do` and `plan`: what `describe` returns."""


def describe(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON object, by `OUTCOME_SCHEMA`."""
    call, plan = outcome.call, outcome.plan
    chosen = call.tool if call else None
    others = [each.tool.qualified for each in outcome.candidates if each.tool is not chosen]
    described: dict[str, Any] = {
        "id": outcome.id,
        "ending": outcome.ending.value,
        "reason": outcome.reason,
        "steps": [_step(made) for made in outcome.steps],
        "call": None if call is None else _call(call.tool, call.arguments),
        "missing": list(plan.missing) if isinstance(plan, Plan) else [],
        "problems": [str(problem) for problem in outcome.problems],
        "planner": plan.planner if plan else "",
        "confidence": _confidence(plan) if isinstance(plan, Plan) else None,
        "strategy": outcome.strategy,
        "privacy": "high" if outcome.private else "normal",
        "route": list(outcome.route),
        "alternatives": others[:_SHOWN_ALTERNATIVES],
        "milliseconds": dict(outcome.milliseconds),
        "usage": None if outcome.usage is None else asdict(outcome.usage),
        "spent": [{"proposer": spent.proposer, **asdict(spent.usage)} for spent in outcome.spent],
        **({"resume": outcome.resume} if outcome.resume else {}),
    }
    return described | _structured(outcome.result)


def outcome_result(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a CallToolResult object: what every call was answered with, then a summary."""
    results = [made.result for made in outcome.steps if made.result is not None]
    content: list[Any] = [block for result in results for block in result.get("content") or ()]
    meta: dict[str, Any] = {}
    for result in results:
        meta |= result.get("_meta") or {}
    told: dict[str, Any] = {
        "content": [*content, text_block(summary(outcome))],
        "structuredContent": describe(outcome),
        "isError": not outcome.dry_run and outcome.ending is not Ending.DONE,
        **({"_meta": meta} if meta else {}),
    }
    return with_repairs(told, outcome.repairs)


def summary(outcome: Outcome) -> str:
    """An outcome in a few lines of plain words."""
    lines = [f"[switchboard] {outcome.ending.value}: {outcome.reason}"]
    verb = "would call" if outcome.dry_run else "called"
    lines += [_line("failed:" if made.failed else verb, made.plan) for made in outcome.steps]
    if isinstance(outcome.pending, Plan):
        lines.append(_line("planned", outcome.pending))
    if outcome.resume:
        lines.append(f'to go on, call again with "resume": "{outcome.resume}"')
    return "\n".join(lines)


def _line(verb: str, plan: Plan) -> str:
    arguments = json.dumps(plan.call.arguments, ensure_ascii=False)[:_SHOWN_ARGUMENTS]
    return f"{verb} {plan.call.tool.qualified} {arguments} ({plan.planner}, confidence {plan.confidence:.2f})"


def _step(made: Made) -> dict[str, Any]:
    call = made.plan.call
    return {
        **_call(call.tool, call.arguments),
        "planner": made.plan.planner,
        "confidence": _confidence(made.plan),
        "reason": made.plan.reason,
        "repairs": _repairs(made.repairs),
        "failed": made.failed,
        "milliseconds": round(made.milliseconds, 3),
        **_structured(made.result),
    }


def _repairs(repairs: Sequence[Repair]) -> list[dict[str, Any]]:
    return [dict(repair.described()) for repair in repairs]


def _structured(result: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"result": result["structuredContent"]} if result and "structuredContent" in result else {}


def _confidence(plan: Plan) -> float:
    return round(plan.confidence, 4)


def _call(tool: ToolEntry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool": tool.qualified, "upstream": tool.upstream, "arguments": dict(arguments)}
