"""The journal stays within its bounds: the oldest goes first, the file shrinks, and nobody who writes has to wait."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_proxy.journal import (
    BOUNDS,
    Bounds,
    CallRecord,
    FeedbackRecord,
    Journal,
    SpendRecord,
    StepRecord,
    TaskRecord,
)
from mcp_proxy.journal_file import JournalFile

MIB = 1024 * 1024
SMALL = Bounds(MIB, timedelta(days=90))
NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
async def journal(path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.open(path, bounds=SMALL)
    yield journal
    await journal.close()


def task(n: int = 0, **fields: Any) -> TaskRecord:
    steps = (StepRecord(tool="t", planner="p", arguments={"x": "y" * 1000}, outcome="ok"),)
    return TaskRecord(client="c", text=f"task {n} " + "x" * 1000, ending="done", steps=steps, **fields)


def call() -> CallRecord:
    return CallRecord(client="c", tool="t", upstream="u", outcome="ok", arguments={"x": "y" * 1000})


async def filled(journal: Journal, tasks: int) -> list[TaskRecord | CallRecord]:
    """As many tasks, and as many calls between them."""
    records = [record for n in range(tasks) for record in (task(n), call())]
    for record in records:
        journal.note(record)
    await journal._write_notes()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return records


def pruned(path: Path, bounds: Bounds) -> list[int]:
    """Prune once; how many records each transaction removed."""
    return list(JournalFile(path, bounds, 5, 30).pruning())


def size_of(path: Path) -> int:
    return path.stat().st_size


async def test_what_has_outgrown_its_size_loses_the_oldest_and_the_file_shrinks(
    journal: Journal, path: Path
) -> None:
    records = await filled(journal, 1000)
    batches = pruned(path, SMALL)
    kept = await journal.recent(10_000)
    assert 0 < len(kept) < len(records)
    assert kept == tuple(reversed(records[-len(kept) :]))
    assert sum(batches) == len(records) - len(kept)
    assert max(batches) <= 200
    assert 0.5 * MIB < size_of(path) <= MIB
    assert sum(pruned(path, SMALL)) == 0


async def test_what_is_too_old_goes_with_all_that_belongs_to_it(journal: Journal, path: Path) -> None:
    old = task(
        started_at=NOW - timedelta(days=91), spends=(SpendRecord(provider="c", at=NOW - timedelta(days=91)),)
    )
    young = task(started_at=NOW - timedelta(days=89))
    for record in (old, young):
        await journal.record_task(record)
        await journal.give_feedback(FeedbackRecord(about=record.id, verdict="good"))
    assert pruned(path, BOUNDS) == [1]
    assert await journal.recent() == (young,)
    assert await journal.give_feedback(FeedbackRecord(about=old.id, verdict="good")) == "unknown"
    spent = await journal.spent("c", NOW - timedelta(days=365))
    assert spent is not None
    assert spent.requests == 0


async def test_todays_spending_outlives_the_tasks_it_was_for(journal: Journal, path: Path) -> None:
    await journal.record_task(task(spends=(SpendRecord(provider="claude", cost=0.25),)))
    await filled(journal, 1000)
    assert sum(pruned(path, SMALL)) > 0
    assert not any(getattr(record, "spends", ()) for record in await journal.recent(10_000))
    spent = await journal.spent("claude", NOW - timedelta(days=1))
    assert spent is not None
    assert spent.cost == 0.25


async def test_it_is_kept_within_its_bounds_while_it_is_written(path: Path) -> None:
    journal = await Journal.open(path, bounds=SMALL)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.keep)
            written = await filled(journal, 1500)
            while len(await journal.recent(10_000)) == len(written):
                await journal.record_task(task())
            group.cancel_scope.cancel()
    await journal.close()


async def test_a_file_full_of_what_may_not_go_is_left_alone(path: Path) -> None:
    tiny = Bounds(1, timedelta(days=90))
    journal = await Journal.open(path, bounds=tiny)
    spends = tuple(SpendRecord(provider="claude") for _ in range(100))
    await journal.record_task(task(spends=spends))
    assert pruned(path, tiny) == [1]
    assert pruned(path, tiny) == []
    spent = await journal.spent("claude", NOW - timedelta(days=1))
    await journal.close()
    assert spent is not None
    assert spent.requests == 100


async def test_pruning_what_is_not_there_or_is_no_journal_does_nothing(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff" * 8192)
    assert pruned(tmp_path / "none", SMALL) == []
    assert pruned(garbage, SMALL) == []
    assert not (tmp_path / "none").exists()
    assert garbage.read_bytes() == b"\xff" * 8192
