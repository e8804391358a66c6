"""`do`: a task in plain words becomes one carried-out tool call, or an honest reason why not.

The flow is `carry_out`, read downward. What it touches comes in as ports; the catalog is one snapshot.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from local_llm import Call, NoPlan, Plan, Planner, Task
from mcp_proxy.gate import Ask, Decision, Escalate, Execute, Refuse, decide
from mcp_proxy.proposals import ProposalError, Proposer, Usage
from tool_registry import Candidate, Repair, ToolEntry, UnusableSchemaError
from tool_registry.repair import read_text


class Ending(StrEnum):
    """How a task ended."""

    DONE = "done"
    """The call was made and the tool answered, possibly with an error of its own."""
    PLANNED = "planned"
    """A dry run: this is what would have happened."""
    NEEDS = "needs"
    """Something is missing that only the user can give, and the client cannot ask them."""
    DECLINED = "declined"
    """The user was asked and said no."""
    UNSURE = "unsure"
    """No planner was sure enough; nothing was done."""
    REFUSED = "refused"
    """A rule forbids it; nothing was done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended, with everything that led there."""

    ending: Ending
    reason: str
    route: tuple[str, ...]
    """What happened on the way, in order and in words."""
    plan: Plan | NoPlan
    candidates: tuple[Candidate, ...]
    milliseconds: Mapping[str, float]
    """Time spent in each stage."""
    call: Call | None = None
    """The call that was made, or the best one planned."""
    result: Mapping[str, Any] | None = None
    """The upstream's CallToolResult as it came."""
    usage: Usage | None = None
    """What an escalation cost."""
    repairs: tuple[Repair, ...] = ()
    """What was put right in the arguments of `call`."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user gave for the questions of an `Ask`; empty for a plain yes."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declined:
    """The user said no."""


@dataclass(frozen=True, slots=True)
class CannotAsk:
    """There is no way to the user."""

    reason: str


class Person(Protocol):
    """The user, as far as the client lets us reach them."""

    async def ask(self, ask: Ask) -> Answers | Declined | CannotAsk: ...


Settled = Decision | Declined | CannotAsk
"""A decision, or how the user's answer ended the matter."""

_ENDINGS: Mapping[type[Settled], Ending] = {
    Execute: Ending.DONE,
    Ask: Ending.NEEDS,
    CannotAsk: Ending.NEEDS,
    Declined: Ending.DECLINED,
    Escalate: Ending.UNSURE,
    Refuse: Ending.REFUSED,
}

_NO_ESCALATION = ". No escalation is configured: an [escalation] table would pass such tasks to Claude"


class Search(Protocol):
    """Whoever finds the tools that a text may mean."""

    async def __call__(self, query: str, limit: int, /) -> tuple[Candidate, ...]: ...


class Caller(Protocol):
    """Whoever makes a validated call."""

    async def __call__(self, call: Call, /) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What the pipeline may touch."""

    search: Search
    planner: Planner
    person: Person
    call: Caller
    escalator: Proposer | None = None
    threshold: float = 0.6
    candidates: int = 20
    repairs: Callable[[ToolEntry], bool] = lambda _: True
    """Whether a tool's arguments may be put right."""


@dataclass(slots=True)
class Trace:
    """What is noted along the way; still there when an exception ends the task."""

    route: list[str] = field(default_factory=list[str])
    milliseconds: dict[str, float] = field(default_factory=dict[str, float])
    usage: Usage | None = None
    plan: Plan | NoPlan | None = None
    """The latest plan."""
    repairs: tuple[Repair, ...] = ()
    """What was put right in its arguments."""
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Note the time since the last lap under `stage`."""
        now = time.perf_counter()
        self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + (now - self._last) * 1000, 3)
        self._last = now


async def carry_out(
    task: Task, ports: Ports, *, dry_run: bool = False, trace: Trace | None = None
) -> Outcome:
    """Carry out `task`, or say why not. A dry run stops before anyone is asked, paid or called.

    Args:
        task: what is wanted.
        ports: what may be touched on the way.
        dry_run: only plan.
        trace: filled along the way, for a caller who wants to know how far it came.

    Raises:
        UpstreamUnavailableError: the call was made, or about to be, and its upstream is gone.
        MCPError: the upstream answered the call with a protocol error.
    """
    trace = trace or Trace()
    candidates = await ports.search(task.text, ports.candidates)
    trace.lap("retrieve")

    plan = _with_answers_read(task, await ports.planner.plan(task, candidates))
    plan, decision = _judge(plan, ports, trace)
    trace.lap("plan")

    if isinstance(decision, Escalate) and ports.escalator and not dry_run:
        plan = _with_answers_read(task, await _escalate(task, candidates, decision, ports.escalator, trace))
        plan, decision = _judge(plan, ports, trace)
        trace.lap("escalate")

    if isinstance(decision, Ask) and not dry_run:
        plan, decision = await _settle(plan, decision, ports, trace)
        trace.lap("ask")

    result = None
    if isinstance(decision, Execute) and not dry_run:
        result = await ports.call(decision.call)
        trace.lap("call")

    return Outcome(
        ending=Ending.PLANNED if dry_run else _ENDINGS[type(decision)],
        reason=_reason(plan, decision)
        + ("" if ports.escalator or "ask" in trace.milliseconds else _hint(decision)),
        route=tuple(trace.route),
        plan=plan,
        candidates=candidates,
        milliseconds=trace.milliseconds,
        call=plan.call if isinstance(plan, Plan) else None,
        result=result,
        usage=trace.usage,
        repairs=trace.repairs,
    )


def _with_answers_read(task: Task, plan: Plan | NoPlan) -> Plan | NoPlan:
    """The plan with the user's answers as the tool's schema wants them: whoever answers in words writes "5" for 5."""
    if isinstance(plan, NoPlan) or not task.answers:
        return plan
    parameters = plan.call.tool.parameters
    arguments = {
        name: read_text(parameters.get(name, {}), value)
        if name in task.answers and isinstance(value, str)
        else value
        for name, value in plan.call.arguments.items()
    }
    return replace(plan, call=replace(plan.call, arguments=arguments))


def _judge(
    plan: Plan | NoPlan, ports: Ports, trace: Trace, *, approved: bool = False
) -> tuple[Plan | NoPlan, Settled]:
    """Check and repair the planned arguments by the tool's schema, and let the gate decide.

    Repairs add up as long as it is the same tool that is judged again.
    """
    problems = ()
    try:
        if isinstance(plan, Plan):
            tool = plan.call.tool
            checked = tool.checked(plan.call.arguments, repair=ports.repairs(tool))
            known = trace.repairs if _is_of(trace.plan, tool) else ()
            problems, trace.repairs = checked.problems, (*known, *checked.repairs)
            plan = _with_arguments(plan, checked.arguments)
        else:
            trace.repairs = ()
        decision = decide(plan, problems, approved=approved, threshold=ports.threshold)
    except UnusableSchemaError as error:
        decision = Escalate(f"the upstream's inputSchema cannot be used: {error}")
    trace.plan = plan
    trace.route.append(f"{plan.planner}: {type(decision).__name__.lower()}: {_reason(plan, decision)}")
    return plan, decision


def _is_of(plan: Plan | NoPlan | None, tool: ToolEntry) -> bool:
    return isinstance(plan, Plan) and plan.call.tool is tool


def _with_arguments(plan: Plan, arguments: Mapping[str, Any]) -> Plan:
    missing = tuple(name for name in plan.missing if name not in arguments)
    return replace(plan, call=replace(plan.call, arguments=arguments), missing=missing)


async def _escalate(
    task: Task, candidates: Sequence[Candidate], decision: Escalate, escalator: Proposer, trace: Trace
) -> Plan | NoPlan:
    """The plan of whoever is above the local planners; its failure is one more reason not to act."""
    try:
        escalated = await escalator.propose(task, candidates, decision.reason)
    except ProposalError as error:
        return NoPlan(escalator.name, f"{decision.reason}; escalation failed: {error}", tuple(candidates))
    trace.usage = escalated.usage
    return escalated.outcome


async def _settle(plan: Plan | NoPlan, ask: Ask, ports: Ports, trace: Trace) -> tuple[Plan | NoPlan, Settled]:
    """Ask the user: first for what is missing, then, if the call wants it, for approval."""
    decision: Settled = ask
    for _ in ("missing", "approval"):
        if not isinstance(decision, Ask) or not isinstance(plan, Plan):
            break
        answer = await ports.person.ask(decision)
        if isinstance(answer, CannotAsk):
            return plan, CannotAsk(f"{decision.reason}; {answer.reason}")
        if isinstance(answer, Declined):
            return plan, answer
        approved = not decision.questions
        plan = _with_arguments(plan, {**plan.call.arguments, **answer.values})
        plan, decision = _judge(plan, ports, trace, approved=approved)
    if isinstance(decision, Ask):
        return plan, CannotAsk(f"the answer left something open: {decision.reason}")
    return plan, decision


def _reason(plan: Plan | NoPlan, decision: Settled) -> str:
    match decision:
        case Execute():
            return plan.reason
        case Escalate(reason) | Ask(reason=reason) | Refuse(reason) | CannotAsk(reason):
            return reason
        case Declined():
            return "the user was asked and declined"


def _hint(decision: Settled) -> str:
    return _NO_ESCALATION if isinstance(decision, Escalate) else ""
