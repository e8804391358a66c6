"""Records as rows of the journal's tables, and back. Whatever is written is redacted here, and nowhere else."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, TypeVar, cast

from mcp_proxy.journal_records import (
    CallRecord,
    CandidateRecord,
    FeedbackRecord,
    Record,
    SpendRecord,
    StepRecord,
    TaskRecord,
)
from mcp_proxy.redaction import redact_beside

R = TypeVar("R", StepRecord, SpendRecord, CallRecord, FeedbackRecord)

Row = dict[str, Any]

_PARTS = ("steps", "spends")
"""The tables that hold what belongs to a task."""

_FOREIGN = frozenset(
    "client text reason error route arguments repairs problems missing result_kind note".split()
)
"""Fields in which clients, planners and upstreams have their say; the others are our own words, numbers and names."""

_TASK_DETAIL = ("route", "candidates", "milliseconds")
_STEP_DETAIL = ("threshold", "reason", "repairs", "problems", "missing")
"""Fields that are only read back: they stand together in the column `detail`, as JSON."""

_MOST_AT_ONCE = 500
"""Ids that one query asks for."""


def insert(connection: sqlite3.Connection, *records: Record) -> None:
    """Add records, or replace those of their ids, in one transaction."""
    calls = [_flat(record) for record in records if isinstance(record, CallRecord)]
    tasks = [_task_rows(record) for record in records if isinstance(record, TaskRecord)]
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        _put(connection, "calls", calls)
        _put(connection, "tasks", [rows["tasks"][0] for rows in tasks])
        for table in _PARTS:
            connection.executemany(
                f"DELETE FROM {table} WHERE task_id = ?",  # noqa: S608
                [(rows["tasks"][0]["id"],) for rows in tasks],
            )
            _put(connection, table, [row for rows in tasks for row in rows[table]])


def insert_feedback(connection: sqlite3.Connection, feedback: FeedbackRecord) -> bool:
    """Keep feedback, in place of any that was given before; False when there is nothing of that id."""
    row = _flat(feedback)
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        known = any(
            connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (row["about"],)).fetchone()  # noqa: S608
            for table in ("tasks", "calls")
        )
        if known:
            _put(connection, "feedback", [row])
    return known


def utf8(text: str) -> str:
    """A text as SQLite takes it: it knows no lone surrogates, which JSON and command lines may hold."""
    return text.encode("utf-8", "replace").decode()


def stamp(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def tasks_of(connection: sqlite3.Connection, rows: Iterable[Row]) -> list[TaskRecord]:
    """Tasks by their rows, in that order, with what belongs to them."""
    every = list(rows)
    ids = [row["id"] for row in every]
    steps = _grouped(connection, "steps", ids)
    spends = _grouped(connection, "spends", ids)
    return [
        _task(
            row,
            [_step(each) for each in steps.get(row["id"], ())],
            [_known(SpendRecord, each) for each in spends.get(row["id"], ())],
        )
        for row in every
    ]


def call_of(row: Row) -> CallRecord:
    """A call by its row."""
    return _known(CallRecord, row)


def feedback_on(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, FeedbackRecord]:
    """The feedback there is on tasks and calls, by their ids."""
    rows = _with_ids(connection, "feedback", "about", list(ids))
    return {row["about"]: _known(FeedbackRecord, row) for row in rows}


def dicts(
    connection: sqlite3.Connection, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()
) -> list[Row]:
    """The rows a query finds, by the names of their columns."""
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _put(connection: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    if rows:
        names, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
        connection.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608


def _task_rows(task: TaskRecord) -> dict[str, list[Row]]:
    """A task as rows by table, all that is foreign in it redacted beside its text."""
    own = {**_values(task), "candidates": [[each.tool, each.score] for each in task.candidates]}
    steps = [_values(step) for step in task.steps]
    clean, *clean_steps = redact_beside(task.text, [_foreign(each) for each in (own, *steps)])
    own |= clean
    for part in _PARTS:
        del own[part]
    return {
        "tasks": [_storable(_with_detail(own, _TASK_DETAIL))],
        "steps": [
            {"task_id": task.id, "n": n, **_storable(_with_detail(step | clean_step, _STEP_DETAIL))}
            for n, (step, clean_step) in enumerate(zip(steps, clean_steps, strict=True))
        ],
        "spends": [
            {"task_id": task.id, "n": n, "profile": task.profile, **_storable(_values(spend))}
            for n, spend in enumerate(task.spends)
        ],
    }


def _flat(record: CallRecord | FeedbackRecord) -> Row:
    """A record that is one row."""
    values = _values(record)
    return _storable(values | redact_beside("", _foreign(values)))


def _values(record: Any) -> Row:
    return {column.name: getattr(record, column.name) for column in fields(record)}


def _foreign(values: Row) -> Row:
    return {name: value for name, value in values.items() if name in _FOREIGN and value}


def _with_detail(values: Row, names: Iterable[str]) -> Row:
    detail = {name: values.pop(name) for name in names}
    return {
        **values,
        "detail": {name: value for name, value in detail.items() if value not in (None, "", [], {}, ())},
    }


def _storable(values: Row) -> Row:
    """Values as SQLite keeps them."""
    stored: Row = {}
    for name, value in values.items():
        match value:
            case datetime():
                stored[name] = stamp(value)
            case str():
                stored[name] = utf8(value)
            case Mapping():
                stored[name] = json.dumps(value, default=str, skipkeys=True)
            case _:
                stored[name] = value
    return stored


def _grouped(connection: sqlite3.Connection, table: str, ids: list[str]) -> dict[str, list[Row]]:
    rows = _with_ids(connection, table, "task_id", ids, "ORDER BY task_id, n")
    return {key: list(group) for key, group in groupby(rows, lambda row: row["task_id"])}


def _with_ids(
    connection: sqlite3.Connection, table: str, column: str, ids: list[str], order: str = ""
) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(ids), _MOST_AT_ONCE):
        some = tuple(ids[start : start + _MOST_AT_ONCE])
        places = ", ".join("?" * len(some))
        rows += dicts(connection, f"SELECT * FROM {table} WHERE {column} IN ({places}) {order}", some)  # noqa: S608
    return rows


def _task(row: Row, steps: list[StepRecord], spends: list[SpendRecord]) -> TaskRecord:
    row = row | cast("Row", json.loads(row["detail"]))
    whole: Row = {
        **_fitting(TaskRecord, row),
        "asked": bool(row["asked"]),
        "started_at": datetime.fromisoformat(row["started_at"]),
        "route": tuple(row.get("route", ())),
        "candidates": tuple(CandidateRecord(*each) for each in row.get("candidates", ())),
        "steps": tuple(steps),
        "spends": tuple(spends),
    }
    return TaskRecord(**whole)


def _step(row: Row) -> StepRecord:
    row = row | cast("Row", json.loads(row["detail"]))
    lists = {name: tuple(row.get(name, ())) for name in ("repairs", "problems", "missing")}
    return _known(StepRecord, row | lists)


def _known(kind: type[R], row: Row) -> R:
    """A record of a row, whose columns go by its fields' names."""
    values = _fitting(kind, row)
    if values.get("arguments") is not None:
        values["arguments"] = json.loads(values["arguments"])
    for name in ("started_at", "at"):
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    return kind(**values)


def _fitting(kind: type[Any], row: Row) -> Row:
    names = {column.name for column in fields(kind)}
    return {name: value for name, value in row.items() if name in names}
