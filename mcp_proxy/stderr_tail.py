"""What an upstream process says on stderr: logged line by line, the last lines kept to explain a death."""

import os
import re
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TextIO

import anyio
import structlog

from mcp_proxy.redaction import redact_text

_KEPT_LINES = 20
_LONGEST_LINE = 2000
_CHUNK = 65536
"""As much as a pipe holds."""

_NPM_ERROR = re.compile(r"npm (?:error|ERR!) ", re.IGNORECASE)
_NPM_NOISE = re.compile(
    r"npm (?:(?:warn|notice)\b|(?:error|ERR!)(?:\s+\w*\d+)?\s*(?:A complete log of this run|\S*_logs\b|$))",
    re.IGNORECASE,
)
"""What npm adds to its reasons: warnings, empty lines and the place of its log."""

log = structlog.stdlib.get_logger()


class StderrTail:
    """The last lines an upstream wrote to its stderr."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def last_words(self) -> str:
        """The last line that says something, without secrets, or an empty string.

        Of what npm says when it fails, it is the first two: what follows is advice, and where its log is.
        """
        lines = [line for line in self._lines if line.strip()]
        telling = [line for line in lines if not _NPM_NOISE.match(line)] or lines
        words = telling[-1] if telling else ""
        if _NPM_ERROR.match(words):
            errors = [line for line in telling if _NPM_ERROR.match(line)]
            words = "; ".join((errors[0], *(_NPM_ERROR.sub("", line) for line in errors[1:2])))
        return redact_text(words)

    @asynccontextmanager
    async def collecting(self) -> AsyncGenerator[TextIO]:
        """A file to hand to the process as its stderr; read until the block ends."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        with os.fdopen(write_end, "w") as stderr:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, read_end)
                try:
                    yield stderr
                finally:
                    tasks.cancel_scope.cancel()

    async def _read(self, descriptor: int) -> None:
        pending = b""
        try:
            while True:
                await anyio.wait_readable(descriptor)
                if not (chunk := os.read(descriptor, _CHUNK)):
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                pending = pending[-_LONGEST_LINE:]
                for line in lines:
                    self._take(line)
        finally:
            self._drain(descriptor, pending)
            anyio.notify_closing(descriptor)
            os.close(descriptor)

    def _drain(self, descriptor: int, pending: bytes) -> None:
        """Take what is still in the pipe: a process that died has often just said why.

        One read takes all of it; more would never end while a child it left behind babbles on.
        """
        with suppress(BlockingIOError):
            pending += os.read(descriptor, _CHUNK)
        for line in pending.split(b"\n"):
            self._take(line)

    def _take(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").rstrip()[:_LONGEST_LINE]:
            self._lines.append(text)
            log.debug("upstream.stderr", upstream=self._upstream, line=text)
