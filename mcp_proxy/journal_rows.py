"""What the journal keeps: records, and how they stand in the tables of a SQLite database."""

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from mcp_proxy.redaction import redact_beside

Decision = Literal["execute", "ask", "escalate", "refuse", "dry_run"]
Outcome = Literal["ok", "tool_error", "failed", "cancelled", "declined"]

SCHEMA_VERSION = 2
"""Kept in the file as `user_version`; a change of the tables needs a higher one, and one of `_MIGRATIONS`."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, text TEXT NOT NULL,
    planner TEXT, confidence REAL, decision TEXT NOT NULL, reason TEXT NOT NULL,
    tool TEXT, arguments TEXT, outcome TEXT, error TEXT, duration_ms REAL,
    input_tokens INTEGER, output_tokens INTEGER, cache_write_tokens INTEGER, cache_read_tokens INTEGER, cost REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_by_planner ON tasks (planner, started_at);
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, task_id TEXT,
    tool TEXT NOT NULL, upstream TEXT NOT NULL, arguments TEXT,
    outcome TEXT NOT NULL, error TEXT, duration_ms REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_task ON calls (task_id);
"""
"""The tables as they first were; `_MIGRATIONS` lead on from there."""

_MIGRATIONS = ("ALTER TABLE tasks ADD COLUMN profile TEXT NOT NULL DEFAULT '';",)
"""What leads from each version to the next, from 1 on."""


def new_id() -> str:
    """A UUID version 7 (RFC 9562): unique, and sorting by the time it was made, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return str(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task, what was planned for it and what was decided. Credentials are redacted when it is recorded."""

    client: str
    text: str
    decision: Decision
    reason: str
    planner: str | None = None
    confidence: float | None = None
    tool: str | None = None
    """Qualified name of the tool planned."""
    arguments: Mapping[str, Any] | None = None
    outcome: Outcome | None = None
    error: str | None = None
    duration_ms: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float | None = None
    """In dollars; None when unknown."""
    profile: str = ""
    """The profile of the client; empty for none."""
    id: str = field(default_factory=new_id)
    started_at: datetime = field(default_factory=_now)


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

_FOREIGN = ("client", "text", "reason", "arguments", "error")
"""Columns in which clients and upstreams have their say; the others are our own words, numbers and names."""

_TABLES: Mapping[type[Record], str] = {TaskRecord: "tasks", CallRecord: "calls"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a planner consumed over some time."""

    tasks: int = 0
    cost: float = 0.0
    """In dollars; tasks of unknown cost count nothing."""


class NewerJournalError(Exception):
    """The file was written by a later version, whose schema this one does not know."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make a fresh connection fit for the functions below, and the tables if there are none.

    Raises:
        NewerJournalError: a later version has been here; the file is left as it is.
    """
    connection.row_factory = sqlite3.Row
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise NewerJournalError(f"written by a later version (schema {version}); update mcp-switchboard")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if version < SCHEMA_VERSION:
        _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date. Another process may have done so by the time the lock is had."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        steps = (_SCHEMA, *_MIGRATIONS)[version:]
        for statement in "".join(steps).split(";")[:-1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")


def insert(connection: sqlite3.Connection, *records: Record) -> None:
    """Add records of one kind, or replace those of their ids: all of them or none."""
    rows = [_row(record) for record in records]
    table = _TABLES[type(records[0])]
    names, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608


def newest(connection: sqlite3.Connection, limit: int) -> tuple[Record, ...]:
    """The `limit` newest records of all kinds, newest first."""
    records: list[Record] = []
    for kind, table in _TABLES.items():
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT ?", (limit,))  # noqa: S608
        records += [_record(kind, dict(row)) for row in rows]
    return tuple(sorted(records, key=lambda record: record.id, reverse=True)[:limit])


def spent(connection: sqlite3.Connection, planner: str, since: datetime, profile: str | None) -> Spent:
    """The sum over the tasks of `planner` that started at `since` or later; those of all profiles, or of one."""
    query = (
        "SELECT count(*), total(cost) FROM tasks "
        "WHERE planner = :planner AND started_at >= :since AND profile = coalesce(:profile, profile)"
    )
    values = {"planner": planner, "since": _stamp(since), "profile": profile}
    return Spent(*connection.execute(query, values).fetchone())


def _row(record: Record) -> dict[str, Any]:
    row = {column.name: getattr(record, column.name) for column in fields(record)}
    foreign = {name: row[name] for name in _FOREIGN if row.get(name)}
    row |= redact_beside(foreign.get("text", ""), foreign)
    if row["arguments"] is not None:
        row["arguments"] = json.dumps(row["arguments"], default=str, skipkeys=True)
    row["started_at"] = _stamp(record.started_at)
    return {name: _storable(value) for name, value in row.items()}


def _record(kind: type[Record], row: dict[str, Any]) -> Record:
    arguments = row["arguments"]
    row["arguments"] = None if arguments is None else json.loads(arguments)
    row["started_at"] = datetime.fromisoformat(row["started_at"])
    return kind(**row)


def _stamp(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _storable(value: Any) -> Any:
    """SQLite keeps text as UTF-8, which has no lone surrogates; JSON, where tasks come from, does."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
