"""The tools `find_tools` and `call_tool`: what a client that is not shown every tool finds and calls them with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mcp_proxy.own_tools import own_tool
from mcp_proxy.results import text_block
from tool_registry import Candidate
from tool_registry.signature import signature

_MOST = 50
_SHOWN_DESCRIPTION = 300
"""Characters of a description that a found tool is shown with; its schema, if asked for, comes whole."""

_HINTS = {
    "readOnlyHint": "read-only",
    "destructiveHint": "destructive",
    "idempotentHint": "idempotent",
    "openWorldHint": "open world",
}
"""Annotations in words; only those that are true are said."""


class FindArguments(BaseModel):
    """Arguments of `find_tools`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(
        min_length=1, max_length=1000, description="What the tool should do, in plain words or by name."
    )
    limit: int = Field(default=8, ge=1, le=_MOST, description="How many tools to return at most.")
    server: str = Field(default="", description="Only tools of this server.")
    schemas: bool = Field(
        default=False, description="Return each tool's full inputSchema too, not its signature alone."
    )


class CallArguments(BaseModel):
    """Arguments of `call_tool`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="The tool's name, as find_tools gives it.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="The arguments for that tool.")


_FOUND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tools": {
            "type": "array",
            "description": "Best first.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "server": {"type": "string"},
                    "signature": {"type": "string"},
                    "description": {"type": "string"},
                    "annotations": {"type": "object"},
                    "quarantined": {
                        "type": "boolean",
                        "description": "true: cannot be called until a person accepts it; absent otherwise.",
                    },
                    "score": {"type": "number", "description": "Comparable within one answer only."},
                    "inputSchema": {"type": "object"},
                },
                "required": ["name", "server", "signature", "description", "annotations", "score"],
            },
        },
        "of": {"type": "integer", "description": "How many tools were searched."},
    },
    "required": ["tools", "of"],
}

FIND_TOOLS = own_tool(
    "find_tools",
    "Find tools",
    "Searches the tools of all connected servers by what they do. Returns their names, signatures and descriptions, "
    "best first. Call what it finds by its name, directly or with call_tool.",
    FindArguments,
    annotations={"readOnlyHint": True, "openWorldHint": False},
    output=_FOUND_SCHEMA,
)

CALL_TOOL = own_tool(
    "call_tool",
    "Call a tool",
    "Calls a tool that find_tools has found, by its name. The result is that of the tool itself.",
    CallArguments,
    # Whatever the tool may do, this one may.
    annotations={"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
)


def found(candidates: Sequence[Candidate], of: int, *, schemas: bool) -> dict[str, Any]:
    """Found tools as the CallToolResult of `find_tools`.

    Args:
        candidates: the tools, best first.
        of: how many were searched.
        schemas: whether to give the whole inputSchema of each.
    """
    tools = [_described(candidate, schemas=schemas) for candidate in candidates]
    lines = [f"{len(tools)} of {of} tools, best first. Call one by its name, directly or with call_tool."]
    if not tools:
        lines = [f"None of {of} tools matches. Try other words: what it does, on what, or the server's name."]
    for tool in tools:
        hints = "quarantined" if "quarantined" in tool else _hints(tool["annotations"])
        lines += ["", tool["signature"] + (f"  [{hints}]" if hints else "")]
        lines += [f"  {line}" for line in tool["description"].splitlines()[:1]]
        if schemas:
            lines.append(f"  inputSchema: {json.dumps(tool['inputSchema'], ensure_ascii=False)}")
    return {"content": [text_block("\n".join(lines))], "structuredContent": {"tools": tools, "of": of}}


def _described(candidate: Candidate, *, schemas: bool) -> dict[str, Any]:
    # As it is listed: of a quarantined tool nothing is told but why it is.
    tool, listed = candidate.tool, candidate.tool.listed()
    described: dict[str, Any] = {
        "name": tool.qualified,
        "server": tool.upstream,
        "signature": signature(tool.qualified, listed["inputSchema"]),
        "description": tool.quarantine or _brief(str(listed.get("description") or "")),
        "annotations": dict(listed.get("annotations") or {}),
        "score": round(candidate.score, 4),
        **({"quarantined": True} if tool.quarantine else {}),
    }
    return {**described, "inputSchema": listed["inputSchema"]} if schemas else described


def _hints(annotations: Mapping[str, Any]) -> str:
    return ", ".join(said for hint, said in _HINTS.items() if annotations.get(hint) is True)


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN_DESCRIPTION else f"{text[:_SHOWN_DESCRIPTION]}…"
