"""The port behind which planners and escalators alike are asked for a call, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from local_llm import Finished, NoPlan, Plan, Task
from tool_registry import Candidate


@dataclass(frozen=True, slots=True)
class Usage:
    """What a paid model consumed."""

    input_tokens: int = 0
    """Input tokens that were neither written to nor read from the prompt cache."""
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float | None = None
    """In dollars; None when the model's prices are not configured."""

    def __add__(self, other: "Usage") -> "Usage":
        known = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            sum(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of being asked. Nobody has validated it yet."""

    outcome: Plan | NoPlan | Finished
    usage: Usage | None = None
    """What it cost; None where nothing is paid."""


ErrorKind = Literal[
    "authentication",
    "billing",
    "model",
    "request",
    "rate_limit",
    "overloaded",
    "unavailable",
    "timeout",
    "reply",
    "budget",
]


class ProposalError(Exception):
    """Being asked came to nothing. Never holds the key, nor any request or response object."""

    def __init__(self, kind: ErrorKind, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        """Seconds the other side asked to wait, if it did."""


class Proposer(Protocol):
    """Whoever may be asked for the next call of a task: a local planner, Claude, the client's own model."""

    @property
    def name(self) -> str: ...

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """A proposal for `task` among `candidates` (best first).

        Args:
            task: what is wanted, and the steps made for it.
            candidates: what may be called.
            reason: why those who were asked before could not settle it; empty for the first.

        Raises:
            ProposalError: there was no usable answer.
        """
        ...
