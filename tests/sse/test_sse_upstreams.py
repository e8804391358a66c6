"""Upstreams of the older HTTP+SSE transport: all that goes through, and all that goes wrong."""

import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from mcp import Client, MCPError
from mcp_types import CallToolResult
from structlog.testing import capture_logs

from mcp_proxy.upstreams import State, Status, UpstreamUnavailableError
from tests.e2e.test_bad_upstreams import DEADLINE, until_it_works
from tests.http.listening import free_port, listening, until_open
from tests.relay.person import ASKER, Person
from tests.serving import ERAS, UPSTREAMS, Progress, configured, script, serving, text_of
from tests.upstream_options.parts import board_of, until, until_listed

BRIDGE = Path(__file__).with_name("bridge.py")
QUESTIONS = json.loads((ASKER.parent / "questions.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Bridge:
    """A server over HTTP+SSE."""

    process: Process
    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/sse"


@asynccontextmanager
async def bridged(name: str | Path, *options: str, port: int | None = None) -> AsyncGenerator[Bridge]:
    """The upstream of this name, or in this file, over HTTP+SSE."""
    port = port or free_port()
    file = name if isinstance(name, Path) else UPSTREAMS / f"{name}.py"
    start = [sys.executable, str(BRIDGE), "--port", str(port), *options, "--", sys.executable, str(file)]
    async with await anyio.open_process(start, stdout=DEVNULL, stderr=DEVNULL) as process:
        with anyio.fail_after(60):
            await until_open(port)
        try:
            yield Bridge(process, port)
        finally:
            if process.returncode is None:
                process.kill()


def patient(folder: Path, upstreams: dict[str, Any]) -> Path:
    """A configuration for a client that waits until all is there, however busy the machine."""
    return configured(folder, upstreams, server={"startup_wait": 60.0}, results={"budget": 0})


async def status_of(folder: Path, **upstream: Any) -> Status:
    """How an upstream stands once it is ready or down."""
    async with board_of(patient(folder, {"x": upstream})) as board:
        with anyio.fail_after(20):
            await board.wait_started()
        return board.upstreams["x"].status


@asynccontextmanager
async def in_flight(
    client: Client, tool: str, arguments: dict[str, Any]
) -> AsyncGenerator[list[CallToolResult]]:
    """A call that has reached its upstream when the block begins; its result is in the list after the block."""
    progress, answers = Progress(), list[CallToolResult]()

    async def call() -> None:
        answers.append(await client.call_tool(tool, arguments, progress_callback=progress))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await progress.begun.wait()
            yield answers


@pytest.mark.parametrize("era", ERAS)
async def test_calls_progress_prompts_and_resources_go_through(tmp_path: Path, era: str) -> None:
    progress = Progress()
    async with (
        bridged("echo") as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}}), mode=era) as client,
    ):
        assert text_of(await client.call_tool("x__echo", {"text": "höher ⚡"})) == "höher ⚡"
        await client.call_tool("x__slow", {"seconds": 0.1}, progress_callback=progress)
        prompt = await client.get_prompt("x__greet", {"name": "Ada"})
        resource = await client.read_resource("echo://readme")
    assert progress.steps[0] == (0, 10, "step 0")
    assert "Ada" in prompt.messages[0].model_dump_json()
    assert "comes back" in resource.model_dump_json()


async def test_a_hundred_calls_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    answers: dict[int, str] = {}

    async def call(client: Client, number: int) -> None:
        answers[number] = text_of(await client.call_tool("x__echo", {"text": str(number)}))

    async with (
        bridged("echo") as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client,
        anyio.create_task_group() as tasks,
    ):
        for number in range(100):
            tasks.start_soon(call, client, number)
    assert answers == {number: str(number) for number in range(100)}


async def test_a_message_far_larger_than_one_mebibyte_goes_both_ways(tmp_path: Path) -> None:
    text = "x" * 3_000_000
    async with bridged("echo") as bridge, serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client:
        assert text_of(await client.call_tool("x__echo", {"text": text})) == text


@pytest.mark.parametrize("options", [(), ("--hold",)], ids=["", "while the POST of the call is held"])
async def test_a_cancelled_call_is_cancelled_upstream(tmp_path: Path, options: tuple[str, ...]) -> None:
    marker, progress = tmp_path / "cancelled", Progress()
    arguments = {"seconds": 600, "marker": str(marker)}
    async with (
        bridged("echo", *options) as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client,
    ):
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await client.call_tool("x__slow", arguments, progress_callback=progress)

            tasks.start_soon(call)
            await progress.begun.wait()
            tasks.cancel_scope.cancel()
        await until(marker.exists)
        assert text_of(await client.call_tool("x__echo", {"text": "goes on"})) == "goes on"


@pytest.mark.parametrize("era", ERAS)
async def test_what_it_asks_reaches_the_caller_and_the_answer_it(tmp_path: Path, era: str) -> None:
    ada = Person()
    async with bridged(ASKER) as bridge:
        config = patient(tmp_path, {"a": {"url": bridge.url}})
        async with serving(config, mode=era, **ada.callbacks()) as client:
            await client.list_tools()
            answers = [await client.call_tool("a__ask", question["asked"]) for question in QUESTIONS]
    assert ada.asked == [question["heard"] for question in QUESTIONS]
    assert [answer.structured_content for answer in answers] == [
        {"answer": question["answer"]} for question in QUESTIONS
    ]


async def test_a_changed_list_is_followed(tmp_path: Path) -> None:
    async with (
        bridged("changing") as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client,
    ):
        await client.call_tool("x__add", {"name": "new"})
        await until_listed(client, "x__add", "x__remove", "x__reword", "x__new")


async def test_switchboard_itself_can_stand_behind_its_own_sse_door(tmp_path: Path) -> None:
    (tmp_path / "behind").mkdir()
    behind = configured(tmp_path / "behind", {"echo": script("echo")})
    async with listening(behind) as far:
        config = patient(tmp_path, {"far": {"url": f"{far.origin}/sse"}})
        async with serving(config) as client:
            assert (
                text_of(await client.call_tool("far__echo__echo", {"text": "through two"})) == "through two"
            )


async def test_killing_it_in_a_call_is_answered_soon_and_it_is_found_again(tmp_path: Path) -> None:
    port = free_port()
    config = patient(tmp_path, {"x": {"url": f"http://127.0.0.1:{port}/sse"}, "other": script("echo")})
    async with bridged("echo", port=port) as bridge, serving(config) as client:
        await client.list_tools()
        async with in_flight(client, "x__slow", {"seconds": 60}) as answers:
            bridge.process.kill()
            with anyio.fail_after(DEADLINE):
                while not answers:
                    await client.call_tool("other__echo", {"text": "the others go on"})
        assert "upstream 'x' stopped before it answered" in text_of(answers[0])
        with anyio.fail_after(10):
            assert (await client.call_tool("x__echo", {"text": "nobody there"})).is_error
        async with bridged("echo", port=port):
            assert text_of(await until_it_works(client, "x__echo", {"text": "back"})) == "back"


async def test_a_server_behind_it_that_ends_ends_the_calls_too(tmp_path: Path) -> None:
    async with bridged("echo") as bridge, serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client:
        with anyio.fail_after(20):
            assert "stopped before it answered" in text_of(await client.call_tool("x__crash", {}))
        assert text_of(await until_it_works(client, "x__echo", {"text": "back"})) == "back"


async def test_a_message_that_is_refused_costs_its_own_call_alone(tmp_path: Path) -> None:
    async with (
        bridged("echo", "--refuse", "413") as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client,
    ):
        with anyio.fail_after(20), pytest.raises(MCPError, match="it answered POST with 413"):
            await client.call_tool("x__echo", {"text": "too much"})
        assert not (await client.call_tool("x__add", {"a": 1, "b": 2})).is_error


async def test_a_server_that_has_lost_its_stream_is_connected_to_anew(tmp_path: Path) -> None:
    async with (
        bridged("echo", "--refuse", "404") as bridge,
        board_of(patient(tmp_path, {"x": {"url": bridge.url}})) as board,
    ):
        await board.wait_started()
        with capture_logs() as logs, anyio.fail_after(20):
            with pytest.raises(UpstreamUnavailableError, match="the connection closed"):
                await board.request("x", "tools/call", {"name": "echo", "arguments": {"text": "x"}})
            await until(lambda: board.upstreams["x"].status.connects == 2)
    assert [entry["reason"] for entry in logs if entry["event"] == "upstream.down"] == [
        "the connection closed"
    ]


async def test_events_that_mean_nothing_are_passed_over(tmp_path: Path) -> None:
    async with (
        bridged("echo", "--garbage") as bridge,
        serving(patient(tmp_path, {"x": {"url": bridge.url}})) as client,
    ):
        assert text_of(await client.call_tool("x__echo", {"text": "x"})) == "x"


async def test_an_endpoint_of_another_origin_is_not_followed_and_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        foreign.setblocking(False)
        elsewhere = f"http://127.0.0.1:{foreign.getsockname()[1]}/messages"
        async with bridged("echo", "--endpoint", elsewhere) as bridge:
            status = await status_of(tmp_path, url=bridge.url, headers={"X": "s3cret"})
        with pytest.raises(BlockingIOError):
            foreign.accept()
    assert status.state is State.DOWN
    assert "wants messages sent to another server, http://127.0.0.1; nothing is sent there" in status.reason


async def test_a_stream_that_ends_at_once_is_told(tmp_path: Path) -> None:
    async with bridged("echo", "--mute") as bridge:
        status = await status_of(tmp_path, url=bridge.url)
    assert "ended before it said where messages are to go" in status.reason


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ({"path": "/sse"}, "it answered GET with 401 Unauthorized; check its credentials"),
        ({"path": "/nowhere/sse"}, "it answered GET with 404 Not Found; check its url"),
        (
            {"path": "/messages", "transport": "sse"},
            "it answered GET with 405 Method Not Allowed; check its url and transport",
        ),
        ({"path": "/nowhere"}, "it answered POST with 404 Not Found; check its url"),
        (
            {"path": "/sse", "transport": "http"},
            "it answered POST with 405 Method Not Allowed; check its url and transport",
        ),
    ],
    ids=["no token", "wrong address", "no stream there", "nothing there", "the wrong transport"],
)
async def test_why_a_server_cannot_be_used_is_told_without_what_may_be_secret(
    tmp_path: Path, way: dict[str, str], reason: str
) -> None:
    async with bridged("echo", "--token", "right") as bridge:
        path = way.pop("path")
        with capture_logs() as logs:
            status = await status_of(
                tmp_path,
                url=f"{bridge.origin}{path}?key=s3cret",
                headers={"Authorization": "Bearer s3cret"},
                **way,
            )
    assert status.state is State.DOWN
    assert status.reason.startswith(reason)
    assert "s3cret" not in f"{status} {logs}"


async def test_nobody_listening_is_told_at_once(tmp_path: Path) -> None:
    status = await status_of(tmp_path, url=f"http://127.0.0.1:{free_port()}/sse?key=s3cret")
    assert status.reason.startswith("nothing answers at its url")
    assert "s3cret" not in str(status)


async def test_the_right_token_lets_in(tmp_path: Path) -> None:
    async with bridged("echo", "--token", "right") as bridge:
        status = await status_of(tmp_path, url=bridge.url, headers={"Authorization": "Bearer right"})
    assert (status.state, status.protocol) == (State.READY, "2025-11-25")


async def test_an_address_that_says_nothing_is_found_to_be_of_the_older_transport(tmp_path: Path) -> None:
    async with bridged("echo", "--path", "/events") as bridge:
        status = await status_of(tmp_path, url=f"{bridge.origin}/events")
    assert (status.state, status.connects, status.reason) == (State.READY, 1, "")


async def test_it_is_reached_by_its_name_in_a_file_of_mcp_servers(tmp_path: Path) -> None:
    async with bridged("echo", "--path", "/events") as bridge:
        file = tmp_path / "mcp.json"
        server = {"type": "sse", "url": f"{bridge.origin}/events"}
        file.write_text(json.dumps({"mcpServers": {"x": server}}), encoding="utf-8")
        async with serving(file) as client:
            assert text_of(await client.call_tool("x__echo", {"text": "x"})) == "x"
