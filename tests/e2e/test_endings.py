"""However it ends, nothing is left running, and nothing but the protocol was ever on stdout."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from tests.e2e.bare import BareClient, bare_client
from tests.serving import configured, script


async def upstream_pid(client: BareClient) -> int:
    answer = await client.request("tools/call", name="echo__env", arguments={})
    return answer["result"]["structuredContent"]["pid"]


async def gone(pid: int) -> None:
    """Return when no process has this id."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await anyio.sleep(0.01)


async def test_closing_the_pipe_ends_the_proxy_and_every_upstream(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo"), "stubborn": script("stubborn")})
    async with bare_client(config) as client:
        pid = await upstream_pid(client)
        assert client.process.stdin
        await client.process.stdin.aclose()
        assert await client.process.wait() == 0
        await gone(pid)
        assert not children_of(client.process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_proxy_and_every_upstream(tmp_path: Path, number: signal.Signals) -> None:
    async with bare_client(configured(tmp_path, {"echo": script("echo")})) as client:
        pid = await upstream_pid(client)
        client.process.send_signal(number)
        assert await client.process.wait() == 0
        await gone(pid)


async def test_garbage_on_stdin_is_answered_or_passed_over_and_the_server_lives(tmp_path: Path) -> None:
    async with bare_client(configured(tmp_path, {"echo": script("echo")})) as client:
        for line in (
            b"not json",
            b"[]",
            b"{}",
            b'{"jsonrpc":"2.0","id":{},"method":7}',
            b"\xff\xfe",
            b"\0",
            b"[[[[",
        ):
            await client.send(line)
        for name, arguments in (
            ("do", 7),
            ("do", {}),
            ("do", {"task": ""}),
            ("do", {"task": "x", "nonsense": 1}),
            ("", {}),
        ):
            answer = await client.request("tools/call", name=name, arguments=arguments)
            assert "error" in answer or answer["result"]["isError"]
        answer = await client.request("tools/call", name="echo__echo", arguments={"text": "alive"})
        assert answer["result"]["content"][0]["text"] == "alive"


def children_of(pid: int) -> list[int]:
    """Processes whose parent is `pid` (Linux)."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


async def test_a_proxy_that_is_killed_leaves_no_upstream_behind(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo"), "stubborn": script("stubborn")})
    async with bare_client(config) as client:
        answer = await client.request("tools/call", name="stubborn__pids", arguments={})
        pids = [int(pid) for pid in answer["result"]["content"][0]["text"].split()]
        pids.append(await upstream_pid(client))
        client.process.kill()
        for pid in pids:
            await gone(pid)
