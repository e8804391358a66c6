"""Planners that behave badly in every way there is, and what they are asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from local_llm import Call, Finished, NoPlan, Plan, Task
from mcp_proxy.breaker import Asking, Breaker
from mcp_proxy.proposals import Proposal, ProposalError
from tool_registry import Candidate, Catalog, Offer, ToolEntry


def tool_of(name: str) -> ToolEntry:
    """A tool that takes a title, in a catalog of its own."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    definition = {"name": name, "description": "A tool.", "inputSchema": schema}
    return Catalog((Offer("notes", "notes", tools=(definition,)),)).tools[f"notes__{name}"]


TOOL = tool_of("add_note")
CANDIDATES = (Candidate(TOOL, 1.0), Candidate(tool_of("read_note"), 0.5))
TASK = Task("add a note titled Milk")


def plan(tool: ToolEntry = TOOL, confidence: float = 0.9, planner: str = "good", **arguments: Any) -> Plan:
    return Plan(Call(tool, arguments or {"title": "Milk"}), confidence, planner, "as told")


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Unlike:
    """No plan at all."""


@dataclass
class Planner:
    """A planner that gives one answer, or raises it, and counts how often it was asked."""

    answer: Any
    name: str = "good"
    asked: int = 0

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan | Finished:
        self.asked += 1
        assert task.text
        assert candidates
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@dataclass
class HangingPlanner:
    """A planner that never answers."""

    name: str = "hanging"
    asked: anyio.Event = field(default_factory=anyio.Event)

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> NoPlan:
        self.asked.set()
        await anyio.sleep_forever()
        return NoPlan(self.name, f"never said of {task.text!r} and {len(candidates)} candidates")


@dataclass
class Above:
    """An escalator that answers in turn with what it was told, taking as long as it was told; the last for ever."""

    answers: list[Proposal | ProposalError | Exception]
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    name: str = "claude"
    asked: int = 0

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        assert task.text
        assert candidates
        assert isinstance(reason, str)
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        self.clock.now += self.seconds
        if isinstance(answer, Exception):
            raise answer
        return answer


def let_through(breaker: Breaker) -> Asking:
    """Leave to ask, which a test is sure of."""
    asking = breaker.ask()
    assert asking
    return asking
