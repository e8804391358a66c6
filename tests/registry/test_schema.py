"""Arguments against an inputSchema: what is wrong, where, and whose fault it is."""

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_registry.keywords import PLAIN, STEP_LIMIT, Meter
from tool_registry.repair import check
from tool_registry.schema import FAULT_LIMIT, UnusableSchemaError, argument_problems, compile_schema

HOSTILE: list[dict[str, Any]] = json.loads(Path(__file__).with_name("hostile_cases.json").read_text("utf-8"))

KEYWORDS = sorted(
    {keyword for draft in PLAIN.values() for keyword in draft.VALIDATORS}
    | {"$id", "id", "$schema", "$anchor", "$defs", "definitions", "a", "nullable", "default"}
)

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "a/b": {"type": "null"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def problems(schema: dict[str, Any], arguments: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in argument_problems(compile_schema(schema), arguments)]


def test_valid_arguments_have_no_problems() -> None:
    assert problems(PERSON, {"name": "Ada", "age": 36}) == []


def test_every_missing_parameter_is_named_by_its_own_place() -> None:
    found = argument_problems(compile_schema(PERSON), {})
    assert {(problem.pointer, problem.missing) for problem in found} == {("/name", "name"), ("/age", "age")}


def test_a_wrong_value_is_named_by_place_and_expectation() -> None:
    assert problems(PERSON, {"name": "Ada", "age": "36"}) == ['/age: expected integer, got "36"']


def test_a_pointer_escapes_what_a_name_may_hold() -> None:
    assert problems(PERSON, {"name": "", "age": 1, "a/b": 1}) == ["/a~1b: expected null, got 1"]


def test_a_huge_value_is_quoted_in_part_only() -> None:
    assert len(problems(PERSON, {"name": "x", "age": "9" * 10_000})[0]) < 200


@pytest.mark.parametrize(
    ("draft", "schema"),
    [
        (
            "draft-04",
            {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True},
        ),
        ("draft-07", {"$schema": "http://json-schema.org/draft-07/schema#", "exclusiveMinimum": 1}),
        ("2020-12", {"exclusiveMinimum": 1}),
    ],
)
def test_a_schema_is_read_in_the_draft_it_names(draft: str, schema: dict[str, Any]) -> None:
    whole = {"$schema": schema.pop("$schema", None), "properties": {"n": schema}}
    assert problems({key: value for key, value in whole.items() if value}, {"n": 1}), draft


def test_a_broken_schema_is_the_upstreams_fault() -> None:
    with pytest.raises(UnusableSchemaError, match="type"):
        compile_schema({"type": "object", "properties": {"x": {"type": "strnig"}}})


def test_a_reference_that_leaves_the_schema_is_not_followed() -> None:
    validator = compile_schema({"properties": {"x": {"$ref": "http://127.0.0.1:1/never.json"}}})
    with pytest.raises(UnusableSchemaError, match=r"never\.json"):
        argument_problems(validator, {"x": 1})


def test_a_schema_that_refers_to_itself_without_end_is_given_up_on() -> None:
    validator = compile_schema({"properties": {"x": {"$ref": "#/properties/x"}}})
    with pytest.raises(UnusableSchemaError, match="without end"):
        argument_problems(validator, {"x": 1})


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["what"])
def test_whatever_strangers_write_has_a_verdict(case: dict[str, Any]) -> None:
    compiled = compile_schema(case["schema"])
    assert len(compiled.unjudged) == case.get("unjudged", 0)
    if "unusable" in case:
        with pytest.raises(UnusableSchemaError, match=case["unusable"]):
            argument_problems(compiled, case["arguments"])
        return
    found = argument_problems(compiled, case["arguments"])
    assert [problem.pointer for problem in found] == case["problems"]
    assert case.get("message", "") in "".join(map(str, found))


def doubling(combined: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
    """A schema of forty levels, each of which asks for the next twice."""
    levels = {f"d{level}": combined({"$ref": f"#/$defs/d{level + 1}"}) for level in range(40)}
    return {"$defs": {**levels, "d40": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/d0"}}}


BOMBS: dict[str, dict[str, Any]] = {
    "allOf": doubling(lambda deeper: {"allOf": [deeper, deeper]}),
    "anyOf": doubling(lambda deeper: {"anyOf": [deeper, deeper]}),
    "oneOf": doubling(lambda deeper: {"oneOf": [deeper, deeper]}),
    "not": doubling(lambda deeper: {"not": {"allOf": [deeper, deeper]}}),
    "if": doubling(lambda deeper: {"if": deeper, "then": deeper, "else": deeper}),
    "dependentSchemas": doubling(lambda deeper: {"allOf": [deeper], "anyOf": [deeper]}),
    "unevaluatedProperties": doubling(
        lambda deeper: {"unevaluatedProperties": False, **deeper, "$dynamicRef": deeper["$ref"]}
    ),
}


@pytest.mark.parametrize("schema", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("value", ["text", 7, {"a": 1}])
def test_a_schema_that_doubles_at_every_level_is_given_up_on_or_judged(
    schema: dict[str, Any], value: Any
) -> None:
    compiled, meter = compile_schema(schema), Meter()
    with suppress(UnusableSchemaError):
        assert len(compiled.faults({"x": value}, meter)) <= FAULT_LIMIT
    assert meter.left < STEP_LIMIT


def test_a_schema_that_is_too_deep_or_too_large_is_unusable() -> None:
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"items": deep}
    with pytest.raises(UnusableSchemaError, match="deep"):
        compile_schema(deep)
    with pytest.raises(UnusableSchemaError, match="more than 20,000 values"):
        compile_schema({"properties": {str(number): {} for number in range(30_000)}})
    with pytest.raises(UnusableSchemaError, match="longer than"):
        compile_schema({"description": "x" * (1 << 20)})


def test_arguments_that_are_deep_or_large_have_a_verdict() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    free = compile_schema({"properties": {"x": {"type": "object"}}})
    assert argument_problems(free, {"x": deep}) == ()
    tree = compile_schema(
        {
            "$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}}},
            "properties": {"x": {"$ref": "#/$defs/n"}},
        }
    )
    with pytest.raises(UnusableSchemaError, match="too deeply"):
        argument_problems(tree, {"x": deep})
    unique = compile_schema({"properties": {"x": {"uniqueItems": True}}})
    assert argument_problems(unique, {"x": [{"n": number} for number in range(20_000)]}) == ()
    listed = compile_schema({"properties": {"x": {"type": "array", "items": {"type": "integer"}}}})
    assert len(argument_problems(listed, {"x": ["a"] * 100_000})) == 64


def test_equal_schemas_are_compiled_once() -> None:
    assert compile_schema(PERSON) is compile_schema(copy.deepcopy(PERSON))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
)


@given(
    st.dictionaries(st.sampled_from(KEYWORDS), json_values, max_size=5),
    st.dictionaries(st.text(), json_values),
)
@settings(max_examples=400)
def test_no_schema_and_no_arguments_lead_to_anything_but_a_verdict(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    try:
        checked = check(compile_schema(schema), arguments)
    except UnusableSchemaError:
        return
    assert all(str(problem) for problem in (*checked.problems, *checked.repairs))
