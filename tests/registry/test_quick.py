"""The fast test for plain schemas: it may not know, and it may not be wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.registry.schemas import arguments, schemas
from tool_registry.schema import compile_schema

CATALOGS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "cases" / "pocket_catalogs.json").read_text("utf-8")
)


@given(schemas, arguments)
@settings(max_examples=500)
def test_what_it_passes_jsonschema_passes_too(
    schema: dict[str, Any], given_arguments: dict[str, Any]
) -> None:
    compiled = compile_schema(schema)
    if compiled.is_surely_valid and compiled.is_surely_valid(given_arguments):
        assert compiled.faults(given_arguments) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "number"}, False),
        ({"enum": [1]}, True),
        ({"const": 0}, False),
        ({"minimum": 0}, float("nan")),
        ({"type": "string", "pattern": "^a$"}, "a\n"),
    ],
)
def test_where_python_and_json_differ_it_does_not_decide(schema: dict[str, Any], value: Any) -> None:
    compiled = compile_schema({"properties": {"a": schema}})
    assert not compiled.is_surely_valid or not compiled.is_surely_valid({"a": value})


UNKNOWN: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"allOf": [{}]},
    {"if": {}},
    {"$id": "x"},
    {"dependentRequired": {}},
]


@pytest.mark.parametrize("keyword", UNKNOWN)
def test_it_does_not_pretend_to_know_every_keyword(keyword: dict[str, Any]) -> None:
    passes = compile_schema({"properties": {"a": keyword}}).is_surely_valid
    assert passes is None or not passes({"a": {}})


def test_the_tools_people_have_are_plain() -> None:
    tools = [tool for catalog in CATALOGS.values() for tool in catalog]
    plain = [tool for tool in tools if compile_schema(tool["inputSchema"]).is_surely_valid]
    assert len(plain) / len(tools) > 0.9
