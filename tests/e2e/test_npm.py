"""Real servers and a real client from npm: claude-flow, flow-nexus, server-everything, MCP Inspector."""

import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest

from tests.npm_upstreams import (
    Launch,
    claude_flow,
    everything_http,
    everything_sse,
    everything_stdio,
    flow_nexus,
    inspector_cli,
)
from tests.serving import ERAS, Progress, command, configured, npm, outcome_of, serving, text_of

MESH = {"topology": "mesh", "maxAgents": 5}
SURE_ENOUGH = {"threshold": 0.6}
"""So that nobody has to be asked about a swarm."""


def fresh(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


@pytest.mark.parametrize("era", ERAS)
async def test_a_task_in_plain_words_arrives_at_claude_flow(tmp_path: Path, era: str) -> None:
    config = configured(
        tmp_path, {"claude-flow": npm(claude_flow(fresh(tmp_path, "flow")))}, planner=SURE_ENOUGH
    )
    async with serving(config, mode=era) as client:
        assert len((await client.list_tools()).tools) == 353 + 3
        result = await client.call_tool("do", {"task": "initialize a mesh swarm with 5 agents"})
    outcome = outcome_of(result)
    assert not result.is_error, outcome
    assert outcome["call"] == {
        "tool": "claude-flow__swarm_init",
        "upstream": "claude-flow",
        "arguments": MESH,
    }
    answer = json.loads(text_of(result).partition("\n[switchboard]")[0])
    assert (answer["topology"], answer["config"]["maxAgents"]) == ("mesh", 5)


async def test_of_two_namesakes_the_one_the_task_names_is_called(tmp_path: Path) -> None:
    upstreams = {
        "flow-nexus": npm(flow_nexus()),
        "claude-flow": npm(claude_flow(fresh(tmp_path, "flow"))),
    }
    async with serving(configured(tmp_path, upstreams, planner=SURE_ENOUGH)) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"flow-nexus__swarm_init", "claude-flow__swarm_init"} <= names
        named = await client.call_tool(
            "do", {"task": "with claude-flow, initialize a mesh swarm with 5 agents"}
        )
        assert outcome_of(named)["call"]["tool"] == "claude-flow__swarm_init"
        assert outcome_of(named)["call"]["arguments"] == MESH
        other = await client.call_tool(
            "plan", {"task": "initialize a mesh swarm with 5 agents on flow-nexus"}
        )
        assert outcome_of(other)["call"]["tool"] == "flow-nexus__swarm_init"
        assert outcome_of(other)["call"]["arguments"] == MESH
        unnamed = await client.call_tool("do", {"task": "initialize a mesh swarm with 5 agents"})
        assert outcome_of(unnamed)["ending"] == "needs"
        assert "fits as well, and the task names no server" in outcome_of(unnamed)["reason"]


@asynccontextmanager
async def started(launch: Launch, port: int) -> AsyncGenerator[str]:
    async with await anyio.open_process(
        [launch.command, *launch.args], stdout=DEVNULL, stderr=DEVNULL, env=dict(launch.env)
    ) as process:
        with anyio.fail_after(60):
            while True:
                try:
                    await (await anyio.connect_tcp("localhost", port)).aclose()
                    break
                except OSError:
                    await anyio.sleep(0.05)
        try:
            yield f"http://localhost:{port}/mcp"
        finally:
            process.kill()


@pytest.mark.parametrize("transport", ["stdio", "http", "sse"])
async def test_server_everything_works_through_every_transport(tmp_path: Path, transport: str) -> None:
    async def check(upstream: dict[str, Any]) -> None:
        progress = Progress()
        async with serving(configured(tmp_path, {"everything": upstream})) as client:
            assert text_of(await client.call_tool("everything__echo", {"message": "hello"})) == "Echo: hello"
            name = next(t.name for t in (await client.list_tools()).tools if "trigger-long" in t.name)
            await client.call_tool(name, {"duration": 0.5, "steps": 2}, progress_callback=progress)
            image = await client.call_tool("everything__get-tiny-image", {})
            assert "image" in [block.type for block in image.content]
            assert "everything__simple-prompt" in {
                prompt.name for prompt in (await client.list_prompts()).prompts
            }
            resource = (await client.list_resources()).resources[0]
            assert (await client.read_resource(resource.uri)).contents
        assert progress.steps

    if transport == "stdio":
        await check(npm(everything_stdio()))
    else:
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = int(probe.getsockname()[1])
        launch = everything_http(port) if transport == "http" else everything_sse(port)
        async with started(launch, port) as url:
            await check({"url": url if transport == "http" else url.replace("/mcp", "/sse")})


async def test_mcp_inspector_lists_and_calls_through_switchboard(tmp_path: Path) -> None:
    config = configured(
        tmp_path, {"clock": {"command": sys.executable, "args": ["-m", "mcp_proxy.demo.clock"]}}
    )
    start = command(config, "serve")

    async def inspect(*args: str) -> dict[str, Any]:
        launch = inspector_cli(start.command, *start.args, *args)
        process = await anyio.run_process([launch.command, *launch.args], env=dict(launch.env))
        return json.loads(process.stdout)

    tools = await inspect("--method", "tools/list")
    assert {"do", "plan", "clock__current_time"} <= {tool["name"] for tool in tools["tools"]}
    task = [
        "--method",
        "tools/call",
        "--tool-name",
        "do",
        "--tool-arg",
        "task=convert 10 kilometers to miles",
    ]
    called = await inspect(*task)
    assert called["structuredContent"]["call"]["tool"] == "clock__convert_units"
