"""A client that speaks raw lines, so that a test can do and see what no SDK would."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.serving import command

BARE = {"name": "bare", "version": "1"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": BARE}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": BARE,
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""What a stateless client sends with every request."""

Message = dict[str, Any]


@dataclass
class BareClient:
    """A client of one process."""

    process: Process
    lines: BufferedByteReceiveStream
    notifications: list[Message] = field(default_factory=list[Message])
    """Everything that came while a request waited for its answer."""
    greeting: Message = field(default_factory=dict[str, Any])
    """The answer to `initialize`."""
    envelope: Message = field(default_factory=dict[str, Any])
    """The `_meta` of every request."""
    next_id: int = 0

    async def send(self, line: bytes) -> None:
        assert self.process.stdin
        await self.process.stdin.send(line + b"\n")

    async def receive(self) -> Message:
        return json.loads(await self.lines.receive_until(b"\n", 1 << 26))

    async def request(self, method: str, **params: Any) -> Message:
        """The answer to a request."""
        self.next_id += 1
        if self.envelope:
            params = {**params, "_meta": {**self.envelope, **params.get("_meta", {})}}
        message = {"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params}
        await self.send(json.dumps(message).encode())
        while (answer := await self.receive()).get("id") != self.next_id:
            assert answer["jsonrpc"] == "2.0"
            self.notifications.append(answer)
        return answer


@asynccontextmanager
async def bare_client(config: Path, envelope: Message | None = None) -> AsyncGenerator[BareClient]:
    """A client of `switchboard serve`: past the handshake, or with an envelope for every request instead."""
    start = command(config, "serve")
    async with await anyio.open_process(
        [start.command, *start.args], stderr=DEVNULL, env=start.env
    ) as process:
        assert process.stdout
        client = BareClient(process, BufferedByteReceiveStream(process.stdout))
        with anyio.fail_after(60):
            if envelope:
                client.envelope = envelope
                yield client
                return
            client.greeting = await client.request("initialize", **HELLO)
            await client.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
            yield client
