"""How a task ended, and everything that led there: the values that the pipeline fills and others tell of."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local_llm import Call, Finished, NoPlan, Plan, Step
from mcp_proxy.proposals import Usage
from mcp_proxy.results import as_text
from tool_registry import ArgumentProblem, Candidate, Repair

STEP_TEXT = 4000
"""Characters of a call's result that the next one is planned from."""


class Ending(StrEnum):
    """How a task ended."""

    DONE = "done"
    """Every call was made, and no tool answered with an error."""
    PLANNED = "planned"
    """A dry run: this is what would have been called."""
    FAILED = "failed"
    """A call was made, or tried, and came to nothing."""
    NEEDS = "needs"
    """Something only the user can give is wanted: a value or an approval, and the client cannot ask them."""
    DECLINED = "declined"
    """The user was asked and said no."""
    UNSURE = "unsure"
    """No planner was sure enough of the next call."""
    REFUSED = "refused"
    """A rule forbids the next call."""
    STOPPED = "stopped"
    """The task took too many steps, or too long."""


@dataclass(frozen=True, slots=True)
class Made:
    """One call of a task."""

    plan: Plan
    """With the arguments as they were sent."""
    result: Mapping[str, Any] | None
    """The upstream's CallToolResult as it came; None in a dry run."""
    failed: bool
    """Whether the result is an error."""
    repairs: tuple[Repair, ...]
    """What was put right in the arguments."""
    milliseconds: float
    """How long the call took; 0 in a dry run."""
    threshold: float | None = None
    """The confidence that was wanted for acting."""

    @property
    def step(self) -> Step:
        """As a planner sees it."""
        text = None if self.result is None else as_text(self.result, STEP_TEXT)
        return Step(self.plan.call, text, self.failed)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one of those who were asked for a plan was paid."""

    proposer: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended, with everything that led there."""

    ending: Ending
    reason: str
    route: tuple[str, ...]
    """What happened on the way, in order and in words."""
    candidates: tuple[Candidate, ...]
    """What the last call could be chosen from, best first."""
    milliseconds: Mapping[str, float]
    """Time spent in each stage."""
    steps: tuple[Made, ...] = ()
    """The calls that were made, in order; in a dry run, those that would have been."""
    pending: Plan | NoPlan | Finished | None = None
    """The plan it ended with, if that was not carried out."""
    problems: tuple[ArgumentProblem, ...] = ()
    """What the inputSchema says against the pending plan."""
    threshold: float | None = None
    """The confidence that was wanted of it."""
    spent: tuple[Spent, ...] = ()
    """What was paid, by whom it was paid to."""
    dry_run: bool = False
    strategy: str = ""
    private: bool = False
    """Whether nothing of it was allowed to leave the machine."""
    id: str = ""
    """Its id in the journal."""
    resume: str = ""
    """Under what it can be taken up again once what is needed is there; empty when it cannot."""

    @property
    def task_steps(self) -> tuple[Step, ...]:
        """The calls that were made, as a planner sees them."""
        return tuple(made.step for made in self.steps)

    @property
    def plan(self) -> Plan | NoPlan | Finished | None:
        """The plan it ended with, carried out or not."""
        return self.pending or (self.steps[-1].plan if self.steps else None)

    @property
    def call(self) -> Call | None:
        """The last call that was made or planned."""
        return self.plan.call if isinstance(self.plan, Plan) else None

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What the last call was answered with."""
        return self.steps[-1].result if self.steps else None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was put right in the arguments of all calls."""
        return tuple(repair for made in self.steps for repair in made.repairs)

    @property
    def usage(self) -> Usage | None:
        """Everything that was paid; None if nothing was."""
        return sum((spent.usage for spent in self.spent[1:]), self.spent[0].usage) if self.spent else None


@dataclass(slots=True)
class Trace:
    """What is noted along the way; still there when an exception ends the task."""

    route: list[str] = field(default_factory=list[str])
    milliseconds: dict[str, float] = field(default_factory=dict[str, float])
    steps: list[Made] = field(default_factory=list[Made])
    spent: list[Spent] = field(default_factory=list[Spent])
    candidates: tuple[Candidate, ...] = ()
    pending: Plan | NoPlan | Finished | None = None
    """The latest plan, until it is carried out."""
    problems: tuple[ArgumentProblem, ...] = ()
    threshold: float | None = None
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> float:
        """Note the milliseconds since the last lap under `stage`, and return them."""
        now = time.perf_counter()
        spent = (now - self._last) * 1000
        self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + spent, 3)
        self._last = now
        return spent

    def outcome(self, ending: Ending, reason: str, **others: Any) -> Outcome:
        """How it ended."""
        return Outcome(
            ending,
            reason,
            tuple(self.route),
            self.candidates,
            self.milliseconds,
            tuple(self.steps),
            self.pending,
            self.problems,
            self.threshold,
            tuple(self.spent),
            **others,
        )
