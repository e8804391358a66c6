"""The journal for those who only look at it: commands, beside a server that may be writing to the same file.

Unlike the server, which goes on without a journal it cannot use, they are told what is wrong with it.
"""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from mcp_proxy.damaged_file import is_damage
from mcp_proxy.journal_schema import SCHEMA_VERSION, NewerJournalError, migrate, prepare, version_of

_BUSY_TIMEOUT = 5.0


class JournalUnreadableError(Exception):
    """The journal is there and cannot be used; the message says what to do."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"the journal {path} cannot be used: {reason}")


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """The journal at `path`, to be read; an empty one where there is none. On disk nothing is made or changed.

    Raises:
        JournalUnreadableError: it is damaged, of a later version, or may not be read.
    """
    with _told(path), _opened(path) as connection:
        connection.execute("PRAGMA query_only = ON")
        if version_of(connection) == SCHEMA_VERSION:
            yield connection
            return
        # An older one is brought up to date in memory: the file is the server's to change.
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            connection.backup(memory)
            migrate(memory)
            yield memory


@contextmanager
def writing(path: Path) -> Generator[sqlite3.Connection]:
    """The journal at `path`, to be added to. Where there is none, what is added is lost.

    Raises:
        JournalUnreadableError: it is damaged, of a later version, or may not be written.
    """
    with _told(path), _opened(path) as connection:
        prepare(connection)
        yield connection


@contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    # A file without a byte in it is what a server that has just begun leaves for a moment.
    there = path.exists() and path.stat().st_size
    uri = f"{path.absolute().as_uri()}?mode=rw" if there else "file::memory:"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None)) as connection:
        yield connection


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        remedy = (
            "; a server sets it aside when it next writes, or move it away yourself"
            if is_damage(error)
            else ""
        )
        raise JournalUnreadableError(path, f"{error}{remedy}") from error
    except (OSError, NewerJournalError) as error:
        raise JournalUnreadableError(path, str(error)) from error
