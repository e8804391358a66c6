"""Starting Switchboard for a test: a configuration in a scratch folder, and a real client in front of it."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from tests.npm_upstreams import Launch

UPSTREAMS = Path(__file__).parent / "upstreams"

ERAS = ("legacy", "2026-07-28")
"""The SDK client's modes for the two protocol eras."""


def script(name: str, *args: str) -> dict[str, Any]:
    """An upstream from tests/upstreams."""
    return {"command": sys.executable, "args": [str(UPSTREAMS / f"{name}.py"), *args]}


def demo(module: str, *args: str) -> dict[str, Any]:
    """An upstream that ships with the package."""
    return {"command": sys.executable, "args": ["-m", f"mcp_proxy.demo.{module}", *args]}


def npm(launch: Launch) -> dict[str, Any]:
    """An upstream from npm."""
    cwd = {"cwd": str(launch.cwd)} if launch.cwd else {}
    return {"command": launch.command, "args": list(launch.args), "env": dict(launch.env), **cwd}


def configured(folder: Path, upstreams: Mapping[str, Mapping[str, Any]], **tables: Mapping[str, Any]) -> Path:
    """A configuration file in `folder`, with its journal and what it knows of upstreams beside it."""
    own = {
        "journal": {"path": str(folder / "journal.sqlite")},
        "catalog": {"path": str(folder / "catalogs")},
        "pins": {"path": str(folder / "pins.sqlite")},
        # Only what is about meaning pays for the encoder, which every server would load.
        "search": {"vectors": str(folder / "vectors.sqlite"), "meaning": False},
    }
    whole = {**own, **tables}
    whole |= {f"upstreams.{json.dumps(name)}": upstream for name, upstream in upstreams.items()}
    path = folder / "switchboard.toml"
    path.write_text("\n".join(f"[{name}]\n{_toml(table)}" for name, table in whole.items()), encoding="utf-8")
    return path


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return f"{{ {', '.join(f'{json.dumps(key)} = {_value(inner)}' for key, inner in pairs)} }}"
    return json.dumps(value)


def command(config: Path, *args: str) -> StdioServerParameters:
    """The command line of Switchboard with this configuration."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_proxy", "-c", str(config), *args],
        env={**os.environ, "XDG_STATE_HOME": str(config.parent / "state")},
    )


@asynccontextmanager
async def serving(config: Path, **client: Any) -> AsyncGenerator[Client]:
    """A client of `switchboard serve` over stdio; keyword arguments go to the SDK's `Client`."""
    async with Client(command(config, "serve"), **client) as connected:
        yield connected


@dataclass
class Progress:
    """A progress callback that remembers: what was reported, and that anything was."""

    steps: list[tuple[float, float | None, str | None]] = field(
        default_factory=list[tuple[float, float | None, str | None]]
    )
    begun: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.steps.append((progress, total, message))
        self.begun.set()


def text_of(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def outcome_of(result: CallToolResult) -> dict[str, Any]:
    """What `do` or `plan` says of itself."""
    assert result.structured_content is not None
    return result.structured_content
