"""What is wrong with a configuration, in the words and by the keys of its file. Knows nothing of files."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcp_proxy.config_file import KeyPath
from mcp_proxy.config_variables import UPSTREAM_DEPTH
from mcp_proxy.escalation_settings import Budget, Prices
from mcp_proxy.profile_settings import ProfileTable, ToolOverrideTable
from mcp_proxy.settings import (
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
)
from mcp_proxy.settings_fields import nearest
from mcp_proxy.settings_server import OAuthSettings, ServerSettings

REACHED_BY = ("command", "url")
"""The keys that say what an upstream is."""

_MOST_LOOKS = 8
"""How often mistakes are looked for behind others."""

_NO_WAY_IN = ("has neither a command nor a url", "add the one it is reached by")

_STAND_IN = {"stand-in": {"command": "stand-in"}}
"""An upstream to go on with where none is left."""

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
    "int_type": ("should be a whole number", "write it in digits, without quotes"),
    "int_parsing": ("should be a whole number", "write it in digits"),
    "int_from_float": ("should be a whole number", "write it without a fraction"),
    "float_type": ("should be a number", "write it in digits, without quotes"),
    "float_parsing": ("should be a number", "write it in digits"),
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


def mistakes(data: dict[str, Any], folder: Path) -> list[Told]:
    """All that is wrong with `data`, whose relative paths start at `folder`.

    What compares several values is judged only once each of them is valid, and so hides behind other mistakes:
    it is looked for again in what is left without these.
    """
    found: dict[Told, None] = {}
    for look in range(_MOST_LOOKS):
        told = _refused(data, folder)
        found |= dict.fromkeys(each for each in told if not look or _was_hidden(each, found))
        for key, _, _ in told:
            data = _left_without(data, key)
        if not told:
            break
    return list(found)


def _refused(data: dict[str, Any], folder: Path) -> list[Told]:
    try:
        Settings.model_validate(data, context=folder)
    except ValidationError as error:
        return _causes(map(_told, error.errors(include_url=False, include_input=False)))
    return []


def _was_hidden(told: Told, found: Iterable[Told]) -> bool:
    """Whether it is a mistake of its own, and no consequence of leaving out what was found before."""
    key, message, _ = told
    match key:
        case ("upstreams", *_):
            return message not in {_PROSE["missing"][0], _NO_WAY_IN[0]}
        case ("server", "profile"):
            return True
        case ("profiles", _, "budget"):
            return not any(other[:1] == ("escalation",) for other, _, _ in found)
        case _:
            return False


def _left_without(data: dict[str, Any], key: KeyPath) -> dict[str, Any]:
    """`data` without what stands at `key`, or without as much of the way there as there is."""
    if key[-1:] != ("[key]",):  # what is wrong with a name stays; without its table others would name nothing
        data = _pruned(data, key)
    return data if data.get("upstreams") else {**data, "upstreams": _STAND_IN}


def _pruned(table: dict[str, Any], key: KeyPath, *, depth: int = 0) -> dict[str, Any]:
    name, below = key[depth], table.get(str(key[depth]))
    if name not in table:
        return table
    if isinstance(below, dict) and len(key) > depth + 1:
        inner = cast("dict[str, Any]", below)
        if key[depth + 1] in inner:
            return {**table, name: _pruned(inner, key, depth=depth + 1)}
    if key[:depth] == ("profiles",):
        return {**table, name: {}}
    return {other: value for other, value in table.items() if other != name}


def _causes(problems: Iterable[Told]) -> list[Told]:
    """The problems without those that only follow from another.

    A key is missing because it is misspelt; an array is empty because what it holds is not valid.
    """
    problems = list(problems)
    meant = {(*key[:-1], match[1]) for key, _, remedy in problems if (match := _MEANT.match(remedy))}
    around = {key[:-1] for key, _, _ in problems}
    derived = {(key, _PROSE["missing"][0]) for key in meant} | {
        (key, _PROSE["too_short"][0]) for key in around
    }
    return [_as_way_in(problem) for problem in problems if problem[:2] not in derived]


def _as_way_in(problem: Told) -> Told:
    """That an upstream's command is missing, said so that a url may be meant."""
    key, message, _ = problem
    if key[:1] == ("upstreams",) and key[UPSTREAM_DEPTH:] in {(way,) for way in REACHED_BY}:
        return (key[:UPSTREAM_DEPTH], *_NO_WAY_IN) if message == _PROSE["missing"][0] else problem
    return problem


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
