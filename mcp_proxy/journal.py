"""The journal: every task and every call, its outcome and its cost, in one SQLite file.

Keeping it never breaks a call: a journal that cannot be written says so once in the log, and goes on without.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Self, TypeVar

import anyio
import anyio.to_thread
import structlog

from mcp_proxy import spending
from mcp_proxy.escalation_settings import Amount
from mcp_proxy.journal_rows import (
    CallRecord,
    Decision,
    NewerJournalError,
    Outcome,
    Record,
    Spent,
    TaskRecord,
    insert,
    new_id,
    newest,
    prepare,
    spent,
)

__all__ = ["CallRecord", "Decision", "Journal", "Outcome", "Record", "Spent", "TaskRecord", "new_id"]

T = TypeVar("T")

BUSY_TIMEOUT = 2.0
RETRY_AFTER = 30.0
NOTES_WITHIN = 0.05

_log = structlog.get_logger(__name__)


class Journal:
    """The journal in one file. Several journals, in several processes, may share the file.

    All work is done in a thread, one piece at a time. None of the methods raises because of the file.
    """

    def __init__(self, path: Path, busy_timeout: float, retry_after: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._retry_after = retry_after
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        # One piece of work at a time is also what makes everything below safe without a lock.
        self._limiter = anyio.CapacityLimiter(1)
        self._closed = False
        self._failing = False
        self._resume_at = 0.0
        self._lost = 0
        self._noted: list[Record] = []
        self._note_taken = anyio.Event()

    @classmethod
    async def open(
        cls, path: Path, *, busy_timeout: float = BUSY_TIMEOUT, retry_after: float = RETRY_AFTER
    ) -> Self:
        """The journal at `path`; the file (0600) and its folder (0700) are created if need be.

        A file that is no database, or a damaged one, is moved aside, and the log says where to.

        Args:
            path: the file.
            busy_timeout: seconds a write waits for another process to finish its own.
            retry_after: seconds nothing is tried after a failure, so that a full disk or a stuck
                lock does not slow every call.
        """
        journal = cls(path, busy_timeout, retry_after)
        await journal._run(lambda _: None, None)
        return journal

    async def record_task(self, record: TaskRecord) -> str:
        """Keep a task and return its id; a second record of the same id replaces the first.

        What was recorded survives the death of the process, though not a power failure right after.
        """
        await self._run(lambda connection: insert(connection, record), None, writes=1)
        return record.id

    async def record_call(self, record: CallRecord) -> str:
        """Keep a call and return its id; see `record_task`."""
        await self._run(lambda connection: insert(connection, record), None, writes=1)
        return record.id

    def note(self, record: CallRecord) -> None:
        """Have a call kept soon, without waiting: `keep` writes what was noted, many records at a time."""
        self._noted.append(record)
        self._note_taken.set()

    async def keep(self) -> NoReturn:
        """Write what is noted, within `NOTES_WITHIN` seconds or so. Ends only by cancellation."""
        while True:
            await self._note_taken.wait()
            await anyio.sleep(NOTES_WITHIN)
            await self._write_notes()

    async def _write_notes(self) -> None:
        self._note_taken = anyio.Event()
        noted, self._noted = self._noted, []
        if noted:
            await self._run(lambda connection: insert(connection, *noted), None, writes=len(noted))

    async def recent(self, limit: int = 50) -> tuple[Record, ...]:
        """The newest `limit` tasks and calls, newest first; empty when the journal cannot be read."""
        return await self._run(lambda connection: newest(connection, limit), ())

    async def spent(self, planner: str, since: datetime, profile: str | None = None) -> Spent | None:
        """What the tasks planned by `planner` since then cost, those of one profile or of all.

        None when the journal cannot be read.
        """
        return await self._run(lambda connection: spent(connection, planner, since, profile), None)

    async def reserve(
        self, wanted: spending.Reservation, limits: Sequence[spending.Limit], now: datetime
    ) -> str | None:
        """Set aside what a request may take; why a limit forbids it, empty if none does. None: it cannot be written."""
        return await self._run(lambda connection: spending.reserve(connection, wanted, limits, now), None)

    async def settle(self, reservation_id: str, took: Amount) -> None:
        """Note what a request took in the place of what was set aside for it."""
        await self._run(lambda connection: spending.settle(connection, reservation_id, took), None)

    async def close(self) -> None:
        """Write what is noted and close the file. What is recorded later is lost without a word."""
        await self._write_notes()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._limiter)

    async def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, writes: int = 0) -> T:
        result = otherwise
        # Shielded, because a cancelled call is recorded too; bounded by busy_timeout and retry_after.
        with anyio.CancelScope(shield=True):
            result = await anyio.to_thread.run_sync(
                self._attempt, work, otherwise, writes, limiter=self._limiter
            )
        return result  # noqa: RET504  (for the type checker, any with block may swallow an exception)

    # From here on: in the thread.

    def _attempt(self, work: Callable[[sqlite3.Connection], T], otherwise: T, writes: int) -> T:
        if not self._closed and time.monotonic() >= self._resume_at:
            try:
                result = self._on_sound_file(work)
            except (sqlite3.Error, OSError, NewerJournalError) as error:
                self._failed(error)
            else:
                self._worked()
                return result
        self._lost += writes
        return otherwise

    def _on_sound_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connected())
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise
            self._move_aside(error)
            return work(self._connected())

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and not self._is_in_place():
            self._disconnect()
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._inode = self.path.stat().st_ino
            self._connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
            )
            prepare(self._connection)
        return self._connection

    def _is_in_place(self) -> bool:
        """Whether the file at `path` is still the one that was opened: it may be deleted, or moved aside by another."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _failed(self, error: Exception) -> None:
        self._disconnect()
        self._resume_at = time.monotonic() + self._retry_after
        if not self._failing:
            remedy = f"calls go on unrecorded; it is tried again every {self._retry_after:g} s"
            _log.warning("journal.unavailable", path=str(self.path), error=str(error), remedy=remedy)
        self._failing = True

    def _worked(self) -> None:
        if self._failing:
            _log.warning("journal.resumed", path=str(self.path), lost_records=self._lost)
        self._failing, self._lost = False, 0

    def _move_aside(self, error: Exception) -> None:
        self._disconnect()
        if not self._is_in_place():
            return
        aside = f"{self.path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        _log.error("journal.corrupt", path=str(self.path), moved_to=aside, error=str(error))
        # The database last: a write-ahead log left beside a new database might be taken for its own.
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _close(self) -> None:
        self._closed = True
        self._disconnect()
