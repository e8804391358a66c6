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
from mcp_proxy.person import InputNeeded
from mcp_proxy.pipeline import Ending, Outcome, Trace
from mcp_proxy.proposals import Usage
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Candidate, Repair, ToolEntry

_ESCALATOR = "claude"
"""Who was paid, as long as an outcome does not say so."""


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
    ending, plan = outcome.ending, outcome.plan
    answered = (outcome.result, outcome.milliseconds.get("call"))
    steps = (step_record(plan, outcome.repairs, *answered),) if isinstance(plan, Plan) else ()
    return TaskRecord(
        **asdict(asked),
        ending=ending.value,
        reason=outcome.reason,
        planner=plan.planner,
        asked="ask" in outcome.milliseconds or ending in {Ending.NEEDS, Ending.DECLINED},
        route=outcome.route,
        candidates=_candidates(outcome.candidates),
        milliseconds=outcome.milliseconds,
        duration_ms=sum(outcome.milliseconds.values()),
        steps=steps,
        spends=_spends(outcome.usage),
    )


def unfinished_record(asked: Asked, trace: Trace, error: BaseException) -> TaskRecord:
    """A task that an exception ended: its upstream failed, it was cancelled, or it waits for a stateless client."""
    waits = isinstance(error, InputNeeded)
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    unanswered = isinstance(error, UpstreamUnavailableError | MCPError) and not waits
    steps: tuple[StepRecord, ...] = ()
    if isinstance(trace.plan, Plan):
        steps = (replace(step_record(trace.plan, trace.repairs), outcome="failed" if unanswered else None),)
    return TaskRecord(
        **asdict(asked),
        ending="needs" if waits else "cancelled" if cancelled else "failed",
        reason=trace.route[-1] if trace.route else "",
        planner=trace.plan.planner if trace.plan else None,
        asked=waits,
        error=None if waits or cancelled else str(error),
        route=tuple(trace.route),
        milliseconds=trace.milliseconds,
        duration_ms=sum(trace.milliseconds.values()),
        steps=steps,
        spends=_spends(trace.usage),
    )


def step_record(
    plan: Plan,
    repairs: tuple[Repair, ...] = (),
    result: Mapping[str, Any] | None = None,
    milliseconds: float | None = None,
) -> StepRecord:
    """A plan for the journal, and what came of it if its call was answered."""
    tool = plan.call.tool
    step = StepRecord(
        tool=tool.qualified,
        upstream=tool.upstream,
        arguments=plan.call.arguments,
        planner=plan.planner,
        confidence=plan.confidence,
        reason=plan.reason,
        repairs=tuple(map(str, repairs)),
        missing=plan.missing,
        duration_ms=milliseconds,
    )
    if result is None:
        return step
    return replace(step, outcome=_told(result), result_size=size_of(result), result_kind=kind_of(result))


def _candidates(candidates: tuple[Candidate, ...]) -> tuple[CandidateRecord, ...]:
    return tuple(CandidateRecord(each.tool.qualified, round(each.score, 4)) for each in candidates)


def _spends(usage: Usage | None) -> tuple[SpendRecord, ...]:
    return (SpendRecord(provider=_ESCALATOR, **asdict(usage)),) if usage else ()


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
