"""Arguments that only one reading fits are put right on the way, and the result says so."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from local_llm import Call, Plan, Task
from local_llm.scripted import ScriptedPlanner
from mcp_proxy.config import load
from mcp_proxy.desk import Desk, InvalidArgumentsError
from mcp_proxy.ports import Answers
from mcp_proxy.running import running
from mcp_proxy.task_runner import TaskRunner
from mcp_proxy.telling import outcome_result
from tests.serving import ERAS, configured, script, serving, text_of

REPAIRS = "switchboard/repairs"
TOLD = {"pointer": "/a", "kind": "number", "text": '/a: "5" was read as 5'}


class Nobody:
    """A person who must not be asked."""

    async def ask(self, ask: Any) -> Answers:
        raise AssertionError(f"asked in vain: {ask}")


@pytest.mark.parametrize("era", ERAS)
async def test_a_number_in_quotes_reaches_the_upstream_as_a_number(tmp_path: Path, era: str) -> None:
    async with serving(configured(tmp_path, {"echo": script("echo")}), mode=era) as client:
        result = await client.call_tool("echo__add", {"a": "5", "b": 2})
        assert result.structured_content == {"sum": 7}
        assert (result.meta or {})[REPAIRS] == [TOLD]
        assert (result.meta or {})["example.com/origin"] == {"kept": True}
        plain = await client.call_tool("echo__add", {"a": 5, "b": 2})
        assert REPAIRS not in (plain.meta or {})


async def test_who_wants_no_repairs_gets_none(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"echo": {**script("echo"), "repair": False}})) as client:
        result = await client.call_tool("echo__add", {"a": "5", "b": 2})
        assert result.is_error
        assert '/a: expected number, got "5"' in text_of(result)


async def test_a_warning_upstream_gets_what_could_be_put_right(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": {**script("echo"), "validation": "warn"}})
    async with serving(config) as client:
        result = await client.call_tool("echo__add", {"a": "5", "b": 2, "c": 3})
        assert result.structured_content == {"sum": 7}


async def test_the_log_says_where_and_what_kind_but_no_value(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with running(load(configured(tmp_path, {"echo": script("echo")}))) as board:
            await board.wait_started()
            add = board.snapshot.catalog.tools["echo__add"]
            await Desk(board).call_tool(add, {"arguments": {"a": "4711", "b": 2}})
            with pytest.raises(InvalidArgumentsError):
                await Desk(board).call_tool(add, {"arguments": {"a": "4711"}})
    repaired = [entry for entry in logs if entry["event"] == "call.repaired"]
    assert [(entry["tool"], entry["repairs"]) for entry in repaired] == [("echo__add", ["/a number"])]
    assert "4711" not in str(repaired)


async def test_what_a_planner_gets_nearly_right_is_put_right_too(tmp_path: Path) -> None:
    plans: list[Plan] = []
    settings = load(configured(tmp_path, {"echo": script("echo")}))
    async with running(settings, ScriptedPlanner(plans)) as board:
        await board.wait_started()
        add = board.snapshot.catalog.tools["echo__add"]
        plans.append(Plan(Call(add, {"a": "5", "b": 2}), 0.9, "scripted", "as told"))
        with capture_logs() as logs:
            outcome = await TaskRunner(Desk(board)).do(Task("add 5 and 2"), Nobody())
    assert outcome.call is not None
    assert outcome.call.arguments == {"a": 5, "b": 2}
    result = outcome_result(outcome)
    assert result["structuredContent"]["result"] == {"sum": 7}
    assert result["_meta"][REPAIRS] == [TOLD]
    assert [entry["tool"] for entry in logs if entry["event"] == "call.repaired"] == ["echo__add"]
