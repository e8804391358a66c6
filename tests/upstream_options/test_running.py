"""When an upstream's process runs: lazily, until it is idle, and again after a failure, with patience."""

from pathlib import Path

import anyio
import pytest

from mcp_proxy.backoff import Backoff
from mcp_proxy.upstreams import State, UpstreamUnavailableError
from tests.serving import ERAS, Progress, command, configured, script, serving, text_of
from tests.upstream_options.parts import (
    DEADLINE,
    board_of,
    counted,
    is_running,
    names,
    pid_of,
    starts_in,
    until,
)


async def test_a_lazy_upstream_is_started_once_to_list_its_tools_and_then_by_its_first_call(
    tmp_path: Path,
) -> None:
    starts = tmp_path / "starts"
    config = configured(tmp_path, {"x": counted(starts, lazy=True), "y": counted(tmp_path / "others")})
    async with serving(config) as client:
        assert await names(client) == {"x__pid", "y__pid"}
        await until(lambda: not is_running(int(starts.read_text())))
    async with serving(config) as client:
        assert await names(client) == {"x__pid", "y__pid"}
        await pid_of(client, "y")
        assert starts_in(starts) == 1
        pid = await pid_of(client, "x")
        assert starts_in(starts) == 2
        assert await pid_of(client, "x") == pid


async def test_a_lazy_upstream_is_started_where_all_are_to_be_seen(tmp_path: Path) -> None:
    config = configured(tmp_path, {"x": counted(tmp_path / "starts", lazy=True)})
    for _ in ("unknown", "known"):
        told = await anyio.run_process([command(config).command, *command(config, "upstreams").args])
        name, state, tools, *_, started, restarts, _reason = told.stdout.decode().rstrip("\n").split("\t")
        assert (name, state, tools, restarts) == ("x", "ready", "1", "0")
        assert started.endswith(" ms")


@pytest.mark.parametrize("era", ERAS)
async def test_an_idle_upstream_is_stopped_and_the_next_call_waits_for_it(tmp_path: Path, era: str) -> None:
    starts = tmp_path / "starts"
    config = configured(tmp_path, {"x": counted(starts, idle_stop=0.2)})
    async with serving(config, mode=era) as client:
        first = await pid_of(client, "x")
        await until(lambda: not is_running(first))
        assert await names(client) == {"x__pid"}
        assert await pid_of(client, "x") != first


@pytest.mark.parametrize("progress", [None, Progress()], ids=["silent", "with progress"])
async def test_a_call_that_takes_longer_than_idle_stop_is_no_idleness(
    tmp_path: Path, progress: Progress | None
) -> None:
    config = configured(tmp_path, {"x": {**script("echo"), "idle_stop": 0.1}})
    async with serving(config) as client:
        result = await client.call_tool("x__slow", {"seconds": 1.5}, progress_callback=progress)
        assert text_of(result) == "done"


async def test_an_upstream_that_was_stopped_when_idle_says_so_and_counts_its_starts(tmp_path: Path) -> None:
    async with board_of(configured(tmp_path, {"x": counted(tmp_path / "s", idle_stop=0.1)})) as board:
        x = board.upstreams["x"]
        await until(lambda: x.status.state is State.IDLE)
        assert (x.status.connects, x.status.tools, x.status.reason) == (1, 1, "")
        assert x.status.start_ms > 0
        await board.request("x", "tools/call", {"name": "pid"})
        assert x.status.connects == 2


async def test_an_upstream_that_does_not_start_is_given_up_for_now_and_tried_again(tmp_path: Path) -> None:
    healed = tmp_path / "healed"
    options = {"max_restarts": 2, "retry_pause": 1.0}
    async with board_of(
        configured(tmp_path, {"x": {**script("crash_on_start", str(healed)), **options}})
    ) as board:
        x = board.upstreams["x"]
        await until(lambda: x.status.outlook.startswith("given up for now after 2 failed starts"))
        with anyio.fail_after(0.5), pytest.raises(UpstreamUnavailableError) as caught:
            await board.request("x", "tools/call", {"name": "recover"})
        assert "EXAMPLE_KEY is not set" in str(caught.value)
        assert "; given up for now after 2 failed starts; next try at " in str(caught.value)
        await until(lambda: x.status.outlook.startswith("given up for now after 3 failed starts"))
        healed.touch()
        await until(lambda: x.status.state is State.READY)
        assert (x.status.reason, x.status.outlook, x.status.connects) == ("", "", 1)
        answer = await board.request("x", "tools/call", {"name": "recover"})
        assert answer["content"][0]["text"] == "recovered"


def test_pauses_double_until_it_is_given_up_and_are_the_longest_from_then_on() -> None:
    backoff = Backoff(most_failures=5, longest_pause=60)
    for longest in (0.5, 1, 2, 4):
        assert longest / 2 <= backoff.failed() <= longest
        assert not backoff.has_given_up
    for _ in range(3):
        assert 30 <= backoff.failed() <= 60
        assert backoff.has_given_up
    backoff.succeeded()
    assert backoff.failed() <= 0.5


def test_no_pause_is_longer_than_the_longest_however_many_there_are() -> None:
    backoff = Backoff(most_failures=10_000, longest_pause=3)
    assert max(backoff.failed() for _ in range(5_000)) <= 3
    assert not backoff.has_given_up


async def test_a_call_that_wakes_an_upstream_which_cannot_start_is_told_why(tmp_path: Path) -> None:
    healed = tmp_path / "healed"
    healed.touch()
    config = configured(tmp_path, {"x": {**script("crash_on_start", str(healed)), "lazy": True}})
    async with board_of(config) as board:
        await until(lambda: board.upstreams["x"].status.state is State.IDLE)
        healed.unlink()
        with anyio.fail_after(DEADLINE), pytest.raises(UpstreamUnavailableError, match="EXAMPLE_KEY is not"):
            await board.request("x", "tools/call", {"name": "recover"})
