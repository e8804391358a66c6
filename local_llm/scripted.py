"""Planners for tests: one gives the plans it was told, the other must not be asked at all."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from local_llm.plan import NoPlan, Plan, Task
from tool_registry import Candidate


class ScriptedPlanner:
    """Gives the plans it was told, and notes what it was asked.

    Args:
        in_order: the plans of the tasks that `by_text` does not name, in the order they are to be given.
        by_text: plans by the text of their task.

    A task for which it was told nothing, or nothing more, has no plan.
    """

    name = "scripted"

    def __init__(
        self, in_order: Iterable[Plan | NoPlan] = (), *, by_text: Mapping[str, Plan | NoPlan] | None = None
    ) -> None:
        self._in_order = iter(in_order)
        self._by_text = by_text or {}
        self.tasks: list[Task] = []
        """Every task it was given, in order."""
        self.candidates: list[tuple[Candidate, ...]] = []
        """What each task could choose from."""

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan:
        self.tasks.append(task)
        self.candidates.append(tuple(candidates))
        unscripted = NoPlan(self.name, "the script says nothing of this task", tuple(candidates))
        return self._by_text.get(task.text) or next(self._in_order, unscripted)


class FailingPlanner:
    """Proves that a path plans nothing: it raises when it is asked."""

    name = "failing"

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> NoReturn:
        """Raise an AssertionError."""
        raise AssertionError(f"asked to plan {task.text!r} among {len(candidates)} candidates")
