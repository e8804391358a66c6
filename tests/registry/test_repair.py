"""Repairs: only what loses nothing, never a guess, and never a change to what is valid."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.schemas import arguments, schemas
from tool_registry.repair import check, read_text
from tool_registry.schema import UnusableSchemaError, argument_problems, compile_schema

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("repair_cases.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_what_is_meant_is_read_and_what_is_not_clear_is_left_alone(case: dict[str, Any]) -> None:
    given_arguments = copy.deepcopy(case["given"])
    checked = check(compile_schema(case["schema"]), given_arguments)
    assert given_arguments == case["given"]
    assert json.dumps(checked.arguments) == json.dumps(case.get("made", case["given"]))
    assert [repair.kind for repair in checked.repairs] == case.get("kinds", [])
    if "made" not in case:
        assert checked.problems
    else:
        assert [problem.pointer for problem in checked.problems] == case.get("problems", [])


def test_a_repair_says_where_what_and_how() -> None:
    schema = compile_schema({"properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
    repairs = check(schema, {"a": "5"}).repairs
    assert [str(repair) for repair in repairs] == ['/a: "5" was put into a list', '/a/0: "5" was read as 5']
    assert repairs[1].described() == {"pointer": "/a/0", "kind": "number", "text": '/a/0: "5" was read as 5'}


@pytest.mark.parametrize(
    ("name", "about"), [("api_key", {}), ("pin", {"format": "password"}), ("note", {"writeOnly": True})]
)
def test_a_secret_is_repaired_and_not_shown(name: str, about: dict[str, Any]) -> None:
    checked = check(compile_schema({"properties": {name: {"type": "integer", **about}}}), {name: "4711"})
    assert checked.arguments == {name: 4711}
    assert "4711" not in str(checked.repairs[0].described())


def test_without_leave_nothing_is_repaired() -> None:
    checked = check(compile_schema({"properties": {"a": {"type": "integer"}}}), {"a": "5"}, repair=False)
    assert (checked.arguments, checked.repairs) == ({"a": "5"}, ())
    assert [problem.pointer for problem in checked.problems] == ["/a"]


def test_a_thousand_numbers_in_quotes_are_read_at_once() -> None:
    schema = compile_schema({"properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
    checked = check(schema, {"a": [str(number) for number in range(1000)]})
    assert checked.arguments == {"a": list(range(1000))}
    assert len(checked.repairs) == 1000


def test_more_than_can_be_looked_at_is_left_as_it_came() -> None:
    schema = compile_schema({"properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
    given_arguments = {"a": ["1"] * 20_000}
    checked = check(schema, given_arguments)
    assert checked.arguments is given_arguments
    assert checked.problems


@given(schemas, arguments)
def test_valid_arguments_are_never_touched(schema: dict[str, Any], given_arguments: dict[str, Any]) -> None:
    compiled = compile_schema(schema)
    checked = check(compiled, given_arguments)
    if not argument_problems(compiled, given_arguments):
        assert checked.arguments is given_arguments
        assert (checked.repairs, checked.problems) == ((), ())


@given(schemas, arguments)
def test_what_is_repaired_validates_or_the_problems_say_why_not(
    schema: dict[str, Any], given_arguments: dict[str, Any]
) -> None:
    compiled = compile_schema(schema)
    checked = check(compiled, given_arguments)
    assert argument_problems(compiled, checked.arguments) == checked.problems
    assert bool(checked.repairs) == (json.dumps(checked.arguments) != json.dumps(given_arguments))


@given(schemas, arguments)
def test_repairing_twice_is_repairing_once(schema: dict[str, Any], given_arguments: dict[str, Any]) -> None:
    compiled = compile_schema(schema)
    once = check(compiled, given_arguments)
    twice = check(compiled, once.arguments)
    assert (twice.arguments, twice.repairs, twice.problems) == (once.arguments, (), once.problems)


@given(schemas, arguments)
def test_a_repair_makes_fewer_problems_of_more(
    schema: dict[str, Any], given_arguments: dict[str, Any]
) -> None:
    compiled = compile_schema(schema)
    before = {problem.pointer for problem in argument_problems(compiled, given_arguments)}
    checked = check(compiled, given_arguments)
    if checked.repairs:
        # A value that was put into a list has its problem one level below.
        after = [f"{problem.pointer}/" for problem in checked.problems]
        assert len(after) < len(before) or all(
            any(place.startswith(f"{old}/") for old in before) for place in after
        )


def test_an_unusable_schema_is_no_reason_to_repair() -> None:
    compiled = compile_schema({"properties": {"a": {"$ref": "#/$defs/gone"}}})
    with pytest.raises(UnusableSchemaError, match="does not resolve"):
        check(compiled, {"a": "5"})


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, "five", "five"),
        ({"type": "integer"}, "true", "true"),
        ({"type": "string"}, "5", "5"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "5", 5),
        ({"type": "boolean"}, "TRUE", True),
        ({"type": "array"}, "a, b", ["a", "b"]),
        ({"type": "array"}, '["a, b"]', ["a, b"]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({}, "[1]", "[1]"),
    ],
)
def test_an_answer_in_words_is_read_by_the_parameters_schema(
    schema: dict[str, Any], text: str, value: Any
) -> None:
    assert json.dumps(read_text(schema, text)) == json.dumps(value)


@given(st.text(max_size=30), st.sampled_from(["integer", "number", "boolean", "null", "object", "array"]))
def test_any_answer_is_read_as_something(text: str, kind: str) -> None:
    json.dumps(read_text({"type": kind}, text))
