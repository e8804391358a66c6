"""Judging a proposal: its arguments checked and repaired by the tool's schema, and the gate's word on it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from local_llm import Call, NoPlan, Plan, Step, Task
from mcp_proxy.gate import Bar, Decision, Escalate, decide
from tool_registry import ArgumentProblem, Checked, Repair, ToolEntry, UnusableSchemaError
from tool_registry.repair import read_text

Check = Callable[[ToolEntry, Mapping[str, Any]], Awaitable[Checked]]
"""Arguments checked by a tool's schema, and put right where that is wanted.

Raises:
    UnusableSchemaError: the schema is broken.
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A plan as it would be carried out, and what is to become of it."""

    plan: Plan | NoPlan
    decision: Decision
    problems: tuple[ArgumentProblem, ...] = ()
    """What the inputSchema says against the arguments."""
    repairs: tuple[Repair, ...] = ()
    """What was put right in them."""
    threshold: float | None = None
    """The confidence that was wanted for acting."""

    @property
    def is_valid(self) -> bool:
        """Whether there is a plan with nothing wrong in it but what is missing."""
        return isinstance(self.plan, Plan) and all(problem.missing for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Judge:
    """What plans are judged by."""

    bar: Callable[[Plan], Bar]
    """How sure each has to be."""
    check: Check
    """Holds arguments against the tool's schema."""

    async def __call__(self, plan: Plan | NoPlan, task: Task, *, approved: bool = False) -> Judged:
        """Judge `plan` for the next call of `task`."""
        if isinstance(plan, NoPlan):
            return Judged(plan, Escalate(plan.reason))
        plan = _with_answers_read(task, plan)
        if repeated := repeats(plan.call, task.steps):
            return Judged(plan, Escalate(repeated))
        tool = plan.call.tool
        try:
            checked = await self.check(tool, plan.call.arguments)
        except UnusableSchemaError as error:
            return Judged(plan, Escalate(f"the upstream's inputSchema cannot be used: {error}"))
        plan = with_arguments(plan, checked.arguments)
        bar = self.bar(plan)
        decision = decide(plan, checked.problems, approved=approved, bar=bar)
        return Judged(plan, decision, checked.problems, checked.repairs, bar.act)

    async def again(
        self, judged: Judged, answers: Mapping[str, object], task: Task, *, approved: bool
    ) -> Judged:
        """Judge a plan once more, with what the user answered; repairs made before still count."""
        if not isinstance(judged.plan, Plan):
            return judged
        plan = with_arguments(judged.plan, {**judged.plan.call.arguments, **answers})
        anew = await self(plan, task, approved=approved)
        return replace(anew, repairs=(*judged.repairs, *anew.repairs))


def with_arguments(plan: Plan, arguments: Mapping[str, object]) -> Plan:
    """The plan with these arguments; what they hold is no longer missing."""
    missing = tuple(name for name in plan.missing if name not in arguments)
    return replace(plan, call=replace(plan.call, arguments=arguments), missing=missing)


def repeats(call: Call, steps: Sequence[Step]) -> str | None:
    """Why `call` may not be made: one of `steps` is the very same. None if none is."""
    for number, step in enumerate(steps, 1):
        if step.call.tool.qualified == call.tool.qualified and step.call.arguments == call.arguments:
            how = "which failed" if step.failed else "and would go round in circles"
            return f"the call planned is step {number} over again, {how}"
    return None


def _with_answers_read(task: Task, plan: Plan) -> Plan:
    """The plan with the user's answers as the tool's schema wants them: whoever answers in words writes "5" for 5."""
    parameters = plan.call.tool.parameters
    read = {
        name: read_text(parameters.get(name, {}), value)
        for name, value in plan.call.arguments.items()
        if name in task.answers and isinstance(value, str)
    }
    return with_arguments(plan, {**plan.call.arguments, **read}) if read else plan
