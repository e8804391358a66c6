"""Outcomes and calls as journal records. The one place that knows the pipeline's values and the journal's alike."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import anyio
import orjson
from mcp import MCPError

from local_llm import NoPlan, Plan
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

    @property
    def begun(self) -> TaskRecord:
        """The task for the journal, before anything was done for it."""
        return TaskRecord(**asdict(self))


def task_record(asked: Asked, outcome: Outcome) -> TaskRecord:
    """A finished task for the journal."""
    ending = outcome.ending
    return TaskRecord(
        **asdict(asked),
        ending=ending.value,
        reason=outcome.reason,
        planner=outcome.plan.planner,
        asked="ask" in outcome.milliseconds or ending in {Ending.NEEDS, Ending.DECLINED},
        route=outcome.route,
        candidates=_candidates(outcome.candidates),
        milliseconds=outcome.milliseconds,
        duration_ms=sum(outcome.milliseconds.values()),
        steps=_steps(outcome.plan, outcome.repairs, outcome.result, outcome.milliseconds.get("call")),
        spends=_spends(outcome.usage),
    )


def unfinished_record(asked: Asked, trace: Trace, error: BaseException) -> TaskRecord:
    """A task that an exception ended: its upstream failed, it was cancelled, or it waits for a stateless client."""
    waits = isinstance(error, InputNeeded)
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    unanswered = isinstance(error, UpstreamUnavailableError | MCPError) and not waits
    steps = _steps(trace.plan, trace.repairs, None, None)
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
        steps=tuple(replace(step, outcome="failed" if unanswered else None) for step in steps),
        spends=_spends(trace.usage),
    )


def _steps(
    plan: Plan | NoPlan | None,
    repairs: tuple[Repair, ...],
    result: Mapping[str, Any] | None,
    milliseconds: float | None,
) -> tuple[StepRecord, ...]:
    """A plan, and what came of it if its call was made."""
    if not isinstance(plan, Plan):
        return ()
    step = StepRecord(
        tool=plan.call.tool.qualified,
        upstream=plan.call.tool.upstream,
        arguments=plan.call.arguments,
        planner=plan.planner,
        confidence=plan.confidence,
        reason=plan.reason,
        repairs=tuple(map(str, repairs)),
        missing=plan.missing,
        outcome=None if result is None else _told(result),
        result_size=None if result is None else size_of(result),
        result_kind="" if result is None else kind_of(result),
        duration_ms=milliseconds,
    )
    return (step,)


def _candidates(candidates: tuple[Candidate, ...]) -> tuple[CandidateRecord, ...]:
    return tuple(CandidateRecord(each.tool.qualified, round(each.score, 4)) for each in candidates)


def _spends(usage: Usage | None) -> tuple[SpendRecord, ...]:
    return (SpendRecord(provider=_ESCALATOR, **asdict(usage)),) if usage else ()


def size_of(result: Mapping[str, Any]) -> int:
    """How long a tool's answer is, in characters: its text and data, else its structured content."""
    lengths = [len(str(block.get("text") or block.get("data") or "")) for block in _blocks(result)]
    if not any(lengths) and result.get("structuredContent"):
        return len(orjson.dumps(result["structuredContent"], default=str))
    return sum(lengths)


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
