"""Starting the demo servers as a client does, and reading what they answer."""

import json
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent


def started(name: str, *arguments: str | Path, env: dict[str, str] | None = None) -> StdioServerParameters:
    """How a client starts the demo server `name`."""
    args = ["-m", f"mcp_proxy.demo.{name}", *map(str, arguments)]
    return StdioServerParameters(command=sys.executable, args=args, env=env)


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a call that succeeds; the client holds it against the outputSchema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """What a call that must fail is told."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"{tool} accepted {arguments}"
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def cases(name: str) -> Any:
    return json.loads((Path(__file__).parent / "cases" / f"{name}.json").read_text())
