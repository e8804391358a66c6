"""Outcomes as tool results: by the schema that `do` promises, with the upstream's own content untouched."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local_llm import Call, NoPlan, Plan
from mcp_proxy.pipeline import Ending, Outcome
from mcp_proxy.proposals import Usage
from mcp_proxy.results import (
    OUTCOME_SCHEMA,
    describe,
    error_result,
    invalid_arguments,
    outcome_result,
    summary,
)
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
    PLAN,
    (OTHERS[0], Candidate(ADD, 0.9), *OTHERS[1:]),
    {"retrieve": 0.5, "plan": 1.25},
    CALL,
    {"content": [PICTURE], "structuredContent": {"id": 7}, "isError": False},
)
NO_PLAN = replace(
    DONE,
    ending=Ending.UNSURE,
    reason="nothing fits",
    plan=NoPlan("pocket", "nothing fits"),
    call=None,
    result=None,
)
NEEDS = replace(
    DONE, ending=Ending.NEEDS, reason="needs title", plan=replace(PLAN, missing=("title",)), result=None
)


def with_result(**result: Any) -> Outcome:
    return replace(DONE, result=result)


OUTCOMES = [
    DONE,
    NO_PLAN,
    NEEDS,
    replace(DONE, usage=Usage(100, 20, cost=0.002)),
    replace(DONE, usage=Usage(100, 20)),
    with_result(content=[], structuredContent=[1, "a", None]),
    *(replace(DONE, ending=ending, result=None) for ending in Ending),
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
        "ending": "done",
        "reason": "the title is quoted",
        "call": {"tool": "notes__add_note", "upstream": "notes", "arguments": {"title": "Blåbær"}},
        "missing": [],
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
    usage = describe(replace(DONE, usage=Usage(100, 20, cost=0.002)))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (100, 20, 0.002)


def test_the_tools_content_comes_first_and_unchanged() -> None:
    content = outcome_result(DONE)["content"]
    assert content[0] is PICTURE
    assert [block["text"] for block in content[1:]] == [summary(DONE)]


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (DONE, False),
        (with_result(content=[]), False),
        (with_result(content=[], isError=True), True),
        (replace(DONE, ending=Ending.PLANNED, result=None), False),
        *(
            (replace(DONE, ending=ending, result=None), True)
            for ending in Ending
            if ending not in ("done", "planned")
        ),
    ],
)
def test_a_result_is_an_error_where_the_tools_is_or_nothing_was_done(outcome: Outcome, failed: bool) -> None:
    assert outcome_result(outcome)["isError"] is failed


def test_a_summary_tells_made_calls_from_planned_ones() -> None:
    assert summary(DONE).splitlines() == [
        "[switchboard] done: the title is quoted",
        'called notes__add_note {"title": "Blåbær"} (pocket, confidence 0.91)',
    ]
    assert "planned notes__add_note" in summary(NEEDS)
    assert summary(NO_PLAN) == "[switchboard] unsure: nothing fits"


def test_a_summary_stays_short_whatever_the_arguments() -> None:
    assert len(summary(replace(DONE, call=Call(ADD, {"title": "x" * 100_000})))) < 1000


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
