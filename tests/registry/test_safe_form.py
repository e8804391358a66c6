"""The form of a schema that every client takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.registry.schemas import NAMES, subschemas, values
from tool_registry.safe_form import client_safe
from tool_registry.schema import argument_problems, compile_schema

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("safe_form_cases.json").read_text("utf-8"))

closed: dict[str, st.SearchStrategy[Any]] = {
    "properties": st.dictionaries(st.sampled_from(NAMES), subschemas, max_size=3),
    "additionalProperties": st.just(value=False),
}
required: dict[str, st.SearchStrategy[Any]] = {
    "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
}
alternatives = st.lists(st.fixed_dictionaries(closed, optional=required), min_size=1, max_size=3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_a_schema_is_told_in_a_form_every_client_takes(case: dict[str, Any]) -> None:
    assert client_safe(case["schema"], inline_refs=case.get("inline_refs", False)) == case["accepted"]


@given(
    alternatives,
    st.sampled_from(["anyOf", "oneOf"]),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=3),
)
def test_what_an_alternative_takes_the_form_takes(
    branches: list[dict[str, Any]], combinator: str, arguments: dict[str, Any]
) -> None:
    schema = {"type": "object", combinator: branches}
    form = client_safe(schema)
    assert not form.keys() & {"anyOf", "oneOf", "allOf"}
    if not argument_problems(compile_schema(schema), arguments):
        assert argument_problems(compile_schema(form), arguments) == ()


def test_references_that_double_at_every_level_are_not_written_out_for_ever() -> None:
    doubling = {
        f"d{level}": {"properties": {side: {"$ref": f"#/$defs/d{level + 1}"} for side in ("a", "b")}}
        for level in range(40)
    }
    form = client_safe({"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": doubling}, inline_refs=True)
    assert len(json.dumps(form)) < 500_000
    Draft202012Validator.check_schema(form)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
keywords = st.sampled_from(
    [
        "$ref",
        "$defs",
        "properties",
        "required",
        "type",
        "anyOf",
        "allOf",
        "then",
        "items",
        "$id",
        "additionalProperties",
    ]
)


@given(st.dictionaries(keywords, json_values, max_size=5), st.booleans())
def test_whatever_a_stranger_calls_a_schema_has_a_valid_form(
    schema: dict[str, Any], inline_refs: bool
) -> None:
    form = client_safe(schema, inline_refs=inline_refs)
    Draft202012Validator.check_schema(form)
    assert form["type"] == "object"
