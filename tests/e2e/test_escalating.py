"""What the local planner is unsure of goes to Claude, and comes back through the same checks."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.escalation.anthropic_server import MODEL, AnthropicServer, error, says, tool_use
from tests.serving import configured, demo, outcome_of, serving, text_of

KEY = "sk-ant-test-0123456789abcdef"
VAGUE = "put down a note to remember that the plumber comes on Friday"
PRICES = {"input": 1.0, "output": 5.0, "cache_write": 1.25, "cache_read": 0.1}


def config(folder: Path, server: AnthropicServer, **escalation: Any) -> Path:
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    table = {"model": MODEL, "api_key": KEY, "base_url": server.url, "prices": PRICES, "max_retries": 0}
    return configured(
        folder, {"notes": notes}, escalation={**table, **escalation}, planner={"threshold": 1.0}
    )


async def test_claudes_call_is_validated_and_carried_out(tmp_path: Path) -> None:
    reply = tool_use("notes__add_note", {"title": "Plumber", "text": "comes on Friday"}, last=True)
    with AnthropicServer(reply) as server:
        async with serving(config(tmp_path, server)) as client:
            result = await client.call_tool("do", {"task": VAGUE})
    outcome = outcome_of(result)
    assert (outcome["ending"], outcome["planner"]) == ("done", "claude")
    assert outcome["result"]["title"] == "Plumber"
    assert outcome["usage"]["input_tokens"] == 100
    assert outcome["usage"]["cost"] == pytest.approx((100 * 1 + 20 * 5 + 1000 * 1.25 + 500 * 0.1) / 1e6)
    assert [name.partition(":")[0] for name in outcome["route"]] == ["pocket", "claude"]
    offered = {tool["name"] for tool in server.requests[0].body["tools"]}
    assert "notes__add_note" in offered


async def test_an_invalid_call_is_refused_with_a_clear_result(tmp_path: Path) -> None:
    with AnthropicServer(tool_use("notes__add_note", {"title": 7, "text": "x"})) as server:
        async with serving(config(tmp_path, server)) as client:
            result = await client.call_tool("do", {"task": VAGUE})
            notes = await client.call_tool("notes__list_notes", {})
    assert result.is_error
    assert outcome_of(result)["ending"] == "unsure"
    assert "/title: expected string, got 7" in text_of(result)
    assert (notes.structured_content or {})["notes"] == []


async def test_a_tool_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with AnthropicServer(tool_use("notes__shred_note", {})) as server:
        async with serving(config(tmp_path, server)) as client:
            result = await client.call_tool("do", {"task": VAGUE})
    assert result.is_error
    assert "notes__shred_note" in text_of(result)


async def test_claude_may_say_that_no_tool_fits(tmp_path: Path) -> None:
    with AnthropicServer(says("None of these tools bakes bread.")) as server:
        async with serving(config(tmp_path, server)) as client:
            result = await client.call_tool("do", {"task": VAGUE})
    assert outcome_of(result)["ending"] == "unsure"
    assert "None of these tools bakes bread." in text_of(result)


@pytest.mark.parametrize(
    "reply",
    [error(401, "authentication_error", f"invalid x-api-key {KEY}"), error(529, "overloaded_error", "busy")],
)
async def test_a_failed_escalation_is_told_without_the_key(
    tmp_path: Path, reply: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with AnthropicServer(reply) as server:
        async with serving(config(tmp_path, server)) as client:
            result = await client.call_tool("do", {"task": VAGUE})
    assert result.is_error
    assert "claude failed: HTTP" in text_of(result)
    assert KEY not in text_of(result)
    assert KEY not in capfd.readouterr().err
    assert KEY.encode() not in (tmp_path / "journal.sqlite").read_bytes()


async def test_a_confident_plan_and_a_dry_run_send_nothing(tmp_path: Path) -> None:
    with AnthropicServer(says("never asked")) as server:
        async with serving(config(tmp_path, server)) as client:
            await client.call_tool("plan", {"task": VAGUE})
            await client.call_tool("notes__list_notes", {})
    assert server.requests == []


async def test_the_days_budget_holds(tmp_path: Path) -> None:
    with AnthropicServer(says("no")) as server:
        async with serving(config(tmp_path, server, budget={"max_calls_per_day": 2})) as client:
            results = [await client.call_tool("do", {"task": VAGUE}) for _ in range(4)]
    assert len(server.requests) == 2
    assert "the budget of 2 requests a day does not allow it" in text_of(results[-1])
    with sqlite3.connect(tmp_path / "journal.sqlite") as journal:
        assert journal.execute("SELECT count(*) FROM tasks").fetchone() == (4,)
    journal.close()
