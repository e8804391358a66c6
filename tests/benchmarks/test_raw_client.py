"""The measuring client really calls, and leaves no process behind."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.contestants import environment, running
from benchmarks.raw_client import ServerFailedError, started

UPSTREAMS = Path(__file__).parent.parent / "upstreams"


def command(name: str) -> list[str]:
    return [sys.executable, str(UPSTREAMS / f"{name}.py")]


@pytest.mark.parametrize("in_flight", [1, 4])
async def test_every_call_is_answered_and_timed(in_flight: int, tmp_path: Path) -> None:
    call = {"name": "tool_00"}
    async with started(command("paged"), os.environ, tmp_path) as client:
        await client.initialize()
        took = await client.call_repeatedly(call, 10, in_flight=in_flight, seconds=30)
    assert len(took) == 10
    assert all(seconds > 0 for seconds in took)


async def test_a_series_stops_when_its_time_is_over(tmp_path: Path) -> None:
    call = {"name": "tool_00"}
    async with started(command("paged"), os.environ, tmp_path) as client:
        await client.initialize()
        assert len(await client.call_repeatedly(call, 1000, in_flight=3, seconds=0)) == 3


async def test_a_paged_catalog_is_listed_whole(tmp_path: Path) -> None:
    async with started(command("paged"), os.environ, tmp_path) as client:
        await client.initialize()
        assert len(await client.tools()) == 25


async def test_a_server_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match="EXAMPLE_KEY is not set"):
        async with started(command("crash_on_start"), os.environ, tmp_path) as client:
            await client.initialize()


async def test_a_tool_error_is_no_measurement(tmp_path: Path) -> None:
    call = {"name": "fail"}
    async with started(command("echo"), os.environ, tmp_path) as client:
        await client.initialize()
        with pytest.raises(ServerFailedError, match="as it always does"):
            await client.call_repeatedly(call, 1, in_flight=1, seconds=30)


async def test_marked_processes_are_found_until_they_are_gone(tmp_path: Path) -> None:
    async with started(command("hang"), environment(tmp_path), tmp_path) as client:
        assert running(tmp_path) == [client.process.pid]
    assert running(tmp_path) == []


async def test_a_stateless_client_needs_no_handshake(tmp_path: Path) -> None:
    call = {"name": "echo", "arguments": {"text": "hello"}}
    async with started(command("echo"), os.environ, tmp_path, is_stateless=True) as client:
        await client.initialize()
        assert "echo" in await client.tools()
        assert len(await client.call_repeatedly(call, 5, in_flight=2, seconds=30)) == 5
