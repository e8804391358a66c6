"""Outcomes as tool results: by the schema that `do` promises, with the upstream's own content untouched."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local_llm import Call, NoPlan, Plan
from mcp_proxy.outcome import Ending, Made, Outcome, Spent
from mcp_proxy.proposals import Usage
from mcp_proxy.results import error_result, invalid_arguments
from mcp_proxy.telling import OUTCOME_SCHEMA, describe, outcome_result, summary
from tool_registry import Candidate, ToolEntry
from tool_registry.schema import argument_problems, compile_schema

PROMISED = compile_schema(OUTCOME_SCHEMA)

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


def tool(name: str) -> ToolEntry:
    return ToolEntry("notes", name, f"notes__{name}", {"name": name, "inputSchema": SCHEMA})


ADD = tool("add_note")
CALL = Call(ADD, {"title": "Blåbær"})
PLAN = Plan(CALL, 0.91236, "pocket", "the title is quoted")
OTHERS = tuple(Candidate(tool(f"other_{number}"), 1.0) for number in range(8))
PICTURE = {"type": "image", "data": "aGk=", "mimeType": "image/png", "_meta": {"vendor/x": 1}}
DONE = Outcome(
    Ending.DONE,
    "the title is quoted",
    ("pocket: execute: the title is quoted",),
    (OTHERS[0], Candidate(ADD, 0.9), *OTHERS[1:]),
    {"retrieve": 0.5, "plan": 1.25},
    (
        Made(
            PLAN,
            {"content": [PICTURE], "structuredContent": {"id": 7}, "isError": False},
            failed=False,
            repairs=(),
            milliseconds=2.0,
        ),
    ),
    id="0197",
    strategy="cost_optimized",
)
NO_PLAN = replace(
    DONE, ending=Ending.UNSURE, reason="nothing fits", steps=(), pending=NoPlan("pocket", "nothing fits")
)
NEEDS = replace(
    DONE,
    ending=Ending.NEEDS,
    reason="needs title",
    steps=(),
    pending=replace(PLAN, missing=("title",)),
    resume="abc",
)


def with_result(**result: Any) -> Outcome:
    return replace(DONE, steps=(replace(DONE.steps[0], result=result),))


def paid(cost: float | None) -> Outcome:
    return replace(DONE, spent=(Spent("claude", Usage(100, 20, cost=cost)),) * 2)


OUTCOMES = [
    DONE,
    NO_PLAN,
    NEEDS,
    paid(0.002),
    paid(None),
    replace(DONE, steps=DONE.steps * 3),
    with_result(content=[], structuredContent=[1, "a", None]),
    *(replace(DONE, ending=ending, steps=()) for ending in Ending),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_described_as_the_schema_promises(outcome: Outcome) -> None:
    described = describe(outcome)
    assert argument_problems(PROMISED, described) == ()
    assert described.keys() <= OUTCOME_SCHEMA["properties"].keys()


def test_the_schema_knows_every_ending() -> None:
    assert OUTCOME_SCHEMA["properties"]["ending"]["enum"] == [ending.value for ending in Ending]


def test_what_was_done_is_described_in_full() -> None:
    assert describe(DONE) == {
        "id": "0197",
        "ending": "done",
        "reason": "the title is quoted",
        "steps": [
            {
                "tool": "notes__add_note",
                "upstream": "notes",
                "arguments": {"title": "Blåbær"},
                "planner": "pocket",
                "confidence": 0.9124,
                "reason": "the title is quoted",
                "repairs": [],
                "failed": False,
                "milliseconds": 2.0,
                "result": {"id": 7},
            }
        ],
        "call": {"tool": "notes__add_note", "upstream": "notes", "arguments": {"title": "Blåbær"}},
        "missing": [],
        "problems": [],
        "strategy": "cost_optimized",
        "privacy": "normal",
        "spent": [],
        "planner": "pocket",
        "confidence": 0.9124,
        "route": ["pocket: execute: the title is quoted"],
        "alternatives": [f"notes__other_{number}" for number in range(5)],
        "milliseconds": {"retrieve": 0.5, "plan": 1.25},
        "usage": None,
        "result": {"id": 7},
    }


def test_without_a_plan_there_is_no_call_and_no_confidence() -> None:
    described = describe(NO_PLAN)
    assert (described["call"], described["confidence"], described["missing"]) == (None, None, [])
    assert described["planner"] == "pocket"


def test_what_is_missing_is_named() -> None:
    assert describe(NEEDS)["missing"] == ["title"]


def test_a_tool_without_a_structured_result_gives_none() -> None:
    assert "result" not in describe(with_result(content=[]))
    assert describe(with_result(content=[], structuredContent=None))["result"] is None


def test_what_an_escalation_cost_is_described() -> None:
    described = describe(paid(0.002))
    usage = described["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (200, 40, 0.004)
    assert [(spent["proposer"], spent["cost"]) for spent in described["spent"]] == [("claude", 0.002)] * 2


def test_the_tools_content_comes_first_and_unchanged() -> None:
    content = outcome_result(DONE)["content"]
    assert content[0] is PICTURE
    assert [block["text"] for block in content[1:]] == [summary(DONE)]


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (DONE, False),
        (with_result(content=[]), False),
        (replace(DONE, ending=Ending.NEEDS, dry_run=True), False),
        *((replace(DONE, ending=ending, steps=()), True) for ending in Ending if ending != "done"),
    ],
)
def test_a_result_is_an_error_unless_the_task_was_done_or_only_planned(
    outcome: Outcome, failed: bool
) -> None:
    assert outcome_result(outcome)["isError"] is failed


def test_a_summary_tells_made_calls_from_planned_ones() -> None:
    assert summary(DONE).splitlines() == [
        "[switchboard] done: the title is quoted",
        'called notes__add_note {"title": "Blåbær"} (pocket, confidence 0.91)',
    ]
    assert "planned notes__add_note" in summary(NEEDS)
    assert summary(NEEDS).endswith('to go on, call again with "resume": "abc"')
    assert "would call notes__add_note" in summary(replace(DONE, dry_run=True))
    assert summary(NO_PLAN) == "[switchboard] unsure: nothing fits"


def test_a_summary_stays_short_whatever_the_arguments() -> None:
    long = replace(PLAN, call=Call(ADD, {"title": "x" * 100_000}))
    assert len(summary(replace(NEEDS, pending=long))) < 1000


def test_invalid_arguments_are_named_one_by_one() -> None:
    given: Mapping[str, Any] = {"title": 7}
    result = invalid_arguments(ADD, ADD.check(given))
    assert result["isError"] is True
    assert result["content"][0]["text"].splitlines() == [
        "The arguments for notes__add_note do not fit its inputSchema; nothing was called.",
        "- /title: expected string, got 7",
        "Correct them and call again.",
    ]


def test_an_error_result_is_text_and_marked() -> None:
    assert error_result("no") == {"content": [{"type": "text", "text": "no"}], "isError": True}


def test_what_every_step_was_answered_with_is_handed_on_in_order() -> None:
    first = replace(DONE.steps[0], result={"content": [{"type": "text", "text": "one"}], "_meta": {"a": 1}})
    content = outcome_result(replace(DONE, steps=(first, *DONE.steps)))["content"]
    assert [block.get("text") for block in content[:2]] == ["one", None]
    assert outcome_result(replace(DONE, steps=(first, *DONE.steps)))["_meta"] == {"a": 1}
