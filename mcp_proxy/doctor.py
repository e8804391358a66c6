"""What may be wrong with a setup, and what to do about it: checks over values, each a finding or several. Pure.

What the checks look at is found out by `examination`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from mcp_proxy.config import ConfigProblem, EscalationSettings, StdioUpstream
from mcp_proxy.escalation_settings import Budget
from mcp_proxy.pin_store import PinStoreError
from mcp_proxy.profile_settings import ExposingTable
from mcp_proxy.upstreams import State, Status
from tool_registry import Catalog, Entry, Offer, ToolEntry, UnusableSchemaError
from tool_registry.exposure import definition_tokens
from tool_registry.naming import NAME_LIMIT, SEPARATOR
from tool_registry.pins import FLAGGED
from tool_registry.scan import names_beside, scan

_VSCODE_TOOLS = 128
"""Tools VS Code sends to a model at most."""

_VSCODE = "visual studio code"
"""The name it gives itself."""

_NODE_PROGRAMS = frozenset({"node", "npx", "npm"})
_OLDEST_NODE = 20
_NODE_WITH_WEBSOCKET = 22
_WEBSOCKET_FLAG = "--experimental-websocket"

_NAMES_SHOWN = 5

CLIENT_LIMITS = (("the Claude API", 64, "mcp__{}__"), ("Cursor", 60, "{}"))
"""Clients that limit a tool's name: how many characters, and what they put before it, given the entry's name."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    level: Level
    about: str
    """What was looked at: an upstream, or a part of Switchboard."""
    message: str
    remedy: str = ""
    """What to do; empty when nothing need be done."""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Program:
    """An upstream's command, looked up where it will be."""

    upstream: str
    settings: StdioUpstream
    path: str | None
    """The file that is run; None when there is none."""
    on_node: bool = False
    """Whether it runs on Node.js."""
    node: str | None = None
    """Version of the Node.js on the PATH it will have; None when there is none."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An upstream, started."""

    status: Status
    start_seconds: float
    answer_seconds: float | None = None
    """How long one page of `tools/list` took; None when it gave no answer."""
    unmet: tuple[ConfigProblem, ...] = ()
    """What keeps it from being started at all."""


def configuration_findings(problems: Iterable[ConfigProblem]) -> Iterator[Finding]:
    """What is wrong with a file that cannot be used."""
    for problem in problems:
        message = str(problem).removesuffix(f"; {problem.remedy}")
        yield Finding(Level.ERROR, "configuration", message, problem.remedy)


def program_findings(program: Program) -> Iterator[Finding]:
    """Whether a command is there, and its Node.js new enough."""
    command = program.settings.command
    if program.path is None:
        remedy = "install it, correct the command, or give its full path"
        yield Finding(Level.ERROR, program.upstream, f"{command!r} was not found", remedy)
        return
    where = f" at {program.path}" if program.path != command else ""
    yield Finding(Level.OK, program.upstream, f"found {command!r}{where}")
    if program.on_node:
        yield _node_finding(program)


def is_nodes_own(command: str) -> bool:
    """Whether a command is Node.js, or comes with it."""
    return PurePath(command).stem.lower() in _NODE_PROGRAMS


def _node_finding(program: Program) -> Finding:
    match = re.match(r"v?(\d+)", program.node or "")
    if match is None:
        remedy = f"install Node.js {_NODE_WITH_WEBSOCKET}, or put it on the PATH of env"
        return Finding(Level.ERROR, program.upstream, "no Node.js was found for it", remedy)
    version, words = int(match[1]), (program.settings.command, *program.settings.args)
    found = f"Node.js {program.node}"
    options = program.settings.env.get("NODE_OPTIONS")
    if (
        version < _NODE_WITH_WEBSOCKET
        and any("flow-nexus" in word for word in words)
        and _WEBSOCKET_FLAG not in (options.get_secret_value() if options else "")
    ):
        remedy = f'use Node.js {_NODE_WITH_WEBSOCKET}, or add env = {{ NODE_OPTIONS = "{_WEBSOCKET_FLAG}" }}'
        return Finding(
            Level.ERROR, program.upstream, f"{found} has no WebSocket, which flow-nexus needs", remedy
        )
    if version < _OLDEST_NODE:
        remedy = f"use Node.js {_NODE_WITH_WEBSOCKET}"
        return Finding(Level.WARNING, program.upstream, f"{found} is older than most servers support", remedy)
    return Finding(Level.OK, program.upstream, found)


def state_findings(observed: Observed) -> Iterator[Finding]:
    """How the start of an upstream went."""
    if not observed.unmet:
        yield _state_finding(observed)
    for problem in observed.unmet:
        message = f"is not started: {problem.message} ({problem.key})"
        yield Finding(Level.ERROR, observed.status.upstream, message, problem.remedy)


def _state_finding(observed: Observed) -> Finding:
    status = observed.status
    if status.state is not State.READY:
        remedy = "see to the reason; `switchboard --log-level debug upstreams` shows all it says"
        return Finding(Level.ERROR, status.upstream, f"is {status.state.value}: {status.reason}", remedy)
    facts = [f"ready in {observed.start_seconds:.1f} s"]
    if observed.answer_seconds is not None:
        facts.append(f"answers in {observed.answer_seconds * 1000:.0f} ms")
    facts += (
        status.server or "a server without a name",
        f"protocol {status.protocol}",
        f"{status.tools} tools",
    )
    return Finding(Level.OK, status.upstream, ", ".join(facts))


def left_out_findings(status: Status) -> Iterator[Finding]:
    """What an upstream lists and the catalog does not have."""
    if status.left_out:
        remedy = "tell its author; all of them: `switchboard upstreams --json`"
        message = (
            f"left out, as the protocol does not allow: {_named([str(each) for each in status.left_out])}"
        )
        yield Finding(Level.WARNING, status.upstream, message, remedy)


def catalog_findings(catalog: Catalog) -> Iterator[Finding]:
    """Definitions that could not be taken as they stood, and schemas nothing can be validated against."""
    for problem in catalog.problems:
        remedy = "harmless unless you miss it; else tell the server's author"
        yield Finding(Level.WARNING, problem.upstream, f"{problem.name}: {problem.message}", remedy)
    for tool in catalog.tools.values():
        if why := _unusable(tool):
            remedy = "tell its author; until then calls of this tool are refused"
            message = f"the inputSchema of {tool.name} cannot be used: {why}"
            yield Finding(Level.WARNING, tool.upstream, message, remedy)
        elif tool.compiled.unjudged:
            remedy = "none needed: the server judges by these parts itself"
            parts = _named([*tool.compiled.unjudged])
            message = f"arguments of {tool.name} are not checked by all of its inputSchema: {parts}"
            yield Finding(Level.WARNING, tool.upstream, message, remedy)


def _unusable(tool: ToolEntry) -> str:
    """Why the inputSchema cannot be validated against, if so. A reference counts only once something meets it."""
    try:
        tool.check(dict.fromkeys(tool.parameters))
    except UnusableSchemaError as error:
        return str(error)
    return ""


def name_findings(catalog: Catalog) -> Iterator[Finding]:
    """Names that clients see altered, and what would keep them as they are."""
    prefixes = {offer.upstream: offer.prefix for offer in catalog.offers}
    for upstream, prefix in prefixes.items():
        altered = [
            entry
            for entry in (*catalog.tools.values(), *catalog.prompts.values())
            if entry.upstream == upstream and entry.qualified != _plain(prefix, entry.name)
        ]
        long = [entry for entry in altered if len(_plain(prefix, entry.name)) > NAME_LIMIT]
        if long:
            message = f"names shortened to {NAME_LIMIT} characters: {_renamed(long)}"
            yield Finding(Level.WARNING, upstream, message, "a shorter prefix keeps more of them whole")
        if others := [entry for entry in altered if entry not in long]:
            message = f"names altered, as they collide or hold characters clients reject: {_renamed(others)}"
            yield Finding(Level.WARNING, upstream, message, "another prefix, if they collide")


def client_limit_findings(names: Iterable[str], entry: str) -> Iterator[Finding]:
    """Names too long for some client once it has put the name of Switchboard's entry before them."""
    names = list(names)
    for client, limit, before in CLIENT_LIMITS:
        lead = before.format(entry)
        if long := [name for name in names if len(lead) + len(name) > limit]:
            message = f"too long for {client} ({limit} characters with {lead!r}): {_named(long)}"
            remedy = f"call Switchboard's entry in the client something shorter than {entry!r}"
            yield Finding(Level.WARNING, "names", message, remedy)


def token_findings(tools: Iterable[ToolEntry], own: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """What the definitions cost a client that sends them all: Switchboard's `own` and each upstream's; estimated."""
    costs = Counter({"switchboard": definition_tokens(own)})
    for tool in tools:
        costs[tool.upstream] += definition_tokens([tool.listed()])
    shares = ", ".join(f"{name} {cost:,}" for name, cost in costs.most_common())
    total = f"about {costs.total():,} tokens (estimated)"
    yield Finding(Level.OK, "tools", f"their definitions take {total}: {shares}")


def tool_count_findings(count: int, exposing: ExposingTable) -> Iterator[Finding]:
    """Whether VS Code, which sends every definition it is shown, may send so many.

    Args:
        count: the tools a client is shown that is shown all.
        exposing: what it is shown.
    """
    if count <= _VSCODE_TOOLS:
        return
    message = f"{count} tools, of which VS Code sends {_VSCODE_TOOLS} at most"
    mode = exposing.mode_for(_VSCODE)
    if mode == "all":
        remedy = 'have expose be "auto" or "search" for it, or choose among them in its tool picker'
        yield Finding(Level.WARNING, "tools", f'{message}, and it is shown all (expose = "all")', remedy)
        return
    few = "do, plan and a search" if mode == "plan" else "a search"
    shown = f'{message}: it is shown {few} instead (expose = "{mode}")'
    yield Finding(Level.OK, "tools", shown)


def journal_finding(path: PurePath | None, why_not: str) -> Finding:
    """Whether plans and calls can be recorded at `path` (None: nowhere), or `why_not`."""
    if path is None:
        return Finding(Level.OK, "journal", "is off")
    if why_not:
        remedy = 'correct [journal] path, or set it to "" for none; calls go on unrecorded'
        return Finding(Level.ERROR, "journal", f"{path} cannot be written: {why_not}", remedy)
    return Finding(Level.OK, "journal", f"{path} can be written")


def scan_findings(catalog: Catalog, reviewed: Iterable[Offer]) -> Iterator[Finding]:
    """What in the tools' definitions looks like an attack on the model that reads them.

    `reviewed` are the offers held against the pins; none where there are no pins.
    """
    held = {(offer.upstream, name) for offer in reviewed for name in offer.quarantined}
    for tool in catalog.tools.values():
        remedy = f"{tool.qualified} is not quarantined: read its definition; if you do not trust it, put it under deny"
        if (tool.upstream, tool.name) in held:
            remedy = (
                f"{tool.qualified} is quarantined: look at `switchboard pins diff {tool.qualified}`; `switchboard pins accept "
                f"{tool.qualified}` if you trust it, else leave it so"
            )
        found = scan(tool.definition, names_beside(tool.upstream, catalog.offers))
        for kind in dict.fromkeys(finding.kind for finding in found):
            first = next(finding for finding in found if finding.kind is kind)
            message = f"{tool.qualified} {kind} at {first.pointer}: {first.excerpt}"
            yield Finding(Level.WARNING, tool.upstream, message, remedy)


def unusable_pins_finding(error: PinStoreError) -> Finding:
    """Why nobody can tell which tools are quarantined."""
    remedy = f"{error.remedy}; until then servers are not held to what they listed before"
    return Finding(Level.ERROR, "pins", str(error), remedy)


def pin_findings(reviewed: Iterable[Offer]) -> Iterator[Finding]:
    """Which tools are quarantined, but for those whose definitions look like an attack, which `scan_findings` tells."""
    for offer in reviewed:
        for reason in offer.quarantined.values():
            if FLAGGED in reason:
                continue
            remedy = "look at `switchboard pins diff`, then `switchboard pins accept`"
            yield Finding(Level.WARNING, offer.upstream, reason.partition(". ")[0], remedy)


def escalation_finding(settings: EscalationSettings | None, *, journal: bool) -> Finding:
    """Who is asked when the local planner is not sure; whether the key works is not tried."""
    if settings is None:
        return Finding(Level.OK, "escalation", "is off: nothing leaves the machine")
    order = (
        f"Claude, {settings.model}" if name == "claude" else "the client's own model"
        for name in settings.order
    )
    asked = f"{', then '.join(order)} (not contacted)"
    if settings.claude is None:
        return Finding(Level.OK, "escalation", asked)
    if settings.budget == Budget():
        remedy = "set [escalation.budget] max_calls_per_day or max_dollars_per_day"
        return Finding(Level.WARNING, "escalation", f"{asked}, without a budget", remedy)
    if not journal:
        remedy = "turn the journal on, or take the budget out"
        message = f"{asked}: Claude will not be asked, as the journal that counts the budget is off"
        return Finding(Level.ERROR, "escalation", message, remedy)
    return Finding(Level.OK, "escalation", f"{asked}, at most {settings.budget.described}")


def is_sound(findings: Iterable[Finding]) -> bool:
    """Whether none of the findings is an error."""
    return all(finding.level is not Level.ERROR for finding in findings)


def _plain(prefix: str, name: str) -> str:
    return f"{prefix}{SEPARATOR}{name}" if prefix else name


def _renamed(entries: Iterable[Entry]) -> str:
    return _named([f"{entry.name} → {entry.qualified}" for entry in entries])


def _named(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
