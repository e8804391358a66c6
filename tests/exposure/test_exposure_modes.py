"""What clients are shown, over a real connection: every tool, or a search, by configuration or by who they are."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import Implementation

from tests.serving import ERAS, configured, demo, outcome_of, serving, text_of

CURSOR = Implementation(name="cursor-vscode", version="1")
OWN = ["do", "plan", "read_result"]
SEARCHING = ["do", "plan", "find_tools", "call_tool", "read_result"]


def notes(tmp_path: Path, **server: Any) -> Path:
    return configured(
        tmp_path, {"notes": demo("notes", "--database", str(tmp_path / "notes.sqlite"))}, server=server
    )


async def shown(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("era", ERAS)
async def test_search_shows_a_handful_and_reaches_everything(tmp_path: Path, era: str) -> None:
    async with serving(notes(tmp_path, expose="search"), mode=era) as client:
        assert await shown(client) == SEARCHING
        found = outcome_of(await client.call_tool("find_tools", {"query": "write down a new note"}))
        best = found["tools"][0]
        assert best["name"] == "notes__add_note"
        assert best["server"] == "notes"
        assert best["signature"].startswith("notes__add_note(")
        assert "inputSchema" not in best
        added = await client.call_tool(
            "call_tool", {"name": "notes__add_note", "arguments": {"title": "milk", "text": "two litres"}}
        )
        assert not added.is_error
        # A tool that was found can be called as what it is: then the client's own rules for it apply.
        listed = await client.call_tool("notes__list_notes", {})
        assert "milk" in text_of(listed)


async def test_the_same_answer_comes_from_call_tool_and_from_the_tool_itself(tmp_path: Path) -> None:
    async with serving(notes(tmp_path, expose="search")) as client:
        await client.call_tool("notes__add_note", {"title": "milk", "text": "two litres"})
        direct = await client.call_tool("notes__list_notes", {})
        through = await client.call_tool("call_tool", {"name": "notes__list_notes"})
        assert direct == through
        wrong: dict[str, Any] = {"title": 5}
        direct = await client.call_tool("notes__add_note", wrong)
        through = await client.call_tool("call_tool", {"name": "notes__add_note", "arguments": wrong})
        assert direct == through
        assert direct.is_error


async def test_schemas_and_annotations_are_those_of_the_tools(tmp_path: Path) -> None:
    async with serving(notes(tmp_path, expose="all")) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = outcome_of(
            await client.call_tool("find_tools", {"query": "delete a note", "schemas": True, "limit": 3})
        )
    for tool in found["tools"]:
        definition = listed[tool["name"]]
        assert tool["inputSchema"] == definition.input_schema
        annotations = definition.annotations
        given = annotations.model_dump(by_alias=True, exclude_none=True) if annotations else {}
        assert tool["annotations"] == given


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"query": ""}, "/query"),
        ({"query": "x" * 1001}, "/query"),
        ({"query": "note", "limit": 0}, "/limit"),
        ({"query": "note", "server": "nosuch"}, "There are: notes"),
        ({"query": "note", "colour": "red"}, "/colour"),
        ({}, "/query"),
    ],
)
async def test_what_cannot_be_searched_for_is_said(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    async with serving(notes(tmp_path)) as client:
        result = await client.call_tool("find_tools", arguments)
        assert result.is_error
        assert said in text_of(result)


async def test_a_search_without_a_match_is_an_answer(tmp_path: Path) -> None:
    async with serving(notes(tmp_path)) as client:
        result = await client.call_tool("find_tools", {"query": "zzqx"})
        assert not result.is_error
        assert outcome_of(result)["tools"] == []
        assert "Try other words" in text_of(result)


async def test_call_tool_names_what_it_does_not_know(tmp_path: Path) -> None:
    async with serving(notes(tmp_path)) as client:
        with pytest.raises(MCPError, match="near names: notes__add_note"):
            await client.call_tool("call_tool", {"name": "notes__ad_note"})
        own = await client.call_tool("call_tool", {"name": "do", "arguments": {"task": "x"}})
        assert own.is_error
        assert "call it directly" in text_of(own)


async def test_what_is_always_visible_is_shown_beside_the_search(tmp_path: Path) -> None:
    config = notes(tmp_path, expose="search", always_visible=["notes/list_*"])
    async with serving(config) as client:
        assert await shown(client) == ["find_tools", "call_tool", "read_result", "notes__list_notes"]


async def test_exposure_may_be_given_by_the_clients_name(tmp_path: Path) -> None:
    config = notes(tmp_path, expose={"Cursor*": "search", "*": "all"})
    async with serving(config, client_info=CURSOR) as client:
        assert await shown(client) == SEARCHING
    async with serving(config) as client:
        assert "notes__add_note" in await shown(client)


@pytest.mark.parametrize("era", ERAS)
async def test_by_default_a_client_is_shown_what_it_can_take(tmp_path: Path, era: str) -> None:
    upstreams = {
        f"n{number}": demo("notes", "--database", str(tmp_path / f"{number}.sqlite")) for number in range(8)
    }
    config = configured(tmp_path, upstreams)
    async with serving(config, mode=era) as client:
        everything = await shown(client)
    async with serving(config, mode=era, client_info=CURSOR) as client:
        assert len(everything) > 40
        assert await shown(client) == SEARCHING
    # Now from what was answered the last time: each client from its own.
    async with serving(config, mode=era) as client:
        assert await shown(client) == everything


async def test_a_tool_that_bears_the_name_of_ours_keeps_it(tmp_path: Path) -> None:
    upstream = {**demo("notes", "--database", str(tmp_path / "notes.sqlite")), "prefix": ""}
    async with serving(configured(tmp_path, {"notes": upstream})) as client:
        assert [*OWN, "add_note"] == (await shown(client))[:4]
