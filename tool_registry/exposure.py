"""Exposure: whether a client is shown every tool, or a few with which it finds and calls the others.

Pure: what is known of clients is data, and tokens come in as a number.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from tool_registry.catalog import ToolEntry
from tool_registry.tokens import estimate_tokens


class Exposure(StrEnum):
    """How much a client is shown."""

    ALL = "all"
    """Every tool."""
    SEARCH = "search"
    """`find_tools`, `call_tool`, and what is always visible."""
    PLAN = "plan"
    """`do` and `plan` before these."""


@dataclass(frozen=True, slots=True)
class KnownClient:
    """What is known of a client program."""

    names: tuple[str, ...]
    """Patterns (shell globs, lower case) for the name it gives itself."""
    searches: bool = False
    """It has a tool search of its own, and shows its model the tools that this finds."""
    tool_limit: int | None = None
    """More tools than this it does not take."""
    takes_combinators: bool = True
    """It takes an inputSchema with anyOf, oneOf or allOf at its top."""


KNOWN_CLIENTS = (
    # It hands schemas on to the Claude API, which refuses the whole request over a combinator at the top of one.
    KnownClient(("claude-code*",), searches=True, takes_combinators=False),
    KnownClient(("visual studio code*", "vscode*"), tool_limit=128),
    KnownClient(("cursor*",), tool_limit=40),
    KnownClient(("windsurf*", "codeium*"), tool_limit=100),
    KnownClient(
        ("claude-ai*", "claude desktop*", "cline*", "roo*", "goose*", "zed*", "gemini-cli*", "codex*")
    ),
)
"""Programs that hand the list to a model. All others, such as inspectors and scripts, are shown what there is.

Limits are those the programs document; Switchboard counts its own tools into them.
"""

TOKENS_SHOWN = 10_000
"""Most tokens of definitions that a client without a tool search of its own is handed.

Claude Code warns its users from here on.
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """An exposure and why it was chosen."""

    exposure: Exposure
    reason: str


def choose(client: str, tools: int, tokens: Callable[[], int]) -> Choice:
    """What suits a client.

    Args:
        client: the name it gives itself.
        tools: how many tools it would be shown.
        tokens: counts what their definitions would cost, in tokens; not called unless that decides.
    """
    known = _known(client)
    if known is None:
        return Choice(Exposure.ALL, "nothing is known of a limit of this client")
    if known.searches:
        return Choice(Exposure.ALL, "the client has a tool search of its own")
    if known.tool_limit is not None and tools > known.tool_limit:
        return Choice(Exposure.SEARCH, f"{tools} tools, and the client takes {known.tool_limit}")
    if (cost := tokens()) > TOKENS_SHOWN:
        return Choice(Exposure.SEARCH, f"the definitions would take {cost} tokens, more than {TOKENS_SHOWN}")
    return Choice(Exposure.ALL, "all is within the client's limits")


def takes_combinators(client: str) -> bool:
    """Whether a client of this name takes inputSchemas with combinators at the top; so do those nothing is known of."""
    known = _known(client)
    return known is None or known.takes_combinators


def _known(client: str) -> KnownClient | None:
    return next((one for one in KNOWN_CLIENTS if matches(client.lower(), one.names)), None)


def definition_tokens(definitions: Iterable[Mapping[str, Any]]) -> int:
    """About how many tokens definitions cost a model that is handed them, as JSON."""
    return sum(estimate_tokens(json.dumps(each, ensure_ascii=False)) for each in definitions)


def always_visible(tools: Iterable[ToolEntry], patterns: Iterable[str]) -> list[ToolEntry]:
    """The tools that are shown in any case: those a pattern for `<upstream>/<name>` or the name seen fits."""
    wanted = tuple(patterns)
    return [
        tool
        for tool in tools
        if matches(f"{tool.upstream}/{tool.name}", wanted) or matches(tool.qualified, wanted)
    ]


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern fits the whole of `name`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
