"""The first list: from what was known last, at once; and the truth as soon as it is known."""

import json
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp_types import ToolListChangedNotification

from mcp_proxy.greeting import fingerprint
from tests.e2e.bare import HELLO, bare_client
from tests.serving import command, configured, script, serving, text_of


def names(tools: object) -> set[str]:
    return {tool.name for tool in getattr(tools, "tools", ())}


async def test_a_known_catalog_is_listed_though_its_upstream_never_answers(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream.py"
    upstream.symlink_to(Path(str(script("echo")["args"][0])))
    config = configured(tmp_path, {"echo": {"command": script("echo")["command"], "args": [str(upstream)]}})
    async with serving(config) as client:
        known = names(await client.list_tools())
        assert "echo__echo" in known
    upstream.unlink()
    upstream.symlink_to(Path(str(script("hang")["args"][0])))
    async with serving(config) as client:
        with anyio.fail_after(8):
            assert names(await client.list_tools()) == known


async def test_what_has_changed_since_is_announced_and_can_be_called(tmp_path: Path) -> None:
    announced = anyio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            announced.set()

    config = configured(tmp_path, {"changing": script("changing")})
    async with serving(config) as client:
        await client.call_tool("changing__add", {"name": "new"})
        with anyio.fail_after(20):
            while "changing__new" not in names(await client.list_tools()):
                await anyio.lowlevel.checkpoint()
    async with serving(config, mode="legacy", message_handler=on_message) as client:
        assert "changing__new" in names(await client.list_tools())
        with anyio.fail_after(20):
            await announced.wait()
        assert "changing__new" not in names(await client.list_tools())


async def test_a_call_of_a_known_tool_waits_for_its_upstream_to_start(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    for _ in range(2):
        async with serving(config) as client:
            await client.list_tools()
            assert text_of(await client.call_tool("echo__echo", {"text": "x"})) == "x"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version":1}', b'{"version":1,"tools":[7]}', b"\xff"]
)
async def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    async with serving(config) as client:
        known = names(await client.list_tools())
    for kept in (tmp_path / "catalogs").iterdir():
        kept.write_bytes(damage)
    async with serving(config) as client:
        assert names(await client.list_tools()) == known


async def test_the_first_answers_come_before_anything_is_loaded_and_are_the_same(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    answers: list[object] = []
    for _ in range(2):
        async with bare_client(config) as client:
            answers.append((client.greeting, await client.request("tools/list")))
            call = await client.request("tools/call", name="echo__echo", arguments={"text": "x"})
            assert call["result"]["content"][0]["text"] == "x"
            assert [message for message in client.notifications if "id" in message] == []
    assert answers[0] == answers[1]
    assert list((tmp_path / "state" / "switchboard" / "greetings").iterdir())


async def test_a_greeting_that_is_no_longer_true_is_followed_by_an_announcement(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    async with bare_client(config) as client:
        await client.request("tools/list")
    (greeting,) = (tmp_path / "state" / "switchboard" / "greetings").iterdir()
    greeting.write_text(greeting.read_text().replace("echo__echo", "echo__gone"))
    async with bare_client(config) as client:
        listed = (await client.request("tools/list"))["result"]["tools"]
        assert "echo__gone" in {tool["name"] for tool in listed}
        with anyio.fail_after(20):
            while "notifications/tools/list_changed" not in {m.get("method") for m in client.notifications}:
                await client.request("ping")
        listed = (await client.request("tools/list"))["result"]["tools"]
        assert "echo__echo" in {tool["name"] for tool in listed}


async def test_a_greeting_made_with_another_configuration_is_not_used(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    async with bare_client(config) as client:
        await client.request("tools/list")
    configured(tmp_path, {"other": script("echo")})
    async with bare_client(config) as client:
        listed = (await client.request("tools/list"))["result"]["tools"]
        assert {tool["name"].partition("__")[0] for tool in listed} == {"do", "plan", "read_result", "other"}


@pytest.mark.parametrize("edit", ["[upstreams.", "[upstreams.other]\ncommand = 'no-such-command'\n"])
async def test_what_is_answered_after_an_edit_is_no_greeting_for_it(tmp_path: Path, edit: str) -> None:
    config = configured(tmp_path, {"changing": script("changing")})
    async with bare_client(config) as client:
        await client.request("tools/list")
        config.write_text(edit, encoding="utf-8")
        await client.request("tools/call", name="changing__add", arguments={"name": "new"})
        await client.request("tools/list")
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO})
    start = command(config, "serve")
    (kept,) = (tmp_path / "state" / "switchboard" / "greetings").iterdir()
    assert json.loads(kept.read_text())["configuration"] != fingerprint(str(config))
    if edit.endswith("."):
        done = await anyio.run_process(
            [start.command, *start.args], input=asked.encode() + b"\n", env=start.env, check=False
        )
        assert (done.returncode, done.stdout) == (2, b"")
