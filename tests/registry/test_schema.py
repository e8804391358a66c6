"""Arguments against an inputSchema: what is wrong, where, and whose fault it is."""

from typing import Any

import pytest

from tool_registry.schema import UnusableSchemaError, argument_problems, compile_schema

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
