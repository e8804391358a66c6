"""The tool `feedback`, on a real journal and the tools of a real catalog."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mcp_proxy.feedback import FEEDBACK, give_feedback
from mcp_proxy.journal import CallRecord, Journal, TaskRecord
from mcp_proxy.journal_reading import reading
from mcp_proxy.journal_rows import feedback_on
from tool_registry import Catalog, Offer
from tool_registry.schema import argument_problems, compile_schema

BROKEN = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}
TITLED = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
TOOLS = (
    Catalog()
    .with_offer(
        Offer(
            "notes",
            "notes",
            ({"name": "add", "inputSchema": TITLED}, {"name": "odd", "inputSchema": BROKEN}),
        )
    )
    .tools
)
TASK = TaskRecord(client="c", text="t", ending="done")
CALL = CallRecord(client="c", tool="notes__add", upstream="notes", outcome="ok")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    await journal.record_task(TASK)
    await journal.record_call(CALL)
    yield journal
    await journal.close()


async def told(journal: Journal | None, **arguments: Any) -> str:
    """What a client is told; a refusal begins with an exclamation mark."""
    result = await give_feedback({"id": TASK.id, **arguments}, journal, TOOLS, "cursor 1.0")
    return ("!" if result.get("isError") else "") + result["content"][0]["text"]


def kept(journal: Journal, about: str) -> Any:
    with reading(journal.path) as connection:
        return feedback_on(connection, [about]).get(about)


async def test_feedback_on_a_task_or_a_call_is_kept_with_who_gave_it(journal: Journal) -> None:
    assert await told(journal, verdict="good", note="thanks") == "Kept: good."
    assert await told(journal, id=CALL.id, verdict="bad") == "Kept: bad."
    assert (kept(journal, TASK.id).client, kept(journal, TASK.id).note) == ("cursor 1.0", "thanks")
    assert kept(journal, CALL.id).verdict == "bad"


async def test_a_correction_is_kept_and_doubted_where_it_does_not_fit(journal: Journal) -> None:
    async def corrected(tool: str, **arguments: Any) -> str:
        return await told(journal, verdict="bad", correct={"tool": tool, "arguments": arguments})

    assert await corrected("notes__add", title="x") == "Kept: bad."
    assert "Warning: the arguments do not fit notes__add: /title" in await corrected("notes__add")
    assert "Warning: notes__shred is not known here" in await corrected("notes__shred")
    assert "Warning" in await corrected("notes__odd", a=1)
    assert kept(journal, TASK.id).tool == "notes__odd"


@pytest.mark.parametrize(
    "arguments",
    [
        {"verdict": "fine"}, {}, {"verdict": "good", "correct": {"tool": "notes__add"}}, {"verdict": "bad", "id": "last"},
        {"verdict": "bad", "id": TASK.id[:20]}, {"verdict": "bad", "id": ""}, {"verdict": "bad", "id": 7},
        {"verdict": "bad", "id": "x" * 1000}, {"verdict": "bad", "note": "x" * 2001}, {"verdict": "bad", "extra": 1},
        {"verdict": "bad", "correct": {"tool": ""}}, {"verdict": "bad", "id": "\ud800"},
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused_and_nothing_is_kept(
    journal: Journal, arguments: dict[str, Any]
) -> None:
    assert (await told(journal, **arguments)).startswith("!")
    assert kept(journal, TASK.id) is None


async def test_without_a_journal_it_says_that_nothing_is_kept(tmp_path: Path) -> None:
    broken = await Journal.open(tmp_path)  # a folder, where the file should be
    for journal in (None, broken):
        assert "is not kept: the journal is off, or cannot be written" in await told(journal, verdict="good")
    await broken.close()


def test_the_definition_takes_what_the_function_takes() -> None:
    schema = compile_schema(FEEDBACK["inputSchema"])
    right: dict[str, Any] = {
        "id": "x",
        "verdict": "bad",
        "correct": {"tool": "t", "arguments": {}},
        "note": "",
    }
    assert not argument_problems(schema, right)
    assert argument_problems(schema, {"id": "x"})
