"""The transports on one port, their limits, and how the server says how it is."""

import socket
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp import MCPError

from mcp_proxy.config import ServerSettings
from mcp_proxy.http_server import listening_on
from tests.http.listening import (
    INITIALIZE,
    PING,
    Listening,
    listening,
    over_http,
    over_sse,
    raw,
    refused,
    taken_port,
    until_ready,
)
from tests.serving import ERAS, Progress, configured, script, text_of


def config_of(folder: Path, **server: Any) -> Path:
    return configured(folder, {"echo": script("echo")}, server=server)


async def test_the_old_transport_serves_calls_with_progress_beside_the_new_one(tmp_path: Path) -> None:
    progress = Progress()
    async with listening(config_of(tmp_path)) as server, over_sse(server) as old, over_http(server) as new:
        await old.call_tool("echo__slow", {"seconds": 0.1}, progress_callback=progress)
        assert text_of(await new.call_tool("echo__echo", {"text": "beside"})) == "beside"
    assert progress.steps[0] == (0, 10, "step 0")


def test_no_piece_of_an_answer_waits_for_the_acknowledgement_of_another() -> None:
    with (
        listening_on(ServerSettings(port=0)) as listener,
        socket.create_connection(listener.getsockname()[:2]) as client,
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getpeername() == client.getsockname()
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_the_old_transport_can_be_turned_off(tmp_path: Path) -> None:
    async with listening(config_of(tmp_path, sse=False)) as server, raw(server) as http:
        assert (await http.get("/sse")).status_code == 404


@pytest.mark.parametrize("era", ERAS)
async def test_without_sessions_and_streams_calls_are_answered_all_the_same(tmp_path: Path, era: str) -> None:
    config = config_of(tmp_path, stateless=True, json_response=True)
    async with listening(config) as server:
        async with raw(server) as http:
            opened = await http.post("/mcp", json=INITIALIZE)
            pinged = await http.post("/mcp", json=PING)
        async with over_http(server, mode=era) as client:
            assert text_of(await client.call_tool("echo__echo", {"text": "alone"})) == "alone"
    assert "mcp-session-id" not in opened.headers
    assert pinged.headers["content-type"] == "application/json"
    assert pinged.json()["result"] == {}


async def test_sessions_are_limited_and_those_that_end_make_room(tmp_path: Path) -> None:
    async with listening(config_of(tmp_path, max_sessions=1)) as server, raw(server) as http:
        first = await http.post("/mcp", json=INITIALIZE)
        assert (await http.post("/mcp", json=INITIALIZE)).status_code == 503
        session = {"mcp-session-id": first.headers["mcp-session-id"]}
        assert (await http.delete("/mcp", headers=session)).status_code == 200
        assert (await http.post("/mcp", json=INITIALIZE)).status_code == 200
        async with over_sse(server):
            assert (await http.get("/sse")).status_code == 503
        await until_free(server)


async def until_free(server: Listening) -> None:
    """Return when a client of the old transport is let in again: a connection takes a moment to end."""
    with anyio.fail_after(20):
        while True:
            async with raw(server) as http, http.stream("GET", "/sse") as stream:
                if stream.status_code == 200:
                    return


async def test_a_session_nobody_uses_ends(tmp_path: Path) -> None:
    async with (
        listening(config_of(tmp_path, session_idle=0.01, max_sessions=1)) as server,
        raw(server) as http,
    ):
        opened = await http.post("/mcp", json=INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        with anyio.fail_after(20):
            while (await http.post("/mcp", json=INITIALIZE)).status_code == 503:
                await anyio.lowlevel.checkpoint()
        assert (await http.post("/mcp", json=PING, headers=session)).status_code == 404


async def test_it_is_alive_at_once_and_ready_when_every_upstream_has_settled(tmp_path: Path) -> None:
    upstreams = {"echo": script("echo"), "broken": script("crash_on_start"), "mute": script("hang")}
    upstreams["mute"]["start_timeout"] = 4.0
    async with listening(configured(tmp_path, upstreams)) as server, raw(server) as http:
        assert (await http.get("/healthz")).status_code == 200
        early = await http.get("/readyz")
        assert (early.status_code, early.json()["ready"]) == (503, False)
        assert early.json()["states"]["mute"] == "connecting"
        assert (await until_ready(server))["states"]["echo"] == "ready"
        foreign = await http.get("/readyz", headers={"host": "evil.example"})
        assert (foreign.status_code, "states" in foreign.json()) == (200, False)


async def test_with_no_upstream_left_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    config = configured(tmp_path, {"broken": {"command": "/no/such/program"}})
    async with listening(config) as server, raw(server) as http:
        with anyio.fail_after(20):
            while (answer := await http.get("/readyz")).json()["states"] != {"broken": "down"}:
                await anyio.lowlevel.checkpoint()
        assert answer.status_code == 503
        assert (await http.get("/healthz")).status_code == 200


async def test_a_port_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    async with taken_port() as port:
        told = await refused(config_of(tmp_path), "--port", str(port))
    assert f"127.0.0.1 port {port} cannot be listened on" in told
    assert "port 0 takes any free one" in told
    assert "upstream" not in told


async def test_it_listens_on_ipv6_under_the_address_it_logs(tmp_path: Path) -> None:
    async with listening(config_of(tmp_path, host="::1")) as server, over_http(server) as client:
        assert server.origin.startswith("http://[::1]:")
        assert text_of(await client.call_tool("echo__echo", {"text": "six"})) == "six"


async def test_at_the_end_streams_end_in_order_and_a_call_may_finish(tmp_path: Path) -> None:
    progress, results = Progress(), list[str]()

    async def call(server: Listening) -> None:
        async with over_http(server, mode=ERAS[1]) as client:
            await client.list_tools()
            result = await client.call_tool("echo__slow", {"seconds": 1}, progress_callback=progress)
            results.append(text_of(result))

    with anyio.fail_after(60):
        async with listening(config_of(tmp_path)) as server, raw(server) as http:
            async with http.stream("GET", "/sse") as stream, anyio.create_task_group() as tasks:
                tasks.start_soon(call, server)
                await progress.begun.wait()
                server.process.terminate()
                assert "event: endpoint" in [line async for line in stream.aiter_lines()]
            await server.process.wait()
    assert results == ["done"]
    assert "Traceback" not in server.log


async def test_a_call_that_does_not_end_does_not_keep_the_server(tmp_path: Path) -> None:
    progress, marker = Progress(), tmp_path / "cancelled"

    async def call(server: Listening) -> None:
        arguments = {"seconds": 60, "marker": str(marker)}
        async with over_http(server, mode=ERAS[1]) as client:
            with pytest.raises(MCPError):
                await client.call_tool("echo__slow", arguments, progress_callback=progress)

    with anyio.fail_after(60):
        async with listening(config_of(tmp_path)) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(call, server)
            await progress.begun.wait()
            server.process.terminate()
            await server.process.wait()
    assert marker.exists()
    assert "Traceback" not in server.log
