"""The fast lane and the SDK's path are one in behaviour.

The same traffic over stdio, where the lane takes what it can, and over HTTP, where everything goes through
the SDK, ends the same.
"""

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from pydantic import ValidationError

from tests.e2e.bare import bare_client
from tests.http.listening import listening
from tests.serving import ERAS, Progress, configured, script, serving

TRAFFIC: list[tuple[str, Any]] = [
    ("echo__echo", {"text": "hello"}),
    ("echo__echo", {"text": 7}),
    ("echo__echo", {}),
    ("echo__add", {"a": 1, "b": 2.5}),
    ("echo__fail", {}),
    ("echo__slow", {"seconds": 0.1}),
    ("echo__nothing", {}),
    ("", {}),
]


async def traffic(client: Client) -> list[tuple[str, Any]]:
    """The calls to compare: those above, and every odd answer there is."""
    tools = (await client.list_tools()).tools
    return [*TRAFFIC, *((tool.name, {}) for tool in tools if tool.name.startswith("odd__"))]


async def ending(client: Client, name: str, arguments: Any) -> Any:
    """How a call ends, with the progress it made."""
    progress = Progress()
    try:
        with anyio.fail_after(20):
            result = await client.call_tool(name, arguments, progress_callback=progress)
    except MCPError as error:
        return error.code, progress.steps
    except ValidationError:
        return "invalid"
    return result.model_dump(), progress.steps


@pytest.mark.parametrize("era", ERAS)
async def test_both_ways_end_every_call_alike(tmp_path: Path, era: str) -> None:
    config = configured(tmp_path, {"odd": script("odd_answers"), "echo": script("echo")})
    async with serving(config, mode=era) as client:
        calls = await traffic(client)
        raw = [await ending(client, *call) for call in calls]
    async with listening(config) as server, Client(server.url, mode=era) as client:
        typed = [await ending(client, *call) for call in calls]
    for call, ours, theirs in zip(calls, raw, typed, strict=True):
        assert ours == theirs, call


async def test_every_request_has_exactly_one_answer_and_unknown_fields_survive(tmp_path: Path) -> None:
    async with bare_client(configured(tmp_path, {"odd": script("odd_answers")})) as client:
        tools = (await client.request("tools/list"))["result"]["tools"]
        names = [tool["name"] for tool in tools if tool["name"].startswith("odd__")]
        answers = {name: await client.request("tools/call", name=name, arguments={}) for name in names}
        await client.request("ping")
        assert [
            message for message in client.notifications if "id" in message or "progress" in message["method"]
        ] == []
    assert answers["odd__unknown_fields"]["result"]["vendorField"] == {"kept": True}
    assert answers["odd__error"]["error"]["data"] == {"why": "it likes to"}
    assert answers["odd__twice"]["result"] == answers["odd__plain"]["result"]


async def test_a_call_that_takes_too_long_is_given_up_and_cancelled_upstream(tmp_path: Path) -> None:
    marker = tmp_path / "cancelled"
    upstream = {**script("echo"), "call_timeout": 0.5}
    async with bare_client(configured(tmp_path, {"echo": upstream})) as client:
        arguments = {"seconds": 60, "marker": str(marker)}
        answer = await client.request("tools/call", name="echo__slow", arguments=arguments)
        assert "no answer within 0.5 s" in answer["result"]["content"][0]["text"]
        while not marker.exists():
            await client.request("tools/call", name="echo__echo", arguments={"text": "x"})


async def test_a_cancelled_call_is_never_answered_and_its_id_can_be_used_again(tmp_path: Path) -> None:
    marker = tmp_path / "cancelled"
    async with bare_client(configured(tmp_path, {"echo": script("echo")})) as client:
        await client.request("tools/list")
        call = (
            '{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":'
            f'{{"name":"echo__slow","arguments":{{"seconds":60,"marker":"{marker}"}}}}}}'
        )
        await client.send(call.encode())
        await client.send(
            b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mine"}}'
        )
        while not marker.exists():
            await client.request("ping")
        assert "mine" not in [message.get("id") for message in client.notifications]
        again = '{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":{"name":"echo__echo","arguments":{"text":"x"}}}'
        await client.send(again.encode())
        while (answer := await client.receive()).get("id") != "mine":
            assert "method" in answer
