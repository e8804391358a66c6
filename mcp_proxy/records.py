"""Outcomes and calls as journal records."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import MCPError

from local_llm import Plan
from mcp_proxy import journal
from mcp_proxy.journal import CallRecord, Decision, TaskRecord
from mcp_proxy.pipeline import Ending, Outcome
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import ToolEntry

_DECISIONS: Mapping[Ending, Decision] = {
    Ending.DONE: "execute",
    Ending.PLANNED: "dry_run",
    Ending.NEEDS: "ask",
    Ending.DECLINED: "ask",
    Ending.UNSURE: "escalate",
    Ending.REFUSED: "refuse",
}


def task_record(task_id: str, client: str, text: str, outcome: Outcome) -> TaskRecord:
    """A finished task for the journal."""
    plan, call, usage = outcome.plan, outcome.call, outcome.usage
    result: journal.Outcome | None = None
    if outcome.result is not None:
        result = _told(outcome.result)
    elif outcome.ending is Ending.DECLINED:
        result = "declined"
    return TaskRecord(
        id=task_id,
        client=client,
        text=text,
        decision=_DECISIONS[outcome.ending],
        reason=outcome.reason,
        planner=plan.planner,
        confidence=plan.confidence if isinstance(plan, Plan) else None,
        tool=call.tool.qualified if call else None,
        arguments=call.arguments if call else None,
        outcome=result,
        duration_ms=sum(outcome.milliseconds.values()),
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        cache_write_tokens=usage.cache_write_tokens if usage else 0,
        cache_read_tokens=usage.cache_read_tokens if usage else 0,
        cost=usage.cost if usage else None,
    )


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
