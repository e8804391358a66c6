"""The schemas of 8,500 published MCP tools: each compiles, has a client-safe form, and breaks no catalog.

real_schemas.jsonl.gz holds the distinct inputSchemas, without their prose, of Toucan's MCP tools (MIT), Docker's MCP
registry (MIT), GitHub's MCP server (MIT), mcp-tef (Apache-2.0), and the servers the tests run against.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tool_registry import Catalog, Offer
from tool_registry.dialect import readable
from tool_registry.repair import check
from tool_registry.safe_form import client_safe
from tool_registry.schema import compile_schema

with gzip.open(Path(__file__).with_name("real_schemas.jsonl.gz"), "rt", encoding="utf-8") as lines:
    SCHEMAS: list[dict[str, Any]] = [json.loads(line) for line in lines]

VALUES: list[Any] = ["5", "true", None, [], {"a": "1"}]

SAMPLE = SCHEMAS[::8]
"""Enough to meet every kind."""


def test_none_is_too_large_and_every_pattern_can_be_judged_by() -> None:
    assert [note for schema in SCHEMAS for note in readable(schema).unjudged] == []


def test_each_compiles_and_gives_any_arguments_a_verdict() -> None:
    for schema in SAMPLE:
        compiled = compile_schema(schema)
        names = list(schema.get("properties", {}))
        for value in VALUES:
            checked = check(compiled, dict.fromkeys(names, value))
            assert check(compiled, checked.arguments).repairs == ()


@pytest.mark.parametrize("inline_refs", [False, True])
def test_each_has_a_form_that_every_client_takes(inline_refs: bool) -> None:
    for schema in SAMPLE:
        form = client_safe(schema, inline_refs=inline_refs)
        assert form["type"] == "object"
        assert not form.keys() & {"anyOf", "oneOf", "allOf", "$ref", "$schema"}
        assert set(schema.get("properties", {})) <= form["properties"].keys()
        if inline_refs:
            assert '"$ref": "' not in json.dumps(form)


def test_all_of_them_fit_into_one_catalog() -> None:
    tools = tuple({"name": f"tool_{number}", "inputSchema": schema} for number, schema in enumerate(SCHEMAS))
    catalog = Catalog((Offer("all", "all", tools=tools),))
    assert len(catalog.tools) == len(SCHEMAS)
    assert catalog.problems == ()
