"""What the journal's tables add up to: how tasks and calls went, what they cost, and what was saved. Only reads."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from mcp_proxy.journal_queries import BEFORE_ALL
from mcp_proxy.journal_rows import dicts, stamp
from mcp_proxy.proposals import Usage

ESTIMATED = Usage(input_tokens=3700, output_tokens=100)
"""What an escalation takes where none was measured: definitions of 20 tools, at the mean size of those of real servers
that benchmarks/ measures, with instructions, task and answer."""

_PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Period:
    """Counts of what began on a day (UTC), or in a longer time."""

    day: str = ""
    """As 2026-11-21; empty for more than a day."""
    calls: int = 0
    """Direct calls."""
    calls_ok: int = 0
    tasks: int = 0
    """Dry runs not counted."""
    dry_runs: int = 0
    running: int = 0
    """Tasks that have no end yet, or never came to it."""
    done: int = 0
    """Tasks whose last call the tool answered, and not with an error."""
    local: int = 0
    """Of these, those for which nobody was paid."""
    escalated: int = 0
    """Tasks for which somebody was paid."""
    asked: int = 0
    """Tasks for which a person was asked, or would have been."""
    cost: float = 0.0
    """Dollars, as far as costs are known."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What went to one provider."""

    name: str
    requests: int
    tasks: int
    unpriced: int
    """Requests whose cost is not known."""
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    cost: float

    @property
    def usage(self) -> Usage:
        return Usage(
            self.input_tokens, self.output_tokens, self.cache_write_tokens, self.cache_read_tokens, self.cost
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds within which the given share was over; None where nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything that `switchboard stats` says."""

    days: tuple[Period, ...]
    """Those on which anything happened, oldest first."""
    total: Period
    providers: tuple[Provider, ...]
    paid_tasks: int
    """Tasks for which anything was paid in that time, whenever they began."""
    calls: Latency
    """Of direct calls."""
    tasks: Latency
    """Of tasks that came to an end, waiting for people included; dry runs not counted."""
    good: int
    """Tasks and calls that somebody said went well."""
    bad: int

    @property
    def per_escalated_task(self) -> Usage | None:
        """The tokens that an escalated task took, on the mean; None where none was escalated."""
        if not self.paid_tasks:
            return None
        names = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
        return Usage(
            *(round(sum(getattr(each, name) for each in self.providers) / self.paid_tasks) for name in names)
        )


_TASKS = """
WITH seen AS (
    SELECT substr(started_at, 1, 10) AS day, ending, asked,
        (SELECT outcome FROM steps WHERE task_id = tasks.id ORDER BY n DESC LIMIT 1) AS outcome,
        EXISTS (SELECT 1 FROM spends WHERE task_id = tasks.id) AS escalated
    FROM tasks WHERE started_at >= :since
)
SELECT day, sum(ending <> 'planned') AS tasks, sum(ending = 'planned') AS dry_runs, sum(ending = 'running') AS running,
    sum(ending = 'done' AND outcome IS NOT 'tool_error') AS done, sum(asked) AS asked, sum(escalated) AS escalated,
    sum(ending = 'done' AND outcome IS NOT 'tool_error' AND NOT escalated) AS local
FROM seen GROUP BY day
"""
_CALLS = """
SELECT substr(started_at, 1, 10) AS day, count(*) AS calls, sum(outcome = 'ok') AS calls_ok
FROM calls WHERE task_id IS NULL AND started_at >= :since GROUP BY day
"""
_COSTS = "SELECT substr(at, 1, 10) AS day, total(cost) AS cost FROM spends WHERE at >= :since GROUP BY day"
_PROVIDERS = """
SELECT provider AS name, count(*) AS requests, count(DISTINCT task_id) AS tasks, count(*) - count(cost) AS unpriced,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(cache_read_tokens) AS cache_read_tokens, total(cost) AS cost
FROM spends WHERE at >= :since GROUP BY provider ORDER BY provider
"""
_PAID_TASKS = "SELECT count(DISTINCT task_id) FROM spends WHERE at >= :since"
_CALL_TIMES = (
    "SELECT duration_ms FROM calls WHERE task_id IS NULL AND duration_ms IS NOT NULL AND started_at >= :since"
)
_TASK_TIMES = (
    "SELECT duration_ms FROM tasks WHERE ending NOT IN ('planned', 'running') "
    "AND duration_ms IS NOT NULL AND started_at >= :since"
)
_FEEDBACK = "SELECT total(verdict = 'good'), total(verdict = 'bad') FROM feedback WHERE at >= :since"


def stats(connection: sqlite3.Connection, since: datetime | None) -> Stats:
    """What began at `since` or later, all there is without it, added up."""
    values = {"since": stamp(since) if since else BEFORE_ALL}
    by_day: dict[str, dict[str, Any]] = {}
    for query in (_TASKS, _CALLS, _COSTS):
        for row in dicts(connection, query, values):
            by_day.setdefault(row["day"], {}).update(row)
    days = tuple(Period(**by_day[day]) for day in sorted(by_day))
    (paid_tasks,) = connection.execute(_PAID_TASKS, values).fetchone()
    good, bad = connection.execute(_FEEDBACK, values).fetchone()
    return Stats(
        days=days,
        total=_total(days),
        providers=tuple(Provider(**row) for row in dicts(connection, _PROVIDERS, values)),
        paid_tasks=paid_tasks,
        calls=_latency(connection.execute(_CALL_TIMES, values)),
        tasks=_latency(connection.execute(_TASK_TIMES, values)),
        good=int(good),
        bad=int(bad),
    )


def _total(days: Sequence[Period]) -> Period:
    names = [field.name for field in fields(Period) if field.name != "day"]
    sums: dict[str, Any] = {name: sum(getattr(day, name) for day in days) for name in names}
    return Period(**sums)


def _latency(rows: Iterable[tuple[float]]) -> Latency:
    """Percentiles by nearest rank: the smallest value that at least this share of all does not exceed."""
    times = sorted(milliseconds for (milliseconds,) in rows)
    ranks = [-(-len(times) * share // 100) for share in _PERCENTILES]
    return Latency(len(times), *(times[rank - 1] if times else None for rank in ranks))
