"""Configuration: `load` makes `Settings` from a file, or a ConfigError that says what to mend."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcp_proxy.config_file import ConfigError, ConfigFile, ConfigProblem, KeyPath, find, read
from mcp_proxy.config_variables import UPSTREAM_DEPTH, expand, variables
from mcp_proxy.escalation import Budget, Prices
from mcp_proxy.profile_settings import ProfileTable, ToolOverrideTable
from mcp_proxy.settings import (
    FOLLOWED,
    CatalogSettings,
    EscalationSettings,
    HttpUpstream,
    JournalSettings,
    PinSettings,
    PlannerSettings,
    PrivacySettings,
    ResultSettings,
    SearchSettings,
    Settings,
    StdioUpstream,
    Upstream,
    over_sse,
)
from mcp_proxy.settings_fields import nearest
from mcp_proxy.settings_server import OAuthSettings, ServerSettings

__all__ = [
    "FOLLOWED",
    "Budget",
    "CatalogSettings",
    "ConfigError",
    "ConfigProblem",
    "EscalationSettings",
    "HttpUpstream",
    "JournalSettings",
    "PinSettings",
    "PlannerSettings",
    "Prices",
    "PrivacySettings",
    "ProfileTable",
    "ResultSettings",
    "SearchSettings",
    "ServerSettings",
    "Settings",
    "StdioUpstream",
    "Upstream",
    "find",
    "load",
    "over_sse",
    "settings_of",
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
    "type": "transport",
}
"""What other MCP configurations call a key of ours."""

_MEANT = re.compile('did you mean "(.+)"')

Told = tuple[KeyPath, str, str]
"""Where a problem is, in the keys of a `switchboard.toml`; what is wrong; and the remedy."""

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
    ("profiles", "*"): ProfileTable,
    ("profiles", "*", "tools", "*"): ToolOverrideTable,
    ("profiles", "*", "budget"): Budget,
    ("journal",): JournalSettings,
    ("catalog",): CatalogSettings,
    ("pins",): PinSettings,
    ("results",): ResultSettings,
    ("privacy",): PrivacySettings,
    ("search",): SearchSettings,
}
"""The model of each table. An upstream's is found by its tag, in the place of its name."""


def load(path: Path | None = None) -> Settings:
    """Settings from a TOML or `mcpServers` JSON file.

    An upstream that refers to variables which are not set costs itself alone: it is there, with its `unmet`.

    Args:
        path: the file; None looks in the working directory, then in the user's configuration folder.

    Raises:
        ConfigError: there is no such file, or something in it is wrong; all problems are told.
    """
    file = read(find(path))
    return settings_of(file, variables())


def settings_of(file: ConfigFile, variables: Mapping[str, str]) -> Settings:
    """Settings from a file that has been read; see `load`."""
    expanded = expand(file, variables)
    lacking: dict[str, dict[KeyPath, ConfigProblem]] = {}
    problems = list(file.problems)
    for key, problem in expanded.unmet.items():
        if key[:1] == ("upstreams",) and len(key) > UPSTREAM_DEPTH:
            lacking.setdefault(str(key[1]), {})[key] = problem
        else:
            problems.append(problem)
    data = _without(expanded.data, lacking)
    try:
        settings = Settings.model_validate(data, context=file.path.parent)
    except ValidationError as error:
        found = [_told(problem) for problem in error.errors(include_url=False, include_input=False)]
        problems += (file.problem(*told) for told in _causes(found) if told[0] not in expanded.unmet)
    else:
        if not problems:
            return _marked(settings, lacking)
    # Raised out here, so that no traceback leads back to the values pydantic was given.
    raise ConfigError(*problems)


_REACHED_BY = ("command", "url")


def _without(data: dict[str, Any], lacking: Mapping[str, Iterable[KeyPath]]) -> dict[str, Any]:
    """`data` without the keys of upstreams that hold something unmet, but for those that say what an upstream is."""
    if not lacking:
        return data
    upstreams = dict(data["upstreams"])
    for name, keys in lacking.items():
        held = {key[UPSTREAM_DEPTH] for key in keys}.difference(_REACHED_BY)
        if not isinstance(upstreams[name], dict):
            continue  # which is refused anyway
        upstreams[name] = {key: value for key, value in upstreams[name].items() if key not in held}
    return {**data, "upstreams": upstreams}


def _marked(settings: Settings, lacking: Mapping[str, Mapping[KeyPath, ConfigProblem]]) -> Settings:
    upstreams = {
        name: upstream.lacking(lacking[name].values()) if name in lacking else upstream
        for name, upstream in settings.upstreams.items()
    }
    return settings.model_copy(update={"upstreams": upstreams})


def _causes(problems: Iterable[Told]) -> list[Told]:
    """The problems without those that only follow from another: a key is missing because it is misspelt."""
    problems = list(problems)
    meant = {(*key[:-1], match[1]) for key, _, remedy in problems if (match := _MEANT.match(remedy))}
    return [problem for problem in problems if problem[0] not in meant or problem[1] != _PROSE["missing"][0]]


def _told(problem: ErrorDetails) -> Told:
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
    table = _TABLES.get(_as_pattern(location[:-1]))
    if problem["type"] == "extra_forbidden" and table:
        return key, "is no known key", _suggestion(str(key[-1]), table.model_fields)
    message, remedy = _PROSE.get(problem["type"], (problem["msg"].removeprefix("Input "), "correct it"))
    field = table.model_fields.get(str(location[-1])) if table else None
    default = field.default if field else None
    if isinstance(default, str | int | float):
        remedy = f"{remedy}, or leave it out for the default, {json.dumps(default)}"
    return key, message, remedy


def _as_pattern(location: KeyPath) -> KeyPath:
    """A place with `*` for what users name themselves: their profiles, and the tools these rewrite."""
    if location[:1] != ("profiles",):
        return location
    return tuple("*" if position in {1, 3} else part for position, part in enumerate(location))


def _suggestion(unknown: str, known: Iterable[str]) -> str:
    names = [name for name in known if name == _OTHER_NAMES.get(unknown)] or nearest(unknown, known)
    return f'did you mean "{names[0]}"?' if names else f"known here: {', '.join(known)}"
