"""The soak's client, as far as the wire goes: one proxy process, spoken to over stdio or streamable HTTP."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx2
import orjson

from benchmarks.contestants import environment
from benchmarks.raw_client import RawClient, ServerFailedError, started
from tests.serving import command

Message = dict[str, Any]

_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "soak", "version": "1"},
}
_ACCEPTED = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_STARTING = 60.0  # seconds until the proxy has to listen
VANISHING = 10
"""One client out of so many leaves without a word. The SDK keeps its session, some 80 KiB, for half an hour."""

_PATIENCE = 90.0  # seconds for any one HTTP response to begin, and between its parts


class Link(Protocol):
    """A client of one proxy process."""

    client: RawClient
    """The process, and its log."""
    connections: int
    """How often it has been connected to."""

    async def send(self, message: Message) -> None: ...

    async def receive(self) -> Message:
        """The next message of the proxy.

        Raises:
            ServerFailedError: there will be none.
        """
        ...

    async def reconnect(self) -> None:
        """Be a new client from now on, where the transport has such a thing."""
        ...


class StdioLink:
    """The one client that a proxy on stdio ever has."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self._process = client.process
        self.connections = 1

    async def send(self, message: Message) -> None:
        assert self._process.stdin
        self._process.stdin.write(orjson.dumps(message) + b"\n")
        await self._process.stdin.drain()

    async def receive(self) -> Message:
        assert self._process.stdout
        if line := await self._process.stdout.readline():
            return orjson.loads(line)
        raise ServerFailedError("the proxy ended in the middle of the soak")

    async def reconnect(self) -> None:
        """Nothing: there is no other way in."""


class HttpLink:
    """One client after the other; most take leave, some vanish, as clients that crash do."""

    def __init__(
        self,
        client: RawClient,
        url: str,
        http: httpx2.AsyncClient,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.client = client
        self.connections = 0
        self._url = url
        self._http = http
        self._tasks = tasks
        self._headers: Mapping[str, str] = {}
        self._exchanges: set[asyncio.Task[None]] = set()
        self._received: asyncio.Queue[Message] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        if "id" not in message:
            await self._http.post(self._url, content=orjson.dumps(message), headers=self._headers)
            return
        exchange = self._tasks.create_task(self._exchange(message))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)

    async def receive(self) -> Message:
        return await self._received.get()

    async def reconnect(self) -> None:
        headers, exchanges = self._headers, set(self._exchanges)
        if headers and self.connections % VANISHING:
            self._tasks.create_task(self._take_leave(headers, exchanges))
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": _HELLO}
        answer = await self._http.post(self._url, content=orjson.dumps(hello), headers=_ACCEPTED)
        session = answer.headers["mcp-session-id"]
        version = str(_HELLO["protocolVersion"])
        self._headers = {**_ACCEPTED, "mcp-session-id": session, "mcp-protocol-version": version}
        self.connections += 1
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def _exchange(self, message: Message) -> None:
        content = orjson.dumps(message)
        async with self._http.stream("POST", self._url, content=content, headers=self._headers) as response:
            async for received in _messages(response):
                self._received.put_nowait(received)

    async def _take_leave(self, headers: Mapping[str, str], exchanges: set[asyncio.Task[None]]) -> None:
        """End a session when the last of its requests has been answered."""
        if exchanges:
            await asyncio.wait(exchanges)
        await self._http.delete(self._url, headers=headers)


async def _messages(response: httpx2.Response) -> AsyncIterator[Message]:
    """The messages of a response, whichever of the two ways it chose."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield orjson.loads(line.removeprefix("data: "))
    elif content := await response.aread():
        yield orjson.loads(content)


def linked(transport: str, config: Path, folder: Path) -> AbstractAsyncContextManager[Link]:
    """A client of a fresh proxy, which is gone afterwards."""
    return {"stdio": _over_stdio, "http": _over_http}[transport](config, folder)


@asynccontextmanager
async def _over_stdio(config: Path, folder: Path) -> AsyncGenerator[Link]:
    start = command(config, "--log-level", "error", "serve")
    async with started([start.command, *start.args], environment(folder), folder) as client:
        await client.initialize()
        yield StdioLink(client)


@asynccontextmanager
async def _over_http(config: Path, folder: Path) -> AsyncGenerator[Link]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    start = command(config, "--log-level", "error", "serve", "--transport", "http", "--port", str(port))
    async with (
        started([start.command, *start.args], environment(folder), folder) as client,
        httpx2.AsyncClient(
            timeout=_PATIENCE,
            # None is kept, so that the proxy's descriptors are its own when nothing is asked.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        ) as http,
    ):
        async with asyncio.timeout(_STARTING):
            await _listening(client, port)
        async with asyncio.TaskGroup() as tasks:
            link = HttpLink(client, f"http://127.0.0.1:{port}/mcp", http, tasks)
            await link.reconnect()
            yield link
        client.process.terminate()
        await client.process.wait()


async def _listening(client: RawClient, port: int) -> None:
    while client.process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    client.log.seek(0)
    raise ServerFailedError(f"the proxy ended while starting; stderr:\n{client.log.read().decode()}")
