"""The journal: every task and every call, its outcome and its cost, in one SQLite file.

Keeping it never breaks a call: a journal that cannot be written says so once in the log, and goes on without.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread
import structlog

from mcp_proxy import spending
from mcp_proxy.escalation_settings import Amount
from mcp_proxy.journal_bounds import Bounds
from mcp_proxy.journal_file import JournalFile, Work
from mcp_proxy.journal_queries import newest, spent, success_rates
from mcp_proxy.journal_records import (
    CallRecord,
    Ending,
    FeedbackRecord,
    Outcome,
    Rate,
    Record,
    SpendRecord,
    Spent,
    StepRecord,
    TaskRecord,
    new_id,
)
from mcp_proxy.journal_rows import insert, insert_feedback

__all__ = [
    "Bounds",
    "CallRecord",
    "Ending",
    "FeedbackRecord",
    "Journal",
    "Outcome",
    "Rate",
    "Record",
    "SpendRecord",
    "Spent",
    "StepRecord",
    "TaskRecord",
    "new_id",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = structlog.stdlib.get_logger()

BUSY_TIMEOUT = 2.0
RETRY_AFTER = 30.0
NOTES_WITHIN = 0.05
LOOK_EVERY = 600.0
"""Seconds between looks for what has become too old."""
_BETWEEN_BATCHES = 0.002
_BETWEEN_PRUNINGS = 1.0

BOUNDS = Bounds(size=256 * 1024 * 1024, age=timedelta(days=90))

FeedbackTaken = Literal["kept", "unknown", "unavailable"]
"""What became of feedback: there is nothing it could be about, or the journal cannot be written."""


class Journal:
    """The journal in one file. Several journals, in several processes, may share the file.

    All work is done in a thread, one piece at a time. None of the methods raises because of the file.
    """

    def __init__(self, file: JournalFile) -> None:
        """Use `open`."""
        self.path = file.path
        self._file = file
        # One piece of work at a time is also what makes the file safe without a lock.
        self._limiter = anyio.CapacityLimiter(1)
        self._noted: list[Record] = []
        self._note_taken = anyio.Event()
        self._outgrown = anyio.Event()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        bounds: Bounds = BOUNDS,
        busy_timeout: float = BUSY_TIMEOUT,
        retry_after: float = RETRY_AFTER,
    ) -> Self:
        """The journal at `path`; the file (0600) and its folder (0700) are created if need be.

        A file that is no database, or a damaged one, is moved aside, and the log says where to.

        Args:
            path: the file.
            bounds: what `keep` keeps it within.
            busy_timeout: seconds a write waits for another process to finish its own.
            retry_after: seconds nothing is tried after a failure, so that a full disk or a stuck
                lock does not slow every call.
        """
        journal = cls(JournalFile(path, bounds, busy_timeout, retry_after))
        await journal._run(lambda _: None, None)
        return journal

    async def record_task(self, record: TaskRecord) -> str:
        """Keep a task, with all that belongs to it, and return its id; it replaces any record of the same id.

        So a task may be recorded as running when it begins, again on its way, and once more when it ends. What
        was recorded survives the death of the process, though not a power failure right after.
        """
        await self._run(lambda connection: insert(connection, record), None, writes=1)
        return record.id

    async def record_call(self, record: CallRecord) -> str:
        """Keep a call and return its id; see `record_task`."""
        await self._run(lambda connection: insert(connection, record), None, writes=1)
        return record.id

    def note(self, record: Record) -> None:
        """Have a record kept soon, without waiting: `keep` writes what was noted, many records at a time."""
        self._noted.append(record)
        self._note_taken.set()

    async def give_feedback(self, feedback: FeedbackRecord) -> FeedbackTaken:
        """Keep what somebody thought of a task or call, in place of what they thought before."""
        taken = await self._run(lambda connection: insert_feedback(connection, feedback), None, writes=1)
        return "unavailable" if taken is None else "kept" if taken else "unknown"

    async def recent(self, limit: int = 50) -> tuple[Record, ...]:
        """The newest `limit` tasks and calls, newest first; empty when the journal cannot be read."""
        return await self._run(lambda connection: newest(connection, limit), ())

    async def spent(self, provider: str, since: datetime, profile: str | None = None) -> Spent | None:
        """What was spent at `provider` since then, for the tasks of one profile or of all, whoever planned them.

        None when the journal cannot be read.
        """
        return await self._run(lambda connection: spent(connection, provider, since, profile), None)

    async def reserve(
        self, wanted: spending.Reservation, limits: Sequence[spending.Limit], now: datetime
    ) -> str | None:
        """Set aside what a request may take; why a limit forbids it, empty if none does. None: it cannot be written."""
        return await self._run(lambda connection: spending.reserve(connection, wanted, limits, now), None)

    async def settle(self, reservation_id: str, took: Amount) -> None:
        """Note what a request took in the place of what was set aside for it."""
        await self._run(lambda connection: spending.settle(connection, reservation_id, took), None)

    async def success_rates(self, since: datetime) -> Mapping[tuple[str, str], Rate]:
        """How tasks went by qualified tool and planner; see `journal_queries`. Empty when it cannot be read."""
        nothing: Mapping[tuple[str, str], Rate] = {}
        return await self._run(lambda connection: success_rates(connection, since), nothing)

    async def keep(self) -> None:
        """Write what is noted, within `NOTES_WITHIN` seconds or so, and keep to the bounds.

        Ends only by cancellation.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_notes)
            tasks.start_soon(self._keep_bounds)

    async def close(self) -> None:
        """Write what is noted and close the file. What is recorded later is lost without a word."""
        await self._write_notes()
        with anyio.CancelScope(shield=True):
            await self._in_thread(self._file.close)

    async def _keep_notes(self) -> None:
        while True:
            await self._note_taken.wait()
            await anyio.sleep(NOTES_WITHIN)
            await self._write_notes()

    async def _write_notes(self) -> None:
        self._note_taken = anyio.Event()
        noted, self._noted = self._noted, []
        if noted:
            await self._run(lambda connection: insert(connection, *noted), None, writes=len(noted))

    async def _keep_bounds(self) -> None:
        while True:
            self._outgrown = anyio.Event()
            await self._prune()
            await anyio.sleep(_BETWEEN_PRUNINGS)
            with anyio.move_on_after(LOOK_EVERY):
                await self._outgrown.wait()

    async def _prune(self) -> None:
        removed = 0
        with closing(self._file.pruning()) as batches:
            # By turns with what is recorded, which therefore waits for one batch at most.
            while (batch := await self._in_thread(next, batches, None)) is not None:
                removed += batch
                await anyio.sleep(_BETWEEN_BATCHES)
        if removed:
            log.info("journal.pruned", path=str(self.path), removed=removed)

    async def _run(self, work: Work[T], otherwise: T, *, writes: int = 0) -> T:
        result = otherwise
        # Shielded, because a cancelled call is recorded too; bounded by busy_timeout and retry_after.
        with anyio.CancelScope(shield=True):
            result = await self._in_thread(self._file.run, work, otherwise, writes)
        if writes and self._file.is_outgrown:
            self._outgrown.set()
        return result

    async def _in_thread(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await anyio.to_thread.run_sync(work, *args, limiter=self._limiter)
