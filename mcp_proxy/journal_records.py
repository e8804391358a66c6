"""What the journal keeps, as values. Knows neither the pipeline these come from nor the database they go to."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

Ending = Literal[
    "running", "done", "planned", "needs", "declined", "unsure", "refused", "failed", "stopped", "cancelled"
]
"""How a task ended. One that is still "running" long after it began was cut short with its process."""

Outcome = Literal["ok", "tool_error", "failed", "cancelled"]
"""How a call ended: answered, answered with an error of the tool's own, not answered, or given up."""

Verdict = Literal["good", "bad"]


def new_id() -> str:
    """A UUID version 7 (RFC 9562): unique, and sorting by the time it was made, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return str(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One call of a task: planned, judged, and made unless `outcome` is None."""

    tool: str
    """Qualified name."""
    planner: str
    upstream: str = ""
    arguments: Mapping[str, Any] | None = None
    """After repairs, as they were sent or would have been."""
    confidence: float | None = None
    threshold: float | None = None
    """The confidence that was wanted for acting."""
    decision: str = ""
    """What the gate made of it, in a word."""
    reason: str = ""
    repairs: tuple[str, ...] = ()
    """What was put right in the arguments."""
    problems: tuple[str, ...] = ()
    """What was wrong with them and stayed so."""
    missing: tuple[str, ...] = ()
    """Required parameters that nobody gave."""
    outcome: Outcome | None = None
    error: str | None = None
    result_size: int | None = None
    """Characters; the result itself is not kept."""
    result_kind: str = ""
    """Its kinds of content, such as "text" or "text+image"."""
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRecord:
    """What one request to a paid model consumed."""

    provider: str
    """The name of the proposer that was asked."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float | None = None
    """In dollars; None when unknown."""
    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A tool that was considered, and its score in the search."""

    tool: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task, with everything that was done for it. Credentials are redacted when it is recorded."""

    client: str
    text: str
    ending: Ending = "running"
    reason: str = ""
    planner: str | None = None
    """Who had the last word on what to call."""
    strategy: str = ""
    privacy: str = ""
    asked: bool = False
    """Whether a person was asked something, or would have been had the client been able to."""
    error: str | None = None
    """What ended it, if it failed."""
    duration_ms: float | None = None
    profile: str = ""
    """The profile of the client; empty for none."""
    route: tuple[str, ...] = ()
    """What happened on the way, in order and in words."""
    candidates: tuple[CandidateRecord, ...] = ()
    """Best first."""
    milliseconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """By stage."""
    steps: tuple[StepRecord, ...] = ()
    spends: tuple[SpendRecord, ...] = ()
    id: str = field(default_factory=new_id)
    started_at: datetime = field(default_factory=_now)

    @property
    def last(self) -> StepRecord | None:
        """The step it ended with."""
        return self.steps[-1] if self.steps else None

    @property
    def cost(self) -> float | None:
        """In dollars; None where nothing was spent, or nothing of known cost."""
        known = [spend.cost for spend in self.spends if spend.cost is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call of an upstream's tool. Credentials are redacted when it is recorded."""

    client: str
    tool: str
    """Qualified name."""
    upstream: str
    outcome: Outcome
    task_id: str | None = None
    """The task it was made for; None for a direct `tools/call`."""
    arguments: Mapping[str, Any] | None = None
    error: str | None = None
    duration_ms: float | None = None
    id: str = field(default_factory=new_id)
    started_at: datetime = field(default_factory=_now)


Record = TaskRecord | CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """What somebody thought of a task or a call afterwards. Credentials are redacted when it is recorded."""

    about: str
    """The id of the task or call."""
    verdict: Verdict
    tool: str | None = None
    """The tool that should have been called, if a correction was given."""
    arguments: Mapping[str, Any] | None = None
    """And with which arguments."""
    note: str = ""
    client: str = ""
    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent at a provider over some time."""

    requests: int = 0
    tasks: int = 0
    """The tasks these were made for."""
    cost: float = 0.0
    """In dollars; requests of unknown cost count nothing."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How the tasks went in which a planner chose a certain tool."""

    tasks: int
    good: int
    bad: int
    """Those neither good nor bad did not come to an end that says anything."""
