"""Profiles over a real connection: what their clients see, and what of their calls reaches the upstream."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError

from mcp_proxy.config import ConfigError, load
from mcp_proxy.journal import Journal
from tests.serving import ERAS, command, configured, demo, outcome_of, text_of

READER = {"read_only": True, "expose": "all"}
CLERK = {
    "allow": ["notes/add_note", "notes/list_notes"],
    "expose": "all",
    "tools": {
        "notes/add_note": {
            "name": "jot",
            "description": "Jot something down.",
            "hidden": {"tags": ["clerk"]},
            "fixed": {"title": "memo"},
        }
    },
}


def profiled(tmp_path: Path, **tables: Any) -> Path:
    notes = demo("notes", "--database", str(tmp_path / "notes.sqlite"))
    return configured(
        tmp_path, {"notes": notes}, **{"profiles.reader": READER, "profiles.clerk": CLERK}, **tables
    )


def client_as(config: Path, profile: str, **options: Any) -> Client:
    return Client(command(config, "serve", "--profile", profile), **options)


async def shown(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def test_a_reader_sees_and_reaches_nothing_that_changes_anything(tmp_path: Path) -> None:
    async with client_as(profiled(tmp_path), "reader") as client:
        assert await shown(client) == [
            "do", "plan", "read_result", "notes__search_notes", "notes__list_notes", "notes__read_note",
        ]  # fmt: skip
        for name in ("notes__add_note", "call_tool"):
            arguments = {"title": "x", "text": "y"}
            call = arguments if name != "call_tool" else {"name": "notes__add_note", "arguments": arguments}
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool(name, call)
        outcome = outcome_of(await client.call_tool("do", {"task": 'add a note titled "x" saying "y"'}))
        assert outcome["ending"] != "done"
        found = outcome_of(await client.call_tool("find_tools", {"query": "add a note"}))
        assert found["of"] == 3


@pytest.mark.parametrize("era", ERAS)
async def test_a_rewritten_tool_is_called_with_what_the_profile_gives(tmp_path: Path, era: str) -> None:
    config = profiled(tmp_path)
    async with client_as(config, "clerk", mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["do", "plan", "read_result", "jot", "notes__list_notes"]
        assert tools["jot"].description == "Jot something down."
        assert set(tools["jot"].input_schema["properties"]) == {"title", "text"}
        assert not (await client.call_tool("jot", {"text": "hello"})).is_error
        listed = text_of(await client.call_tool("notes__list_notes", {}))
        assert "memo" in listed
        assert "clerk" in listed
        refused = await client.call_tool("jot", {"text": "hello", "title": "mine"})
        assert refused.is_error
        assert "/title" in text_of(refused)
        added = await client.call_tool("jot", {"text": "hello", "tags": ["mine"]})
        assert "mine" not in text_of(added)
        assert "clerk" in text_of(added)


async def test_tasks_of_a_profile_use_its_tools_and_are_noted_as_its_own(tmp_path: Path) -> None:
    config = profiled(tmp_path)
    async with client_as(config, "clerk") as client:
        outcome = outcome_of(await client.call_tool("do", {"task": 'jot "water the plants"'}))
        assert outcome["call"]["tool"] == "jot"
    journal = await Journal.open(tmp_path / "journal.sqlite")
    tasks = [record for record in await journal.recent() if hasattr(record, "profile")]
    await journal.close()
    assert [getattr(task, "profile", None) for task in tasks] == ["clerk"]


async def test_the_server_may_have_a_profile_for_everyone(tmp_path: Path) -> None:
    config = profiled(tmp_path, server={"profile": "reader"})
    async with Client(command(config, "serve")) as client:
        assert "notes__add_note" not in await shown(client)
    async with client_as(config, "") as client:
        assert "notes__add_note" in await shown(client)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"server": {"profile": "readr"}}, 'did you mean "reader"?'),
        ({"profiles.x": {"alow": ["*"]}}, 'profiles.x.alow: is no known key; did you mean "allow"?'),
        ({"profiles.x": {"tools": {"notes/add_note": {"nam": "x"}}}}, 'did you mean "name"?'),
        ({"profiles.x": {"tokens": ["short"]}}, "is shorter than 16 characters"),
        ({"profiles.x": {"expose": "some"}}, "profiles.x.expose"),
        ({'profiles."bad name"': {}}, "may hold only letters"),
    ],
)
def test_a_mistake_in_a_profile_is_named(tmp_path: Path, tables: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(profiled(tmp_path, **tables))
    assert said in str(raised.value).replace("'", "")


def test_an_unknown_profile_on_the_command_line_names_the_known_ones(tmp_path: Path) -> None:
    config = profiled(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "mcp_proxy", "-c", str(config), "tools", "--profile", "writer"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "there are: reader, clerk" in ran.stderr
