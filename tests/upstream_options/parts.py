"""What these tests share: an upstream that notes its starts, waiting under a deadline, a switchboard in this process."""

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client

from mcp_proxy.config import load
from mcp_proxy.running import running
from mcp_proxy.switchboard import Switchboard
from tests.serving import text_of

ROOT = Path(__file__).parents[2]
DEADLINE = 30


def counted(starts: Path, *tools: str, **options: Any) -> dict[str, Any]:
    """An upstream that serves `tools`, and `pid`, and notes each of its starts in a file."""
    args = [str(Path(__file__).with_name("counted.py")), str(starts), "pid", *tools]
    return {"command": sys.executable, "args": args, "env": {"PYTHONPATH": str(ROOT)}, **options}


def starts_in(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail if it does not in time."""
    with anyio.fail_after(DEADLINE):
        while not condition():
            await anyio.lowlevel.checkpoint()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def pid_of(client: Client, upstream: str) -> int:
    return int(text_of(await client.call_tool(f"{upstream}__pid", {})))


async def names(client: Client) -> set[str]:
    """The upstreams' tools as listed at this moment."""
    listed = await client.list_tools(cache_mode="bypass")
    return {tool.name for tool in listed.tools} - {"do", "plan", "read_result"}


async def until_listed(client: Client, *expected: str) -> None:
    """Return once these are the upstreams' tools."""
    with anyio.fail_after(DEADLINE):
        while await names(client) != set(expected):
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def board_of(config: Path, *, watch: bool = False) -> AsyncGenerator[Switchboard]:
    """A switchboard in this process, with its upstreams starting."""
    async with running(load(config), watch=config if watch else None) as board:
        yield board
