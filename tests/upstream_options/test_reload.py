"""Live reload: the file is edited while a client is connected, and only what the edit names is touched."""

import json
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, ToolListChangedNotification
from structlog.testing import capture_logs

from mcp_proxy.upstreams import State
from tests.http.listening import listening
from tests.serving import ERAS, Progress, configured, script, serving, text_of
from tests.upstream_options.parts import (
    DEADLINE,
    board_of,
    counted,
    is_running,
    pid_of,
    starts_in,
    until,
    until_listed,
)


@pytest.mark.parametrize("era", ERAS)
async def test_upstreams_come_go_and_change_and_the_others_keep_their_process(
    tmp_path: Path, era: str
) -> None:
    a, b, c = (counted(tmp_path / name) for name in "abc")
    async with serving(configured(tmp_path, {"a": a, "b": b}), mode=era) as client:
        await until_listed(client, "a__pid", "b__pid")
        kept, gone = await pid_of(client, "a"), await pid_of(client, "b")

        configured(tmp_path, {"a": a, "b": b, "c": c})
        await until_listed(client, "a__pid", "b__pid", "c__pid")
        changed = await pid_of(client, "c")

        configured(tmp_path, {"a": a, "c": counted(tmp_path / "c", "more")})
        await until_listed(client, "a__pid", "c__pid", "c__more")
        await until(lambda: not is_running(gone) and not is_running(changed))
        assert await pid_of(client, "c") != changed
        assert await pid_of(client, "a") == kept
    assert [starts_in(tmp_path / name) for name in "abc"] == [1, 1, 2]


async def test_a_handshake_client_is_told_that_the_list_has_changed(tmp_path: Path) -> None:
    announced = anyio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            announced.set()

    a, b = counted(tmp_path / "a"), counted(tmp_path / "b")
    config = configured(tmp_path, {"a": a, "b": b})
    async with serving(config, mode="legacy", message_handler=on_message) as client:
        await until_listed(client, "a__pid", "b__pid")
        announced = anyio.Event()
        configured(tmp_path, {"a": a})
        with anyio.fail_after(DEADLINE):
            await announced.wait()
        await until_listed(client, "a__pid")


async def test_a_call_in_flight_is_answered_when_its_upstream_is_removed(tmp_path: Path) -> None:
    a = counted(tmp_path / "a")
    async with serving(configured(tmp_path, {"a": a, "echo": script("echo")})) as client:
        progress = Progress()
        answers: list[CallToolResult] = []

        async def call() -> None:
            answers.append(await client.call_tool("echo__slow", {"seconds": 60}, progress_callback=progress))

        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await progress.begun.wait()
                configured(tmp_path, {"a": a})
        assert "upstream 'echo' stopped before it answered" in text_of(answers[0])


async def test_prefix_and_patterns_change_what_is_listed(tmp_path: Path) -> None:
    x = counted(tmp_path / "x", "one", "two")
    async with serving(configured(tmp_path, {"x": x})) as client:
        await until_listed(client, "x__pid", "x__one", "x__two")
        configured(tmp_path, {"x": {**x, "prefix": "y", "deny": ["pid", "t*"]}})
        await until_listed(client, "y__one")
        configured(tmp_path, {"x": {**x, "allow": ["p*"]}})
        await until_listed(client, "x__pid")


async def test_a_file_that_cannot_be_used_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    config = configured(tmp_path, {"a": counted(tmp_path / "a")})
    with capture_logs() as logs:
        async with board_of(config, watch=True) as board:
            await board.wait_started()
            for bad in ("[upstreams.a", "", '[upstreams.a]\ncommnd = "x"\n'):
                logs.clear()
                config.write_text(bad, encoding="utf-8")
                await until(lambda: any(entry["event"] == "config.not_reloaded" for entry in logs))
            (problem,) = (entry["problem"] for entry in logs if entry["event"] == "config.not_reloaded")
            assert 'upstreams.a.commnd: is no known key; did you mean "command"?' in problem
            assert board.upstreams["a"].status.state is State.READY
            assert starts_in(tmp_path / "a") == 1

            config.unlink()
            logs.clear()
            await until(lambda: any("cannot be read" in entry.get("problem", "") for entry in logs))

            configured(tmp_path, {"b": counted(tmp_path / "b")})
            await until(lambda: list(board.snapshot.catalog.tools) == ["b__pid"])
            await until(lambda: list(board.upstreams) == ["b"])


async def test_tables_other_than_upstreams_are_said_to_need_a_restart(tmp_path: Path) -> None:
    a = {"a": counted(tmp_path / "a")}
    config = configured(tmp_path, a)
    with capture_logs() as logs:
        async with board_of(config, watch=True) as board:
            await board.wait_started()
            # The first look is done when an edit of the upstreams has taken effect.
            configured(tmp_path, {**a, "b": counted(tmp_path / "b")})
            await until(lambda: "b__pid" in board.snapshot.catalog.tools)
            configured(tmp_path, {**a, "b": counted(tmp_path / "b")}, planner={"threshold": 0.9})
            await until(lambda: any(entry["event"] == "config.needs_restart" for entry in logs))
            assert board.settings.planner.threshold != 0.9
    told = [entry["table"] for entry in logs if entry["event"] == "config.needs_restart"]
    assert told == ["planner"]


async def test_a_disabled_upstream_is_stopped_and_an_enabled_one_started(tmp_path: Path) -> None:
    a, b = counted(tmp_path / "a"), counted(tmp_path / "b")
    config = configured(tmp_path, {"a": a, "b": {**b, "enabled": False}})
    async with board_of(config, watch=True) as board:
        await until(lambda: list(board.snapshot.catalog.tools) == ["a__pid"])
        configured(tmp_path, {"a": {**a, "enabled": False}, "b": b})
        await until(lambda: list(board.snapshot.catalog.tools) == ["b__pid"])
        await until(lambda: list(board.upstreams) == ["b"])


async def test_an_upstream_that_is_down_is_mended_by_an_edit_without_waiting_for_its_next_try(
    tmp_path: Path,
) -> None:
    wrong = {"command": "no-such-command-anywhere", "max_restarts": 1, "retry_pause": 3600.0}
    config = configured(tmp_path, {"a": wrong})
    async with board_of(config, watch=True) as board:
        await until(lambda: "given up" in board.upstreams["a"].status.outlook)
        configured(tmp_path, {"a": counted(tmp_path / "a")})
        await until(lambda: board.upstreams["a"].status.state is State.READY)
        answer = await board.request("a", "tools/call", {"name": "pid"})
        assert json.dumps(int(answer["content"][0]["text"])) in (tmp_path / "a").read_text()


async def test_over_http_the_file_is_followed_too_and_the_command_line_still_counts(tmp_path: Path) -> None:
    a, b = counted(tmp_path / "a"), counted(tmp_path / "b")
    async with listening(configured(tmp_path, {"a": a})) as server, Client(server.url) as client:
        await until_listed(client, "a__pid")
        configured(tmp_path, {"a": a, "b": b})
        await until_listed(client, "a__pid", "b__pid")
        assert await pid_of(client, "b") > 0
        assert "config.needs_restart" not in server.log
