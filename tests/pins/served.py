"""What these tests share: an upstream whose tools stand in a file, and `switchboard pins` on the command line."""

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client

from tests.serving import command, configured, script

DEADLINE = 60

OBJECT = {"type": "object"}


def tool(name: str, description: str = "Does what it says.", **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": OBJECT, **fields}


class Changeable:
    """A configuration with one upstream, `x`, whose tools can be changed at any time."""

    def __init__(self, folder: Path, *tools: dict[str, Any], **pins: Any) -> None:
        self.file = folder / "tools.json"
        self.offer(*tools)
        tables = {"pins": {"path": str(folder / "pins.sqlite"), **pins}}
        self.config = configured(folder, {"x": script("from_file", str(self.file))}, **tables)

    def offer(self, *tools: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(tools), encoding="utf-8")


async def pins(config: Path, *args: str, check: bool = True) -> str:
    """What `switchboard pins` prints for these arguments."""
    line = command(config, "pins", *args)
    done = await anyio.run_process([line.command, *line.args], env=line.env, check=check)
    return (done.stdout if check else done.stderr).decode()


OWN = ("do", "plan", "read_result")


async def described(client: Client) -> dict[str, str]:
    """The descriptions of the upstream's tools as a client sees them now."""
    listed = await client.list_tools(cache_mode="bypass")
    return {tool.name: tool.description or "" for tool in listed.tools if tool.name not in OWN}


async def until_described(client: Client, name: str, text: str) -> dict[str, str]:
    """Return all descriptions once that of tool `name` holds `text`."""
    with anyio.fail_after(DEADLINE):
        while text not in (seen := await described(client)).get(name, ""):
            await anyio.lowlevel.checkpoint()
    return seen
