"""Streamable HTTP: on the client's side of Switchboard, and on its upstreams'."""

from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from mcp import Client

from tests.http.listening import free_port, listening
from tests.serving import ERAS, Progress, configured, script, serving, text_of


@pytest.mark.parametrize("era", ERAS)
async def test_several_clients_at_once_each_get_their_own_answers(tmp_path: Path, era: str) -> None:
    answers: dict[int, list[str]] = {}

    async def use(url: str, number: int) -> None:
        async with Client(url, mode=era) as client:
            results = [await client.call_tool("echo__echo", {"text": f"{number}.{i}"}) for i in range(10)]
            answers[number] = [text_of(result) for result in results]

    config = configured(tmp_path, {"echo": script("echo")})
    async with listening(config) as server, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(use, server.url, number)
    assert answers == {number: [f"{number}.{i}" for i in range(10)] for number in range(5)}


async def test_progress_and_do_work_over_http(tmp_path: Path) -> None:
    progress = Progress()
    async with (
        listening(configured(tmp_path, {"echo": script("echo")})) as server,
        Client(server.url) as client,
    ):
        await client.call_tool("echo__slow", {"seconds": 0.2}, progress_callback=progress)
        result = await client.call_tool("do", {"task": "add the numbers 2 and 3"})
    assert progress.steps[0] == (0, 10, "step 0")
    assert (result.structured_content or {})["ending"] in {"done", "unsure"}


async def test_a_foreign_host_or_origin_is_turned_away(tmp_path: Path) -> None:
    async with (
        listening(configured(tmp_path, {"echo": script("echo")})) as server,
        httpx2.AsyncClient() as http,
    ):
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"accept": "application/json, text/event-stream"}
        for bad in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
            response = await http.post(server.url, json=body, headers=accept | bad)
            assert response.status_code in {403, 421}


@pytest.mark.parametrize("era", ERAS)
async def test_an_upstream_over_http_that_goes_away_is_told_and_found_again(tmp_path: Path, era: str) -> None:
    (tmp_path / "behind").mkdir()
    behind, port = configured(tmp_path / "behind", {"echo": script("echo")}), free_port()
    far = {
        "url": f"http://127.0.0.1:{port}/mcp",
        "protocol": "legacy" if era == "legacy" else "auto",
        "retry_pause": 1.0,
    }
    async with serving(configured(tmp_path, {"far": far})) as client:
        async with listening(behind, port=port):
            with anyio.fail_after(60):
                while "far__echo__echo" not in {tool.name for tool in (await client.list_tools()).tools}:
                    await anyio.lowlevel.checkpoint()
            assert (
                text_of(await client.call_tool("far__echo__echo", {"text": "through two"})) == "through two"
            )
        with anyio.fail_after(10):
            assert (await client.call_tool("far__echo__echo", {"text": "nobody there"})).is_error
        async with listening(behind, port=port):
            with anyio.fail_after(30):
                while (result := await client.call_tool("far__echo__echo", {"text": "again"})).is_error:
                    await anyio.lowlevel.checkpoint()
            assert text_of(result) == "again"
