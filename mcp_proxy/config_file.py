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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from mcp_proxy import jsonc

FILE_NAME = "switchboard.toml"

KeyPath = tuple[str | int, ...]
"""Where a value stands: table and key names, and positions in arrays (from 0)."""

_SERVER_KEYS = ("mcpServers", "servers")
"""What an `mcpServers` file calls its upstreams; VS Code says `servers`."""

_TOML_ONLY = ("upstreams", "server", "planner", "escalation", "journal", "catalog", "search")

_CLIENT_ONLY = frozenset({"alwaysAllow", "autoApprove", "description", "timeout"})
"""Keys of a server that mean something to a client alone. Clients disagree on the unit of `timeout`."""

_HTTP_TYPES = ("http", "streamable-http", "streamableHttp", "streamable_http")
"""What clients call streamable HTTP."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class ConfigError(Exception):
    """A configuration that cannot be used: the user's to mend. Never holds a configured value."""

    def __init__(self, file: Path | None, key: str, message: str, remedy: str) -> None:
        self.file = file
        """The file at fault; None where none was found."""
        self.key = key
        """Dotted path of the key, as the file spells it; empty for the file as a whole."""
        self.message = message
        self.remedy = remedy
        place = ": ".join(part for part in (str(file or ""), key) if part)
        super().__init__(f"{place}: {message}; {remedy}" if place else f"{message}; {remedy}")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file holds, as a `switchboard.toml` would say it."""

    path: Path
    data: Mapping[str, Any]
    upstreams_key: str = "upstreams"
    """What the file itself calls the upstreams."""

    def error(self, key: KeyPath, message: str, remedy: str) -> ConfigError:
        """A ConfigError to raise, which names this file and `key` as the file spells it."""
        spelled = (self.upstreams_key, *key[1:]) if key[:1] == ("upstreams",) else key
        return ConfigError(self.path, _dotted(spelled), message, remedy)


def find(path: Path | None) -> Path:
    """The file to read: `path`, else one in the working directory, else in the user's folder.

    Raises:
        ConfigError: no path was given, and none of these files is there.
    """
    if path is not None:
        return path.absolute()
    places = (Path.cwd() / FILE_NAME, user_folder("config") / FILE_NAME)
    for place in places:
        if place.is_file():
            return place
    example = '[upstreams.time] with command = "uvx" and args = ["mcp-server-time"]'
    raise ConfigError(
        None,
        "",
        f"no configuration found at {places[0]} or {places[1]}",
        f"write one of them, for example {example}, or give a file with --config",
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
        raise ConfigError(path, "", f"cannot be read: {error.strerror}", remedy) from error
    except UnicodeDecodeError:
        raise ConfigError(path, "", "is not UTF-8 text", "save it with the encoding UTF-8") from None
    match path.suffix:
        case ".toml":
            return _from_toml(path, text)
        case ".json" | ".jsonc":
            return _from_mcp_servers(path, text)
        case _:
            remedy = "rename it to end in .toml or .json"
            raise ConfigError(path, "", "is neither TOML nor JSON by its name", remedy)


def _from_toml(path: Path, text: str) -> ConfigFile:
    try:
        return ConfigFile(path, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(path, "", f"is not valid TOML: {error}", "mend that line") from None


def _from_mcp_servers(path: Path, text: str) -> ConfigFile:
    """An `mcpServers` file. Its other top-level keys belong to the client it was written for."""
    try:
        whole: object = jsonc.parse(text)
    except ValueError as error:
        raise ConfigError(path, "", f"is not valid JSON: {error}", "mend that line") from None
    data = cast("dict[str, Any]", whole) if isinstance(whole, dict) else {}
    key = next((key for key in _SERVER_KEYS if key in data), "")
    if not isinstance(data.get(key), dict):
        remedy = 'write {"mcpServers": {"name": {"command": …}}}'
        raise ConfigError(path, key, "there is no object of servers", remedy)
    for stray in _TOML_ONLY:
        if stray in data:
            remedy = f"put it, with the upstreams, into a {FILE_NAME}"
            raise ConfigError(path, stray, "a JSON file configures upstreams alone", remedy)
    file = ConfigFile(path, {}, key)
    upstreams = {name: _upstream(file, name, server) for name, server in data[key].items()}
    return ConfigFile(path, {"upstreams": upstreams}, key)


def _upstream(file: ConfigFile, name: str, server: object) -> object:
    """One server of an `mcpServers` file, in the words of a `switchboard.toml`."""
    if not isinstance(server, dict):
        return server
    upstream = {
        key: value for key, value in cast("dict[str, Any]", server).items() if key not in _CLIENT_ONLY
    }
    disabled = upstream.pop("disabled", False)
    if not isinstance(disabled, bool):
        raise file.error(
            ("upstreams", name, "disabled"), "should be true or false", "write it without quotes"
        )
    if disabled:
        upstream["enabled"] = False
    for key in ("type", "transport"):
        if key in upstream:
            _check_transport(file, ("upstreams", name, key), upstream.pop(key), upstream)
    return upstream


def _check_transport(file: ConfigFile, key: KeyPath, kind: object, upstream: Mapping[str, Any]) -> None:
    """Hold the transport a server names against what it gives; `command` or `url` alone decides."""
    if kind == "sse":
        if upstream.get("enabled", True):
            remedy = 'use the server\'s streamable HTTP address with type "http", or set "disabled": true'
            raise file.error(key, "the HTTP+SSE transport is not supported yet", remedy)
    elif kind == "stdio":
        if "command" not in upstream:
            raise file.error(key, "a stdio server needs a command", 'add "command", or name the type "http"')
    elif kind in _HTTP_TYPES:
        if "url" not in upstream:
            raise file.error(key, "an HTTP server needs a url", 'add "url", or name the type "stdio"')
    else:
        raise file.error(key, "is no known transport", 'write "stdio" or "http"')


def _dotted(key: KeyPath) -> str:
    """A key path as TOML writes it, with array positions in brackets."""
    parts = (
        f"[{part}]"
        if isinstance(part, int)
        else f".{part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)}"
        for part in key
    )
    return "".join(parts).removeprefix(".")
