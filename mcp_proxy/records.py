"""Outcomes and calls as journal records."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio
from mcp import MCPError

from local_llm import Finished, NoPlan, Plan
from mcp_proxy import journal
from mcp_proxy.journal import CallRecord, Decision, TaskRecord, new_id
from mcp_proxy.outcome import Ending, Outcome, Trace
from mcp_proxy.proposals import Usage
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import ToolEntry

_DECISIONS: Mapping[Ending, Decision] = {
    Ending.DONE: "execute",
    Ending.PLANNED: "dry_run",
    Ending.FAILED: "execute",
    Ending.STOPPED: "execute",
    Ending.NEEDS: "ask",
    Ending.DECLINED: "ask",
    Ending.UNSURE: "escalate",
    Ending.REFUSED: "refuse",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A task as it came in: what of it the journal keeps."""

    text: str
    client: str
    profile: str
    id: str = field(default_factory=new_id)


def task_record(asked: Asked, outcome: Outcome) -> TaskRecord:
    """A finished task for the journal."""
    result: journal.Outcome | None = None
    if outcome.result is not None:
        result = _told(outcome.result)
    elif outcome.ending is Ending.DECLINED:
        result = "declined"
    return TaskRecord(
        **asdict(asked),
        decision=_DECISIONS[outcome.ending],
        reason=outcome.reason,
        outcome=result,
        duration_ms=sum(outcome.milliseconds.values()),
        **_planned(outcome.plan),
        **_spent(outcome.usage),
    )


def unfinished_record(asked: Asked, trace: Trace, error: BaseException) -> TaskRecord:
    """A task that an exception ended: it was cancelled, or there is a fault in here."""
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    so_far = trace.outcome(Ending.STOPPED, "")
    return TaskRecord(
        **asdict(asked),
        decision="execute",
        reason=trace.route[-1] if trace.route else "",
        outcome="cancelled" if cancelled else "failed",
        error=None if cancelled else str(error),
        duration_ms=sum(trace.milliseconds.values()),
        **_planned(so_far.plan),
        **_spent(so_far.usage),
    )


def _planned(plan: Plan | NoPlan | Finished | None) -> dict[str, Any]:
    call = plan.call if isinstance(plan, Plan) else None
    return {
        "planner": plan.planner if plan else None,
        "confidence": plan.confidence if isinstance(plan, Plan) else None,
        "tool": call.tool.qualified if call else None,
        "arguments": call.arguments if call else None,
    }


def _spent(usage: Usage | None) -> dict[str, Any]:
    return asdict(usage) if usage else {}


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
