"""Correcting a call that failed, where its error says plainly what was wrong; else none of our guesses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_llm.plan import Call, NoPlan, Plan, Step, Task
from local_llm.pocket.claims import find_claims
from local_llm.pocket.fill import fill
from local_llm.pocket.slots import Slot
from local_llm.pocket.steps import next_step
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading, read_tool
from tool_registry import Candidate
from tool_registry.search import words

_CONFIDENCE = 0.7
"""How sure a correction is that the error spells out; where it changes what was asked for, less."""
_CHANGED = 0.4
_WORDS_OF_OPTION = 3
_READ = 4000
"""Characters of an error that are read."""
_ALLOWED = re.compile(
    r"(?:one of|allowed(?: values?)?(?: are)?|valid (?:options?|values?)(?: are)?|expected|must be(?: either)?|available|"
    r"choose from|supported)\b[\s:]*[\[({]?\s*(?P<list>[^\])}\n;.]+)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\s*(?:,|\||\bor\b|\band\b)\s*", re.IGNORECASE)
_MOST = re.compile(
    r"(?:<=|less than or equal to|at most|maximum(?: of| is|:)?|max(?:imum)? value(?: is|:)?|no more than|not exceed|up to)\s*"
    r"(-?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_LEAST = re.compile(
    r"(?:>=|greater than or equal to|at least|minimum(?: of| is|:)?|min(?:imum)? value(?: is|:)?|no less than)\s*"
    r"(-?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"between\s+(-?\d+(?:\.\d+)?)\s+and\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_ABSENT = re.compile(r"required|missing|must (?:be provided|have)|is not provided|undefined", re.IGNORECASE)
_UNKNOWN = re.compile(r"unexpected|unknown|unrecogni[sz]ed|not permitted|not allowed|extra", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Change:
    """One way of calling again."""

    arguments: dict[str, Any]
    confidence: float
    why: str


def corrected(planner: str, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan:
    """Another call instead of the one that `task.corrects`, as its error says; NoPlan where it does not say plainly.

    Never a call that has failed already.
    """
    failed = task.corrects
    step = next_step(task)
    if failed is None or step is None or not failed.result:
        return NoPlan(planner, "the tool does not say what was wrong", tuple(candidates))
    tool = failed.call.tool
    tried = [old.call.arguments for old in task.steps if old.failed and old.call.tool is tool]
    reading = TaskReading(step.text, step.done)
    for change in _changes(failed, reading, read_tool(tool)):
        if change.arguments not in tried:
            return Plan(
                call=Call(tool, change.arguments),
                confidence=change.confidence,
                planner=planner,
                reason=step.numbered(f"corrects {tool.qualified}: {change.why}"),
                missing=tuple(name for name in tool.required if name not in change.arguments),
                last=step.last,
            )
    return NoPlan(
        planner, f"what {tool.qualified} answered names nothing that can be put right", tuple(candidates)
    )


def _changes(failed: Step, task: TaskReading, tool: ToolReading) -> Iterator[_Change]:
    """What the error says to change, the surest first."""
    error = (failed.result or "")[:_READ]
    before = failed.call.arguments
    for slot in tool.slots:
        if not re.search(rf"(?<!\w){re.escape(slot.name)}(?!\w)", error) and len(before) > 1:
            continue
        if slot.name in before:
            yield from _replaced(slot, before, task, error)
        elif _ABSENT.search(error):
            yield from _added(slot, before, task, tool)
    if _UNKNOWN.search(error):
        yield from _dropped(before, tool, error)


def _replaced(slot: Slot, before: Mapping[str, Any], task: TaskReading, error: str) -> Iterator[_Change]:
    value = before[slot.name]
    if isinstance(value, str) and (options := _allowed(error)):
        near = [option for option in options if _alike(option, value)]
        said = [option for option in options if option.lower() in task.text.lower()]
        for option in dict.fromkeys((*near, *said)):
            if option != value:
                why = f"{slot.name} is one of the values it allows"
                yield _Change({**before, slot.name: option}, _CONFIDENCE, why)
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = _range(error)
        bound = (
            high if high is not None and value > high else low if low is not None and value < low else None
        )
        if bound is not None:
            number = int(bound) if bound.is_integer() else bound
            yield _Change({**before, slot.name: number}, _CHANGED, f"{slot.name} as far as it allows")


def _added(slot: Slot, before: Mapping[str, Any], task: TaskReading, tool: ToolReading) -> Iterator[_Change]:
    given = fill(task, tool, find_claims(task, [tool])[0]).arguments
    if slot.name in given:
        yield _Change({**before, slot.name: given[slot.name]}, _CONFIDENCE, f"{slot.name} was left out")


def _dropped(before: Mapping[str, Any], tool: ToolReading, error: str) -> Iterator[_Change]:
    optional = {slot.name for slot in tool.slots if not slot.required}
    for name in before:
        if re.search(rf"['\"`]{re.escape(name)}['\"`]", error) and name in optional:
            left = {key: value for key, value in before.items() if key != name}
            yield _Change(left, _CHANGED, f"it knows no {name}")


def _allowed(error: str) -> tuple[str, ...]:
    """The values an error lists."""
    for match in _ALLOWED.finditer(error):
        items = tuple(item.strip(" \t'\"`") for item in _ITEM.split(match["list"]))
        if len(items) > 1 and all(item and len(item.split()) <= _WORDS_OF_OPTION for item in items):
            return items
    return ()


def _alike(option: str, value: str) -> bool:
    first, second = option.lower(), value.lower()
    return words(first) == words(second) or (
        min(len(first), len(second)) > 1 and (first.startswith(second) or second.startswith(first))
    )


def _range(error: str) -> tuple[float | None, float | None]:
    if both := _BETWEEN.search(error):
        return float(both[1]), float(both[2])
    least, most = _LEAST.search(error), _MOST.search(error)
    return (float(least[1]) if least else None), (float(most[1]) if most else None)
