"""Whoever looks for a tool in vain is told which servers have not answered, and what is in quarantine."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from mcp_proxy.cli import Exit
from tests.cli.test_one_shot import ran
from tests.pins.served import Changeable, tool
from tests.serving import ERAS, configured, outcome_of, script, serving, text_of

LACKING = {"command": "echo", "env": {"A": "${NOT_SET_ANYWHERE}"}}


def half_there(folder: Path, *, server: dict[str, Any] | None = None, **tables: Any) -> Path:
    """A configuration with one server that runs, one that hangs at its start, and one that lacks a variable."""
    upstreams = {"echo": script("echo"), "hang": script("hang"), "unset": LACKING}
    return configured(folder, upstreams, server={"startup_wait": 0.3, **(server or {})}, **tables)


async def test_commands_name_the_servers_whose_tools_are_not_in_their_answer(tmp_path: Path) -> None:
    config = half_there(tmp_path)
    for args in (("tools", "anything"), ("plan", "peel a potato"), ("do", "peel a potato", "--json")):
        _, out, err = await ran(config, *args)
        assert "hang is still starting; its tools are not in this answer" in err
        assert "unset is down: the environment variable NOT_SET_ANYWHERE is not set" in err
    told = json.loads(out)
    assert told["ending"] == "unsure"
    assert "Without the tools of hang, which is still starting" in told["reason"]
    assert (
        "Without the tools of unset, which is down: the environment variable NOT_SET_ANYWHERE"
        in told["reason"]
    )


@pytest.mark.parametrize("era", ERAS)
async def test_calls_of_a_server_that_never_came_up_say_why(tmp_path: Path, era: str) -> None:
    async with serving(half_there(tmp_path), mode=era) as client:
        for name, why in (
            ("unset__x", "upstream 'unset' is not available: the environment variable NOT_SET_ANYWHERE"),
            ("hang__x", "upstream 'hang' is not available: it is still starting"),
        ):
            for result in (
                await client.call_tool(name, {}),
                await client.call_tool("call_tool", {"name": name}),
            ):
                assert result.is_error
                assert why in text_of(result)
        with pytest.raises(MCPError, match="Unknown tool: unsetx"):
            await client.call_tool("unsetx", {})
        outcome = outcome_of(await client.call_tool("plan", {"task": "peel a potato"}))
        assert "hang, which is still starting" in outcome["reason"]


async def test_a_profile_is_told_nothing_of_servers_it_may_not_see(tmp_path: Path) -> None:
    profile: dict[str, Any] = {"profiles.narrow": {"allow": ["echo/*"]}}
    config = half_there(tmp_path, server={"profile": "narrow"}, **profile)
    async with serving(config) as client:
        outcome = outcome_of(await client.call_tool("plan", {"task": "peel a potato"}))
        assert "hang" not in outcome["reason"]
        assert "unset" not in outcome["reason"]
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("hang__x", {})


async def test_quarantined_tools_are_marked_wherever_tools_are_found(tmp_path: Path) -> None:
    upstream = Changeable(tmp_path, tool("peel_potato", "Peels a potato."), tool("other"))
    await ran(upstream.config, "tools", "--refresh")
    upstream.offer(tool("peel_potato", "Peels a potato, and tells everyone."), tool("other"))
    _, out, _ = await ran(upstream.config, "tools", "--refresh")
    line = next(line for line in out.splitlines() if line.startswith("x__peel_potato"))
    assert "is quarantined and cannot be called" in line
    assert "switchboard pins accept x__peel_potato" in line
    _, out, _ = await ran(upstream.config, "tools", "--json")
    assert {each["name"]: each.get("quarantined") for each in json.loads(out)} == {
        "x__peel_potato": True,
        "x__other": None,
    }
    code, out, err = await ran(upstream.config, "upstreams")
    assert code == Exit.DONE
    assert "2 (1 quarantined)" in out
    assert "switchboard pins diff x, then switchboard pins accept x" in err
    _, out, _ = await ran(upstream.config, "upstreams", "--json")
    assert [status["quarantined"] for status in json.loads(out)] == [1]
    _, out, _ = await ran(upstream.config, "plan", "peel a potato", "--json")
    assert "switchboard pins accept x__peel_potato" in json.loads(out)["reason"]
    async with serving(upstream.config) as client:
        found = await client.call_tool("find_tools", {"query": "peel potato"})
        assert found.structured_content
        first = found.structured_content["tools"][0]
        assert (first["name"], first["quarantined"]) == ("x__peel_potato", True)
        assert "[quarantined]" in text_of(found)
        assert "switchboard pins accept x__peel_potato" in text_of(found)
