"""Results too long for their client, kept on disk until it has read them. Knows nothing of MCP.

Each is a file of its own: the text, then the JSON, then what they are, and how long that is. It appears under
its name once it is whole, so a process that dies leaves nothing half readable.
"""

import hashlib
import json
import mmap
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import anyio
import anyio.to_thread
import structlog

from mcp_proxy.config import ResultSettings
from tool_registry.reading import Buffer

_VERSION = 1
_HANDLE = re.compile(r"[0-9a-f]{24}")
_UNFINISHED = ".unfinished"
_ABANDONED = 600.0
"""Seconds after which a file that was never finished is left by a process that died."""

_LENGTH = 8
"""Bytes at the end of a file that say how long its description is."""

_LARGEST_JSON = 64 * 1024 * 1024
"""Bytes of JSON that are read as a whole, to find a place in it."""

_AT_ONCE = 2

T = TypeVar("T")

log = structlog.stdlib.get_logger()


class KeptResultError(Exception):
    """A kept result that cannot be read so: the caller's to correct. The message says how."""


@dataclass(frozen=True, slots=True)
class Document:
    """A result as it is kept."""

    text: bytes
    """All its text, UTF-8."""
    json: bytes = b""
    """Its structured content, where that is not what the text says anyway."""


@dataclass(frozen=True, slots=True)
class _Description:
    owner: str
    text: int
    json: int
    version: int = _VERSION


class OpenedResult:
    """A kept result while it is being read."""

    def __init__(self, text: Buffer, json_bytes: Callable[[], bytes]) -> None:
        self.text = text
        self._json_bytes = json_bytes

    def value(self) -> Any:
        """The structured content, or the text read as JSON.

        Raises:
            KeptResultError: it is no JSON, or too long to be read as a whole.
        """
        remedy = "read it by offset, line or search instead"
        data = self._json_bytes()
        if len(data) > _LARGEST_JSON:
            raise KeptResultError(f"its JSON is too long for pointers ({len(data):,} bytes): {remedy}")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise KeptResultError(f"it is not JSON, so a pointer leads nowhere: {remedy}") from None


class KeptResults:
    """The kept results in one folder, which several processes may share.

    Bounded in number, bytes and age; the oldest go first. All work is done in threads.
    """

    def __init__(self, settings: ResultSettings) -> None:
        self._folder = settings.path
        self._max_age = settings.max_age
        self._max_size = int(settings.max_size)
        self._max_count = settings.max_count
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    @property
    def max_age(self) -> float:
        """Seconds a result is kept, at most."""
        return self._max_age

    async def work(self, function: Callable[[], T]) -> T:
        """Do something with results in a thread, a few at a time."""
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    def keep(self, document: Document, owner: str) -> str | None:
        """Write a result for `owner` and return its handle; None when the disk or the bounds do not allow it.

        Blocks; see `work`.
        """
        size = len(document.text) + len(document.json)
        if size > self._max_size:
            log.warning("result.not_kept", bytes=size, reason=f"[results] max_size is {self._max_size} bytes")
            return None
        try:
            self._make_room(size)
            return self._write(document, _digest(owner))
        except OSError as error:
            log.warning("result.not_kept", path=str(self._folder), bytes=size, reason=str(error))
            return None

    async def read(self, handle: str, owner: str, look: Callable[[OpenedResult], T]) -> T:
        """What `look` finds in a kept result, in a thread.

        Raises:
            KeptResultError: there is no such result, or it is not `owner`'s.
        """
        return await self.work(partial(self._read, handle, owner, look))

    def _read(self, handle: str, owner: str, look: Callable[[OpenedResult], T]) -> T:
        with self._opened(handle, owner) as (file, about):

            def json_bytes() -> bytes:
                file.seek(about.text if about.json else 0)
                return file.read(about.json or about.text)

            if not about.text:
                return look(OpenedResult(b"", json_bytes))
            with mmap.mmap(file.fileno(), about.text, access=mmap.ACCESS_READ) as text:
                return look(OpenedResult(text, json_bytes))

    @contextmanager
    def _opened(self, handle: str, owner: str) -> Generator[tuple[IO[bytes], _Description]]:
        # Whether it never was, is over, or is somebody else's is the same to who asks.
        gone = KeptResultError(
            f"there is no result {handle[:64]!r} for you (any more): they are kept for {self._max_age / 3600:g} "
            "hours at most, and fewer when there are many; call the tool again"
        )
        if not _HANDLE.fullmatch(handle):
            raise gone
        try:
            file = (self._folder / handle).open("rb")
        except OSError:
            raise gone from None
        with file:
            about = _described(file)
            age = time.time() - os.fstat(file.fileno()).st_mtime
            if (
                about is None
                or age > self._max_age
                or not secrets.compare_digest(about.owner, _digest(owner))
            ):
                raise gone
            yield file, about

    def _write(self, document: Document, owner: str) -> str:
        about = _Description(owner, len(document.text), len(document.json))
        description = json.dumps(asdict(about)).encode()
        handle = secrets.token_hex(12)
        descriptor, unfinished = tempfile.mkstemp(suffix=_UNFINISHED, dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for part in (document.text, document.json, description):
                    file.write(part)
                file.write(len(description).to_bytes(_LENGTH, "big"))
            Path(unfinished).replace(self._folder / handle)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        return handle

    def _make_room(self, size: int) -> None:
        """Remove what is too old, then the oldest until another `size` bytes fit the bounds."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = sorted(self._files())
        count, total = len(files), sum(length for _, length, _ in files)
        for changed, length, path in files:
            is_over = time.time() - changed > self._max_age
            if not is_over and count < self._max_count and total + size <= self._max_size:
                break
            path.unlink(missing_ok=True)
            count, total = count - 1, total - length

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """The kept results, by age, size and path. What a dead process never finished is removed on the way."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process may just have removed it
                    about = entry.stat(follow_symlinks=False)
                    if _HANDLE.fullmatch(entry.name):
                        yield about.st_mtime, about.st_size, Path(entry.path)
                    elif entry.name.endswith(_UNFINISHED) and time.time() - about.st_mtime > _ABANDONED:
                        Path(entry.path).unlink(missing_ok=True)


def _described(file: IO[bytes]) -> _Description | None:
    """What stands at the end of a kept result; None if it is no such file."""
    try:
        file.seek(-_LENGTH, os.SEEK_END)
        length = int.from_bytes(file.read(_LENGTH), "big")
        file.seek(-_LENGTH - length, os.SEEK_END)
        about = _Description(**cast("dict[str, Any]", json.loads(file.read(length))))
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return about if about.version == _VERSION else None


def _digest(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()
