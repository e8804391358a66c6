"""With `session = "per_client"` every client with a session has an upstream process or session to itself."""

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp import MCPError
from mcp_types import EmptyResult, SubscribeRequest, SubscribeRequestParams

from tests.http.listening import (
    INITIALIZE,
    Listening,
    free_port,
    listening,
    over_http,
    raw,
    until_open,
    until_ready,
)
from tests.relay.person import ASKER, Person
from tests.serving import Progress, configured, serving, text_of
from tests.sessions.parts import (
    WAYS,
    both,
    children,
    descriptors,
    guest,
    is_running,
    pid_of,
    said,
    starts_in,
    tally,
    until,
)
from tests.upstream_options.parts import names


@asynccontextmanager
async def served(folder: Path, **options: Any) -> AsyncGenerator[Listening]:
    """Switchboard over HTTP in front of the tally, once that has been listed."""
    server = options.pop("server", {})
    config = configured(
        folder, {"t": tally(str(folder / "starts"), **options)}, server=server, search={"meaning": False}
    )
    async with listening(config) as started:
        await until_ready(started)
        yield started


@pytest.mark.parametrize("way", WAYS)
async def test_no_client_sees_the_state_of_another(tmp_path: Path, way: str) -> None:
    async with (
        served(tmp_path) as server,
        guest(server, "Ada", way) as (first, _),
        guest(server, "Ben", way) as (second, _),
    ):
        counted = [await said(one, "count") for one in (first, first, second, first, second)]
        assert await pid_of(first) != await pid_of(second)
    assert counted == ["1", "2", "1", "3", "2"]


async def test_twenty_clients_are_asked_and_told_of_their_own_calls_only(tmp_path: Path) -> None:
    names = [f"guest {number}" for number in range(20)]
    answers: dict[str, list[Any]] = {}
    people: dict[str, Person] = {}
    progress = {name: Progress() for name in names}

    async def use(server: Listening, name: str) -> None:
        async with guest(server, name) as (client, people[name]):
            for number in range(3):
                arguments = {"text": f"{name}, {number}"}
                result = await client.call_tool("t__interview", arguments, progress_callback=progress[name])
                answers.setdefault(name, []).append(both(text_of(result)))

    with anyio.fail_after(120):
        async with served(tmp_path) as server, anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(use, server, name)
    for name in names:
        person, rounds = people[name], [f"{name}, {number}" for number in range(3)]
        assert answers[name] == [[name, f"a poem by {name}"]] * 3
        assert person.asked == [text for each in rounds for text in (f"form of {each}", "sampling")]
        assert person.logged == [f"log of {each}" for each in rounds]
        assert [message for _, _, message in progress[name].steps] == [
            f"progress of {each}" for each in rounds
        ]


async def test_what_comes_after_a_call_still_goes_to_its_client_alone(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        guest(server, "Ada") as (first, ada),
        guest(server, "Ben") as (second, ben),
    ):
        assert (await said(first, "late", text="a"), await said(second, "late", text="b")) == ("later",) * 2
        # The tally answers the next call only when the interview is over.
        await pid_of(first)
        await pid_of(second)
        assert (ada.asked, ben.asked) == (["form of a", "sampling"], ["form of b", "sampling"])
        await ada.until(lambda: ada.logged == ["log of a"])
        await ben.until(lambda: ben.logged == ["log of b"])


async def test_a_changed_resource_is_told_to_the_client_in_whose_session_it_changed(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        guest(server, "Ada") as (first, ada),
        guest(server, "Ben") as (second, ben),
    ):
        page = SubscribeRequest(params=SubscribeRequestParams(uri="tally://page"))
        for client in (first, second):
            await client.session.send_request(page, EmptyResult)
        await said(first, "change_page")
        await ada.until(lambda: "notifications/resources/updated" in ada.methods())
        await said(second, "interview", text="x")
        assert "notifications/resources/updated" not in ben.methods()


async def test_killing_one_clients_process_leaves_those_of_others_alone(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        guest(server, "Ada") as (first, _),
        guest(server, "Ben") as (second, _),
    ):
        mine, other = await pid_of(first), await pid_of(second)
        assert [await said(second, "count") for _ in range(2)] == ["1", "2"]
        os.kill(mine, signal.SIGKILL)
        with anyio.fail_after(40):
            while (result := await first.call_tool("t__pid", {})).is_error:
                await anyio.lowlevel.checkpoint()
        assert int(text_of(result)) != mine
        assert (await pid_of(second), await said(second, "count")) == (other, "3")


@pytest.mark.parametrize("way", WAYS)
async def test_a_process_ends_with_its_client_and_no_other(tmp_path: Path, way: str) -> None:
    async with served(tmp_path) as server, guest(server, "Ada") as (stays, _):
        kept = await pid_of(stays)
        async with guest(server, "Ben", way) as (leaves, _):
            ended = await pid_of(leaves)
        await until(lambda: not is_running(ended))
        assert await pid_of(stays) == kept


async def test_a_process_ends_when_its_session_has_been_idle_for_too_long(tmp_path: Path) -> None:
    request: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "t__pid"},
    }
    async with (
        served(tmp_path, server={"session_idle": 2.0, "json_response": True}) as server,
        raw(server) as http,
    ):
        opened = await http.post("/mcp", json=INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        await http.post(
            "/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session
        )
        answer = await http.post("/mcp", json=request, headers=session)
        pid = int(answer.json()["result"]["content"][0]["text"])
        await until(lambda: not is_running(pid))


async def test_what_lists_is_no_clients_process_and_does_not_stay(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        (listed,) = starts_in(tmp_path / "starts")
        await until(lambda: not is_running(listed))
        async with guest(server, "Ada") as (client, _):
            await client.list_tools()
            assert len(starts_in(tmp_path / "starts")) == 1
            own = await pid_of(client)
        assert starts_in(tmp_path / "starts") == [listed, own]


async def test_a_lazy_one_is_listed_anew_over_the_first_connection_there_is(tmp_path: Path) -> None:
    async with served(tmp_path, lazy=True):
        assert len(starts_in(tmp_path / "starts")) == 1
    (tmp_path / "starts.more").touch()
    async with served(tmp_path, lazy=True) as server, guest(server, "Ada") as (client, ada):
        assert "t__more" not in await names(client)
        assert len(starts_in(tmp_path / "starts")) == 1
        await pid_of(client)
        await ada.until(lambda: "notifications/tools/list_changed" in ada.methods())
        assert "t__more" in await names(client)
        assert len(starts_in(tmp_path / "starts")) == 2


async def test_clients_without_a_session_share_one_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as server, guest(server, "Ada") as (with_session, _):
        async with (
            over_http(server, mode="2026-07-28") as first,
            over_http(server, mode="2026-07-28") as second,
        ):
            pids = {await pid_of(first), await pid_of(second)}
        assert len(pids) == 1
        assert await pid_of(with_session) not in pids


async def test_over_stdio_the_one_connection_is_the_clients_own(tmp_path: Path) -> None:
    config = configured(tmp_path, {"t": tally(str(tmp_path / "starts"))})
    async with serving(config) as client:
        await client.list_tools()
        own = await pid_of(client)
    assert starts_in(tmp_path / "starts") == [own]


async def test_no_more_clients_than_may_have_one_and_the_next_is_told_why(tmp_path: Path) -> None:
    async with served(tmp_path, max_clients=1) as server, guest(server, "Ben") as (second, _):
        async with guest(server, "Ada") as (first, _):
            await pid_of(first)
            async with raw(server) as http:
                assert (await http.get("/readyz")).json()["client_sessions"] == {"t": 1}
            refused = await second.call_tool("t__pid", {})
            assert refused.is_error
            assert "there are as many already; end one of them, or raise its max_clients" in text_of(refused)
            page = SubscribeRequest(params=SubscribeRequestParams(uri="tally://page"))
            with pytest.raises(MCPError, match="max_clients"):
                await second.session.send_request(page, EmptyResult)
        with anyio.fail_after(40):
            while (await second.call_tool("t__pid", {})).is_error:
                await anyio.lowlevel.checkpoint()


async def test_one_that_nobody_uses_is_stopped_and_started_again(tmp_path: Path) -> None:
    async with served(tmp_path, idle_stop=0.5) as server, guest(server, "Ada") as (client, _):
        before = await pid_of(client)
        await until(lambda: not is_running(before))
        assert await pid_of(client) != before


async def test_an_edited_configuration_reaches_the_connections_of_all_clients(tmp_path: Path) -> None:
    starts = str(tmp_path / "starts")
    async with (
        served(tmp_path) as server,
        guest(server, "Ada") as (first, _),
        guest(server, "Ben") as (second, _),
    ):
        before = {await pid_of(first), await pid_of(second)}
        configured(tmp_path, {"t": tally(starts, call_timeout=7.0)})
        await until(lambda: not any(map(is_running, before)))
        assert await pid_of(first) != await pid_of(second)
        configured(tmp_path, {"t": tally(starts, session="shared")})
        with anyio.fail_after(40):
            # A call that is under way when the edit takes effect ends with an error.
            while len({text_of(await one.call_tool("t__pid", {})) for one in (first, second)}) != 1:
                await anyio.lowlevel.checkpoint()
        await until(lambda: sum(map(is_running, starts_in(Path(starts)))) == 1)


async def test_fifty_clients_come_and_go_and_leave_nothing_behind(tmp_path: Path) -> None:
    async def visit(server: Listening, limiter: anyio.CapacityLimiter) -> None:
        async with limiter, guest(server, "Ada") as (client, _):
            assert await said(client, "count") == "1"

    async with served(tmp_path) as server:
        pid = server.process.pid
        await visit(server, anyio.CapacityLimiter(1))
        # The watchdog alone, once what has ended has been waited for too.
        await until(lambda: len(children(pid)) == 1)
        open_before = descriptors(pid)
        limiter = anyio.CapacityLimiter(10)
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(visit, server, limiter)
        assert len(starts_in(tmp_path / "starts")) == 52
        await until(lambda: len(children(pid)) == 1)
        await until(lambda: descriptors(pid) <= open_before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_processes_of_clients_end_with_switchboard(tmp_path: Path, number: signal.Signals) -> None:
    pids: list[int] = []
    # What a client says of a server that is gone is no matter here, nor is how that ended.
    with suppress(Exception):
        async with served(tmp_path) as server, guest(server, "Ada") as (client, _):
            pids.append(await pid_of(client))
            os.kill(server.process.pid, number)
    assert len(pids) == 1
    await until(lambda: not is_running(pids[0]))


@pytest.fixture
async def far() -> AsyncGenerator[dict[str, Any]]:
    """A server over streamable HTTP, to which clients have sessions of their own."""
    port = free_port()
    command = [sys.executable, str(ASKER), "--http", str(port)]
    async with await anyio.open_process(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        with anyio.fail_after(60):
            await until_open(port)
        yield {"url": f"http://127.0.0.1:{port}/mcp", "protocol": "legacy", "session": "per_client"}
        process.terminate()


async def test_an_upstream_over_http_has_a_session_for_every_client(
    tmp_path: Path, far: dict[str, Any]
) -> None:
    roots = {"method": "roots/list"}
    async with listening(configured(tmp_path, {"t": far})) as server:
        await until_ready(server)
        async with guest(server, "Ada") as (first, ada), guest(server, "Ben") as (second, ben):
            answers = [await one.call_tool("t__ask", roots) for one in (first, second, first)]
            sessions = [
                (await one.call_tool("t__session", {})).structured_content for one in (first, second, first)
            ]
    assert sessions[0] == sessions[2] != sessions[1]
    assert [_root(answer.structured_content) for answer in answers] == ["Ada", "Ben", "Ada"]
    assert (ada.asked, ben.asked) == (["roots"] * 2, ["roots"])


def _root(answer: Any) -> str:
    return answer["answer"]["roots"][0]["uri"].rpartition("/")[2]
