"""The journal on real files: what is kept, who may read it, and that trouble with the file stays with the file."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from mcp_proxy.journal import (
    CallRecord,
    FeedbackRecord,
    Journal,
    Outcome,
    Rate,
    SpendRecord,
    Spent,
    StepRecord,
    TaskRecord,
    new_id,
)
from mcp_proxy.journal_records import CandidateRecord

WRITER = Path(__file__).parent / "writer.py"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.open(path)
    yield journal
    await journal.close()


def task(text: str = "read a file", **fields: Any) -> TaskRecord:
    whole: dict[str, Any] = {"ending": "done", "reason": "sure", **fields}
    return TaskRecord(client="claude-code", text=text, **whole)


def step(planner: str = "pocket", tool: str = "files__read", **fields: Any) -> StepRecord:
    return StepRecord(planner=planner, tool=tool, **fields)


def call(outcome: Outcome = "ok", **fields: Any) -> CallRecord:
    return CallRecord(client="cursor", tool="files__read", upstream="files", outcome=outcome, **fields)


def writer(path: Path, count: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(path), str(count), *options]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def printed(process: subprocess.Popen[str]) -> list[str]:
    """The ids the writer printed, once it is done recording."""
    assert process.stdout
    lines = [line.strip() for line in iter(process.stdout.readline, "done\n")]
    assert process.poll() is None
    return lines


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in [folder, *folder.iterdir()]}


def overwrite(path: Path, start: int) -> None:
    """Make everything from `start` on meaningless."""
    path.parent.mkdir(exist_ok=True)
    length = path.stat().st_size if path.exists() else 8192
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(start)
        file.write(b"\xff" * (length - start))


async def test_what_is_recorded_is_read_back_newest_first(journal: Journal) -> None:
    first = step(
        upstream="files", arguments={"path": "/a", "n": [1, None]}, confidence=0.93, threshold=0.6, decision="execute",
        reason="explains it", repairs=("/n: 1 was put into a list",), problems=("/x: is unknown",), missing=("y",),
        outcome="tool_error", error="no such file", result_size=12, result_kind="text", duration_ms=3.5,
    )  # fmt: skip
    done = task(
        planner="claude", strategy="cost_optimized", privacy="normal", asked=True, duration_ms=12.5, profile="clerk",
        route=("pocket: execute", "claude: execute"), candidates=(CandidateRecord("files__read", 41.25),),
        milliseconds={"plan": 9.0, "call": 3.5}, steps=(first, step("claude", arguments={}, outcome="ok")),
        spends=(SpendRecord(provider="claude", input_tokens=7, output_tokens=8, cost=0.25), SpendRecord(provider="own")),
    )  # fmt: skip
    for_it = call(task_id=done.id, arguments={"path": "/a"}, duration_ms=3.0)
    direct = call(outcome="tool_error", error="no such file")
    await journal.record_task(done)
    await journal.record_call(for_it)
    await journal.record_call(direct)
    assert await journal.recent() == (direct, for_it, done)
    assert await journal.recent(limit=1) == (direct,)


async def test_a_record_of_the_same_id_replaces_the_first(journal: Journal) -> None:
    begun = task(ending="running", steps=(step(), step()), spends=(SpendRecord(provider="claude"),))
    await journal.record_task(begun)
    ended = task(id=begun.id, started_at=begun.started_at, steps=(step(outcome="ok"),))
    await journal.record_task(ended)
    assert await journal.recent() == (ended,)


async def test_a_task_that_has_begun_is_seen_as_running(journal: Journal) -> None:
    await journal.record_task(TaskRecord(client="c", text="t"))
    (only,) = await journal.recent()
    assert isinstance(only, TaskRecord)
    assert only.ending == "running"


async def test_credentials_never_reach_the_file(journal: Journal, path: Path) -> None:
    secret = "hunter2hunter2"
    said = f"told {secret} of it"
    leaky = step(
        arguments={"auth": {"api_key": secret}, "also": said},
        **dict.fromkeys(("repairs", "problems", "missing"), (said,)), **dict.fromkeys(("reason", "error"), said),
    )  # fmt: skip
    whole = task(
        f"log in, the password is {secret}",
        error=f"token={secret}",
        route=(said,),
        reason=said,
        steps=(leaky,),
    )
    await journal.record_task(whole)
    await journal.give_feedback(
        FeedbackRecord(
            about=whole.id, verdict="bad", note=f"password={secret}", tool="t", arguments={"pwd": secret}
        )
    )
    await journal.record_call(
        call(arguments={"headers": [f"Authorization: Bearer {secret}"]}, error=f"pwd: {secret}")
    )
    await journal.close()
    assert b"log in, the password is [redacted]" in everything_in(path.parent)
    assert secret.encode() not in everything_in(path.parent)


async def test_only_the_owner_may_read_it(journal: Journal, path: Path) -> None:
    await journal.record_task(task())
    assert modes(path.parent) == {
        "state": 0o700,
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
        "journal.db-shm": 0o600,
    }


async def test_a_hundred_records_at_once_are_all_kept(journal: Journal) -> None:
    records = [task(f"task {n}") for n in range(100)]
    async with anyio.create_task_group() as group:
        for record in records:
            group.start_soon(journal.record_task, record)
    assert sorted(await journal.recent(200), key=lambda record: record.id) == records


async def test_a_cancelled_call_is_recorded_too(journal: Journal) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.record_call(call(outcome="cancelled"))
    (only,) = await journal.recent()
    assert isinstance(only, CallRecord)
    assert only.outcome == "cancelled"


async def test_text_and_arguments_of_any_kind_are_kept(journal: Journal) -> None:
    odd: dict[str, Any] = {"lone": "\ud800", "big": 2**80, "path": Path("/a"), "deep": {"ü": [1.5, True]}}
    await journal.record_task(task("\ud800 \0 ü", steps=(step(arguments=odd, reason="\ud800"),)))
    (only,) = await journal.recent()
    assert isinstance(only, TaskRecord)
    assert only.steps == (step(arguments={**odd, "path": "/a"}, reason="\ud800"),)
    assert only.text == "? \0 ü"


async def test_what_was_spent_at_a_provider_counts_from_a_moment_on_whoever_won(journal: Journal) -> None:
    now = datetime.now(UTC)

    def spend(hours: float, provider: str, cost: float | None) -> SpendRecord:
        return SpendRecord(provider=provider, cost=cost, at=now - timedelta(hours=hours))

    await journal.record_task(task(spends=(spend(30, "claude", 5.0), spend(3, "claude", 0.25))))
    await journal.record_task(
        task(planner="pocket", spends=(spend(2, "claude", None), spend(1, "claude", 0.5)))
    )
    await journal.record_task(
        task(profile="clerk", spends=(spend(1, "claude", 0.125), spend(1, "other", 9.0)))
    )
    today = now - timedelta(days=1)
    assert await journal.spent("claude", today) == Spent(requests=4, tasks=3, cost=0.875)
    assert await journal.spent("claude", today, "clerk") == Spent(requests=1, tasks=1, cost=0.125)
    assert await journal.spent("claude", today, "") == Spent(requests=3, tasks=2, cost=0.75)
    assert await journal.spent("nobody", today) == Spent()


async def test_feedback_is_kept_for_what_exists_and_the_second_replaces_the_first(
    journal: Journal, path: Path
) -> None:
    done, direct = task(), call()
    assert await journal.give_feedback(FeedbackRecord(about=done.id, verdict="good")) == "unknown"
    await journal.record_task(done)
    await journal.record_call(direct)
    for about in (done.id, direct.id):
        assert await journal.give_feedback(FeedbackRecord(about=about, verdict="good")) == "kept"
    assert await journal.give_feedback(FeedbackRecord(about=done.id, verdict="bad", note="no")) == "kept"
    with closing(sqlite3.connect(path)) as other:
        rows = other.execute("SELECT about, verdict, note FROM feedback ORDER BY about").fetchall()
    assert rows == [(done.id, "bad", "no"), (direct.id, "good", "")]


async def test_success_rates_tell_good_from_bad_by_tool_and_planner(journal: Journal) -> None:
    now = datetime.now(UTC)
    told_bad, told_good = task(steps=(step(outcome="ok"),)), task(steps=(step(outcome="tool_error"),))
    corrected = task(
        steps=(step(tool="files__list", outcome="tool_error"), step(tool="files__list", outcome="ok"))
    )
    both = task(steps=(step(outcome="tool_error"), step("claude", outcome="ok")))
    gone = task(ending="failed", steps=(step(outcome="failed"),))
    long_ago = task(steps=(step(outcome="ok"),), started_at=now - timedelta(days=9))
    not_made = task(ending="unsure", steps=(step(),))
    for record in (told_bad, told_good, corrected, both, gone, long_ago, not_made):
        await journal.record_task(record)
    await journal.give_feedback(FeedbackRecord(about=told_bad.id, verdict="bad"))
    await journal.give_feedback(FeedbackRecord(about=told_good.id, verdict="good"))
    assert await journal.success_rates(now - timedelta(days=7)) == {
        ("files__read", "pocket"): Rate(tasks=4, good=1, bad=2),
        ("files__read", "claude"): Rate(tasks=1, good=1, bad=0),
        ("files__list", "pocket"): Rate(tasks=1, good=1, bad=0),
    }


async def test_what_was_recorded_survives_kill_9(path: Path) -> None:
    with writer(path, 200) as process:
        ids = printed(process)
        process.kill()
    journal = await Journal.open(path)
    kept = {record.id for record in await journal.recent(1000)}
    await journal.close()
    assert len(ids) == 200
    assert set(ids) <= kept


async def test_several_processes_share_one_file(path: Path) -> None:
    writers = [writer(path, 100) for _ in range(3)]
    ids = [name for process in writers for name in printed(process)]
    for process in writers:
        _, complaints = process.communicate("")
        assert complaints == ""
    journal = await Journal.open(path)
    kept = {record.id for record in await journal.recent(1000)}
    await journal.close()
    assert kept == set(ids)
    assert len(kept) == 300


async def test_many_tasks_at_once_begin_and_end_through_several_connections(path: Path) -> None:
    journals = [await Journal.open(path) for _ in range(3)]
    tasks = [(journal, task(ending="running")) for journal in journals for _ in range(50)]

    async def carried_out(journal: Journal, begun: TaskRecord) -> None:
        await journal.record_task(begun)
        await journal.record_call(call(task_id=begun.id))
        await journal.record_task(replace(begun, ending="done", steps=(step(outcome="ok"),)))

    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            for journal, begun in tasks:
                group.start_soon(carried_out, journal, begun)
    kept = await journals[0].recent(1000)
    for journal in journals:
        await journal.close()
    assert logs == []
    ended = {record.id: record.ending for record in kept if isinstance(record, TaskRecord)}
    assert ended == {begun.id: "done" for _, begun in tasks}
    assert len(kept) == 300


async def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path) -> None:
    overwrite(path, 0)
    with capture_logs() as logs:
        journal = await Journal.open(path)
        await journal.record_task(task())
    assert len(await journal.recent()) == 1
    await journal.close()
    assert [line["event"] for line in logs] == ["journal.damaged"]
    assert Path(logs[0]["moved_to"]).name in modes(path.parent)
    assert b"\xff" * 8192 in everything_in(path.parent)


async def test_damage_found_later_is_dealt_with_too(path: Path) -> None:
    journal = await Journal.open(path)
    for n in range(50):
        await journal.record_task(task(f"{n} " + "x" * 2000))
    await journal.close()
    overwrite(path, 4096)
    with capture_logs() as logs:
        journal = await Journal.open(path)
        await journal.record_task(task("after"))
        records = await journal.recent()
        await journal.close()
    assert [record.text for record in records if isinstance(record, TaskRecord)] == ["after"]
    assert [line["event"] for line in logs] == ["journal.damaged"]


async def test_two_that_share_a_damaged_file_move_it_aside_once(path: Path) -> None:
    one, other = await Journal.open(path), await Journal.open(path)
    for n in range(50):
        await one.record_task(task(f"{n} " + "x" * 2000))
    with closing(sqlite3.connect(path)) as third:
        third.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(path, 0)
    with capture_logs() as logs:
        for n in range(4):
            await one.record_task(task(f"one {n}"))
            await other.record_task(task(f"other {n}"))
        records = await other.recent()
    await one.close()
    await other.close()
    assert len(records) == 8
    assert [line["event"] for line in logs] == ["journal.damaged"]


async def test_a_file_that_was_deleted_is_begun_anew(journal: Journal, path: Path) -> None:
    await journal.record_task(task("before"))
    for name in modes(path.parent).keys() - {path.parent.name}:
        (path.parent / name).unlink()
    await journal.record_task(task("after"))
    assert len(await journal.recent()) == 1
    assert b"after" in everything_in(path.parent)


async def test_a_journal_that_cannot_be_opened_says_so_once_and_records_nothing(tmp_path: Path) -> None:
    overwrite(tmp_path / "file", 0)
    with capture_logs() as logs:
        journal = await Journal.open(tmp_path / "file" / "journal.db")
        record = task()
        assert await journal.record_task(record) == record.id
        assert await journal.recent() == ()
        assert await journal.spent("claude", datetime.now(UTC)) is None
        await journal.close()
    assert [line["event"] for line in logs] == ["journal.unavailable"]
    assert "journal.db" in logs[0]["path"]


async def test_a_full_disk_stops_the_journal_and_nothing_else(path: Path) -> None:
    with writer(path, 300, "262144") as process:
        ids = printed(process)
        _, complaints = process.communicate("")
    assert len(ids) == 300
    assert complaints.count("journal.unavailable") == 1
    journal = await Journal.open(path)
    kept = await journal.recent(1000)
    await journal.close()
    assert 0 < len(kept) < 300


async def test_a_file_another_process_holds_locked_delays_one_record_only(path: Path) -> None:
    journal = await Journal.open(path, busy_timeout=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, capture_logs() as logs:
        other.execute("BEGIN EXCLUSIVE")
        start = anyio.current_time()
        for _ in range(50):
            await journal.record_task(task())
        assert anyio.current_time() - start < 2
    await journal.close()
    assert [line["event"] for line in logs] == ["journal.unavailable"]
    assert "locked" in logs[0]["error"]


async def test_the_journal_resumes_by_itself_and_says_what_was_lost(path: Path) -> None:
    journal = await Journal.open(path, busy_timeout=0, retry_after=0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, capture_logs() as logs:
        other.execute("BEGIN EXCLUSIVE")
        for n in range(3):
            await journal.record_task(task(f"lost {n}"))
        other.execute("ROLLBACK")
        await journal.record_task(task("kept"))
    (kept,) = await journal.recent()
    await journal.close()
    assert isinstance(kept, TaskRecord)
    assert kept.text == "kept"
    assert [line["event"] for line in logs] == ["journal.unavailable", "journal.resumed"]
    assert logs[1]["lost_records"] == 3


async def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    await (await Journal.open(path)).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    before = everything_in(path.parent)
    with capture_logs() as logs:
        journal = await Journal.open(path)
        await journal.record_task(task())
        await journal.close()
    assert everything_in(path.parent) == before
    assert "later version" in logs[0]["error"]


async def test_recording_after_close_is_harmless(path: Path) -> None:
    journal = await Journal.open(path)
    await journal.close()
    record = call()
    assert await journal.record_call(record) == record.id
    await journal.close()


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {name[14] for name in ids} == {"7"}
