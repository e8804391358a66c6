"""A SQLite file that turns out to be damaged: how that is told, and how the file is moved out of the way."""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF
"""The part of an extended error code that says what kind of error it is (sqlite.org/rescode.html)."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged, or no database at all."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGE


def inode(path: Path) -> int:
    """What tells a file from another of its name; 0 when there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def set_aside(path: Path, opened: int) -> Path | None:
    """Move a damaged database out of the way.

    Args:
        path: where it is.
        opened: its `inode` when it was opened.

    Returns:
        Where it is now; None when it was no longer in its place, because another process has done it.
    """
    if inode(path) != opened:
        return None
    aside = Path(f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    # The database last: a write-ahead log left beside a new database might be taken for its own.
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    return aside
