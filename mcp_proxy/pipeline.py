"""`do`: a task in plain words becomes carried-out tool calls, one after the other, or an honest reason why not.

The flow is `carry_out`, read downward. What it touches comes in as ports; each step sees one snapshot of the catalog.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import anyio

from local_llm import Call, Finished, NoPlan, Plan, Task
from mcp_proxy.gate import Ask, Escalate, Execute, Refuse
from mcp_proxy.judging import Judged
from mcp_proxy.outcome import Ending, Made, Outcome, Spent, Trace
from mcp_proxy.ports import Answers, CannotAsk, Declined, Ports
from mcp_proxy.proposals import Proposal, ProposalError, Proposer

CORRECTIONS = 2
"""How often a failed call is planned again by those who planned it, before others are asked."""


async def carry_out(
    task: Task,
    ports: Ports,
    *,
    dry_run: bool = False,
    planned: Plan | None = None,
    trace: Trace | None = None,
) -> Outcome:
    """Carry out `task`, or say why not. A dry run stops before anyone is asked, paid or called.

    Args:
        task: what is wanted, and the steps made for it before.
        ports: what may be touched on the way.
        dry_run: only plan.
        planned: the next call, where it was planned before.
        trace: filled along the way, for a caller who wants to know how far it came.
    """
    scope = anyio.CancelScope(deadline=anyio.current_time() + ports.deadline)
    run = _Run(task, ports, trace or Trace(), scope, dry_run)
    with scope:
        return await _carry_out(run, planned)
    return run.ended(Ending.STOPPED, f"it was not done within {ports.deadline:g} s")


@dataclass(slots=True)
class _Run:
    """A task on its way."""

    task: Task
    ports: Ports
    trace: Trace
    scope: anyio.CancelScope
    """Ends at the deadline."""
    dry_run: bool
    first: int = 0
    """Who is asked first for the next call, by place among those who may be asked."""
    would_ask: str = ""
    """What a dry run would have asked the user first; they are supposed to say yes."""
    over_budget: bool = False
    """Whether somebody was not asked because the money for it is spent."""
    failures: int = 0
    """Calls in a row that failed, of those that `first` is asked to correct."""

    @property
    def asked(self) -> Sequence[Proposer]:
        """Who may be asked for a call, in order."""
        return self.ports.local if self.dry_run else (*self.ports.local, *self.ports.above)

    def ended(self, ending: Ending, reason: str) -> Outcome:
        return self.trace.outcome(ending, reason, dry_run=self.dry_run)


async def _carry_out(run: _Run, planned: Plan | None) -> Outcome:
    """Step by step: plan, ask the user if need be, call; until it is done, or cannot go on."""
    while len(run.trace.steps) < run.ports.most_steps:
        judged = _noted(run, await run.ports.judge(planned, run.task)) if planned else None
        if judged is None or isinstance(judged.decision, Escalate):
            judged = await _next_call(run)
        planned = None
        if isinstance(judged, Judged) and isinstance(judged.decision, Ask):
            judged = _supposed(run, judged) if run.dry_run else await _settle(run, judged, judged.decision)
        if not (isinstance(judged, Judged) and isinstance(judged.decision, Execute)):
            return _without_a_call(run, judged)
        made = await _make(run, judged, judged.decision.call)
        if made.failed and run.first >= len(run.asked):
            return run.ended(Ending.FAILED, f"{made.plan.call.tool.qualified} answered with an error")
        if made.plan.last and not made.failed:
            return _done(run, made.plan.reason)
    return run.ended(
        Ending.STOPPED, f"it was not done after {run.ports.most_steps} calls, the most it may take"
    )


def _done(run: _Run, reason: str) -> Outcome:
    if run.would_ask:
        return run.ended(Ending.NEEDS, run.would_ask)
    return run.ended(Ending.PLANNED if run.dry_run else Ending.DONE, reason)


async def _next_call(run: _Run) -> Judged | Finished:
    """Ask one after the other until somebody is sure. If nobody is, the best guess may go to the user."""
    tried: list[Judged] = []
    for place in range(run.first, len(run.asked)):
        proposed = await _proposed(run, place, _reasons(tried))
        if isinstance(proposed, Finished) or not isinstance(proposed.decision, Escalate):
            # Whoever took over from the planners here goes on with it to the end.
            run.first = place if place >= len(run.ports.local) else run.first
            return proposed
        tried.append(proposed)
    return _undecided(run, tried)


def _undecided(run: _Run, tried: Sequence[Judged]) -> Judged:
    """What becomes of proposals that nobody is sure of: the best may go to the user, unless others could still be asked."""
    if not tried:
        reason = run.ports.nobody or "nobody is left to be asked for a plan"
        return Judged(NoPlan("nobody", reason), Escalate(reason))
    best, reason = max(tried, key=_promise), _reasons(tried)
    _end_with(run, best)
    doubtful = None if run.dry_run and run.ports.above else _doubtful(best)
    if doubtful:
        return replace(best, decision=replace(doubtful, reason=reason))
    return replace(best, decision=Refuse(reason) if run.over_budget else Escalate(reason))


async def _proposed(run: _Run, place: int, reason: str) -> Judged | Finished:
    """What one of those who may be asked proposes, judged; a failure to propose is one more reason to ask the next."""
    ports, trace, proposer = run.ports, run.trace, run.asked[place]
    above = place >= len(ports.local)
    await ports.tell("retrieving", run.task.text)
    trace.candidates = await ports.search(run.task, ports.candidates, whole=above)
    trace.lap("retrieve")
    await ports.tell("planning", proposer.name)
    try:
        proposal = await proposer.propose(run.task, trace.candidates, reason)
    except ProposalError as error:
        run.over_budget = run.over_budget or error.kind == "budget"
        proposal = Proposal(NoPlan(proposer.name, f"{proposer.name} failed: {error}", trace.candidates))
    finally:
        trace.lap("escalate" if above else "plan")
    if proposal.usage:
        trace.spent.append(Spent(proposer.name, proposal.usage))
    trace.pending = proposal.outcome
    if isinstance(proposal.outcome, Finished):
        trace.route.append(f"{proposer.name}: finished: {proposal.outcome.reason}")
        return proposal.outcome
    judged = await ports.judge(proposal.outcome, run.task)
    if isinstance(proposal.outcome, Plan):
        ports.judged(proposer.name, valid=judged.is_valid)
    return _noted(run, judged)


async def _settle(run: _Run, judged: Judged, ask: Ask) -> Judged | Declined | CannotAsk:
    """Ask the user: first for what is missing, then, if the call wants it, for approval."""
    question: Ask | None = ask
    for _ in ("missing", "approval"):
        if question is None:
            break
        answer = await _answered(run, question)
        if isinstance(answer, CannotAsk):
            return CannotAsk(f"{question.reason}; {answer.reason}")
        if isinstance(answer, Declined):
            return answer
        approved = not question.questions
        judged = _noted(run, await run.ports.judge.again(judged, answer.values, run.task, approved=approved))
        question = _question(judged)
    return judged if question is None else CannotAsk(f"the answer left something open: {question.reason}")


def _supposed(run: _Run, judged: Judged) -> Judged:
    """What a dry run goes on with where the user would be asked: approval is supposed, values cannot be."""
    if not isinstance(judged.decision, Ask) or judged.decision.questions:
        return judged
    run.would_ask = run.would_ask or judged.decision.reason
    return replace(judged, decision=Execute(judged.decision.call))


async def _answered(run: _Run, ask: Ask) -> Answers | Declined | CannotAsk:
    """The user's answer. The time they take is not the task's."""
    await run.ports.tell("asking", ask.reason)
    deadline, run.scope.deadline, asked = run.scope.deadline, math.inf, anyio.current_time()
    try:
        return await run.ports.person.ask(ask)
    finally:
        run.scope.deadline = deadline + anyio.current_time() - asked
        run.trace.lap("ask")


async def _make(run: _Run, judged: Judged, call: Call) -> Made:
    """Make a call that was decided on, unless it is a dry run, and note it as a step of the task."""
    plan, trace = cast("Plan", judged.plan), run.trace
    result, failed, correctable, milliseconds = None, False, True, 0.0
    if not run.dry_run:
        await run.ports.tell("calling", call.tool.qualified)
        answer = await run.ports.call(call)
        result, failed, correctable = answer.result, answer.failed, answer.correctable
        milliseconds = trace.lap("call")
    made = Made(plan, result, failed, judged.repairs, milliseconds, judged.threshold)
    trace.steps.append(made)
    trace.pending, trace.problems = None, ()
    run.task = replace(run.task, steps=(*run.task.steps, made.step))
    run.failures = run.failures + 1 if failed else 0
    if failed and not correctable:
        run.first = len(run.asked)
    elif run.failures > CORRECTIONS:
        run.first, run.failures = _place(run, plan.planner) + 1, 0
    return made


def _place(run: _Run, planner: str) -> int:
    return next((place for place, proposer in enumerate(run.asked) if proposer.name == planner), run.first)


def _without_a_call(run: _Run, end: Judged | Finished | Declined | CannotAsk) -> Outcome:
    """How a task ends that does not go on with a call."""
    failed = bool(run.task.corrects)
    match end:
        case Finished():
            if run.task.steps and not failed:
                return _done(run, end.reason)
            return run.ended(Ending.FAILED if failed else Ending.UNSURE, end.reason)
        case Declined():
            return run.ended(Ending.DECLINED, "the user was asked and declined")
        case CannotAsk() | Judged(decision=Ask()):
            reason = end.reason if isinstance(end, CannotAsk) else cast("Ask", end.decision).reason
            return run.ended(Ending.NEEDS, reason)
        case Judged(decision=Refuse(reason)):
            return run.ended(Ending.REFUSED, reason)
        case Judged(decision=decision):
            reason = decision.reason if isinstance(decision, Escalate) else ""
            return run.ended(Ending.FAILED if failed else Ending.UNSURE, f"{reason}{_hint(run)}")


def _hint(run: _Run) -> str:
    """Why it might have been known better: who was not asked, and what was not found."""
    fewer = run.ports.why_fewer(run.trace.candidates)
    return "".join(f". {said}" for said in (_not_asked(run), fewer) if said)


def _not_asked(run: _Run) -> str:
    """Who might have known better."""
    if not run.ports.above:
        return run.ports.why_none_above.removesuffix(".")
    names = ", ".join(proposer.name for proposer in run.ports.above)
    return f"It would be passed on to {names}" if run.dry_run else ""


def _end_with(run: _Run, judged: Judged) -> None:
    """Have the task end with this plan, unless it is carried out."""
    trace = run.trace
    trace.pending, trace.problems, trace.threshold = judged.plan, judged.problems, judged.threshold


def _noted(run: _Run, judged: Judged) -> Judged:
    """The same, on the trace."""
    _end_with(run, judged)
    word = type(judged.decision).__name__.lower()
    reason = judged.plan.reason if isinstance(judged.decision, Execute) else judged.decision.reason
    run.trace.route.append(f"{judged.plan.planner}: {word}: {reason}")
    return judged


def _question(judged: Judged) -> Ask | None:
    """What the user is to be asked of it."""
    return judged.decision if isinstance(judged.decision, Ask) else _doubtful(judged)


def _doubtful(judged: Judged) -> Ask | None:
    return judged.decision.doubtful if isinstance(judged.decision, Escalate) else None


def _promise(judged: Judged) -> tuple[bool, bool, float]:
    """How much there is in a proposal that nobody was sure of."""
    confidence = judged.plan.confidence if isinstance(judged.plan, Plan) else 0.0
    return _doubtful(judged) is not None, isinstance(judged.plan, Plan), confidence


def _reasons(tried: Sequence[Judged]) -> str:
    return "; ".join(judged.decision.reason for judged in tried if isinstance(judged.decision, Escalate))
