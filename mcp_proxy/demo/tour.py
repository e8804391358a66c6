"""`switchboard demo`: starts real servers and carries out tasks in plain words, showing what happens."""

import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from local_llm import Task
from mcp_proxy.config import (
    CatalogSettings,
    JournalSettings,
    PinSettings,
    SearchSettings,
    ServerSettings,
    Settings,
)
from mcp_proxy.desk import Desk
from mcp_proxy.outcome import Outcome
from mcp_proxy.render import print_outcome, stderr
from mcp_proxy.running import running
from mcp_proxy.task_runner import TaskRunner
from mcp_proxy.terminal import TerminalPerson
from mcp_proxy.upstreams import State

_NPM_VERSIONS = {
    "claude-flow": "3.43.0",
    "flow-nexus": "0.1.128",
    "agentic-payments": "0.1.13",
    "ruv-swarm": "1.0.20",
}

_NPM_START_TIMEOUT = 300.0
"""Seconds for an npm server to start: the first time it is downloaded."""


@dataclass(frozen=True, slots=True)
class Step:
    """One task of the tour, and what it is there to show."""

    task: str
    shows: str
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])


_STEPS = (
    Step("convert 26.2 miles to kilometers", "a number and two options, read out of the sentence"),
    Step(
        "convert 3 miles to km, then convert the result from km to meters",
        "two steps, the second with what came of the first",
    ),
    Step("read the file welcome.txt", "a path; the answer is the tool's own"),
    Step("add a note saying call the plumber", "a missing argument: asked for, not invented"),
    Step("find a bargain for a bicycle", "a tool whose description tries to command the model: refused"),
    Step("order a pizza with extra cheese", "nothing fits: this would go to Claude, were it configured"),
)

_FLOW_STEPS = (
    Step(
        "with claude-flow, initialize a mesh swarm with 5 agents",
        "one of 482 tools; three servers have a swarm_init",
    ),
    Step("use ruv-swarm to initialize a ring swarm with 3 agents", "the namesake of another server"),
    Step("initialize a mesh swarm with 5 agents", "three servers could: not sure which"),
    Step("order a pizza with extra cheese", "nothing fits: an honest no"),
)


async def tour(*, flow: bool, show: bool) -> list[Outcome]:
    """Carry out the tour's tasks on freshly started servers in a scratch folder.

    Args:
        flow: with the four flow servers from npm instead of the ones that come with the package.
        show: print what happens.
    """
    with _scratch_folder() as folder:
        settings = _settings(folder, _flow_servers(folder) if flow else _demo_servers(folder))
        return await _walk(settings, _FLOW_STEPS if flow else _STEPS, show=show)


async def _walk(settings: Settings, steps: tuple[Step, ...], *, show: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with running(settings) as board:
        with stderr.status(f"starting {', '.join(board.upstreams)}…"):
            await board.wait_started()
        if show:
            for status in (upstream.status for upstream in board.upstreams.values()):
                about = f"{status.tools} tools" if status.state is State.READY else escape(status.reason)
                stderr.print(f"[bold]{status.upstream}[/] {status.state.value}, {about}")
            stderr.print(f"{len(board.snapshot.catalog.tools)} tools behind one entry\n")
        runner = TaskRunner(Desk(board))
        person = TerminalPerson(approve=False, silent=not show)
        for number, step in enumerate(steps, 1):
            if show:
                stderr.print(f"[bold cyan]{number}. “{step.task}”[/]  [dim]{step.shows}[/]")
            outcome = await runner.do(Task(step.task, step.answers), person, client="switchboard-demo")
            outcomes.append(outcome)
            if show:
                print_outcome(outcome)
                stderr.print()
    return outcomes


def _settings(folder: Path, servers: Mapping[str, Mapping[str, Any]]) -> Settings:
    return Settings.model_validate(
        {
            "upstreams": servers,
            "server": ServerSettings(),
            "journal": JournalSettings(enabled=False),
            "catalog": CatalogSettings(enabled=False),
            "pins": PinSettings(path=folder / "pins.sqlite"),
            "search": SearchSettings(meaning=False),  # it would take longer than the tour
        }
    )


def _demo_servers(folder: Path) -> dict[str, dict[str, Any]]:
    def server(module: str, *args: str) -> dict[str, Any]:
        return {"command": sys.executable, "args": ["-m", f"mcp_proxy.demo.{module}", *args]}

    root = folder / "files"
    root.mkdir()
    (root / "welcome.txt").write_text("You are reading this through Switchboard.\n", encoding="utf-8")
    return {
        "notes": server("notes", "--database", str(folder / "notes.sqlite")),
        "files": server("files", "--root", str(root)),
        "bargains": server("bargains"),
        "clock": server("clock"),
    }


def _flow_servers(folder: Path) -> dict[str, dict[str, Any]]:
    """The flow servers through npx. Each gets a folder of its own: they write state where they run."""
    if shutil.which("npx") is None:
        raise click.ClickException(
            "the flow demo needs Node (npx was not found on PATH); `switchboard demo` does not"
        )

    def server(name: str, *command: str, **env: str) -> dict[str, Any]:
        cwd = folder / name
        cwd.mkdir()
        args = ["-y", "-p", f"{name}@{_NPM_VERSIONS[name]}", *command]
        return {
            "command": "npx",
            "args": args,
            "env": env,
            "cwd": str(cwd),
            "start_timeout": _NPM_START_TIMEOUT,
        }

    return {
        "claude-flow": server("claude-flow", "claude-flow", "mcp", "start"),
        # Its database client wants a WebSocket, which Node has of its own from version 22 on.
        "flow-nexus": server(
            "flow-nexus", "flow-nexus", "mcp", "start", NODE_OPTIONS="--experimental-websocket"
        ),
        "agentic-payments": server("agentic-payments", "agentic-payments-mcp"),
        "ruv-swarm": server("ruv-swarm", "ruv-swarm", "mcp", "start"),
    }


@contextmanager
def _scratch_folder() -> Generator[Path]:
    # A server that is still writing as it is stopped must not turn the end of the demo into an error.
    with tempfile.TemporaryDirectory(prefix="switchboard-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)
