"""Tasks of several steps and all that may become of them, end to end: real servers, a real client, the embedded planner."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from tests.npm_upstreams import claude_flow, filesystem
from tests.serving import ERAS, configured, demo, npm, outcome_of, serving, text_of


@dataclass
class Agreeing:
    """A user who says yes to everything, and keeps what was asked."""

    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert context
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={})


@asynccontextmanager
async def demos(folder: Path, **client: Any) -> AsyncGenerator[Client]:
    """A client in front of the demonstration's servers, with a file to read."""
    root = folder / "files"
    root.mkdir()
    (root / "todo.txt").write_text("water the plants", encoding="utf-8")
    servers = {
        "notes": demo("notes", "--database", str(folder / "notes.sqlite")),
        "files": demo("files", "--root", str(root)),
        "clock": demo("clock"),
    }
    async with serving(configured(folder, servers), **client) as connected:
        yield connected


async def do(client: Client, task: str, **more: Any) -> CallToolResult:
    return await client.call_tool("do", {"task": task, **more})


@pytest.mark.parametrize("era", ERAS)
async def test_a_file_is_written_and_its_folder_listed_on_the_reference_filesystem_server(
    tmp_path: Path, era: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    user, config = Agreeing(), configured(tmp_path, {"fs": npm(filesystem(root))})
    async with serving(config, mode=era, elicitation_callback=user) as client:
        path = root / "notes.txt"
        result = await do(client, f"write 'hello' into {path} and then list that folder")
    outcome = outcome_of(result)
    assert outcome["ending"] == "done", outcome
    assert [step["tool"] for step in outcome["steps"]] == ["fs__write_file", "fs__list_directory"]
    assert [step["arguments"] for step in outcome["steps"]] == [
        {"path": str(path), "content": "hello"},
        {"path": str(root)},
    ]
    assert path.read_text("utf-8") == "hello"
    assert "[FILE] notes.txt" in text_of(result)
    assert any("fs__write_file" in message for message in user.asked)


@pytest.mark.parametrize("era", ERAS)
async def test_a_swarm_is_created_on_claude_flow(tmp_path: Path, era: str) -> None:
    (tmp_path / "flow").mkdir()
    config = configured(tmp_path, {"claude-flow": npm(claude_flow(tmp_path / "flow"))})
    async with serving(config, mode=era, elicitation_callback=Agreeing()) as client:
        result = await do(client, "create a swarm with a mesh topology and 5 agents")
    assert not result.is_error, text_of(result)
    assert outcome_of(result)["call"] == {
        "tool": "claude-flow__swarm_init",
        "upstream": "claude-flow",
        "arguments": {"topology": "mesh", "maxAgents": 5},
    }


@pytest.mark.parametrize("era", ERAS)
async def test_the_second_step_is_given_what_came_of_the_first(tmp_path: Path, era: str) -> None:
    async with demos(tmp_path, mode=era, elicitation_callback=Agreeing()) as client:
        result = await do(client, "convert 3 miles to km, then add a note titled Distance saying its result")
        outcome = outcome_of(result)
        assert [step["tool"] for step in outcome["steps"]] == ["clock__convert_units", "notes__add_note"]
        assert outcome["steps"][1]["arguments"] == {"title": "Distance", "text": "4.828032"}
        note = await client.call_tool("notes__read_note", {"id": outcome["result"]["id"]})
        assert outcome_of(note)["text"] == "4.828032"


async def test_the_plan_of_several_steps_is_shown_and_nothing_is_called(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        task = "write 'hi' into a.txt and then read it"
        outcome = outcome_of(await client.call_tool("plan", {"task": task}))
        listed = await client.call_tool("files__list_folder", {})
    assert [step["tool"] for step in outcome["steps"]] == ["files__write_text", "files__read_text"]
    assert [step["arguments"]["path"] for step in outcome["steps"]] == ["a.txt", "a.txt"]
    assert outcome["ending"] == "needs"
    assert "files__write_text may destroy data" in outcome["reason"]
    assert [entry["path"] for entry in outcome_of(listed)["entries"]] == ["todo.txt"]


async def test_a_client_that_cannot_ask_takes_the_task_up_where_it_stopped(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        task = "convert 26.2 miles to kilometers, then delete a note"
        stopped = outcome_of(await do(client, task))
        assert (stopped["ending"], stopped["missing"]) == ("needs", ["id"])
        assert [step["tool"] for step in stopped["steps"]] == ["clock__convert_units"]
        note = outcome_of(await client.call_tool("notes__add_note", {"title": "a", "text": "b"}))
        gone_on = outcome_of(await do(client, task, answers={"id": note["id"]}, resume=stopped["resume"]))
        # The first call is not made again; the second is named, for the client to make it if its user agrees.
        assert gone_on["steps"] == []
        assert gone_on["call"]["arguments"] == {"id": note["id"]}
        assert gone_on["reason"].endswith("to go ahead, call notes__delete_note directly")
        again = await do(client, task, resume=stopped["resume"])
        assert again.is_error
        assert "of no task that waits" in text_of(again)


async def test_a_task_that_stops_twice_makes_no_call_twice(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        task = "convert 26.2 miles to kilometers, then delete a note"
        first = outcome_of(await do(client, task))
        second = outcome_of(await do(client, task, resume=first["resume"]))
        assert (second["ending"], second["missing"], second["steps"]) == ("needs", ["id"], [])
        # What is no id has the step planned again: it is still the second one.
        third = outcome_of(await do(client, task, answers={"id": "seven"}, resume=second["resume"]))
    assert third["steps"] == []
    assert third["ending"] != "done"


async def test_only_the_tools_a_task_allows_are_considered(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        outcome = outcome_of(await do(client, "read the file todo.txt", tools=["clock__*", "notes__*"]))
        assert outcome["ending"] != "done"
        assert not any(name.startswith("files__") for name in outcome["alternatives"])
        assert outcome_of(await do(client, "read the file todo.txt", tools=["files__*"]))["ending"] == "done"


async def test_no_more_steps_are_taken_than_a_task_may(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        outcome = outcome_of(await do(client, "read the file todo.txt and then list notes", max_steps=1))
    assert (outcome["ending"], len(outcome["steps"])) == ("stopped", 1)


async def test_a_task_tells_what_it_is_at(tmp_path: Path) -> None:
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        told.append((progress, message))

    async with demos(tmp_path) as client:
        await client.call_tool("do", {"task": "read the file todo.txt"}, progress_callback=hear)
    stages = [message.partition(":")[0] for _, message in told if message]
    assert stages == ["retrieving", "planning", "calling"]
    assert [progress for progress, _ in told] == sorted({progress for progress, _ in told})


async def test_feedback_is_given_on_what_was_done(tmp_path: Path) -> None:
    async with demos(tmp_path) as client:
        outcome = outcome_of(await do(client, "read the file todo.txt"))
        given = await client.call_tool("feedback", {"id": outcome["id"], "verdict": "good"})
        assert text_of(given) == "Kept: good."
        unknown = await client.call_tool("feedback", {"id": "nosuch", "verdict": "good"})
    assert unknown.is_error
