"""Vectors of texts, kept on disk by what they were made of and by which model, so that nothing is embedded twice.

One SQLite file, which several processes may share. A cache: what cannot be read or written is done without.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:  # It is loaded with the first vector: to see that none is missing takes none.
    from tool_registry.meaning import Vector

LIMIT = 100_000
"""Vectors that are kept at most: about 90 MB. Those that were not used for longest go first."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, used INTEGER) WITHOUT ROWID"
_BUSY = 2.0
"""Seconds another process is waited for."""
_AT_ONCE = 500
_DAY = 86_400
_DAMAGED = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})

log = structlog.stdlib.get_logger()


class VectorCache:
    """Vectors of one embedder, as float16. May be used from several threads; never raises because of the file.

    Args:
        path: the file; None keeps them in memory.
        fingerprint: that of the embedder.
        limit: how many are kept at most.
    """

    def __init__(self, path: Path | None, fingerprint: str, limit: int = LIMIT) -> None:
        self._path = path
        self._fingerprint = fingerprint.encode()
        self._limit = limit
        self._one_at_a_time = Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Those of `texts` that have no vector here, each once."""
        wanted = list(dict.fromkeys(texts))
        keys = {self._key(text) for text in wanted}
        known = {key for key, *_ in self._rows("key", keys)}
        return [text for text in wanted if self._key(text) not in known]

    def load(self, texts: Iterable[str]) -> dict[str, "Vector"]:
        """The vectors of those of `texts` that have one here."""
        import numpy as np  # noqa: PLC0415

        wanted = {self._key(text): text for text in texts}
        rows = list(self._rows("key, vector, used", wanted))
        today = int(time.time() // _DAY)
        self._write(
            "UPDATE vectors SET used = ? WHERE key = ?",
            [(today, key) for key, _, used in rows if used != today],
        )
        return {wanted[key]: np.frombuffer(vector, np.float16) for key, vector, _ in rows}

    def save(self, vectors: Mapping[str, "Vector"]) -> None:
        """Keep these vectors, and let go of the oldest where that makes too many."""
        today = int(time.time() // _DAY)
        self._write(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
            [
                (self._key(text), vector.astype("float16").tobytes(), today)
                for text, vector in vectors.items()
            ],
        )
        excess = "SELECT key FROM vectors ORDER BY used LIMIT max(0, (SELECT count(*) FROM vectors) - ?)"
        self._write(f"DELETE FROM vectors WHERE key IN ({excess})", [(self._limit,)])  # noqa: S608

    def close(self) -> None:
        """Let go of the file; from now on nothing is found and nothing kept."""
        with self._one_at_a_time:
            self._closed = True
            if self._connection:
                self._connection.close()
            self._connection = None

    def _key(self, text: str) -> bytes:
        return sha256(self._fingerprint + b"\0" + text.encode("utf-8", "surrogatepass")).digest()

    def _rows(self, columns: str, keys: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
        every = list(keys)
        for start in range(0, len(every), _AT_ONCE):
            some = tuple(every[start : start + _AT_ONCE])
            query = f"SELECT {columns} FROM vectors WHERE key IN ({','.join('?' * len(some))})"  # noqa: S608
            yield from self._run(query, [some])

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._run(statement, rows)

    def _run(self, statement: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Carry out a statement, with each of `rows`, as one transaction; what a single one selects."""
        with self._one_at_a_time:
            for _ in range(0 if self._closed else 2):
                try:
                    connection = self._connection = self._connection or self._open()
                    with connection:
                        if len(rows) == 1:
                            return connection.execute(statement, rows[0]).fetchall()
                        connection.executemany(statement, rows)
                        return []
                except (sqlite3.Error, OSError) as error:
                    self._give_up(error)
        return []

    def _open(self) -> sqlite3.Connection:
        if self._path:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path or ":memory:", timeout=_BUSY, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        return connection

    def _give_up(self, error: Exception) -> None:
        """Begin a damaged file anew; keep the vectors in memory where the file cannot be used at all."""
        if self._connection:
            self._connection.close()
        self._connection = None
        path, self._path = self._path, None
        log.warning("search.cache_failed", path=str(path), reason=str(error))
        if path and getattr(error, "sqlite_errorname", "") in _DAMAGED:
            with suppress(OSError):
                for ending in ("", "-wal", "-shm"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
                self._path = path
