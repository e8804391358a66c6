"""What the pipeline may touch, and what comes back: the user, the search, the call, whoever may be asked for a plan."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from local_llm import Call, Task
from mcp_proxy.gate import Ask
from mcp_proxy.judging import Judge
from mcp_proxy.proposals import Proposer
from tool_registry import Candidate

MOST_STEPS = 10
"""Calls that a task may take, where nothing else is said."""

Stage = Literal["retrieving", "planning", "asking", "calling"]


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call."""

    result: Mapping[str, Any]
    """A CallToolResult; one of our own where the upstream gave none."""
    correctable: bool = True
    """Whether a failed call might succeed with other arguments, or another tool."""

    @property
    def failed(self) -> bool:
        return bool(self.result.get("isError"))


class Search(Protocol):
    """Whoever finds the tools that a task may mean."""

    async def __call__(self, task: Task, limit: int, /, *, whole: bool) -> tuple[Candidate, ...]:
        """The best `limit` tools for the next call of `task`; with `whole`, for any of its calls, best first."""
        ...


class Caller(Protocol):
    """Whoever makes a validated call."""

    async def __call__(self, call: Call, /) -> Answer: ...


async def _tell_nobody(_stage: Stage, _about: str) -> None: ...


def _nothing_is_missing(_found: Sequence[Candidate]) -> str:
    return ""


def _nobody_is_told(_proposer: str, *, valid: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What the pipeline may touch."""

    search: Search
    local: Sequence[Proposer]
    """The planners, in the order they are asked; none of them costs anything."""
    person: Person
    call: Caller
    judge: Judge
    above: Sequence[Proposer] = ()
    """Who is asked after them, in order: they may cost money, and are told of the task. A dry run asks none of them."""
    nobody: str = ""
    """Why nobody at all may be asked, if that is so."""
    why_none_above: str = ""
    """Why `above` is empty, and what could be done about it."""
    why_fewer: Callable[[Sequence[Candidate]], str] = _nothing_is_missing
    """Takes the tools found, and says what is not among them, or of no use there, and why; often nothing."""
    tell: Callable[[Stage, str], Awaitable[None]] = _tell_nobody
    """Hears what the task is at."""
    judged: Callable[..., None] = _nobody_is_told
    """Hears (proposer, valid=...) of whose proposals were valid calls."""
    candidates: int = 20
    most_steps: int = MOST_STEPS
    deadline: float = 300.0
    """Seconds the whole may take."""
