"""The lightest client of a streamable HTTP server there is: HTTP/1.1 on bare sockets, kept open, no SDK.

It knows as much of HTTP as the measured servers use.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.raw_client import HELLO, INITIALIZED, Asking, ServerFailedError, server_process

_LONGEST_ANSWER = 1 << 26
_PATIENCE = 60.0
_POLL = 0.005


@dataclass(slots=True)
class RawHttpClient(Asking):
    """A session with one server; `serving_http` makes it."""

    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    last_id: int = 0
    idle: list["_Connection"] = field(default_factory=list["_Connection"])

    async def initialize(self) -> None:
        await self.request("initialize", HELLO)
        self.headers["mcp-protocol-version"] = str(HELLO["protocolVersion"])
        await self._post(INITIALIZED)

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.last_id += 1
        message = await self._post({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
        if not message or "result" not in message:
            raise ServerFailedError(f"{method} answered with {message}")
        return message["result"]

    async def call_repeatedly(
        self, params: Mapping[str, Any], calls: int, *, in_flight: int, seconds: float
    ) -> list[float]:
        """As `RawClient.call_repeatedly`, on as many connections as calls are in flight."""
        deadline = time.perf_counter() + seconds
        took: list[float] = []
        begun = 0

        async def call_on() -> None:
            nonlocal begun
            while begun < calls and time.perf_counter() < deadline:
                begun += 1
                began = time.perf_counter()
                await self.call(params)
                took.append(time.perf_counter() - began)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(call_on())
        return took

    async def close(self) -> None:
        for connection in self.idle:
            connection.writer.close()

    async def _post(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        connection = self.idle.pop() if self.idle else await _Connection.to(self.port)
        answer = await asyncio.wait_for(
            connection.post(self.path, self.headers, json.dumps(message).encode()), _PATIENCE
        )
        self.idle.append(connection)
        if session := answer.headers.get("mcp-session-id"):
            self.headers["mcp-session-id"] = session
        return answer.message


@dataclass(frozen=True, slots=True)
class _Answer:
    headers: dict[str, str]
    message: dict[str, Any] | None
    """None of an answer without a body."""


@dataclass(frozen=True, slots=True)
class _Connection:
    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int) -> "_Connection":
        return cls(port, *await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_ANSWER))

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        given = {
            "host": f"127.0.0.1:{self.port}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        received = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await self._body(received)
        if status.split()[1][0] != "2":
            raise ServerFailedError(f"{status}: {content.decode(errors='replace')[-500:]}")
        return _Answer(received, _message(content, received.get("content-type", "")) if content else None)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", "0")))
        parts: list[bytes] = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readexactly(2)
        return b"".join(parts)


def _message(content: bytes, content_type: str) -> dict[str, Any] | None:
    """The response in a body, which may come as the last event of a stream."""
    if not content_type.startswith("text/event-stream"):
        return json.loads(content)
    data = [line[5:] for line in content.splitlines() if line.startswith(b"data:") and line[5:].strip()]
    messages: list[dict[str, Any]] = [json.loads(each) for each in data]
    return next((message for message in messages if "id" in message), None)


@contextlib.asynccontextmanager
async def serving_http(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, port: int
) -> AsyncGenerator[RawHttpClient]:
    """A client of a fresh server process that listens on `port`, and is gone afterwards."""
    async with server_process(command, env, cwd) as (process, _):
        client = RawHttpClient(port, "/mcp")
        try:
            async with asyncio.timeout(_PATIENCE):
                await _until_open(process, port)
            yield client
        finally:
            await client.close()
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)


async def _until_open(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        with contextlib.suppress(OSError):
            (await _Connection.to(port)).writer.close()
            return
        await asyncio.sleep(_POLL)
    raise ServerFailedError(f"the server ended with {process.returncode} before it listened")
