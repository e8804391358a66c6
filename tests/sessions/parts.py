"""What these tests share: the server with a tally, its processes, and clients that look on."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client

from tests.http.listening import Listening, over_http, over_sse
from tests.relay.person import Person
from tests.serving import text_of

ROOT = Path(__file__).parents[2]

WAYS: dict[str, Callable[..., Any]] = {"http": over_http, "sse": over_sse}
"""The ways in by which a client has a session."""


def tally(*args: str, **options: Any) -> dict[str, Any]:
    """The server with a tally, one process for each client."""
    start = [str(Path(__file__).with_name("tally.py")), *args]
    own = {"session": "per_client", "protocol": "legacy"}
    return {"command": sys.executable, "args": start, "env": {"PYTHONPATH": str(ROOT)}, **own, **options}


@asynccontextmanager
async def guest(server: Listening, name: str, way: str = "http") -> AsyncGenerator[tuple[Client, Person]]:
    """A client with a session, and the person before it."""
    person = Person(name)
    mode = {"mode": "legacy"} if way == "http" else {}
    async with WAYS[way](server, **mode, **person.callbacks()) as client:
        yield client, person


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """The text a tool of `t` answers with."""
    result = await client.call_tool(f"t__{tool}", arguments)
    assert not result.is_error, text_of(result)
    return text_of(result)


async def pid_of(client: Client) -> int:
    """The process behind a client's connection."""
    return int(await said(client, "pid"))


def is_running(pid: int) -> bool:
    """Whether a process is there and not just waiting to be waited for."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> set[int]:
    """The processes that a process has started and waited for not yet."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()}


def descriptors(pid: int) -> int:
    """How many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  entries that vanish meanwhile are no matter


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail if it does not in time."""
    with anyio.fail_after(40):
        while not condition():
            await anyio.lowlevel.checkpoint()


def starts_in(file: Path) -> list[int]:
    """The processes that noted their start in a file."""
    return [int(line) for line in file.read_text(encoding="utf-8").split()] if file.exists() else []


def both(answers: str) -> list[Any]:
    """What the interview came to: the form's answer and the sample's."""
    return json.loads(answers)
