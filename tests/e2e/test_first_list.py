"""The first list: from what was known last, at once; and the truth as soon as it is known."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp_types import ToolListChangedNotification

from tests.serving import configured, script, serving, text_of


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
