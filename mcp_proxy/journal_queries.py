"""What is asked of the journal's tables. Only reads; every function takes a connection that `journal_schema` prepared."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mcp_proxy.journal_records import CallRecord, Ending, Rate, Record, Spent
from mcp_proxy.journal_rows import call_of, dicts, stamp, tasks_of, utf8

BEFORE_ALL = "0"
"""No later than any moment."""

_OUTCOMES = {"done": ("ok", "tool_error"), "failed": ("failed",), "cancelled": ("cancelled",)}
"""The ends of calls that go by an ending of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks and direct calls are meant; a field left empty lets everything in."""

    tool: str = ""
    """Pattern of qualified names, with `*` and `?`; a task fits by any of its steps."""
    client: str = ""
    """Pattern of clients' names and versions."""
    since: datetime | None = None
    ending: Ending | None = None


def newest(connection: sqlite3.Connection, limit: int) -> tuple[Record, ...]:
    """The `limit` newest tasks and calls, those made for tasks included, newest first."""
    query = "SELECT * FROM {} ORDER BY id DESC LIMIT ?"
    tasks = tasks_of(connection, dicts(connection, query.format("tasks"), (limit,)))
    calls = [call_of(row) for row in dicts(connection, query.format("calls"), (limit,))]
    return _sorted(tasks, calls)[:limit]


def entries(connection: sqlite3.Connection, wanted: Wanted, limit: int) -> tuple[Record, ...]:
    """The `limit` newest tasks and direct calls that are wanted, newest first."""
    values = {
        "tool": utf8(wanted.tool),
        "client": utf8(wanted.client),
        "since": stamp(wanted.since) if wanted.since else BEFORE_ALL,
        "ending": wanted.ending or "",
        "limit": limit,
    }
    both = "(:client = '' OR client GLOB :client) AND started_at >= :since"
    with_step = "EXISTS (SELECT 1 FROM steps WHERE task_id = tasks.id AND tool GLOB :tool)"
    tasks = (
        f"SELECT * FROM tasks WHERE {both} AND (:ending = '' OR ending = :ending) "  # noqa: S608
        f"AND (:tool = '' OR {with_step}) ORDER BY id DESC LIMIT :limit"
    )
    outcomes = ", ".join(f"'{outcome}'" for outcome in _OUTCOMES.get(wanted.ending or "", ()))
    calls = (
        f"SELECT * FROM calls WHERE task_id IS NULL AND {both} AND (:tool = '' OR tool GLOB :tool) "  # noqa: S608
        f"AND (:ending = '' OR outcome IN ({outcomes})) ORDER BY id DESC LIMIT :limit"
    )
    found = [call_of(row) for row in dicts(connection, calls, values)]
    return _sorted(tasks_of(connection, dicts(connection, tasks, values)), found)[:limit]


def with_id(connection: sqlite3.Connection, start: str, limit: int = 5) -> tuple[Record, ...]:
    """The tasks and calls whose ids begin with `start`, at most `limit` of them."""
    values = {"from": utf8(start), "to": utf8(start) + "\x7f", "limit": limit}
    query = "SELECT * FROM {} WHERE id >= :from AND id < :to ORDER BY id LIMIT :limit"
    tasks = tasks_of(connection, dicts(connection, query.format("tasks"), values))
    calls = [call_of(row) for row in dicts(connection, query.format("calls"), values)]
    return _sorted(tasks, calls)[:limit]


def calls_for(connection: sqlite3.Connection, task_id: str) -> tuple[CallRecord, ...]:
    """The calls made for a task, oldest first."""
    rows = dicts(connection, "SELECT * FROM calls WHERE task_id = ? ORDER BY id", (task_id,))
    return tuple(map(call_of, rows))


def spent(connection: sqlite3.Connection, provider: str, since: datetime, profile: str | None) -> Spent:
    """The sum of what was spent at `provider` at `since` or later, for all profiles or for one."""
    query = (
        "SELECT count(*), count(DISTINCT task_id), total(cost) FROM spends "
        "WHERE provider = :provider AND at >= :since AND profile = coalesce(:profile, profile)"
    )
    values = {"provider": provider, "since": stamp(since), "profile": profile}
    return Spent(*connection.execute(query, values).fetchone())


_RATES = """
WITH last AS (  -- of each task, what came last of each tool by each planner
    SELECT task_id, tool, steps.planner AS planner, outcome, ending, max(n)
    FROM tasks JOIN steps ON task_id = tasks.id WHERE started_at >= ? AND outcome IS NOT NULL
    GROUP BY task_id, tool, steps.planner
)
SELECT last.tool, planner, count(*),
    total(verdict = 'good' OR verdict IS NULL AND ending = 'done' AND outcome = 'ok'),
    total(verdict = 'bad' OR verdict IS NULL AND outcome = 'tool_error')
FROM last LEFT JOIN feedback ON about = task_id GROUP BY last.tool, planner
"""


def success_rates(connection: sqlite3.Connection, since: datetime) -> Mapping[tuple[str, str], Rate]:
    """How the tasks went that began at `since` or later, by qualified tool and planner.

    Feedback has the last word. Without it, a task is bad where the last call of that tool was answered with an
    error of the tool's, and good where it was answered and the task done. In a task of several steps each tool
    counts once, so an error that was corrected with the same tool and planner is forgiven.
    """
    rows: list[tuple[Any, ...]] = connection.execute(_RATES, (stamp(since),)).fetchall()
    return {(tool, planner): Rate(tasks, int(good), int(bad)) for tool, planner, tasks, good, bad in rows}


def _sorted(*records: Any) -> tuple[Record, ...]:
    every: list[Record] = [record for some in records for record in some]
    return tuple(sorted(every, key=lambda record: record.id, reverse=True))
