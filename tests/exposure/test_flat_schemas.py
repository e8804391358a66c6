"""Schemas for clients that refuse a combinator at the top: flat for them alone, and checked as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import Implementation

from tests.serving import ERAS, configured, script, serving, text_of
from tool_registry.exposure import takes_combinators

EITHER: dict[str, Any] = {
    "type": "object",
    "properties": {"index": {"type": "integer"}, "x": {"type": "integer"}, "y": {"type": "integer"}},
    "oneOf": [{"required": ["index"]}, {"required": ["x", "y"]}],
}
PLAIN: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
}


def clicking(folder: Path, **server: Any) -> Path:
    file = folder / "tools.json"
    tools = [{"name": "click", "inputSchema": EITHER}, {"name": "count", "inputSchema": PLAIN}]
    file.write_text(json.dumps(tools), encoding="utf-8")
    return configured(folder, {"page": script("from_file", str(file))}, server=server)


async def schemas(client: Client) -> dict[str, Any]:
    listed = (await client.list_tools()).tools
    return {tool.name: tool.input_schema for tool in listed if tool.name.startswith("page__")}


@pytest.mark.parametrize(
    ("era", "name", "server", "is_flat"),
    [
        (ERAS[0], "claude-code", {}, True),
        (ERAS[1], "claude-code", {}, True),
        (ERAS[0], "mcp-inspector", {}, False),
        (ERAS[1], "claude-code", {"schemas": "original"}, False),
        (ERAS[0], "mcp-inspector", {"schemas": {"claude*": "original", "MCP-*": "flat"}}, True),
    ],
)
async def test_a_schema_is_flat_for_who_refuses_it_otherwise(
    tmp_path: Path, era: str, name: str, server: dict[str, Any], *, is_flat: bool
) -> None:
    config = clicking(tmp_path, **server)
    async with serving(config, mode=era, client_info=Implementation(name=name, version="1")) as client:
        shown = await schemas(client)
        assert ("oneOf" in shown["page__click"]) != is_flat
        assert shown["page__click"]["properties"] == EITHER["properties"]
        assert shown["page__count"] == PLAIN
        assert not (await client.call_tool("page__click", {"index": 1})).is_error
        refused = await client.call_tool("page__click", {"x": 1})
        assert refused.is_error
        assert "page__click" in text_of(refused)


@pytest.mark.parametrize(
    ("client", "takes"), [("claude-code", False), ("Claude-Code 2", False), ("cursor", True), ("", True)]
)
def test_what_is_known_of_clients_decides(client: str, *, takes: bool) -> None:
    assert takes_combinators(client) == takes
