"""Servers that ask in the midst of a call, as the stateless era, which they offer too, does not let them."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp import Client, MCPError

from tests.http.listening import listening, over_http
from tests.relay.person import Person
from tests.serving import ERAS, configured, script, serving, text_of


async def answer_of(client: Client, tool: str) -> str:
    """What a call is answered with, whether that is a result or an error."""
    try:
        return text_of(await client.call_tool(tool, {}))
    except MCPError as error:
        return error.message


async def until_it_asks(client: Client, tool: str) -> str:
    """The first answer that is not about the era."""
    with anyio.fail_after(60):
        while 'protocol = "legacy"' in (told := await answer_of(client, tool)):
            await anyio.lowlevel.checkpoint()
    return told


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["confirm", "careful"])
async def test_the_first_call_that_cannot_ask_says_why_and_the_next_one_asks(
    tmp_path: Path, era: str, tool: str
) -> None:
    ada = Person()
    async with serving(configured(tmp_path, {"x": script("elicits")}), mode=era, **ada.callbacks()) as client:
        told = await answer_of(client, f"x__{tool}")
        assert "back-channel" in told
        assert "upstream 'x' can ask in the handshake era alone" in told
        assert not ada.asked
        assert await until_it_asks(client, f"x__{tool}") == "accept"
        assert ada.asked == ["Your name?"]


async def test_over_http_it_is_the_same(tmp_path: Path) -> None:
    ada = Person()
    async with (
        listening(configured(tmp_path, {"x": script("elicits")})) as server,
        over_http(server, mode="legacy", **ada.callbacks()) as client,
    ):
        with pytest.raises(MCPError, match="can ask in the handshake era alone"):
            await client.call_tool("x__confirm", {})
        assert await until_it_asks(client, "x__confirm") == "accept"


async def test_calls_in_flight_are_not_cut_off_for_it(tmp_path: Path) -> None:
    file, ada, waited = tmp_path / "go", Person(), list[str]()
    async with serving(configured(tmp_path, {"x": script("elicits")}), **ada.callbacks()) as client:

        async def wait() -> None:
            waited.append(text_of(await client.call_tool("x__wait", {"file": str(file)})))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            with anyio.fail_after(30):
                while not await anyio.Path(f"{file}.begun").exists():
                    await anyio.lowlevel.checkpoint()
            for _ in range(3):
                with pytest.raises(MCPError, match="can ask in the handshake era alone"):
                    await client.call_tool("x__confirm", {})
            file.touch()
        assert waited == ["waited"]
        assert await until_it_asks(client, "x__confirm") == "accept"


async def test_a_configured_era_is_kept_and_the_remedy_is_named(tmp_path: Path) -> None:
    config = configured(tmp_path, {"x": {**script("elicits"), "protocol": "2026-07-28"}})
    async with serving(config, **Person().callbacks()) as client:
        for _ in range(2):
            with pytest.raises(MCPError, match=r'set protocol = "legacy" in \[upstreams.x\]'):
                await client.call_tool("x__confirm", {})
