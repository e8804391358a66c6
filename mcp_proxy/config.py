"""Configuration: `load` makes `Settings` from a file, or a ConfigError that says what to mend."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcp_proxy.config_file import ConfigError, ConfigFile, ConfigProblem, KeyPath, find, read
from mcp_proxy.config_mistakes import REACHED_BY, mistakes
from mcp_proxy.config_variables import UPSTREAM_DEPTH, expand, variables
from mcp_proxy.escalation_settings import Budget, Prices
from mcp_proxy.profile_settings import ProfileTable
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
from mcp_proxy.settings_server import ServerSettings

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
    except ValidationError:
        found = mistakes(data, file.path.parent)
        problems += (file.problem(*told) for told in found if told[0] not in expanded.unmet)
    else:
        if not problems:
            return _marked(settings, lacking)
    # Raised out here, so that no traceback leads back to the values pydantic was given.
    raise ConfigError(*problems)


def _without(data: dict[str, Any], lacking: Mapping[str, Iterable[KeyPath]]) -> dict[str, Any]:
    """`data` without the keys of upstreams that hold something unmet, but for those that say what an upstream is."""
    if not lacking:
        return data
    upstreams = dict(data["upstreams"])
    for name, keys in lacking.items():
        held = {key[UPSTREAM_DEPTH] for key in keys}.difference(REACHED_BY)
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
