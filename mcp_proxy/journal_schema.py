"""The tables of the journal's database, and how a file of an earlier version becomes one of this. Only SQL."""

import sqlite3
from contextlib import suppress

SCHEMA_VERSION = 3
"""Kept in the file as `user_version`; a change of the tables needs a higher one, and one more of `_STEPS`."""

_VERSION_1 = """
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

_VERSION_2 = "ALTER TABLE tasks ADD COLUMN profile TEXT NOT NULL DEFAULT '';"

# Up to version 2 a task was one call, and nobody but Claude was ever paid. Its tables were all WITHOUT ROWID, where
# a row of more than a quarter of a page takes a page to itself.
_VERSION_3 = """
CREATE TABLE steps (
    task_id TEXT NOT NULL, n INTEGER NOT NULL, tool TEXT NOT NULL, upstream TEXT NOT NULL, arguments TEXT,
    planner TEXT NOT NULL, confidence REAL, decision TEXT NOT NULL, outcome TEXT, error TEXT,
    result_size INTEGER, result_kind TEXT NOT NULL DEFAULT '', duration_ms REAL, detail TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (task_id, n)
);
CREATE TABLE spends (
    task_id TEXT NOT NULL, n INTEGER NOT NULL, at TEXT NOT NULL, provider TEXT NOT NULL, profile TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL, cost REAL, PRIMARY KEY (task_id, n)
) WITHOUT ROWID;
CREATE INDEX spends_by_provider ON spends (provider, at);
CREATE TABLE feedback (
    about TEXT PRIMARY KEY, at TEXT NOT NULL, client TEXT NOT NULL, verdict TEXT NOT NULL,
    tool TEXT, arguments TEXT, note TEXT NOT NULL
);
INSERT INTO steps (task_id, n, tool, upstream, arguments, planner, confidence, decision, outcome)
    SELECT id, 0, tool, coalesce((SELECT upstream FROM calls WHERE task_id = tasks.id), ''), arguments,
        coalesce(planner, ''), confidence, decision,
        CASE WHEN outcome IN ('ok', 'tool_error', 'failed', 'cancelled') THEN outcome END
    FROM tasks WHERE tool IS NOT NULL;
INSERT INTO spends
    SELECT id, 0, started_at, 'claude', profile, coalesce(input_tokens, 0), coalesce(output_tokens, 0),
        coalesce(cache_write_tokens, 0), coalesce(cache_read_tokens, 0), cost
    FROM tasks WHERE cost IS NOT NULL OR input_tokens > 0 OR output_tokens > 0 OR planner = 'claude';
ALTER TABLE tasks RENAME TO old_tasks;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, profile TEXT NOT NULL, text TEXT NOT NULL,
    ending TEXT NOT NULL, reason TEXT NOT NULL, strategy TEXT NOT NULL, privacy TEXT NOT NULL, planner TEXT,
    asked INTEGER NOT NULL, error TEXT, duration_ms REAL, detail TEXT NOT NULL
);
INSERT INTO tasks
    SELECT id, started_at, client, profile, text,
        CASE WHEN outcome IN ('failed', 'cancelled', 'declined') THEN outcome ELSE CASE decision
            WHEN 'execute' THEN 'done' WHEN 'dry_run' THEN 'planned' WHEN 'ask' THEN 'needs'
            WHEN 'refuse' THEN 'refused' ELSE 'unsure' END END,
        reason, '', '', planner, decision = 'ask', error, duration_ms, '{}'
    FROM old_tasks;
DROP TABLE old_tasks;
ALTER TABLE calls RENAME TO old_calls;
CREATE TABLE calls (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, task_id TEXT,
    tool TEXT NOT NULL, upstream TEXT NOT NULL, arguments TEXT,
    outcome TEXT NOT NULL, error TEXT, duration_ms REAL
);
INSERT INTO calls SELECT * FROM old_calls;
DROP TABLE old_calls;
CREATE INDEX calls_by_task ON calls (task_id) WHERE task_id IS NOT NULL;
"""

_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3)
"""What leads from each version to the next, from an empty file on."""

_INCREMENTAL = 2
_WAL_LIMIT = 8 * 1024 * 1024
"""Bytes to which the write-ahead log is cut back once it has been written into the database."""


class NewerJournalError(Exception):
    """The file was written by a later version, whose schema this one does not know."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make a fresh connection fit for reading and writing records, and the tables if there are none.

    Raises:
        NewerJournalError: a later version has been here; the file is left as it is.
    """
    version = version_of(connection)
    _let_it_shrink(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    if version < SCHEMA_VERSION:
        migrate(connection)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the file's tables; 0 when there are none yet.

    Raises:
        NewerJournalError: a later version has been here.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise NewerJournalError(f"written by a later version (schema {version}); update mcp-switchboard")
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date. Another process may have done so by the time the lock is had."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        version = version_of(connection)
        for statement in "".join(_STEPS[version:]).split(";")[:-1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _let_it_shrink(connection: sqlite3.Connection) -> None:
    """Have space that records leave be given back to the disk. A file made otherwise is rewritten once for that."""
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode == _INCREMENTAL:
        return
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    if pages:
        with suppress(sqlite3.OperationalError):  # another process is writing: the next start tries again
            connection.execute("VACUUM")
