"""The journal's database file: opened, kept sound, and given up for a while when it cannot be used. No event loop.

Nothing here raises because of the file.
"""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from mcp_proxy.damaged_file import inode, is_damage, set_aside
from mcp_proxy.journal_bounds import Bounds, is_outgrown, pruning
from mcp_proxy.journal_schema import NewerJournalError, prepare

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

_log = structlog.get_logger(__name__)


class JournalFile:
    """One database file, which other processes may have open too. To be used by one thread at a time."""

    def __init__(self, path: Path, bounds: Bounds, busy_timeout: float, retry_after: float) -> None:
        self.path = path
        self.is_outgrown = False
        """Whether the last write left the file larger than it may be."""
        self._bounds = bounds
        self._busy_timeout = busy_timeout
        self._retry_after = retry_after
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._closed = False
        self._failing = False
        self._resume_at = 0.0
        self._lost = 0

    def run(self, work: Work[T], otherwise: T, writes: int = 0) -> T:
        """What `work` makes of the database, or `otherwise` when it cannot be used.

        Args:
            work: the work; it may be done twice, the second time on a new file.
            otherwise: what to return instead.
            writes: how many records are lost then.
        """
        if not self._closed and time.monotonic() >= self._resume_at:
            try:
                result = self._on_sound_file(work)
                if writes and self._connection:
                    self.is_outgrown = is_outgrown(self._connection, self._bounds)
            except (sqlite3.Error, OSError, NewerJournalError) as error:
                self._failed(error)
            else:
                self._worked()
                return result
        self._lost += writes
        return otherwise

    def pruning(self) -> Generator[int]:
        """`journal_bounds.pruning`, with a connection of its own, so that a failure of either is not the other's."""
        if self._closed or self._failing or not self.path.exists():
            return
        try:
            with closing(self._connect()) as connection:
                prepare(connection)
                yield from pruning(connection, self._bounds, datetime.now(UTC))
        except (sqlite3.Error, OSError, NewerJournalError) as error:
            _log.info("journal.not_pruned", path=str(self.path), reason=str(error))

    def close(self) -> None:
        """Close the file; nothing is done any more."""
        self._closed = True
        self._disconnect()

    def _on_sound_file(self, work: Work[T]) -> T:
        try:
            return work(self._connected())
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._disconnect()
            if aside := set_aside(self.path, self._inode):
                _log.error("journal.damaged", path=str(self.path), moved_to=str(aside), error=str(error))
            return work(self._connected())

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and inode(self.path) != self._inode:
            self._disconnect()  # it was deleted, or moved aside by another process
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._inode = inode(self.path)
            self._connection = self._connect()
            prepare(self._connection)
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )

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

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
