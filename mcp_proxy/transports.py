"""How one client reaches the server over stdio, and how that ends. The door for many is `http_server`.

Whatever ends it (the client closing the pipe, SIGTERM, SIGINT), the upstreams are stopped on the way out.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from mcp_proxy import entry, greeting
from mcp_proxy.config import Settings
from mcp_proxy.desk import Desk
from mcp_proxy.greeting_record import GreetingRecord
from mcp_proxy.lane import FastLane
from mcp_proxy.parking import Parking
from mcp_proxy.pipes import Pipe
from mcp_proxy.running import running
from mcp_proxy.server import Front
from mcp_proxy.signals import until_signalled


async def serve_stdio(settings: Settings, configuration: Path, as_of: Mapping[str, Any]) -> None:
    """Serve one client on stdin and stdout until it closes the pipe or a signal comes.

    Args:
        settings: what to serve.
        configuration: the file they came from; edits of its upstreams and profiles take effect at once.
        as_of: its fingerprint before it was read; greetings are kept for as long as it has that.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with running(settings, watch=configuration) as board:
            desk = Desk(board, settings.server.profile)
            if sys.platform != "win32" and greeting.is_pipe(0) and greeting.is_pipe(1):
                await _serve_pipes(desk, as_of)
            else:
                front = Front(desk)
                async with stdio_server() as (read, write):
                    await front.server.run(read, write, front.options)
        tasks.cancel_scope.cancel()


async def _serve_pipes(desk: Desk, as_of: Mapping[str, Any]) -> None:
    """Serve over stdin and stdout as pipes: with the fast lane, and without a thread that cannot be cancelled."""
    greeter = entry.greeter.hand_over() if entry.greeter else None
    parking = Parking()
    lane = FastLane(desk, parking)
    lane.pipe.watch(
        GreetingRecord(greeting.GreetingFile(sys.argv[1:]), dict(as_of), greeter, lane.announce_tools)
    )
    front = Front(desk, on_settled=lane.open, parking=parking)
    async with _own_stdio(lane.pipe):
        if greeter:
            lane.pipe.received(greeter.received)
        await front.server.run(lane.pipe.read_stream, lane.pipe.write_stream, front.options)


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    await until_signalled()
    scope.cancel()


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
