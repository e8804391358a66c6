"""Where pins are kept: the port `PinStore`, and SQLite behind it. One file serves any number of processes.

Knows nothing of MCP or of what deserves trust: pins are judged by a function that is handed in.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from mcp_proxy.damaged_file import inode, is_damage, set_aside
from tool_registry.catalog import Definition
from tool_registry.pins import Pin

T = TypeVar("T")

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pins (
    source TEXT NOT NULL, name TEXT NOT NULL, trusted TEXT, waiting TEXT, gone INTEGER NOT NULL,
    former TEXT NOT NULL, changed_at TEXT NOT NULL, PRIMARY KEY (source, name)
) WITHOUT ROWID
"""
_FORMER_ADDED = "ALTER TABLE pins ADD COLUMN former TEXT NOT NULL DEFAULT '[]'"
"""Version 1 was written with this column and without it."""
_BUSY_TIMEOUT = 5.0

Pins = Mapping[str, Pin]
"""What is remembered of one source, by tool."""

Revise = Callable[[Pins], Iterable[Pin]]
"""From the pins of a source to those that have to be kept anew."""

log = structlog.stdlib.get_logger()


class PinStoreError(Exception):
    """The pins cannot be read or written at present."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        self.path = path
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"the pins in {path} cannot be used: {reason}")


class PinStore(Protocol):
    """Pins by source. Every method may block for some seconds, and may be called from any thread."""

    def load(self, source: str) -> Pins:
        """The pins of a source; empty when it was never seen.

        Raises:
            PinStoreError: they cannot be read.
        """
        ...

    def revise(self, source: str, revise: Revise) -> tuple[Pins, Pins]:
        """Keep what `revise` makes of the pins of a source, with nobody else in between.

        Returns:
            The pins before and after. Those after have been written, and survive a power failure.

        Raises:
            PinStoreError: they cannot be read or written.
        """
        ...

    def forget(self, source: str) -> int:
        """Forget all pins of a source, and return how many there were.

        Raises:
            PinStoreError: they cannot be written.
        """
        ...

    def mark(self) -> object:
        """Something that is different once any process has written; cheap enough to look at twice a second."""
        ...


class SqlitePinStore:
    """Pins in an SQLite file (0600, in a folder of 0700), opened anew for every piece of work."""

    def __init__(self, path: Path, busy_timeout: float = _BUSY_TIMEOUT) -> None:
        """Pins in the file at `path`; `busy_timeout` seconds are waited for other processes to finish."""
        self.path = path
        self._busy_timeout = busy_timeout
        self._opened = 0

    def load(self, source: str) -> Pins:
        return self._run(lambda connection: _pins_of(connection, source)) if self.path.exists() else {}

    def revise(self, source: str, revise: Revise) -> tuple[Pins, Pins]:
        return self._run(lambda connection: _revised(connection, source, revise))

    def forget(self, source: str) -> int:
        delete = "DELETE FROM pins WHERE source = ?"
        return self._run(lambda connection: connection.execute(delete, (source,)).rowcount)

    def mark(self) -> object:
        return tuple(_stamp(Path(f"{self.path}{suffix}")) for suffix in ("", "-wal"))

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return self._attempt(work)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside(error)
                return self._attempt(work)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise PinStoreError(self.path, str(error), _remedy(error)) from error

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists():  # a touch would look like news to whoever watches `mark`
            self.path.touch(mode=0o600)
        self._opened = inode(self.path)
        with closing(
            sqlite3.connect(self.path, timeout=self._busy_timeout, isolation_level=None)
        ) as connection:
            self._prepare(connection)
            return work(connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            reason = f"a later version wrote them (schema {version})"
            raise PinStoreError(self.path, reason, "update mcp-switchboard, or give [pins] another path")
        connection.execute("PRAGMA synchronous = FULL")
        if version < _SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            _bring_up_to_date(connection)

    def _set_aside(self, error: Exception) -> None:
        """Move a damaged file out of the way. After that every server is seen for the first time, which is said."""
        aside = set_aside(self.path, self._opened)
        if aside is None:
            return
        consequence = (
            "every server counts as seen for the first time; `switchboard tools` shows what they list"
        )
        log.error(
            "pins.damaged",
            path=str(self.path),
            moved_to=str(aside),
            error=str(error),
            consequence=consequence,
        )


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.execute(_SCHEMA)
        # Looked up inside the transaction: another process may just have done it.
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(pins)")}
        if "former" not in columns:
            connection.execute(_FORMER_ADDED)
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _remedy(error: Exception) -> str:
    """What to do about pins that cannot be used."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another program holds the file: end it, or try again"
    if isinstance(error, ValueError) or code == sqlite3.SQLITE_ERROR:
        return (
            "its contents are not what Switchboard writes: move it away, and every server counts as seen for the "
            "first time"
        )
    return (
        "see that the file and its folder may be written and the disk has room, or give [pins] another path"
    )


def _revised(connection: sqlite3.Connection, source: str, revise: Revise) -> tuple[Pins, Pins]:
    pins = _pins_of(connection, source)
    if not tuple(revise(pins)):
        return pins, pins  # the usual case, for which nobody need be locked out
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        pins = _pins_of(connection, source)
        updates = {pin.name: pin for pin in revise(pins)}
        rows = [_row(source, pin) for pin in updates.values()]
        connection.executemany(
            "INSERT OR REPLACE INTO pins (source, name, trusted, waiting, gone, former, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return pins, {**pins, **updates}


def _pins_of(connection: sqlite3.Connection, source: str) -> dict[str, Pin]:
    query = "SELECT name, trusted, waiting, gone, former FROM pins WHERE source = ?"
    return {
        name: Pin(name, _read(trusted), _read(waiting), bool(gone), tuple(json.loads(former)))
        for name, trusted, waiting, gone, former in connection.execute(query, (source,))
    }


def _row(source: str, pin: Pin) -> tuple[Any, ...]:
    trusted, waiting = (d and json.dumps(d, sort_keys=True) for d in (pin.trusted, pin.waiting))
    former = json.dumps(pin.former)
    return (source, pin.name, trusted, waiting, pin.gone, former, datetime.now(UTC).isoformat())


def _read(definition: str | None) -> Definition | None:
    return None if definition is None else json.loads(definition)


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
