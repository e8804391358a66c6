"""The lightest MCP client there is: one child process, JSON lines, no SDK.

What a call costs through it is nearly all the server's, so that differences between servers show.
"""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_LONGEST_LINE = 1 << 26  # bytes; a catalog of several hundred tools is one line
_PATIENCE = 60.0  # seconds for any one answer
_EXIT_PATIENCE = 15.0  # seconds between the end of stdin and SIGKILL

_SELF = {"name": "overhead", "version": "1"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _SELF}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}

_ENVELOPE: Mapping[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": _SELF,
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}, "roots": {}},
}
"""What a stateless client says with every request; it can be asked what Claude Code can."""


class ServerFailedError(Exception):
    """A measured server ended, answered with an error, or fell silent."""


class Asking(ABC):
    """What every client has that can send a request."""

    @abstractmethod
    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one request."""

    async def tools(self) -> list[str]:
        """The names of all tools listed, over all pages."""
        names: list[str] = []
        params: dict[str, str] = {}
        while True:
            page = await self.request("tools/list", params)
            names += [tool["name"] for tool in page["tools"]]
            if "nextCursor" not in page:
                return names
            params = {"cursor": page["nextCursor"]}

    async def call(self, params: Mapping[str, Any]) -> None:
        """Call a tool."""
        require_success(await self.request("tools/call", params))


@dataclass(slots=True)
class RawClient(Asking):
    """A connection to one server process; `started` makes it."""

    process: asyncio.subprocess.Process
    log: IO[bytes]
    is_stateless: bool = False
    """Whether it speaks the stateless era: no handshake, and an envelope on every request."""
    last_id: int = 0

    async def initialize(self) -> None:
        if self.is_stateless:
            return
        await self.request("initialize", HELLO)
        self._send(INITIALIZED)

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self._request(method, params)
        _, result = await self._answer()
        return result

    async def call_repeatedly(
        self, params: Mapping[str, Any], calls: int, *, in_flight: int, seconds: float
    ) -> list[float]:
        """Call a tool `calls` times, or until `seconds` are over, keeping `in_flight` calls open.

        Returns:
            How long each call took, in seconds, in the order of the answers.
        """
        deadline = time.perf_counter() + seconds
        sent: dict[int, float] = {}
        took: list[float] = []
        remaining = calls
        while remaining or sent:
            while remaining and len(sent) < in_flight:
                sent[self._request("tools/call", params)] = time.perf_counter()
                remaining -= 1
            answered, result = await self._answer()
            now = time.perf_counter()
            took.append(now - sent.pop(answered))
            require_success(result)
            if now > deadline:
                remaining = 0
        return took

    def _request(self, method: str, params: Mapping[str, Any]) -> int:
        self.last_id += 1
        if self.is_stateless:
            params = {**params, "_meta": _ENVELOPE}
        self._send({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
        return self.last_id

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _answer(self) -> tuple[int, dict[str, Any]]:
        """The next answer: the id of its request, and its result. Notifications are passed over."""
        assert self.process.stdout
        while True:
            try:
                line = await asyncio.wait_for(self.process.stdout.readline(), _PATIENCE)
            except TimeoutError as error:
                raise ServerFailedError(
                    f"no answer for {_PATIENCE:.0f} s; stderr:\n{self._said()}"
                ) from error
            if not line:
                raise ServerFailedError(f"the server ended; stderr:\n{self._said()}")
            message = json.loads(line)
            if "error" in message:
                raise ServerFailedError(f"{message['error']}; stderr:\n{self._said()}")
            if "result" in message:
                return message["id"], message["result"]

    def _said(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]


def require_success(result: Mapping[str, Any]) -> None:
    """Have no failed call pass for a fast one.

    Raises:
        ServerFailedError: the result of a call is an error, or asks for input.
    """
    if result.get("isError") or "content" not in result:
        raise ServerFailedError(f"tools/call answered with {result}")


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, *, is_stateless: bool = False
) -> AsyncGenerator[RawClient]:
    """A client of a fresh server process, which is gone afterwards."""
    async with server_process(command, env, cwd) as (process, log):
        yield RawClient(process, log, is_stateless)


@contextlib.asynccontextmanager
async def server_process(
    command: Sequence[str], env: Mapping[str, str], cwd: Path
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, IO[bytes]]]:
    """A process and what it says on stderr; at the end it is asked to go, then killed."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=env,
            cwd=cwd,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        try:
            yield process, log
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close stdin and wait, as a client does when it quits; kill the group of what stays."""
    # Feeding b"" closes stdin. Reading stdout meanwhile matters: a server stuck writing never sees the end.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(b""), _EXIT_PATIENCE)
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
