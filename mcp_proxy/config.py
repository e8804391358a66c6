"""Configuration: `load` makes `Settings` from a file, or a ConfigError that says what to mend."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcp_proxy.config_file import ConfigError, KeyPath, find, read
from mcp_proxy.config_variables import expand, variables
from mcp_proxy.escalation import Budget, Prices
from mcp_proxy.settings import (
    CatalogSettings,
    EscalationSettings,
    HttpUpstream,
    JournalSettings,
    OAuthSettings,
    PlannerSettings,
    SearchSettings,
    ServerSettings,
    Settings,
    StdioUpstream,
    Upstream,
    nearest,
)

__all__ = [
    "Budget",
    "CatalogSettings",
    "ConfigError",
    "EscalationSettings",
    "HttpUpstream",
    "JournalSettings",
    "PlannerSettings",
    "Prices",
    "SearchSettings",
    "ServerSettings",
    "Settings",
    "StdioUpstream",
    "Upstream",
    "find",
    "load",
]

_PROSE = {
    "missing": ("is required", "add it"),
    "string_type": ("should be a string", "put the value in quotes"),
    "tuple_type": ("should be an array", "put the values in brackets"),
    "dict_type": ("should be a table", "give it keys of its own"),
    "mapping_type": ("should be a table", "give it keys of its own"),
    "model_type": ("should be a table", "give it keys of its own"),
    "model_attributes_type": ("should be a table", "give it keys of its own"),
    "too_short": ("is empty", "fill it in or leave it out"),
    "string_too_short": ("is empty", "fill it in or leave it out"),
    "string_pattern_mismatch": ("may hold only letters, digits, _ and -", "rename it"),
    "bool_type": ("should be true or false", "write it without quotes"),
    "bool_parsing": ("should be true or false", "write it without quotes"),
}
"""Pydantic's error types in the words of a configuration file: what is wrong, and the remedy."""

_OTHER_NAMES = {
    "mcpServers": "upstreams",
    "servers": "upstreams",
    "disabled": "enabled",
    "timeout": "call_timeout",
}
"""What other MCP configurations call a key of ours."""

_TABLES: Mapping[KeyPath, type[BaseModel]] = {
    (): Settings,
    ("upstreams", "stdio"): StdioUpstream,
    ("upstreams", "http"): HttpUpstream,
    ("server",): ServerSettings,
    ("server", "oauth"): OAuthSettings,
    ("planner",): PlannerSettings,
    ("escalation",): EscalationSettings,
    ("escalation", "budget"): Budget,
    ("escalation", "prices"): Prices,
    ("journal",): JournalSettings,
    ("catalog",): CatalogSettings,
    ("search",): SearchSettings,
}
"""The model of each table. An upstream's is found by its tag, in the place of its name."""


def load(path: Path | None = None) -> Settings:
    """Settings from a TOML or `mcpServers` JSON file.

    Args:
        path: the file; None looks in the working directory, then in the user's configuration folder.

    Raises:
        ConfigError: there is no such file, or something in it is wrong; the first problem is told.
    """
    file = read(find(path))
    try:
        return Settings.model_validate(expand(file, variables()), context=file.path.parent)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # Raised out here, so that no traceback leads back to the values pydantic was given.
    # An unknown key comes first: it is often what a missing one was meant to be.
    problem = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    raise file.error(*_told(problem))


def _told(problem: ErrorDetails) -> tuple[KeyPath, str, str]:
    """Where a validation failed, in the file's own keys; what is wrong; and the remedy."""
    location, context = problem["loc"], problem.get("ctx", {})
    key = location
    if location[:1] == ("upstreams",):  # ("upstreams", name, tag, key, …): the tag is pydantic's own
        key, location = (*location[:2], *location[3:]), ("upstreams", *location[2:])
    if problem["type"] == "config":
        return (*key, *context["at"]), context["message"], context["remedy"]
    if problem["type"] == "value_error":
        message, _, remedy = problem["msg"].removeprefix("Value error, ").partition("; ")
        return key, message, remedy or "correct it"
    table = _TABLES.get(location[:-1])
    if problem["type"] == "extra_forbidden" and table:
        return key, "is no known key", _suggestion(str(key[-1]), table.model_fields)
    message, remedy = _PROSE.get(problem["type"], (problem["msg"].removeprefix("Input "), "correct it"))
    default = table.model_fields[str(location[-1])].default if table else None
    if isinstance(default, str | int | float):
        remedy = f"{remedy}, or leave it out for the default, {json.dumps(default)}"
    return key, message, remedy


def _suggestion(unknown: str, known: Iterable[str]) -> str:
    names = [name for name in known if name == _OTHER_NAMES.get(unknown)] or nearest(unknown, known)
    return f'did you mean "{names[0]}"?' if names else f"known here: {', '.join(known)}"
