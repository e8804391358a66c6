"""Keeping the journal within its bounds: the oldest tasks and calls go, some at a time, and the file shrinks."""

import sqlite3
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mcp_proxy.journal_rows import stamp

_BATCH = 200
"""Records removed in one transaction: few enough that nobody who writes has to wait long."""

_PAGES = 256
"""Pages of the file given back at once, for the same reason."""

_FREE = 0.1
"""Share of the file that may be free: what is written next goes there, which costs less than giving it back."""

_CUT_BACK_TO = 0.9
"""Share of the size to which a file that has outgrown it is cut back, so that this is not done all the time."""

_SPENDS_STAY = timedelta(days=2)
"""What was spent is kept for so long whatever the bounds: the day's budget is counted from it."""

_OLDEST = """
SELECT id FROM (
    SELECT * FROM (SELECT id, started_at FROM tasks ORDER BY id LIMIT :batch)
    UNION ALL SELECT * FROM (SELECT id, started_at FROM calls ORDER BY id LIMIT :batch)
    ORDER BY id LIMIT :batch
) WHERE started_at < :before
"""
_WITH_IDS = {"tasks": "id", "calls": "id", "steps": "task_id", "feedback": "about"}
_SPENDS_OF_NOTHING = (
    "DELETE FROM spends WHERE at < ? AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = spends.task_id)"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    size: int
    """Bytes of the database file."""
    age: timedelta


def is_outgrown(connection: sqlite3.Connection, bounds: Bounds) -> bool:
    """Whether the file holds more than it may. Takes microseconds."""
    return _used(connection) > bounds.size


def pruning(connection: sqlite3.Connection, bounds: Bounds, now: datetime) -> Generator[int]:
    """Remove what is too old or too much, and give the space back.

    Yields after each short transaction, so that others get their turn: how many tasks and calls it removed.
    """
    while removed := _removed_some(connection, now - bounds.age):
        yield removed
    if is_outgrown(connection, bounds):
        while _used(connection) > bounds.size * _CUT_BACK_TO and (removed := _removed_some(connection, now)):
            yield removed
    connection.execute(_SPENDS_OF_NOTHING, (stamp(now - _SPENDS_STAY),))
    while _gave_some_back(connection, bounds):
        yield 0
    # Only now does the file itself become shorter. It waits for nobody, and makes nobody wait.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _removed_some(connection: sqlite3.Connection, before: datetime) -> int:
    """Remove some of the oldest tasks and calls, if they began before then, and return how many."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        values = {"batch": _BATCH, "before": stamp(before)}
        ids = connection.execute(_OLDEST, values).fetchall()
        for table, column in _WITH_IDS.items():
            connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", ids)  # noqa: S608
    return len(ids)


def _gave_some_back(connection: sqlite3.Connection, bounds: Bounds) -> bool:
    """Give back to the disk some of the pages that nothing stands on any more, if there are too many; whether so."""
    pages, free = _pages(connection)
    allowed = int(pages * _FREE) if pages * _page_size(connection) <= bounds.size else 0
    if free <= allowed:
        return False
    # Each step of the statement frees one page. `execute` takes a single step, a script as many as there are.
    connection.executescript(f"PRAGMA incremental_vacuum({min(free - allowed, _PAGES)})")
    return _pages(connection)[1] < free


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free = _pages(connection)
    return (pages - free) * _page_size(connection)


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Pages of the file, and those of them that are free."""
    pages, free = (
        connection.execute(f"PRAGMA {of}").fetchone()[0] for of in ("page_count", "freelist_count")
    )
    return pages, free


def _page_size(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA page_size").fetchone()[0]
