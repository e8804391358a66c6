"""The planner over a table of tasks: `tests/cases/pocket_plans.json`, on real definitions, trimmed."""

from typing import Any

import pytest

from local_llm import Finished, NoPlan, Plan, Task
from local_llm.pocket import PocketPlanner
from tests.pocket.catalogs import cases, index_of

PLANS = cases("plans")


async def planned(text: str, *servers: str, **answers: Any) -> Plan | NoPlan | Finished:
    return await PocketPlanner().plan(Task(text, answers), index_of(*servers).search(text))


def case_id(case: dict[str, Any]) -> str:
    return f"{case['about']}: {case['task']}"


@pytest.mark.parametrize("case", [case for case in PLANS if case["tool"]], ids=case_id)
async def test_a_task_becomes_the_call_it_asks_for(case: dict[str, Any]) -> None:
    plan = await planned(case["task"], *case["servers"])
    assert isinstance(plan, Plan), plan
    assert f"{plan.call.tool.upstream}/{plan.call.tool.name}" == case["tool"], plan.reason
    assert dict(plan.call.arguments) == case["arguments"], plan.reason
    assert plan.missing == tuple(case["missing"])
    assert plan.last is case.get("last", True)


@pytest.mark.parametrize("case", [case for case in PLANS if not case["tool"]], ids=case_id)
async def test_a_task_that_fits_no_tool_is_left_alone_with_a_reason(case: dict[str, Any]) -> None:
    plan = await planned(case["task"], *case["servers"])
    assert isinstance(plan, NoPlan), plan
    assert plan.planner == "pocket"
    assert plan.reason


@pytest.mark.parametrize("case", [case for case in PLANS if case["tool"]], ids=case_id)
async def test_every_planned_argument_is_valid_but_for_the_missing_ones(case: dict[str, Any]) -> None:
    plan = await planned(case["task"], *case["servers"])
    assert isinstance(plan, Plan)
    problems = plan.call.tool.check(plan.call.arguments)
    assert {problem.missing for problem in problems} == set(plan.missing)


async def test_a_tie_between_servers_is_told_with_both_names() -> None:
    plan = await planned("initialize a mesh swarm with 5 agents", "claude-flow", "ruv-swarm")
    assert isinstance(plan, Plan)
    assert "claude-flow__swarm_init" in plan.reason
    assert "ruv-swarm__swarm_init" in plan.reason


async def test_an_answer_fills_what_was_missing_and_stands_above_the_text() -> None:
    plan = await planned("add a note titled Shopping saying buy milk", "notes", title="Errands")
    assert isinstance(plan, Plan)
    assert dict(plan.call.arguments) == {"title": "Errands", "text": "buy milk"}
    assert plan.missing == ()


async def test_answers_for_other_tools_are_passed_over() -> None:
    plan = await planned("read note 3", "notes", title="Errands")
    assert isinstance(plan, Plan)
    assert dict(plan.call.arguments) == {"id": 3}


async def test_the_tools_not_chosen_are_the_alternatives() -> None:
    found = index_of("notes").search("read note 3")
    plan = await PocketPlanner().plan(Task("read note 3"), found)
    assert isinstance(plan, Plan)
    assert {c.tool.name for c in plan.alternatives} == {c.tool.name for c in found} - {"read_note"}


async def test_a_reason_names_parameters_but_no_values() -> None:
    plan = await planned("add a note titled Hunter2 saying swordfish", "notes")
    assert isinstance(plan, Plan)
    assert "title" in plan.reason
    assert "Hunter2" not in plan.reason
    assert "swordfish" not in plan.reason


@pytest.mark.parametrize(
    "text", ["x " * 1500, "add a note with the numbers " + "1 " * 100], ids=["long", "crowded"]
)
async def test_a_task_too_large_for_one_call_is_left_alone(text: str) -> None:
    plan = await planned(text, "notes")
    assert isinstance(plan, NoPlan)
    assert "too" in plan.reason
