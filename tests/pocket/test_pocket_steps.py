"""Tasks of several steps, over the tables `pocket_clauses`, `pocket_steps` and `pocket_corrections` of tests/cases."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_llm import Call, Finished, NoPlan, Plan, Step, Task
from local_llm.pocket import PocketPlanner, next_request
from local_llm.pocket.clauses import clauses
from tests.pocket.catalogs import about, cases, index_of
from tool_registry import ToolEntry

WORDS = st.sampled_from(
    "read write delete list the note it them and then , ; . also 'a and then b' a.txt for to that folder saying I want "
    "please can you what its result".split(" ")
)


def tool(name: str) -> ToolEntry:
    server, _, own = name.partition("/")
    return next(entry for entry in index_of(server).tools if entry.name == own)


async def next_of(task: Task, servers: list[str]) -> Plan | NoPlan | Finished:
    return await PocketPlanner().plan(task, index_of(*servers).search(next_request(task)))


@pytest.mark.parametrize("case", cases("clauses"), ids=about)
def test_a_task_is_split_where_a_step_begins(case: dict[str, Any]) -> None:
    assert list(clauses(case["text"])) == case["clauses"]


@given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=80))
def test_clauses_stand_in_the_task_in_order(text: str) -> None:
    position = 0
    for clause in clauses(text):
        position = text.index(clause, position) + len(clause)


@pytest.mark.parametrize("case", cases("steps"), ids=about)
async def test_steps_are_planned_one_after_the_other(case: dict[str, Any]) -> None:
    task = Task(case["task"])
    for number, (name, arguments, *missing) in enumerate(case["calls"], 1):
        plan = await next_of(task, case["servers"])
        assert isinstance(plan, Plan), plan
        assert f"{plan.call.tool.upstream}/{plan.call.tool.name}" == name, plan.reason
        assert dict(plan.call.arguments) == arguments, plan.reason
        assert plan.missing == tuple(missing[0] if missing else ())
        assert plan.last is (number == len(case["calls"]))
        if not plan.last:
            step = Step(plan.call, case["results"][number - 1])
            task = Task(case["task"], steps=(*task.steps, step))


async def test_a_task_whose_steps_are_done_is_finished() -> None:
    done = Step(Call(tool("notes/read_note"), {"id": 3}), "text")
    assert isinstance(await next_of(Task("read note 3", steps=(done,)), ["notes"]), Finished)


async def test_what_is_planned_after_a_failure_is_the_same_step() -> None:
    failed = Step(Call(tool("notes/read_note"), {"id": 3}), "gone", failed=True)
    assert next_request(Task("read note 3, then list my notes", steps=(failed,))) == "read note 3"


async def test_the_words_of_the_tool_before_help_to_find_the_next() -> None:
    done = Step(Call(tool("notes/add_note"), {"title": "a", "text": "b"}), '{"id": 1}')
    assert "note" in next_request(Task("add 'b' as a, then delete it", steps=(done,))).split()


@pytest.mark.parametrize("case", cases("corrections"), ids=about)
async def test_a_failed_call_is_corrected_where_its_error_says_how(case: dict[str, Any]) -> None:
    failed = Step(Call(tool(case["tool"]), case["arguments"]), case["error"], failed=True)
    plan = await next_of(Task(case["task"], steps=(failed,)), case["servers"])
    if case["corrected"] is None:
        assert isinstance(plan, NoPlan), plan
        assert plan.reason
    else:
        assert isinstance(plan, Plan), plan
        assert dict(plan.call.arguments) == case["corrected"]


async def test_a_correction_that_failed_too_is_not_made_again() -> None:
    steps = tuple(
        Step(
            Call(tool("clock/countdown"), {"seconds": seconds, "steps": 2}),
            "seconds: at most 300",
            failed=True,
        )
        for seconds in (500, 300)
    )
    plan = await next_of(Task("countdown 500 seconds in 2 steps", steps=steps), ["clock"])
    assert isinstance(plan, NoPlan), plan
