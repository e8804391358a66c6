"""The servers and the client from npm start, and their absence is an error that names the remedy."""

import json
import os
import socket
from pathlib import Path

import anyio
import pytest
from mcp import Client

from tests import npm_upstreams
from tests.npm_upstreams import Launch, MissingTestDependencyError


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def tools_of(launch: Launch) -> int:
    """How many tools a server over stdio lists to a client without capabilities."""
    async with Client(launch.parameters()) as client:
        return len((await client.list_tools()).tools)


async def test_claude_flow_lists_its_tools(tmp_path: Path) -> None:
    assert await tools_of(npm_upstreams.claude_flow(tmp_path)) == 353


async def test_flow_nexus_lists_its_tools() -> None:
    assert await tools_of(npm_upstreams.flow_nexus()) == 94


async def test_everything_lists_its_tools() -> None:
    assert await tools_of(npm_upstreams.everything_stdio()) == 13


async def test_everything_serves_http() -> None:
    port = free_port()
    launch = npm_upstreams.everything_http(port)
    command = [launch.command, *launch.args]
    async with await anyio.open_process(command, env={**os.environ, **launch.env}) as process:
        assert process.stderr
        try:
            with anyio.fail_after(20):
                assert b"listening on port" in await process.stderr.receive()
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                assert len((await client.list_tools()).tools) == 13
        finally:
            process.terminate()


async def test_inspector_sees_through_to_a_server() -> None:
    server = npm_upstreams.everything_stdio()
    launch = npm_upstreams.inspector_cli(server.command, *server.args, "--method", "tools/list")
    run = await anyio.run_process([launch.command, *launch.args], env={**os.environ, **launch.env})
    assert len(json.loads(run.stdout)["tools"]) == 14  # one more, for a capability the inspector declares


def test_a_package_that_is_not_installed_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingTestDependencyError, match="run `make test-deps`"):
        npm_upstreams.installed("claude-flow", tmp_path)
