"""An upstream that does its worst in the middle of a call costs that call, and memory for as long as it lasts."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.e2e.bare import BareClient, Message, bare_client
from tests.serving import configured, script

CASES: list[Message] = json.loads(
    (Path(__file__).parent / "hostile_answers.json").read_text(encoding="utf-8")
)

MIB = 1 << 20

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[BareClient]:
    async with bare_client(
        configured(
            tmp_path,
            {"bad": script("hostile"), "echo": script("echo")},
            results={"budget": 0},
            search={"meaning": False},
        )
    ) as connected:
        await connected.request("tools/list")
        yield connected


async def call(client: BareClient, tool: str, **arguments: Any) -> Message:
    return await client.request("tools/call", name=tool, arguments=arguments)


async def start(client: BareClient, number: str, tool: str, **arguments: Any) -> None:
    """Send a call without waiting for its answer."""
    params = {"name": tool, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    await client.send(json.dumps(message).encode())


async def echoes_until(client: BareClient, number: str) -> tuple[Message, int]:
    """The answer to a request sent before, and how many calls of another upstream were answered meanwhile."""
    echoed = 0
    while True:
        await start(client, "echo", "echo__echo", text="beside")
        while (answer := await client.receive()).get("id") != "echo":
            if answer.get("id") == number:
                return answer, echoed
        echoed += 1


async def works(client: BareClient) -> None:
    """Both upstreams answer; the bad one may have to be started again."""
    assert said(await call(client, "echo__echo", text="beside")) == "beside"
    with anyio.fail_after(30):
        while "failed" in said(await call(client, "bad__pid")):
            await anyio.lowlevel.checkpoint()


def said(answer: Message) -> str:
    return answer["result"]["content"][0]["text"]


def told(answer: Message) -> str:
    return answer["error"]["message"] if "error" in answer else said(answer)


def resident_mib(client: BareClient) -> float:
    pages = Path(f"/proc/{client.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / MIB


async def test_what_can_be_read_arrives_and_what_cannot_ends_its_call_at_once(client: BareClient) -> None:
    for case in CASES:
        answer = await call(client, f"bad__{case['tool']}", **case.get("arguments", {}))
        if "result" in case:
            assert answer["result"] == case["result"], case
        else:
            assert case["told"] in told(answer), case
        await works(client)


async def test_arguments_nested_too_deeply_are_refused_and_the_server_lives(client: BareClient) -> None:
    for levels in (300, 2000, 100_000):
        deep = f'{{"a":{"[" * levels}{"]" * levels}}}'
        line = (
            '{"jsonrpc":"2.0","id":"deep","method":"tools/call",'
            f'"params":{{"name":"bad__pid","arguments":{deep}}}}}'
        )
        await client.send(line.encode())
        while (answer := await client.receive()).get("id") != "deep":
            assert "method" in answer
        assert "the request cannot be read" in told(answer)
    await works(client)


async def test_a_child_left_holding_the_pipe_is_ended_with_its_upstream(client: BareClient) -> None:
    group = int(said(await call(client, "bad__pid")))
    assert "stopped before it answered" in told(await call(client, "bad__leaves_a_child"))
    with anyio.fail_after(30):
        while is_running(group):
            await works(client)


def is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def test_answers_to_a_cancelled_call_are_kept_from_the_client(client: BareClient) -> None:
    await start(client, "mine", "bad__when_cancelled")
    await client.send(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mine"}}')
    # What the upstream says of it comes before what it says of these.
    await works(client)
    await works(client)
    assert [
        message for message in client.notifications if "list_changed" not in message.get("method", "")
    ] == []


@linux
async def test_fifty_megabytes_arrive_whole_and_leave_no_memory_behind(client: BareClient) -> None:
    await works(client)
    before = resident_mib(client)
    for _ in range(2):
        await start(client, "large", "bad__large", mib=50)
        answer, _ = await echoes_until(client, "large")
        assert len(said(answer)) == 50 * MIB
        await works(client)
    await memory_is_back(client, before + 70)


async def memory_is_back(client: BareClient, limit: float) -> None:
    with anyio.fail_after(30):
        while resident_mib(client) > limit:
            await works(client)


@linux
async def test_a_line_that_does_not_end_costs_its_own_upstream_and_its_memory_comes_back(
    client: BareClient,
) -> None:
    await works(client)
    before = resident_mib(client)
    await start(client, "endless", "bad__endless_line", mib=300)
    answer, echoed = await echoes_until(client, "endless")
    assert "stopped before it answered" in told(answer)
    assert echoed > 0
    await works(client)
    await memory_is_back(client, before + 30)


@linux
@pytest.mark.parametrize(
    "method",
    [
        "notifications/message",
        "notifications/progress",
        "notifications/tools/list_changed",
        "notifications/resources/updated",
        "notifications/vendor/heartbeat",
    ],
)
async def test_a_flood_of_notifications_is_held_back_and_others_are_served(
    client: BareClient, method: str
) -> None:
    await works(client)
    before = resident_mib(client)
    await start(client, "flood", "bad__flood", count=20_000, of=method)
    answer, echoed = await echoes_until(client, "flood")
    assert said(answer) == "dry"
    assert echoed > 0
    assert resident_mib(client) < before + 20
    await works(client)
