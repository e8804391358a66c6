"""A real `switchboard serve --transport http` on a free port, and what it logged."""

import json
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
from anyio.abc import AnyByteReceiveStream, Process
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from tests.serving import command

ACCEPT = {"accept": "application/json, text/event-stream"}

PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    },
}


@dataclass
class Listening:
    """A server that listens."""

    process: Process
    origin: str = ""
    log: str = ""
    """What stands on its stderr so far."""
    heard: anyio.Event = field(default_factory=anyio.Event)

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    async def follow(self, stderr: AnyByteReceiveStream) -> None:
        async for data in stderr:
            self.log += data.decode()
            if not self.origin and (url := self._url()):
                self.origin = url.removesuffix("/mcp")
                self.heard.set()

    def _url(self) -> str | None:
        lines = [
            line for line in self.log.splitlines() if '"server.listening"' in line and line.endswith("}")
        ]
        return json.loads(lines[0])["url"] if lines else None


@asynccontextmanager
async def listening(
    config: Path, *options: str, port: int = 0, end: signal.Signals = signal.SIGTERM
) -> AsyncGenerator[Listening]:
    """A server with this configuration, by default on any free port; `options` stand before the command.

    It ends by the signal `end`, whoever sends it.
    """
    start = command(config, *options, "serve", "--transport", "http", "--port", str(port))
    async with (
        await anyio.open_process([start.command, *start.args], stderr=PIPE, env=start.env) as process,
        anyio.create_task_group() as tasks,
    ):
        server = Listening(process)
        assert process.stderr
        tasks.start_soon(server.follow, process.stderr)
        try:
            with anyio.fail_after(60):
                await server.heard.wait()
            yield server
        finally:
            if process.returncode is None:
                process.send_signal(end)
            with anyio.fail_after(30, shield=True):
                await process.wait()
        assert process.returncode == (-end if end is signal.SIGKILL else 0)


async def until_ready(server: Listening) -> dict[str, Any]:
    """What the server says once every upstream has settled and one is ready."""
    with anyio.fail_after(60):
        async with raw(server) as http:
            while (answer := await http.get("/readyz")).status_code != 200:
                await anyio.lowlevel.checkpoint()
    return answer.json()


def free_port() -> int:
    """A port that nobody listens on, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_open(port: int) -> None:
    """Return once somebody listens on a port."""
    while True:
        try:
            await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
        except OSError:
            await anyio.sleep(0.05)
        else:
            return


async def refused(config: Path, *options: str) -> str:
    """What a server that does not start says on stderr."""
    start = command(config, "serve", "--transport", "http", *options)
    with anyio.fail_after(60):
        done = await anyio.run_process([start.command, *start.args], env=start.env, check=False)
    assert done.returncode == 2
    return done.stderr.decode()


@asynccontextmanager
async def over_sse(server: Listening, token: str = "", **client: Any) -> AsyncGenerator[Client]:
    """A client of the old transport."""
    transport = sse_client(f"{server.origin}/sse", headers=bearing(token))
    async with Client(transport, mode="legacy", **client) as connected:
        yield connected


@asynccontextmanager
async def over_http(server: Listening, token: str = "", **client: Any) -> AsyncGenerator[Client]:
    """A client over streamable HTTP."""
    async with (
        httpx2.AsyncClient(headers=bearing(token), timeout=30) as http,
        Client(streamable_http_client(server.url, http_client=http), **client) as connected,
    ):
        yield connected


def bearing(token: str) -> dict[str, str]:
    """The header that carries a token, if there is one."""
    return {"authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def raw(server: Listening, token: str = "") -> AsyncGenerator[httpx2.AsyncClient]:
    """Plain requests to the server, with a token."""
    async with httpx2.AsyncClient(
        base_url=server.origin, headers=ACCEPT | bearing(token), timeout=30
    ) as http:
        yield http


@asynccontextmanager
async def taken_port() -> AsyncGenerator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])
