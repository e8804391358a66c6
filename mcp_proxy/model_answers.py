"""What the answer of a large model comes to: a plan, an end, or why there is neither. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from local_llm import Call, Finished, NoPlan, Plan, Task
from mcp_proxy.offered import Offered, OfferedTool

LAST_CALL = "DONE AFTER THIS"
"""What a model writes beside a call that completes the task, so that it need not be asked again."""

NOT_DONE = "NOT DONE:"
"""What a model's words begin with when no tool can do what is left."""

HOW_TO_ANSWER = f"""
- If the task is done once a call is made, write {LAST_CALL} before you make it.
- When nothing is left to be called, call nothing and say in one sentence what came of the task.
- If no tool can do what is left, call nothing, write {NOT_DONE} and say why in one sentence."""
"""What a model that calls tools itself is told beside the rules."""

_NAME_LIMIT = 64
_WORDS_LIMIT = 400
_STOPPED_BY_ITSELF = frozenset({"end_turn", "stop_sequence", "tool_use", None})


@dataclass(frozen=True, slots=True)
class Called:
    """A call that a model wants made."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered."""

    model: str
    text: str = ""
    calls: Sequence[Called] = field(default=())
    stop_reason: str | None = None
    """In the terms of the Messages API."""

    @property
    def words(self) -> str:
        """What it said, on one line of bounded length, without the marks that are for us."""
        text = " ".join(self.text.replace(LAST_CALL, " ").replace(NOT_DONE, " ").split())
        return text if len(text) <= _WORDS_LIMIT else f"{text[:_WORDS_LIMIT]}…"

    @property
    def who(self) -> str:
        return " ".join(self.model.split())[:_NAME_LIMIT] or "the model"


def outcome_of(answer: Answer, offered: Offered, task: Task, planner: str) -> Plan | NoPlan | Finished:
    """What an answer proposes, not validated.

    A `Plan` has confidence 1.0, which here means "not measured".
    """
    if unusable := _unusable(answer):
        return NoPlan(planner, unusable, tuple(offered.candidates))
    if answer.calls:
        return _called(answer.calls[0], answer, offered, planner)
    is_over = answer.stop_reason in _STOPPED_BY_ITSELF and NOT_DONE not in answer.text
    if task.steps and not task.corrects and is_over:
        return Finished(planner, answer.words or "nothing is left to be called")
    why = answer.words or f"{answer.who} called no tool (stop reason: {answer.stop_reason})"
    return NoPlan(planner, why, tuple(offered.candidates))


def _unusable(answer: Answer) -> str:
    """Why nothing in an answer counts; empty if it may."""
    match answer.stop_reason:
        case "refusal":
            return f"{answer.who} declined the task. {answer.words}".strip()
        case "max_tokens":
            return f"{answer.who} was cut off at the limit for its answer; raise [escalation] max_tokens"
        case _:
            return ""


def _called(first: Called, answer: Answer, offered: Offered, planner: str) -> Plan | NoPlan:
    if first.name == offered.ask_user:
        plan = _asking(first, answer, offered, planner)
        return plan or NoPlan(planner, _question(first, answer), tuple(offered.candidates))
    if tool := offered.tools.get(first.name):
        return _calling(tool, answer, offered, planner)
    why = f"{answer.who} called {first.name[:_NAME_LIMIT]!r}, which it was not offered"
    return NoPlan(planner, why, tuple(offered.candidates))


def _calling(tool: OfferedTool, answer: Answer, offered: Offered, planner: str) -> Plan:
    count = len(answer.calls)
    more = f" It made {count} calls, of which this is the first." if count > 1 else ""
    return Plan(
        call=Call(tool.entry, tool.meant(answer.calls[0].arguments)),
        confidence=1.0,
        planner=planner,
        reason=f"Chosen by {answer.who}. {answer.words}".strip() + more,
        alternatives=offered.others(tool.entry),
        last=LAST_CALL in answer.text and count == 1,
    )


def _asking(asked: Called, answer: Answer, offered: Offered, planner: str) -> Plan | None:
    """The plan of a call for which the user is to be asked; None if what is asked for is no tool's parameter."""
    tool = offered.tools.get(str(asked.arguments.get("tool")))
    known = asked.arguments.get("arguments")
    if tool is None:
        return None
    asked_for = _names(asked.arguments.get("parameters"))
    # A part of a parameter is asked for with the whole of it.
    theirs = [name if name in tool.schema["properties"] else name.partition(".")[0] for name in asked_for]
    missing = [name for name in dict.fromkeys(theirs) if name in tool.schema["properties"]]
    if not missing:
        return None
    given = cast("dict[str, Any]", known) if isinstance(known, dict) else {}
    return Plan(
        call=Call(tool.entry, tool.meant({name: given[name] for name in given if name not in missing})),
        confidence=1.0,
        planner=planner,
        reason=_question(asked, answer),
        missing=tuple(tool.renamed.get(name, name) for name in missing),
        alternatives=offered.others(tool.entry),
        last=LAST_CALL in answer.text and len(answer.calls) == 1,
    )


def _names(parameters: object) -> list[str]:
    several = cast("list[object]", parameters) if isinstance(parameters, list) else [parameters]
    return [name for name in several if isinstance(name, str)]


def _question(asked: Called, answer: Answer) -> str:
    told = " ".join(str(asked.arguments.get("question") or "").split())[:_WORDS_LIMIT]
    return f"{answer.who} asks: {told or answer.words or 'it needs to know more'}"
