"""Files of earlier versions, as those versions wrote them, are brought up to date without losing anything."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from mcp_proxy.journal import CallRecord, Journal, Spent, StepRecord, TaskRecord
from mcp_proxy.journal_schema import SCHEMA_VERSION

OLD = sorted((Path(__file__).parent / "old").glob("version_*.sql"))
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A journal of an earlier version, in write-ahead mode as it was left."""
    path = tmp_path / f"{request.param.stem}.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL;" + request.param.read_text(encoding="utf-8"))
    return path


def looked_up(path: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


async def test_what_an_old_file_holds_is_all_there(old: Path) -> None:
    journal = await Journal.open(old)
    records = await journal.recent()
    tasks = [record for record in records if isinstance(record, TaskRecord)]
    calls = [record for record in records if isinstance(record, CallRecord)]
    assert await journal.spent("claude", BEFORE) == Spent(requests=2, tasks=2, cost=0.0015)
    await journal.close()
    assert [task.ending for task in reversed(tasks)] == [
        "done", "done", "unsure", "declined", "needs", "failed", "planned",
    ]  # fmt: skip
    first, escalated = tasks[-1], tasks[-2]
    assert (first.text, first.client, first.duration_ms) == (
        "read the file todo.txt",
        "claude-code 2.1",
        41.5,
    )
    assert first.steps == (
        StepRecord(
            tool="files__read_text", upstream="files", planner="pocket", confidence=0.93, outcome="ok",
            arguments={"path": "todo.txt"}, decision="execute",
        ),
    )  # fmt: skip
    assert (escalated.steps[0].outcome, escalated.planner) == ("tool_error", "claude")
    assert escalated.spends[0].cache_write_tokens == 1000
    assert escalated.profile == ("clerk" if old.stem == "version_2" else "")
    assert [task.error for task in tasks if task.error] == ["files: is down"]
    assert [call.outcome for call in reversed(calls)] == ["ok", "tool_error", "cancelled"]


async def test_an_old_file_goes_on_to_be_used_and_may_shrink(old: Path) -> None:
    journal = await Journal.open(old)
    await journal.record_task(TaskRecord(client="c", text="new"))
    assert len(await journal.recent()) == 11
    await journal.close()
    assert looked_up(old, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert looked_up(old, "PRAGMA auto_vacuum") == [(2,)]
    assert looked_up(old, "PRAGMA integrity_check") == [("ok",)]


async def test_several_that_open_an_old_file_at_once_bring_it_up_to_date_once(old: Path) -> None:
    journals: list[Journal] = []

    async def open_one() -> None:
        journals.append(await Journal.open(old))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(open_one)
    assert [len(await journal.recent()) for journal in journals] == [10] * 8
    for journal in journals:
        await journal.close()


async def test_a_migrated_file_has_the_same_tables_as_a_new_one(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.sqlite"
    for path in (old, new):
        await (await Journal.open(path)).close()
    tables = "SELECT name, sql FROM sqlite_schema ORDER BY name"
    assert looked_up(old, tables) == looked_up(new, tables)
