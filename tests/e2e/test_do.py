"""The main job, end to end: a task in plain words from a real client arrives as a valid call, or honestly does not."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.serving import configured, demo, outcome_of, serving, text_of


@pytest.fixture
def config(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    (root / "todo.txt").write_text("water the plants", encoding="utf-8")
    servers = {
        "notes": demo("notes", "--database", str(tmp_path / "notes.sqlite")),
        "files": demo("files", "--root", str(root)),
        "clock": demo("clock"),
    }
    return configured(tmp_path, servers, planner={"threshold": 0.6})


@pytest.fixture
async def client(config: Path) -> AsyncGenerator[Client]:
    async with serving(config) as connected:
        yield connected


@pytest.mark.parametrize(
    ("task", "tool", "arguments"),
    [
        (
            "convert 26.2 miles to kilometers",
            "clock__convert_units",
            {"value": 26.2, "from_unit": "mile", "to_unit": "kilometer"},
        ),
        ("read the file todo.txt", "files__read_text", {"path": "todo.txt"}),
        (
            "add a note titled Shopping saying buy milk and bread",
            "notes__add_note",
            {"title": "Shopping", "text": "buy milk and bread"},
        ),
    ],
)
async def test_a_clear_task_is_carried_out(
    client: Client, task: str, tool: str, arguments: dict[str, Any]
) -> None:
    result = await client.call_tool("do", {"task": task})
    outcome = outcome_of(result)
    assert not result.is_error
    assert outcome["ending"] == "done"
    assert outcome["call"] == {"tool": tool, "upstream": tool.partition("__")[0], "arguments": arguments}
    assert outcome["planner"] == "pocket"
    assert 0.6 <= outcome["confidence"] <= 1
    assert f"called {tool}" in text_of(result)


async def test_the_tools_own_content_comes_first_and_unchanged(client: Client) -> None:
    result = await client.call_tool("do", {"task": "read the file todo.txt"})
    direct = await client.call_tool("files__read_text", {"path": "todo.txt"})
    assert result.content[: len(direct.content)] == direct.content


async def test_plan_says_what_do_would_call_and_calls_nothing(client: Client) -> None:
    outcome = outcome_of(await client.call_tool("plan", {"task": "add a note titled Plan saying not yet"}))
    assert outcome["ending"] == "planned"
    assert outcome["call"]["tool"] == "notes__add_note"
    assert json.loads(text_of(await client.call_tool("notes__list_notes", {})))["notes"] == []


async def test_a_missing_argument_is_named_and_can_be_given_in_a_second_call(client: Client) -> None:
    task = "add a note saying call the plumber"
    result = await client.call_tool("do", {"task": task})
    assert result.is_error
    assert (outcome_of(result)["ending"], outcome_of(result)["missing"]) == ("needs", ["title"])
    again = await client.call_tool("do", {"task": task, "answers": {"title": "House"}})
    assert outcome_of(again)["call"]["arguments"] == {"title": "House", "text": "call the plumber"}


@pytest.mark.parametrize("task", ["order a pizza with extra cheese", "sing me a song", "asdf qwer", "?"])
async def test_a_task_that_no_tool_fits_is_left_alone(client: Client, task: str) -> None:
    result = await client.call_tool("do", {"task": task})
    assert result.is_error
    assert outcome_of(result)["ending"] == "unsure"
    assert "[escalation]" in outcome_of(result)["reason"]


async def test_a_destructive_tool_never_runs_on_the_planners_word_alone(client: Client) -> None:
    await client.call_tool("notes__add_note", {"title": "Keep", "text": "me"})
    result = await client.call_tool("do", {"task": "delete the note 1"})
    assert outcome_of(result)["ending"] == "needs"
    assert outcome_of(result)["call"]["tool"] == "notes__delete_note"
    assert not (await client.call_tool("notes__read_note", {"id": 1})).is_error


async def test_every_task_and_call_is_in_the_journal_without_its_secrets(
    config: Path, tmp_path: Path
) -> None:
    secret = "sk-ant-api03-abcdefghijklmnop"
    async with serving(config) as client:
        await client.call_tool("do", {"task": f"add a note titled Key saying '{secret}'"})
        await client.call_tool("clock__days_between", {"start": "2026-01-01", "end": "2026-01-31"})
        await client.call_tool("do", {"task": "order a pizza"})
    with sqlite3.connect(tmp_path / "journal.sqlite") as journal:
        tasks = journal.execute(
            "SELECT ending, tool, outcome FROM tasks LEFT JOIN steps ON task_id = id ORDER BY id"
        ).fetchall()
        calls = journal.execute("SELECT tool, outcome, task_id IS NULL FROM calls ORDER BY id").fetchall()
        dump = "\n".join(journal.iterdump())
    journal.close()
    assert tasks == [("done", "notes__add_note", "ok"), ("unsure", None, None)]
    assert calls == [("notes__add_note", "ok", 0), ("clock__days_between", "ok", 1)]
    assert secret not in dump
    assert "[redacted]" in dump
