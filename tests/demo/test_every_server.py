"""What all demo servers owe a client: both eras, honest hints, described parameters, a quick end."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters

from tests.demo.demo_serving import cases, started

HINTS: dict[str, dict[str, list[str]]] = cases("hints")


@pytest.fixture(params=["notes", "files", "clock"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, StdioServerParameters]:
    arguments: dict[str, list[str | Path]] = {
        "notes": ["--database", tmp_path / "notes.db"],
        "files": ["--root", tmp_path],
        "clock": [],
    }
    return request.param, started(request.param, *arguments[request.param])


async def test_every_tool_is_titled_described_and_says_what_it_does_to_the_world(
    server: tuple[str, StdioServerParameters],
) -> None:
    name, parameters = server
    async with Client(parameters) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == list(HINTS[name])
    for tool in tools:
        assert tool.title
        assert tool.description
        assert tool.annotations
        hints = tool.annotations.model_dump(by_alias=True)
        assert hints.pop("title") == tool.title
        assert hints.pop("openWorldHint") is False
        assert [hint for hint, holds in hints.items() if holds] == HINTS[name][tool.name]
        assert None not in hints.values()
        for parameter in tool.input_schema["properties"].values():
            assert parameter["description"]
            assert isinstance(parameter["type"], str)


async def test_every_server_speaks_both_eras(server: tuple[str, StdioServerParameters]) -> None:
    name, parameters = server
    for mode, version in (("legacy", "2025-11-25"), ("auto", "2026-07-28")):
        async with Client(parameters, mode=mode) as client:
            assert client.protocol_version == version
            assert client.server_info
            assert client.server_info.name == name
            assert len((await client.list_tools()).tools) == len(HINTS[name])


async def test_every_server_ends_when_its_stdin_closes(server: tuple[str, StdioServerParameters]) -> None:
    async with wire(server[1]) as conversation:
        assert await conversation.hang_up() == 0


async def test_a_countdown_under_way_does_not_keep_the_server_alive() -> None:
    async with wire(started("clock")) as conversation:
        await conversation.request("long", "tools/call", countdown("long", seconds=300))
        await conversation.request("ping", "ping")
        await conversation.until("ping")
        assert await conversation.hang_up() == 0


async def test_a_cancelled_countdown_stops_counting() -> None:
    async with wire(started("clock")) as conversation:
        await conversation.request("first", "tools/call", countdown("first", seconds=10))
        assert (await conversation.receive())["params"]["progressToken"] == "first"
        await conversation.send({"method": "notifications/cancelled", "params": {"requestId": "first"}})
        await conversation.request("ping", "ping")  # answered once the cancellation has been taken in
        await conversation.until("ping")
        await conversation.request("second", "tools/call", countdown("second", seconds=1))
        seen = await conversation.until("second")
    reported = [message["params"]["progressToken"] for message in seen if "method" in message]
    assert reported == ["second"] * 100


def countdown(token: str, seconds: float) -> dict[str, Any]:
    arguments = {"seconds": seconds, "steps": 100}
    return {"name": "countdown", "arguments": arguments, "_meta": {"progressToken": token}}


class Wire:
    """A conversation with a server in raw JSON-RPC: what no client library does for us, or hides."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self._process, self._stdin = process, process.stdin
        self._stdout = BufferedByteReceiveStream(process.stdout)

    async def send(self, message: dict[str, Any]) -> None:
        await self._stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def request(self, name: str, method: str, params: dict[str, Any] | None = None) -> None:
        await self.send({"id": name, "method": method, "params": params or {}})

    async def receive(self) -> dict[str, Any]:
        return json.loads(await self._stdout.receive_until(b"\n", max_bytes=1_000_000))

    async def until(self, name: str) -> list[dict[str, Any]]:
        """Everything received up to and with the answer to request `name`."""
        seen = [await self.receive()]
        while seen[-1].get("id") != name:
            seen.append(await self.receive())
        assert "result" in seen[-1]
        return seen

    async def hang_up(self) -> int:
        """The exit code after stdin closes."""
        await self._stdin.aclose()
        with anyio.fail_after(10):
            return await self._process.wait()


@asynccontextmanager
async def wire(parameters: StdioServerParameters) -> AsyncGenerator[Wire]:
    """A server started and shaken hands with; killed at the end, should it still run."""
    process = await anyio.open_process([parameters.command, *parameters.args], stderr=DEVNULL)
    try:
        conversation = Wire(process)
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        with anyio.fail_after(60):
            await conversation.request("hello", "initialize", hello)
            await conversation.until("hello")
            await conversation.send({"method": "notifications/initialized"})
            yield conversation
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()
