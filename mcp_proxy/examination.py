"""`switchboard doctor`: find out how things stand (files, processes, upstreams), and have `doctor` judge it."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
from mcp import MCPError

from mcp_proxy.config import ConfigError, JournalSettings, PinSettings, Settings, StdioUpstream, load
from mcp_proxy.doctor import (
    Finding,
    Level,
    Observed,
    Program,
    catalog_findings,
    client_limit_findings,
    configuration_findings,
    escalation_finding,
    is_nodes_own,
    journal_finding,
    left_out_findings,
    name_findings,
    pin_findings,
    program_findings,
    scan_findings,
    state_findings,
    token_findings,
    tool_count_findings,
    unusable_pins_finding,
)
from mcp_proxy.pin_store import PinStoreError
from mcp_proxy.pinning import reviewed_by
from mcp_proxy.profile_slips import profile_findings, server_findings
from mcp_proxy.running import running
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.task_tools import DO, PLAN
from mcp_proxy.upstreams import State, UpstreamUnavailableError
from tool_registry import Catalog, Offer
from tool_registry.profiles import view

_NODE_TIMEOUT = 10.0
_ANSWER_TIMEOUT = 10.0


async def examine(path: Path | None) -> list[Finding]:
    """Everything there is to say about the configuration at `path` and what it names; see `config.load`.

    Starts every enabled upstream and stops it again; the escalation service is never contacted.
    """
    try:
        settings = load(path)
    except ConfigError as error:
        return list(configuration_findings(error.problems))
    names = ", ".join(settings.enabled_upstreams) or "none"
    findings = [Finding(Level.OK, "configuration", f"loads; upstreams: {names}")]
    programs = [await _looked_up(name, stdio) for name, stdio in _processes(settings)]
    for program in programs:
        findings += program_findings(program)
    journal = settings.journal.path if settings.journal.enabled else None
    why_not = await anyio.to_thread.run_sync(_why_not_writable, journal) if journal else ""
    findings.append(journal_finding(journal, why_not))
    findings.append(escalation_finding(settings.escalation, journal=journal is not None))
    # The journal stays shut: opening it may move a damaged file aside, and an examination changes nothing.
    # Nor is anything pinned by looking.
    unkept = {"journal": JournalSettings(enabled=False), "pins": PinSettings(enabled=False)}
    async with running(settings.model_copy(update=unkept)) as board:
        observed = await _observe(board)
        catalog, unlisted = board.snapshot.catalog, board.unlisted
    absent = {program.upstream for program in programs if program.path is None}
    for upstream in observed:
        if upstream.status.upstream not in absent:  # which was told with what to do
            findings += state_findings(upstream)
    reviewed, unusable = await anyio.to_thread.run_sync(_held_to_pins, settings, catalog)
    findings += _judged(observed, catalog, settings, reviewed)
    findings += server_findings(catalog, settings.server, unlisted)
    findings += profile_findings(catalog, settings.profiles, unlisted)
    # Nothing is told twice, whoever found it.
    return list(dict.fromkeys((*findings, *pin_findings(reviewed), *unusable)))


def _held_to_pins(settings: Settings, catalog: Catalog) -> tuple[list[Offer], list[Finding]]:
    """What the upstreams list, held against what is pinned of it; or why it cannot be."""
    if not settings.pins.enabled:
        off = "are off: a server may change unseen"
        return [], [Finding(Level.WARNING, "pins", off, "set [pins] enabled")]
    try:
        return list(reviewed_by(settings, catalog.offers)), []
    except PinStoreError as error:
        return [], [unusable_pins_finding(error)]


def _judged(
    observed: list[Observed], catalog: Catalog, settings: Settings, reviewed: list[Offer]
) -> Iterator[Finding]:
    own = (DO, PLAN)
    for upstream in observed:
        yield from left_out_findings(upstream.status)
    yield from catalog_findings(catalog)
    yield from scan_findings(catalog, reviewed)
    yield from name_findings(catalog)
    yield from client_limit_findings((*catalog.tools, *catalog.prompts), settings.server.name)
    yield from token_findings(catalog.tools.values(), own)
    profile = settings.profiles.get(settings.server.profile)
    shown = view(catalog, profile.profile if profile else None).tools
    yield from tool_count_findings(len(shown) + len(own), profile or settings.server)


def _processes(settings: Settings) -> Iterator[tuple[str, StdioUpstream]]:
    for name, upstream in settings.enabled_upstreams.items():
        if isinstance(upstream, StdioUpstream) and not upstream.unmet:
            yield name, upstream


async def _looked_up(name: str, settings: StdioUpstream) -> Program:
    """The program behind an upstream's command, on the PATH the upstream will have."""
    path = settings.env["PATH"].get_secret_value() if "PATH" in settings.env else os.environ.get("PATH")
    found = shutil.which(settings.command, path=path)
    if found is None or not (is_nodes_own(settings.command) or _is_node_script(found)):
        return Program(name, settings, found)
    node = found if Path(found).stem.lower() == "node" else shutil.which("node", path=path)
    return Program(name, settings, found, on_node=True, node=await _version(node) if node else None)


def _is_node_script(path: str) -> bool:
    """Whether a program begins with `#!/usr/bin/env node` or the like, as those that npm installs do."""
    try:
        with Path(path).open("rb") as file:
            first = file.readline(200)
    except OSError:
        return False
    return first.startswith(b"#!") and b"node" in first


async def _version(program: str) -> str | None:
    """What a program answers to `--version`; None when it does not."""
    with anyio.move_on_after(_NODE_TIMEOUT):
        try:
            answer = await anyio.run_process([program, "--version"], check=False)
        except OSError:
            return None
        return answer.stdout.decode(errors="replace").strip() or None
    return None


def _why_not_writable(journal: Path) -> str:
    """Why nothing can be recorded in the file; empty when something can, or when the file can be made."""
    try:
        if journal.exists():
            with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            return ""
    except (sqlite3.Error, OSError) as error:
        return str(error)
    parent = next(folder for folder in journal.absolute().parents if folder.exists())
    if not parent.is_dir():
        return f"{parent} is not a folder"
    return "" if os.access(parent, os.W_OK) else f"{parent} may not be written"


async def _observe(board: Switchboard) -> list[Observed]:
    """Every upstream of `board` when it has started or failed, in the configured order."""
    seconds: dict[str, float] = {}

    async def time(name: str) -> None:
        began = anyio.current_time()
        await board.upstreams[name].wait_started()
        seconds[name] = anyio.current_time() - began

    async with anyio.create_task_group() as tasks:
        for name in board.upstreams:
            tasks.start_soon(time, name)
    # One after the other from here on, so that none is timed while another starts.
    return [await _observed(board, name, seconds[name]) for name in board.upstreams]


async def _observed(board: Switchboard, name: str, seconds: float) -> Observed:
    status = board.upstreams[name].status
    answer = await _answer_seconds(board, name) if status.state is State.READY else None
    return Observed(status, seconds, answer, board.settings.upstreams[name].unmet)


async def _answer_seconds(board: Switchboard, upstream: str) -> float | None:
    """Seconds the upstream takes for a page of its tools; None when it gives no answer."""
    began = anyio.current_time()
    with anyio.move_on_after(_ANSWER_TIMEOUT):
        try:
            await board.request(upstream, "tools/list", {})
        except (MCPError, UpstreamUnavailableError):
            return None  # it has no tools, or is gone again: what it listed when it started counts
        return anyio.current_time() - began
    return None
