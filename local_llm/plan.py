"""What planning is about: a Task goes in; a Plan, NoPlan or Finished comes out. Values and the planner port only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tool_registry import Candidate, ToolEntry


@dataclass(frozen=True, slots=True)
class Call:
    """A tool and the arguments proposed for it. Nothing here says the arguments are valid."""

    tool: ToolEntry
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A call that was made for a task, and what came of it: what the next call is planned from."""

    call: Call
    result: str | None = None
    """What the tool answered, as text of bounded length; None in a dry run, where nothing was called."""
    failed: bool = False
    """Whether the tool answered with an error, which `result` then holds."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is wanted, in plain words, and how far it has come."""

    text: str
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameter values the user gave when asked; they stand above anything read out of the text."""
    steps: tuple[Step, ...] = ()
    """What was done for it already, oldest first. A plan is for the call that comes next."""

    @property
    def corrects(self) -> Step | None:
        """The call that failed last, whose correction is what comes next; None when the last one was well."""
        return self.steps[-1] if self.steps and self.steps[-1].failed else None


@dataclass(frozen=True, slots=True)
class Plan:
    """A proposed call and how sure its planner is of it."""

    call: Call
    confidence: float
    """Estimate in [0, 1] that the whole call, tool and arguments, is what the task asks for."""
    planner: str
    """Name of the planner that made the plan."""
    reason: str
    """One line for people: why this tool, and where the arguments came from."""
    missing: tuple[str, ...] = ()
    """Required parameters for which the task gives no value; they are absent from the call."""
    alternatives: tuple[Candidate, ...] = ()
    """The other tools that were considered, best first."""
    last: bool = True
    """Whether the task is done once this call is made. If not, the planner is asked again with it among the steps."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to be called for the task: its steps have done it."""

    planner: str
    reason: str
    """One line for people: why nothing is left, or what came of it."""


@dataclass(frozen=True, slots=True)
class NoPlan:
    """No candidate fits the task, or the planner could not tell."""

    planner: str
    reason: str
    alternatives: tuple[Candidate, ...] = ()


class Planner(Protocol):
    """Whoever can turn a task into a call of one of the candidates."""

    @property
    def name(self) -> str: ...

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan | Finished:
        """The best plan for the call that comes next, among `candidates` (best first), or why there is none.

        Never raises for bad input.
        """
        ...
