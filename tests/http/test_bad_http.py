"""Whatever a server over HTTP answers, its call ends soon, once, and honestly; the next one works."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.e2e.bare import BareClient, Message, bare_client
from tests.http.bad_http import FORGETS, NAMES, BadHttp, bad_http
from tests.serving import configured, script

ENDINGS: dict[str, str] = json.loads((Path(__file__).parent / "bad_http.json").read_text(encoding="utf-8"))
"""What is told of each answer, in part."""


@pytest.fixture
async def server() -> AsyncGenerator[BadHttp]:
    async with bad_http() as listening:
        yield listening


@pytest.fixture
async def client(server: BadHttp, tmp_path: Path) -> AsyncGenerator[BareClient]:
    bad = {"url": server.url, "call_timeout": 2.0}
    async with bare_client(configured(tmp_path, {"bad": bad, "echo": script("echo")})) as connected:
        await connected.request("tools/list")
        yield connected


async def call(client: BareClient, tool: str, **arguments: Any) -> str:
    """What is told of a call: the text of its result, or the message of its error."""
    answer = await client.request("tools/call", name=tool, arguments=arguments)
    if "error" in answer:
        return answer["error"]["message"]
    return answer["result"]["content"][0]["text"]


async def test_every_bad_answer_ends_its_call_and_no_other(client: BareClient) -> None:
    assert ENDINGS.keys() == {*NAMES} - {FORGETS}
    for tool, told in ENDINGS.items():
        assert told in await call(client, f"bad__{tool}"), tool
        assert await call(client, "echo__echo", text="beside") == "beside", tool
        await until_fine(client)


async def test_a_server_that_has_lost_its_sessions_is_given_a_new_one_and_the_call_again(
    server: BadHttp, client: BareClient
) -> None:
    assert await call(client, "bad__fine") == "fine"
    server.forgotten.update(server.sessions)
    assert [await call(client, "bad__fine") for _ in range(3)] == ["fine"] * 3
    assert len(server.sessions) == 2


async def test_many_calls_that_meet_a_lost_session_at_once_share_one_new_session(
    server: BadHttp, client: BareClient
) -> None:
    server.forgotten.update(server.sessions)
    for number in range(20):
        params: Message = {"name": "bad__fine", "arguments": {}}
        message: Message = {
            "jsonrpc": "2.0",
            "id": f"at once {number}",
            "method": "tools/call",
            "params": params,
        }
        await client.send(json.dumps(message).encode())
    waiting = {f"at once {number}" for number in range(20)}
    while waiting:
        answer = await client.receive()
        if "method" not in answer:
            waiting.remove(answer["id"])
            assert answer["result"]["content"][0]["text"] == "fine"
    assert len(server.sessions) == 2


async def test_a_server_that_forgets_every_session_is_not_asked_for_ever(client: BareClient) -> None:
    assert "it forgets the sessions it gives" in await call(client, f"bad__{FORGETS}")
    await until_fine(client)


async def until_fine(client: BareClient) -> None:
    """Return when the bad server is reached again: after a broken connection that takes a moment."""
    with anyio.fail_after(30):
        while await call(client, "bad__fine") != "fine":
            await anyio.lowlevel.checkpoint()
