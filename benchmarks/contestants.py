"""What is measured: the upstream itself, Switchboard, and FastMCP's proxy, started as users start them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.npm_upstreams import Launch, claude_flow, everything_http, everything_stdio

_MARK = "OVERHEAD_BENCHMARK"
"""A variable every upstream is given, so that those a proxy leaves behind can be found."""

GRACE = 3.0
"""Seconds an upstream may take to notice that its proxy is gone."""

Upstreams = Mapping[str, Launch]
"""How each upstream is started, by name."""


class NotInstalledError(Exception):
    """A contestant is not installed in this environment."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to reach upstreams."""

    name: str
    command: Callable[[Path, Upstreams], list[str]]
    """From an empty folder and upstreams to the command that serves them."""
    tool: Callable[[str, str, int], str]
    """From upstream, tool and number of upstreams to the tool's name for clients."""
    http_command: Callable[[Path, Upstreams, int], list[str]] | None = None
    """As `command`, over streamable HTTP on a port."""


def contestants() -> tuple[Contestant, Contestant, Contestant]:
    """All three; direct, to which the others compare, comes first.

    FastMCP does not rename the tools of a lone server.
    """
    return (
        Contestant("direct", _direct, lambda _, tool, __: tool, _direct_http),
        Contestant(
            "Switchboard",
            _switchboard,
            lambda upstream, tool, _: f"{upstream}__{tool}",
            lambda folder, upstreams, port: [
                *_switchboard(folder, upstreams),
                *("--transport", "http", "--port", str(port)),
            ],
        ),
        Contestant("FastMCP", _fastmcp, lambda upstream, tool, n: tool if n == 1 else f"{upstream}_{tool}"),
    )


def upstreams(names: tuple[str, ...], folder: Path) -> Upstreams:
    """claude-flow by that name, keeping its state in `folder`; the reference server by any other."""
    return {name: claude_flow(folder) if name == "claude-flow" else everything_stdio() for name in names}


def environment(folder: Path, port: int | None = None) -> dict[str, str]:
    """Our environment, but marked, and with everything a contestant keeps kept in `folder`.

    The reference server takes its port from it.
    """
    homes = {key: str(folder) for key in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    given = {} if port is None else {"PORT": str(port)}
    return {**os.environ, **everything_stdio().env, **homes, **given, _MARK: str(folder)}


def running(folder: Path) -> list[int]:
    """Ids of the processes running in the environment of `folder`; none are seen without /proc."""
    wanted = f"{_MARK}={folder}".encode()
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go under our eyes, and those of other users are none of our business.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


async def end_left_behind(folder: Path) -> int:
    """Kill what still runs in `folder` after a moment of grace; how many processes that were."""
    deadline = time.monotonic() + GRACE
    # There is no event to wait for: the processes are not our children.
    while (pids := running(folder)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def _direct(_: Path, upstreams: Upstreams) -> list[str]:
    [launch] = upstreams.values()
    return [launch.command, *launch.args]


def _direct_http(_: Path, __: Upstreams, port: int) -> list[str]:
    launch = everything_http(port)
    return [launch.command, *launch.args]


def _switchboard(folder: Path, upstreams: Upstreams) -> list[str]:
    return [_script("switchboard"), "--config", _config(folder, upstreams), "serve"]


def _fastmcp(folder: Path, upstreams: Upstreams) -> list[str]:
    return [_script("fastmcp"), "run", _config(folder, upstreams), "--no-banner"]


def _config(folder: Path, upstreams: Upstreams) -> str:
    """The file of servers, as both proxies read it."""
    servers = {
        name: {
            "command": launch.command,
            "args": launch.args,
            "env": {**launch.env, _MARK: str(folder)},
        }
        for name, launch in upstreams.items()
    }
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    return str(file)


def _script(name: str) -> str:
    """A command of the environment this runs in.

    Raises:
        NotInstalledError: there is no such command in it.
    """
    script = Path(sys.executable).with_name(name)
    if not script.exists():
        raise NotInstalledError(f"{script} is missing: run `pip install -e '.[bench]'` in this environment")
    return str(script)
