"""Configuration files: find one, and read TOML or `mcpServers` JSON into plain data.

Knows nothing of what the values mean, apart from how an `mcpServers` file spells an upstream.
No error quotes a value: any of them may be a secret.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from mcp_proxy import jsonc

FILE_NAME = "switchboard.toml"

CONFIG_VARIABLE = "SWITCHBOARD_CONFIG"
"""Environment variable that names the file, where the command line does not."""

KeyPath = tuple[str | int, ...]
"""Where a value stands: table and key names, and positions in arrays (from 0)."""

_SERVER_KEYS = ("mcpServers", "servers")
"""What an `mcpServers` file calls its upstreams; VS Code says `servers`."""

_TOML_ONLY = (
    "upstreams",
    "server",
    "planner",
    "escalation",
    "journal",
    "catalog",
    "pins",
    "results",
    "privacy",
    "search",
    "profiles",
)

_CLIENT_ONLY = frozenset({"alwaysAllow", "autoApprove", "description", "timeout"})
"""Keys of a server that mean something to a client alone. Clients disagree on the unit of `timeout`."""

_HTTP_TYPES = ("http", "streamable-http", "streamableHttp", "streamable_http")
"""What clients call streamable HTTP."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a configuration. Never holds a configured value."""

    file: Path | None
    """The file at fault; None where none was found."""
    key: str
    """Dotted path of the key, as the file spells it; empty for the file as a whole."""
    message: str
    remedy: str

    def __str__(self) -> str:
        place = ": ".join(part for part in (str(self.file or ""), self.key) if part)
        return f"{place}: {self.message}; {self.remedy}" if place else f"{self.message}; {self.remedy}"


class ConfigError(Exception):
    """A configuration that cannot be used: the user's to mend."""

    def __init__(self, *problems: ConfigProblem) -> None:
        self.problems = problems
        """At least one."""
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file holds, as a `switchboard.toml` would say it."""

    path: Path
    data: Mapping[str, Any]
    upstreams_key: str = "upstreams"
    """What the file itself calls the upstreams."""
    other_names: Mapping[KeyPath, str] = field(default_factory=dict[KeyPath, str])
    """What the file itself calls other keys, by the path they have in `data`."""
    problems: tuple[ConfigProblem, ...] = ()
    """What is wrong with it by what could not be said in `data`."""

    def problem(self, key: KeyPath, message: str, remedy: str) -> ConfigProblem:
        """A problem with this file at `key`, which is named as the file spells it."""
        if key in self.other_names:
            key = (*key[:-1], self.other_names[key])
        spelled = (self.upstreams_key, *key[1:]) if key[:1] == ("upstreams",) else key
        return ConfigProblem(self.path, _dotted(spelled), message, remedy)


def find(path: Path | None) -> Path:
    """The file to read: `path`, else what `SWITCHBOARD_CONFIG` names, else one in the working directory or the user's.

    Raises:
        ConfigError: no path was given, and none of these files is there.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if path is None and named:
        path = Path(named)
    if path is not None:
        return path.absolute()
    places = (Path.cwd() / FILE_NAME, user_folder("config") / FILE_NAME)
    for place in places:
        if place.is_file():
            return place
    example = '[upstreams.time] with command = "uvx" and args = ["mcp-server-time"]'
    raise ConfigError(
        ConfigProblem(
            None,
            "",
            f"no configuration found at {places[0]} or {places[1]}",
            f"write one of them, for example {example}, or give a file with --config",
        )
    )


def user_folder(kind: Literal["config", "state"]) -> Path:
    """Where the user's Switchboard files of a kind live; not necessarily there yet.

    The XDG base directories count on every platform when set; a relative one is ignored, as XDG demands.
    """
    xdg = Path(os.environ.get(f"XDG_{kind.upper()}_HOME", ""))
    if xdg.is_absolute():
        return xdg / "switchboard"
    home = Path.home()
    if sys.platform == "win32":
        roaming = kind == "config"
        known = os.environ.get("APPDATA" if roaming else "LOCALAPPDATA")
        return Path(known or home / "AppData" / ("Roaming" if roaming else "Local")) / "switchboard"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "switchboard"
    return home / (".config" if kind == "config" else ".local/state") / "switchboard"


def read(path: Path) -> ConfigFile:
    """What a TOML or `mcpServers` JSON file holds; `${VARIABLES}` stand in it as they were written.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        remedy = "check the path, and that you may read it"
        raise ConfigError(ConfigProblem(path, "", f"cannot be read: {error.strerror}", remedy)) from error
    except UnicodeDecodeError:
        raise ConfigError(
            ConfigProblem(path, "", "is not UTF-8 text", "save it with the encoding UTF-8")
        ) from None
    match path.suffix:
        case ".toml":
            return _from_toml(path, text)
        case ".json" | ".jsonc":
            return _from_mcp_servers(path, text)
        case _:
            remedy = "rename it to end in .toml or .json"
            raise ConfigError(ConfigProblem(path, "", "is neither TOML nor JSON by its name", remedy))


def _from_toml(path: Path, text: str) -> ConfigFile:
    try:
        return ConfigFile(path, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(ConfigProblem(path, "", f"is not valid TOML: {error}", "mend that line")) from None


def _from_mcp_servers(path: Path, text: str) -> ConfigFile:
    """An `mcpServers` file. Its other top-level keys belong to the client it was written for."""
    try:
        whole: object = jsonc.parse(text)
    except ValueError as error:
        raise ConfigError(ConfigProblem(path, "", f"is not valid JSON: {error}", "mend that line")) from None
    data = cast("dict[str, Any]", whole) if isinstance(whole, dict) else {}
    key = next((key for key in _SERVER_KEYS if key in data), "")
    if not isinstance(data.get(key), dict):
        remedy = 'write {"mcpServers": {"name": {"command": …}}}'
        raise ConfigError(ConfigProblem(path, key, "there is no object of servers", remedy))
    for stray in _TOML_ONLY:
        if stray in data:
            remedy = f"put it, with the upstreams, into a {FILE_NAME}"
            raise ConfigError(ConfigProblem(path, stray, "a JSON file configures upstreams alone", remedy))
    return _in_our_words(path, key, cast("dict[str, Any]", data[key]))


def _in_our_words(path: Path, key: str, servers: Mapping[str, Any]) -> ConfigFile:
    """Servers as a client writes them, as a `switchboard.toml` would say it."""
    upstreams: dict[str, Any] = {}
    other_names: dict[KeyPath, str] = {}
    mistaken: list[KeyPath] = []
    for name, server in servers.items():
        upstreams[name] = server
        if not isinstance(server, dict):
            continue
        table = {k: value for k, value in cast("dict[str, Any]", server).items() if k not in _CLIENT_ONLY}
        disabled = table.pop("disabled", False)
        if disabled is True:
            table["enabled"] = False
        elif disabled is not False:
            mistaken.append(("upstreams", name, "disabled"))
        if "type" in table:
            table["transport"] = table.pop("type")
            other_names["upstreams", name, "transport"] = "type"
        if table.get("transport") in _HTTP_TYPES:
            table["transport"] = "http"
        upstreams[name] = table
    file = ConfigFile(path, {"upstreams": upstreams}, key, other_names)
    said = ("should be true or false", "write it without quotes")
    return replace(file, problems=tuple(file.problem(place, *said) for place in mistaken))


def _dotted(key: KeyPath) -> str:
    """A key path as TOML writes it, with array positions in brackets."""
    parts = (
        f"[{part}]"
        if isinstance(part, int)
        else f".{part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)}"
        for part in key
    )
    return "".join(parts).removeprefix(".")
