"""The gate: what becomes of a plan, by a table, and what can never become of one, whatever it is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_llm import Call, NoPlan, Plan
from mcp_proxy.gate import Ask, Bar, Decision, Escalate, Execute, decide, is_destructive
from tool_registry import ToolEntry

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "gate_cases.json").read_text("utf-8"))

_BY = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
_PLACE = {"type": "object", "properties": {"city": {"type": "string"}, "by": _BY}, "required": ["city"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "A short title"},
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": _PLACE,
    },
    "required": ["title", "text"],
    "additionalProperties": False,
}


def tool(name: str, annotations: Any = None, schema: Mapping[str, Any] = SCHEMA) -> ToolEntry:
    definition = {"name": name, "inputSchema": schema, "annotations": annotations}
    return ToolEntry("notes", name, f"notes__{name}", definition)


def decided(plan: Plan | NoPlan, **how: Any) -> Decision:
    problems = plan.call.tool.check(plan.call.arguments) if isinstance(plan, Plan) else ()
    return decide(plan, problems, **how)


def plan_of(case: dict[str, Any]) -> Plan | NoPlan:
    if "no_plan" in case:
        return NoPlan("scripted", case["no_plan"])
    chosen = tool(case.get("name", "add_note"), case.get("annotations"))
    call = Call(chosen, case.get("arguments", {"title": "a", "text": "b"}))
    return Plan(call, case.get("confidence", 0.9), "scripted", "as told", tuple(case.get("missing", ())))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["about"]) for case in CASES])
def test_a_plan_becomes_the_decision_of_the_table(case: dict[str, Any]) -> None:
    how = {"bar": Bar(case["threshold"])} if "threshold" in case else {}
    decision = decided(plan_of(case), approved=case.get("approved", False), **how)
    assert type(decision).__name__ == case["decision"]
    if isinstance(decision, Ask | Escalate):
        assert case.get("reason", "") in decision.reason
    if isinstance(decision, Ask):
        assert [question.parameter for question in decision.questions] == case["questions"]


def test_a_question_brings_the_schema_of_its_parameter() -> None:
    decision = decided(plan_of({"arguments": {"text": "b"}}), approved=False)
    assert isinstance(decision, Ask)
    assert decision.questions[0].schema == SCHEMA["properties"]["title"]


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The first schemas take a while to compile, on a busy machine too long for Hypothesis."""

NAMES = st.sampled_from(["title", "text", "tags", "place", "city", "a/b", "~"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["string", "integer", "boolean", "array", "object", "null"])
SCHEMAS = st.just(SCHEMA) | st.fixed_dictionaries(
    {"properties": st.dictionaries(NAMES, st.fixed_dictionaries({"type": TYPES}), max_size=4)},
    optional={"required": st.lists(NAMES, max_size=3, unique=True), "additionalProperties": st.booleans()},
)
ANNOTATIONS = st.none() | st.dictionaries(
    st.sampled_from(["readOnlyHint", "destructiveHint"]), st.booleans() | st.none() | st.text(max_size=3)
)
TOOLS = st.builds(
    tool, st.sampled_from(["add_note", "delete_note", "dropTable", "tidy"]), ANNOTATIONS, SCHEMAS
)
SHARES = st.floats(0, 1)
PLANS = st.builds(
    Plan,
    st.builds(Call, TOOLS, st.dictionaries(NAMES, VALUES, max_size=4)),
    SHARES,
    st.just("scripted"),
    st.just("as told"),
    st.lists(NAMES, max_size=2).map(tuple),
)


@UNHURRIED
@given(PLANS, SHARES, st.booleans())
def test_only_a_valid_sure_whole_and_harmless_or_approved_call_is_ever_carried_out(
    plan: Plan, threshold: float, approved: bool
) -> None:
    wanted = plan.call
    fit = not wanted.tool.check(wanted.arguments) and not plan.missing
    sure = approved or plan.confidence >= threshold
    harmless = approved or not is_destructive(wanted.tool)
    decision = decided(plan, approved=approved, bar=Bar(threshold))
    assert isinstance(decision, Execute) == (fit and sure and harmless)
    if isinstance(decision, Execute):
        assert decision.call is wanted


@UNHURRIED
@given(PLANS, SHARES)
def test_approval_stands_for_confidence_and_harmlessness_and_for_nothing_else(
    plan: Plan, threshold: float
) -> None:
    decision = decided(plan, approved=True, bar=Bar(threshold))
    assert decision == decided(replace(plan, confidence=1.0), approved=True)
    if plan.missing or plan.call.tool.check(plan.call.arguments):
        assert not isinstance(decision, Execute)


@UNHURRIED
@given(PLANS, SHARES, SHARES)
def test_only_a_valid_plan_over_the_lower_bar_is_put_to_the_user_as_doubtful(
    plan: Plan, act: float, ask: float
) -> None:
    decision = decided(plan, approved=False, bar=Bar(act, ask))
    doubtful = decision.doubtful if isinstance(decision, Escalate) else None
    if doubtful:
        assert ask <= plan.confidence < act
        assert doubtful.call is plan.call


@UNHURRIED
@given(PLANS, SHARES)
def test_whoever_is_asked_for_values_is_asked_for_each_once(plan: Plan, threshold: float) -> None:
    decision = decided(plan, approved=False, bar=Bar(threshold))
    if isinstance(decision, Ask):
        asked = [question.parameter for question in decision.questions]
        assert len(asked) == len(set(asked))
        assert set(plan.missing) <= set(asked)


DESTRUCTIVE = st.sampled_from(
    "delete remove destroy drop purge wipe erase reset terminate kill revoke".split()
)
HARMLESS = st.sampled_from("add list read dropdown killer resettle removal s3 HTTP table x".split())


def in_capitals(words: list[str]) -> str:
    return "".join(word[:1].upper() + word[1:] for word in words)


STYLES: dict[str, Callable[[list[str]], str]] = {
    "snake": "_".join,
    "kebab": "-".join,
    "dotted": ".".join,
    "loud": lambda words: "_".join(words).upper(),
    "pascal": in_capitals,
    "camel": lambda words: words[0] + in_capitals(words[1:]),
}


@UNHURRIED
@given(
    st.lists(HARMLESS, max_size=2),
    DESTRUCTIVE,
    st.lists(HARMLESS, max_size=2),
    st.sampled_from(sorted(STYLES)),
)
def test_a_destructive_word_is_seen_however_the_name_is_written(
    before: list[str], verb: str, after: list[str], style: str
) -> None:
    assert is_destructive(tool(STYLES[style]([*before, verb, *after])))


@UNHURRIED
@given(st.lists(HARMLESS, min_size=1, max_size=3), st.sampled_from(sorted(STYLES)))
def test_harmless_words_are_harmless_however_the_name_is_written(words: list[str], style: str) -> None:
    assert not is_destructive(tool(STYLES[style](words)))
