"""Planners for tests: one gives the plans it was told, the other must not be asked at all."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from local_llm.plan import NoPlan, Plan, Task
from tool_registry import Candidate


class ScriptedPlanner:
    """Gives the plans of its script, and notes what it was asked.

    Args:
        script: the plans, by the text of their task, or in the order they are to be given.

    A task the script says nothing of, or nothing more, has no plan.
    """

    name = "scripted"

    def __init__(self, script: Mapping[str, Plan | NoPlan] | Iterable[Plan | NoPlan]) -> None:
        self._by_text = dict(script) if isinstance(script, Mapping) else {}
        self._in_order = iter(()) if isinstance(script, Mapping) else iter(script)
        self.tasks: list[Task] = []
        """Every task it was given, in order."""
        self.candidates: list[tuple[Candidate, ...]] = []
        """What each task could choose from."""

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan:
        self.tasks.append(task)
        self.candidates.append(tuple(candidates))
        unscripted = NoPlan(self.name, "the script has no plan for this task", tuple(candidates))
        return self._by_text.get(task.text) or next(self._in_order, unscripted)


class FailingPlanner:
    """Proves that a path plans nothing: it raises when it is asked."""

    name = "failing"

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> NoReturn:
        """Raise an AssertionError."""
        raise AssertionError(f"asked to plan {task.text!r} among {len(candidates)} candidates")
