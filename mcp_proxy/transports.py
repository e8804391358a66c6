"""How clients reach the server: stdio or streamable HTTP, and how either one ends.

Whatever ends it (the client closing the pipe, SIGTERM, SIGINT), the upstreams are stopped on the way out.
"""

import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import structlog
import uvicorn
from mcp.server.stdio import stdio_server

from mcp_proxy.config import Settings
from mcp_proxy.server import Front
from mcp_proxy.switchboard import running

_CHUNK = 65536
_GRACE = 2
"""Seconds that open HTTP requests have to finish at the end."""

log = structlog.stdlib.get_logger()


async def serve_stdio(settings: Settings) -> None:
    """Serve one client on stdin and stdout until it closes the pipe or a signal comes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with running(settings) as board, stdio_server(stdin=_stdin()) as (read, write):
            front = Front(board)
            await front.server.run(read, write, front.options)
        tasks.cancel_scope.cancel()


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


def _stdin() -> Any:
    """Standard input as lines that can be waited for without a thread, so that a signal can end the wait.

    None, which leaves it to the SDK's reader thread, where descriptors cannot be polled: on Windows,
    and for a regular file.
    """
    pollable = sys.platform != "win32" and not stat.S_ISREG(os.fstat(0).st_mode)
    return cast("Any", _lines(0)) if pollable else None


async def _lines(descriptor: int) -> AsyncIterator[str]:
    pending = b""
    while True:
        await anyio.wait_readable(descriptor)
        if not (chunk := os.read(descriptor, _CHUNK)):
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
