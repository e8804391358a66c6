"""Outcomes and calls as journal records. The one place that knows the pipeline's values and the journal's alike."""

import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import anyio
from mcp import MCPError

from local_llm import Plan
from mcp_proxy import journal
from mcp_proxy.journal import CallRecord, SpendRecord, StepRecord, TaskRecord, new_id
from mcp_proxy.journal_records import CandidateRecord
from mcp_proxy.outcome import Ending, Made, Outcome, Trace
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Candidate, ToolEntry


@dataclass(frozen=True, slots=True)
class Asked:
    """A task as it came in: what of it the journal keeps."""

    text: str
    client: str
    profile: str
    id: str = field(default_factory=new_id)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def begun(self) -> TaskRecord:
        """The task for the journal, before anything was done for it."""
        return TaskRecord(**asdict(self))


def task_record(asked: Asked, outcome: Outcome) -> TaskRecord:
    """A finished task for the journal."""
    ending = outcome.ending
    return TaskRecord(
        **asdict(asked),
        ending="planned" if outcome.dry_run else ending.value,
        reason=outcome.reason,
        planner=outcome.plan.planner if outcome.plan else None,
        strategy=outcome.strategy,
        privacy="high" if outcome.private else "normal",
        asked="ask" in outcome.milliseconds or ending in {Ending.NEEDS, Ending.DECLINED},
        route=outcome.route,
        candidates=_candidates(outcome.candidates),
        milliseconds=outcome.milliseconds,
        duration_ms=sum(outcome.milliseconds.values()),
        steps=_steps(outcome),
        spends=tuple(SpendRecord(provider=paid.proposer, **asdict(paid.usage)) for paid in outcome.spent),
    )


def unfinished_record(asked: Asked, trace: Trace, error: BaseException) -> TaskRecord:
    """A task that an exception ended: it was cancelled, or there is a fault in here."""
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    so_far = task_record(asked, trace.outcome(Ending.FAILED, trace.route[-1] if trace.route else ""))
    return replace(
        so_far, ending="cancelled" if cancelled else "failed", error=None if cancelled else str(error)
    )


def _steps(outcome: Outcome) -> tuple[StepRecord, ...]:
    """The calls that were made, and the plan it ended with if that was not carried out."""
    made = [_made(step) for step in outcome.steps]
    if not isinstance(outcome.pending, Plan):
        return tuple(made)
    problems = tuple(map(str, outcome.problems))
    return (*made, replace(_planned(outcome.pending, outcome.threshold), problems=problems))


def _made(made: Made) -> StepRecord:
    step = replace(_planned(made.plan, made.threshold), repairs=tuple(map(str, made.repairs)))
    if made.result is None:
        return step
    return replace(
        step,
        outcome=_told(made.result),
        result_size=size_of(made.result),
        result_kind=kind_of(made.result),
        duration_ms=made.milliseconds,
    )


def _planned(plan: Plan, threshold: float | None) -> StepRecord:
    return StepRecord(
        tool=plan.call.tool.qualified,
        upstream=plan.call.tool.upstream,
        arguments=plan.call.arguments,
        planner=plan.planner,
        confidence=plan.confidence,
        threshold=threshold,
        reason=plan.reason,
        missing=plan.missing,
    )


def _candidates(candidates: tuple[Candidate, ...]) -> tuple[CandidateRecord, ...]:
    return tuple(CandidateRecord(each.tool.qualified, round(each.score, 4)) for each in candidates)


def size_of(result: Mapping[str, Any]) -> int | None:
    """How long a tool's answer is, in characters: its text and data, else its structured content.

    None where that cannot be told, as of what is nested without end.
    """
    lengths = [len(str(block.get("text") or block.get("data") or "")) for block in _blocks(result)]
    if any(lengths) or not result.get("structuredContent"):
        return sum(lengths)
    try:
        return len(json.dumps(result["structuredContent"], ensure_ascii=False, default=str))
    except (ValueError, RecursionError):
        return None


def kind_of(result: Mapping[str, Any]) -> str:
    """The kinds of content in a tool's answer, such as "text" or "text+image"."""
    kinds = [str(block.get("type", "?")) for block in _blocks(result)]
    if result.get("structuredContent") is not None:
        kinds.append("structured")
    return "+".join(dict.fromkeys(kinds))


def _blocks(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The content blocks of a result, which may be malformed: upstreams have their say in it."""
    content = result.get("content")
    every = cast("list[Any]", content) if isinstance(content, list) else []
    return [cast("Mapping[str, Any]", block) for block in every if isinstance(block, dict)]


@dataclass(slots=True)
class CallWatch:
    """A call while it runs: `watching` notes how it ends, `record` is what the journal is told."""

    tool: ToolEntry
    arguments: Mapping[str, Any]
    client: str
    task_id: str | None
    result: Mapping[str, Any] | None = None
    """Set by whoever makes the call, once it is answered."""
    _outcome: journal.Outcome = "failed"
    _error: str | None = None
    _started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def watching(self) -> Generator["CallWatch"]:
        """Note what ends the block, and let it go on its way."""
        try:
            yield self
        except anyio.get_cancelled_exc_class():
            self._outcome = "cancelled"
            raise
        except (UpstreamUnavailableError, MCPError) as error:
            self._error = str(error)
            raise

    @property
    def record(self) -> CallRecord:
        return CallRecord(
            client=self.client,
            tool=self.tool.qualified,
            upstream=self.tool.upstream,
            arguments=self.arguments,
            task_id=self.task_id,
            outcome=self._outcome if self.result is None else _told(self.result),
            error=self._error,
            duration_ms=(time.perf_counter() - self._started) * 1000,
        )


def _told(result: Mapping[str, Any]) -> journal.Outcome:
    return "tool_error" if result.get("isError") else "ok"
