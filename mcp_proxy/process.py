"""Upstream processes: started in a group of their own, spoken to through a `Pipe`, and never left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import anyio
import anyio.to_thread
import structlog
from mcp.client._transport import TransportStreams

from mcp_proxy.kin import MARK, kin, new_mark, send_to_kin
from mcp_proxy.pipes import Pipe
from mcp_proxy.watchdog import Watchdog

_PATIENCE = 2.0
"""Seconds a process has to end by itself after its stdin closes, and again after SIGTERM (the protocol's order)."""

_LAST_BYTES = 0.2
"""Seconds that what a dead process has written may still arrive, when a child of its holds the pipe open."""

_POLL = 0.02

_LOOK = 0.1
"""Seconds between two looks at all processes there are."""

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """What to start."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: Path | None
    keeps_detached: bool = False
    """Whether processes of it that leave its group are left to live on when it ends."""


class _Process(asyncio.SubprocessProtocol):
    """Connects a process's pipes with a `Pipe`."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.exited = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        process = cast("asyncio.SubprocessTransport", transport)
        self._pipe.opened(
            cast("asyncio.ReadTransport", process.get_pipe_transport(1)),
            cast("asyncio.WriteTransport", process.get_pipe_transport(0)),
        )

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002  only stdout is a pipe to read
        self._pipe.received(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        # Whichever pipe goes first, there is no conversation any more.
        self._pipe.ended()

    def process_exited(self) -> None:
        self.exited.set()
        asyncio.get_running_loop().call_later(_LAST_BYTES, self._pipe.ended)

    def pause_writing(self) -> None:
        self._pipe.pause_writing()

    def resume_writing(self) -> None:
        self._pipe.resume_writing()


@asynccontextmanager
async def process_streams(
    program: Program, pipe: Pipe, stderr: IO[str], watchdog: Watchdog
) -> AsyncGenerator[TransportStreams]:
    """Start `program` and give the SDK its streams; on the way out all that came of it is ended, the whole group.

    On Linux that includes processes that have left the group, unless the program keeps them.

    Raises:
        OSError: the program cannot be started.
    """
    loop = asyncio.get_running_loop()
    mark = "" if program.keeps_detached else new_mark()
    transport, process = await loop.subprocess_exec(
        lambda: _Process(pipe),
        program.command,
        *program.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env={**program.env, MARK: mark} if mark else dict(program.env),
        cwd=program.cwd,
        start_new_session=True,
    )
    # No await between the start and this `try`: a cancellation there would leave the process behind.
    group = transport.get_pid()
    watchdog.watch(group, mark)
    try:
        yield pipe.read_stream, pipe.write_stream
    finally:
        with anyio.CancelScope(shield=True):
            pipe.close()
            await _end(group, process.exited)
            await _end_kin(mark)
            watchdog.forget(group)
            transport.close()


async def _end(group: int, exited: asyncio.Event) -> None:
    """Wait for the process, whose stdin is closed, then for its group; terminate and kill what does not end."""
    with anyio.move_on_after(_PATIENCE):
        await exited.wait()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if exited.is_set() and not _alive(group):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        with anyio.move_on_after(_PATIENCE):
            await exited.wait()
            while _alive(group):  # noqa: ASYNC110  the system tells nobody when a group has ended
                await anyio.sleep(_POLL)
    if _alive(group):
        log.warning("upstream.unkillable", process_group=group)


async def _end_kin(mark: str) -> None:
    """Terminate, then kill, what has left the group that is gone by now."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not await anyio.to_thread.run_sync(send_to_kin, mark, number):
            return
        with anyio.move_on_after(_PATIENCE):
            while await anyio.to_thread.run_sync(kin, mark):  # noqa: ASYNC110  they are nobody's children whom we know
                await anyio.sleep(_LOOK)


def _alive(group: int) -> bool:
    """Whether the group still has a process. A zombie that its parent has not waited for counts."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
