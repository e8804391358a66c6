"""However it ends, nothing is left running, and nothing but the protocol was ever on stdout."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.bare import BareClient, bare_client
from tests.http.listening import Listening, listening, over_http
from tests.serving import Progress, command, configured, script, text_of


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


MARK = "SWITCHBOARD_TEST_FAMILY"


def families(folder: Path) -> dict[str, dict[str, Any]]:
    """Upstreams that are trees of processes, each process marked: as npx makes them, and ones that will not go."""

    def under_a_shell(name: str) -> dict[str, Any]:
        # The second command keeps the shell from becoming the program.
        return {"command": "sh", "args": ["-c", '"$@"; true', "sh", sys.executable, *script(name)["args"]]}

    marked = {"env": {MARK: str(folder)}}
    return {
        "echo": {**script("echo"), **marked},
        "tree": {**under_a_shell("echo"), **marked},
        "stubborn": {**script("stubborn"), **marked},
        "stubborn_tree": {**under_a_shell("stubborn"), **marked},
    }


def family(folder: Path) -> list[int]:
    """Everything that runs with the mark (Linux)."""
    wanted = f"{MARK}={folder}".encode()
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


async def until_gone(folder: Path) -> None:
    """Return when nothing runs with the mark any more."""
    while family(folder):  # noqa: ASYNC110  they are not our children
        await anyio.sleep(0.01)


async def close_stdin(client: BareClient) -> None:
    assert client.process.stdin
    await client.process.stdin.aclose()


async def close_both(client: BareClient) -> None:
    await client.lines.aclose()
    await close_stdin(client)


def signalled(number: signal.Signals) -> Callable[[BareClient], Any]:
    async def send(client: BareClient) -> None:
        client.process.send_signal(number)

    return send


ENDS = {
    "the client closes the pipe": close_stdin,
    "the client closes both pipes": close_both,
    "SIGTERM": signalled(signal.SIGTERM),
    "SIGINT": signalled(signal.SIGINT),
    "SIGKILL": signalled(signal.SIGKILL),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
@pytest.mark.parametrize("end", ENDS)
async def test_no_process_of_any_tree_is_left_while_calls_are_in_flight(tmp_path: Path, end: str) -> None:
    async with bare_client(configured(tmp_path, families(tmp_path))) as client:
        await client.request("tools/list")
        for name in ("echo", "tree"):
            call = (
                f'{{"jsonrpc":"2.0","id":"{name}","method":"tools/call",'
                f'"params":{{"name":"{name}__slow","arguments":{{"seconds":60}}}}}}'
            )
            await client.send(call.encode())
        for name in ("stubborn", "stubborn_tree"):
            await client.request("tools/call", name=f"{name}__pids", arguments={})
        # Two shells, four servers, and two children that do not go by themselves.
        assert len(family(tmp_path)) == 8
        await ENDS[end](client)
        await client.process.wait()
        await until_gone(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_over_http_none_is_left_either_while_clients_wait(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def wait_in_a_call(server: Listening, progress: Progress) -> None:
        with pytest.raises(BaseException):  # noqa: B017, PT011  however the client learns of it
            async with over_http(server) as client:
                await client.call_tool("echo__slow", {"seconds": 60}, progress_callback=progress)

    with anyio.fail_after(60):
        async with listening(configured(tmp_path, families(tmp_path)), end=number) as server:
            async with over_http(server) as client:
                assert text_of(await client.call_tool("stubborn__pids", {}))
                assert text_of(await client.call_tool("stubborn_tree__pids", {}))
                await client.call_tool("tree__echo", {"text": "x"})
            assert len(family(tmp_path)) == 8
            async with anyio.create_task_group() as tasks:
                waiting = [Progress() for _ in range(5)]
                for progress in waiting:
                    tasks.start_soon(wait_in_a_call, server, progress)
                for progress in waiting:
                    await progress.begun.wait()
                server.process.send_signal(number)
            await server.process.wait()
        await until_gone(tmp_path)


async def pids_of_leavers(client: BareClient, upstream: str) -> list[int]:
    answer = await client.request("tools/call", name=f"{upstream}__pids", arguments={})
    return [int(pid) for pid in answer["result"]["content"][0]["text"].split()]


@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
@pytest.mark.parametrize("end", ["the client closes the pipe", "SIGTERM", "SIGKILL"])
async def test_processes_that_have_left_their_session_end_too_unless_they_are_to_be_kept(
    tmp_path: Path, end: str
) -> None:
    upstreams = {"leaver": script("leaver"), "keeper": {**script("leaver"), "keep_detached": True}}
    async with bare_client(configured(tmp_path, upstreams)) as client:
        leavers = await pids_of_leavers(client, "leaver")
        kept = await pids_of_leavers(client, "keeper")
        await ENDS[end](client)
        await client.process.wait()
        with anyio.fail_after(30):
            for pid in leavers:
                await gone(pid)
        for pid in kept:
            os.kill(pid, signal.SIGKILL)  # raises if it is not there


@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
async def test_behind_another_switchboard_they_end_when_both_are_killed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    inner = command(configured(tmp_path / "inner", {"leaver": script("leaver")}), "serve")
    outer = configured(tmp_path, {"inner": {"command": inner.command, "args": inner.args}})
    async with bare_client(outer) as client:
        leavers = await pids_of_leavers(client, "inner__leaver")
        client.process.kill()
        await client.process.wait()
        with anyio.fail_after(30):
            for pid in leavers:
                await gone(pid)
