"""How clients reach the server: stdio or streamable HTTP, and how either one ends.

Whatever ends it (the client closing the pipe, SIGTERM, SIGINT), the upstreams are stopped on the way out.
"""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import structlog
import uvicorn
from mcp.server.stdio import stdio_server

from mcp_proxy.config import Settings
from mcp_proxy.lane import FastLane
from mcp_proxy.pipes import Pipe
from mcp_proxy.server import Front
from mcp_proxy.switchboard import Switchboard, running

_GRACE = 2
"""Seconds that open HTTP requests have to finish at the end."""

log = structlog.stdlib.get_logger()


async def serve_stdio(settings: Settings) -> None:
    """Serve one client on stdin and stdout until it closes the pipe or a signal comes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with running(settings) as board:
            if _are_pipes(0, 1):
                await _serve_pipes(board)
            else:
                front = Front(board)
                async with stdio_server() as (read, write):
                    await front.server.run(read, write, front.options)
        tasks.cancel_scope.cancel()


async def _serve_pipes(board: Switchboard) -> None:
    """Serve over stdin and stdout as pipes: with the fast lane, and without a thread that cannot be cancelled."""
    lane = FastLane(board)
    front = Front(board, on_settled=lane.open)
    async with _own_stdio(lane.pipe):
        await front.server.run(lane.pipe.read_stream, lane.pipe.write_stream, front.options)


async def serve_http(settings: Settings) -> None:
    """Serve any number of clients at `http://host:port/mcp` until a signal comes.

    Raises:
        OSError: the address cannot be listened on.
    """
    host, port = settings.server.host, settings.server.port
    async with anyio.create_task_group() as tasks, running(settings) as board:
        app = Front(board).server.streamable_http_app(host=host)
        config = uvicorn.Config(app, host=host, port=port, log_config=None, timeout_graceful_shutdown=_GRACE)
        server = _HttpServer(config)
        tasks.start_soon(_stop_on_signal, server)
        log.info("server.listening", url=f"http://{host}:{port}/mcp")
        await server.serve()
        tasks.cancel_scope.cancel()


class _HttpServer(uvicorn.Server):
    """uvicorn without its signal handling, which ends the process before the upstreams are stopped."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    await _a_signal()
    scope.cancel()


async def _stop_on_signal(server: uvicorn.Server) -> None:
    await _a_signal()
    server.should_exit = True


async def _a_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("server.stopping", signal=number.name)
            return


def _are_pipes(*descriptors: int) -> bool:
    """Whether the event loop can poll them; not so on Windows, and not for files and terminals."""
    if sys.platform == "win32":
        return False
    modes = [os.fstat(descriptor).st_mode for descriptor in descriptors]
    return all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes)


@asynccontextmanager
async def _own_stdio(pipe: Pipe) -> AsyncGenerator[None]:
    """Connect `pipe` with stdin and stdout, and keep everybody else off them.

    While it lasts, whatever else reads stdin finds it empty, and a stray print goes to stderr.
    """
    loop = asyncio.get_running_loop()
    wire_in, wire_out = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230, PTH123  a device, opened once
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    ends = _StdioEnds(pipe)
    writer, _ = await loop.connect_write_pipe(lambda: ends, wire_out)
    reader, _ = await loop.connect_read_pipe(lambda: ends, wire_in)
    ends.connect(reader, writer)
    try:
        yield
    finally:
        reader.close()
        pipe.close()


class _StdioEnds(asyncio.Protocol):
    """Both ends of standard input and output, as one peer."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def connect(self, reader: asyncio.ReadTransport, writer: asyncio.WriteTransport) -> None:
        self._pipe.opened(reader, writer)

    def data_received(self, data: bytes) -> None:
        self._pipe.received(data)

    def eof_received(self) -> None:
        self._pipe.ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  nobody to tell: the client is gone
        self._pipe.ended()

    def pause_writing(self) -> None:
        self._pipe.pause_writing()

    def resume_writing(self) -> None:
        self._pipe.resume_writing()
