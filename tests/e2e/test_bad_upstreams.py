"""Upstreams that die, hang, babble and lie: each costs itself, never the others, and never the proxy."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from mcp import Client
from mcp.client.subscriptions import ToolsListChanged
from mcp_types import CallToolResult, ToolListChangedNotification

from mcp_proxy.config import load
from mcp_proxy.connection import News, connected
from mcp_proxy.relay import Relay
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.stdout_noise import StdoutNoise
from mcp_proxy.upstreams import NoAnswerError
from mcp_proxy.watchdog import Watchdog
from tests.serving import ERAS, Progress, configured, script, serving, text_of
from tests.upstream_options.parts import board_of

DEADLINE = 2
"""Seconds within which the call of an upstream that was killed is answered."""


async def pid_of(client: Client, upstream: str) -> int:
    result = await client.call_tool(f"{upstream}__env", {})
    return int(cast("dict[str, Any]", result.structured_content)["pid"])


async def until_it_works(client: Client, name: str, arguments: dict[str, Any]) -> CallToolResult:
    """The first result that is no error; calls to an upstream that is down are answered at once."""
    with anyio.fail_after(30):
        while (result := await client.call_tool(name, arguments)).is_error:
            await anyio.lowlevel.checkpoint()
    return result


@pytest.mark.parametrize("era", ERAS)
async def test_killing_an_upstream_in_a_call_is_answered_soon_and_the_next_call_works(
    tmp_path: Path, era: str
) -> None:
    config = configured(tmp_path, {"echo": script("echo"), "other": script("echo")})
    async with serving(config, mode=era) as client:
        pid = await pid_of(client, "echo")
        progress = Progress()
        answers: list[CallToolResult] = []

        async def call() -> None:
            answers.append(await client.call_tool("echo__slow", {"seconds": 60}, progress_callback=progress))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await progress.begun.wait()
            os.kill(pid, signal.SIGKILL)
            with anyio.fail_after(DEADLINE):
                while not answers:
                    await client.call_tool("other__echo", {"text": "the others go on"})
        assert answers[0].is_error
        assert "upstream 'echo' stopped before it answered" in text_of(answers[0])

        assert text_of(await until_it_works(client, "echo__echo", {"text": "back"})) == "back"
        assert await pid_of(client, "echo") != pid


async def test_an_upstream_that_ends_itself_says_its_last_words(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"echo": script("echo")})) as client:
        assert (await client.call_tool("echo__crash", {})).is_error
        assert text_of(await until_it_works(client, "echo__echo", {"text": "back"})) == "back"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(script("crash_on_start"), id="crashes on start"),
        pytest.param(script("hang"), id="never answers"),
        pytest.param(script("bad_list", "silent"), id="never lists"),
        pytest.param(script("bad_list", "null"), id="lists null"),
        pytest.param({"command": "true"}, id="exits with 0 at once"),
        pytest.param({"command": "sleep", "args": ["600"]}, id="sleeps and never reads"),
        pytest.param({"command": "yes"}, id="babbles for ever"),
        pytest.param({"command": "no-such-command-anywhere"}, id="does not exist"),
        pytest.param({"url": "http://127.0.0.1:9/mcp"}, id="nobody listens"),
    ],
)
async def test_an_upstream_that_does_not_start_does_not_hold_up_the_others(
    tmp_path: Path, bad: dict[str, Any]
) -> None:
    config = configured(tmp_path, {"bad": bad, "echo": script("echo")}, server={"startup_wait": 0.0})
    async with serving(config) as client:
        with anyio.fail_after(20):
            while "echo__echo" not in {tool.name for tool in (await client.list_tools()).tools}:
                await anyio.lowlevel.checkpoint()
        assert text_of(await client.call_tool("echo__echo", {"text": "x"})) == "x"


async def test_lines_that_are_not_json_and_unknown_notifications_are_survived(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"noisy": script("noisy")})) as client:
        tool = next(
            tool.name for tool in (await client.list_tools()).tools if tool.name.startswith("noisy__")
        )
        assert not (await client.call_tool(tool, {"text": "x"})).is_error


async def test_a_broken_schema_costs_its_own_tool(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"bad": script("bad_schema")})) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {
            "do",
            "plan",
            "read_result",
            "bad__invalid_schema",
            "bad__remote_ref",
            "bad__twice",
            "bad__fine",
        }
        for name in ("bad__invalid_schema", "bad__remote_ref"):
            assert "its inputSchema is unusable" in text_of(await client.call_tool(name, {"n": 1}))
        assert text_of(await client.call_tool("bad__fine", {"n": 1})) == '{"n": 1}'


@pytest.mark.parametrize(
    ("way", "listed"),
    [
        (["endless"], {f"bad__tool_{page}" for page in range(100)}),
        (["same_cursor"], {"bad__fine"}),
        (["many"], {f"bad__tool_{number}" for number in range(10_000)}),
        (["huge", "100"], {"bad__fine"}),
        (["not_a_list"], set[str]()),
        (["unclaimed"], set[str]()),
        (["overclaimed"], {"bad__fine"}),
    ],
    ids=["endless", "same cursor", "many", "huge", "not a list", "unclaimed", "overclaimed"],
)
async def test_a_list_that_goes_wrong_is_taken_as_far_as_it_makes_sense(
    tmp_path: Path, way: list[str], listed: set[str]
) -> None:
    upstreams = {"bad": script("bad_list", *way), "echo": script("echo")}
    async with serving(configured(tmp_path, upstreams, server={"startup_wait": 60.0})) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {name for name in names if name.startswith("bad__")} == listed
        assert text_of(await client.call_tool("echo__echo", {"text": "x"})) == "x"
        if "bad__fine" in listed:
            assert text_of(await client.call_tool("bad__fine", {})) == "fine was called"


async def test_a_tool_an_upstream_adds_is_announced_and_can_be_called(tmp_path: Path) -> None:
    announced = anyio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            announced.set()

    config = configured(tmp_path, {"changing": script("changing")})
    async with serving(config, mode="legacy", message_handler=on_message) as client:
        assert "changing__new" not in {tool.name for tool in (await client.list_tools()).tools}
        await client.call_tool("changing__add", {"name": "new"})
        with anyio.fail_after(20):
            while True:
                announced = anyio.Event()
                if "changing__new" in {tool.name for tool in (await client.list_tools()).tools}:
                    break
                await announced.wait()
        assert text_of(await client.call_tool("changing__new", {})) == "new was called"


async def test_a_stateless_client_that_listens_hears_of_changes(tmp_path: Path) -> None:
    config = configured(tmp_path, {"changing": script("changing")})
    async with serving(config, mode="2026-07-28") as client:
        await client.list_tools()
        async with client.listen(tools_list_changed=True) as events:
            await client.call_tool("changing__add", {"name": "new"})
            with anyio.fail_after(20):
                # The first may still be about the first listing.
                async for event in events:
                    assert event == ToolsListChanged()
                    if "changing__new" in {tool.name for tool in (await client.list_tools()).tools}:
                        break


@pytest.mark.parametrize("era", ERAS)
async def test_an_upstream_that_freezes_is_found_out_after_a_timeout_and_started_anew(
    tmp_path: Path, era: str
) -> None:
    config = configured(tmp_path, {"echo": {**script("echo"), "call_timeout": 1.0}, "other": script("echo")})
    async with serving(config, mode=era) as client:
        pid = await pid_of(client, "echo")
        os.kill(pid, signal.SIGSTOP)
        try:
            told = text_of(await client.call_tool("echo__echo", {"text": "x"}))
            assert "upstream 'echo' gave no answer within 1 s (call_timeout)" in told
            reasons = {told}
            with anyio.fail_after(60):
                while (result := await client.call_tool("echo__echo", {"text": "back"})).is_error:
                    reasons.add(text_of(result))
                    assert not (await client.call_tool("other__echo", {"text": "goes on"})).is_error
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert any("it hangs: no answer to a call within 1 s" in reason for reason in reasons)
        assert await pid_of(client, "echo") != pid


async def test_a_frozen_upstream_is_started_anew_for_calls_that_do_not_take_the_fast_lane_too(
    tmp_path: Path,
) -> None:
    async with board_of(configured(tmp_path, {"echo": {**script("echo"), "call_timeout": 1.0}})) as board:
        await board.wait_started()
        env: dict[str, Any] = {"name": "env", "arguments": {}}
        pid = (await board.request("echo", "tools/call", env))["structuredContent"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NoAnswerError):
            await board.request("echo", "tools/call", env)
        with anyio.fail_after(60):
            while board.upstreams["echo"].status.connects < 2:
                await anyio.lowlevel.checkpoint()
        assert (await board.request("echo", "tools/call", env))["structuredContent"]["pid"] != pid


@pytest.mark.parametrize("name", ["echo", "noisy"])
async def test_an_upstream_that_answers_a_ping_or_refuses_it_shows_life(tmp_path: Path, name: str) -> None:
    settings = load(configured(tmp_path, {"x": script(name)})).upstreams["x"]
    with Watchdog() as watchdog, anyio.fail_after(60):
        relay, stderr = Relay("x", on_gap=lambda: None), StderrTail("x")
        async with connected(
            "x", settings, relay, News(), stderr=stderr, noise=StdoutNoise("x"), watchdog=watchdog
        ) as connection:
            assert await connection.shows_life(within=30)


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("hello, world", "'hello, world'"),
        ('"a string"', "'\"a string\"'"),
        ('{"no": "message"}', '\'{"no": "message"}\''),
        ("x" * 100_000, f"'{'x' * 200}…'"),
        ("the key is ghp_abcdefghijklmnopqrstuvwxyz0123456789", "'the key is [redacted]'"),
        ("\U0001f680 starting", "'\U0001f680 starting'"),
    ],
)
async def test_an_upstream_that_babbles_and_never_answers_is_quoted(
    tmp_path: Path, line: str, quoted: str
) -> None:
    said = tmp_path / "said"
    said.write_text(f"{line}\nand more\n", encoding="utf-8")
    babbling = {"command": "sh", "args": ["-c", 'cat "$0"; exec sleep 600', str(said)], "start_timeout": 0.5}
    async with board_of(configured(tmp_path, {"bad": babbling})) as board:
        await board.wait_started()
        reason = board.upstreams["bad"].status.reason
    told = "did not start within 0.5 s (start_timeout); it writes what is no JSON-RPC to stdout: "
    assert reason == told + quoted
