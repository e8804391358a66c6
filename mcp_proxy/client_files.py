"""Where MCP clients keep their lists of servers, and what stands there. Knows nothing of `switchboard.toml`."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mcp_proxy.config_file import ConfigError, ConfigProblem
from mcp_proxy.jsonc import parse

_SERVER_KEYS = ("mcpServers", "servers")
"""What clients call their servers; VS Code says `servers`."""


@dataclass(frozen=True, slots=True)
class ClientServers:
    """Servers that one file of a client lists."""

    file: Path
    servers: Mapping[str, Any]
    """By name, each as the client wrote it."""
    folder: Path
    """Where the client starts them: their relative paths begin here."""


def application_folder(application: str, platform: str = sys.platform) -> Path:
    """Where a desktop application keeps the user's settings."""
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / application
    variable, otherwise = (
        ("APPDATA", "AppData/Roaming") if platform == "win32" else ("XDG_CONFIG_HOME", ".config")
    )
    return Path(os.environ.get(variable) or Path.home() / otherwise) / application


def _claude_code(folder: Path) -> Iterator[ClientServers]:
    """Claude Code's three scopes: this project for this user, the project's own file, the user."""
    file = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home()) / ".claude.json"
    whole = _read(file)
    projects = _object(whole.get("projects"))
    for place in (folder, *folder.parents):
        if str(place) in projects:
            yield ClientServers(file, _servers(_object(projects[str(place)])), place)
            break
    yield _listed_in(folder / ".mcp.json", folder)
    yield ClientServers(file, _servers(whole), folder)


def _claude_desktop(folder: Path) -> Iterator[ClientServers]:
    yield _listed_in(application_folder("Claude") / "claude_desktop_config.json", folder)


def _cursor(folder: Path) -> Iterator[ClientServers]:
    for place in (folder, Path.home()):
        yield _listed_in(place / ".cursor" / "mcp.json", folder)


def _vscode(folder: Path) -> Iterator[ClientServers]:
    for place in (folder / ".vscode", application_folder("Code") / "User"):
        yield _listed_in(place / "mcp.json", folder)


CLIENTS: Mapping[str, Callable[[Path], Iterator[ClientServers]]] = {
    "claude-code": _claude_code,
    "claude-desktop": _claude_desktop,
    "cursor": _cursor,
    "vscode": _vscode,
}
"""Each client's lists of servers, for one that works in the given folder; those that win come first."""


def listed_by(source: str, folder: Path) -> tuple[ClientServers, ...]:
    """What the client or the file `source` lists; of two servers of one name the first is the client's choice.

    Args:
        source: one of `CLIENTS`, or the path of a file with `mcpServers` or `servers`.
        folder: the working directory, where a project's own files are looked for.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    if source in CLIENTS:
        lists = tuple(CLIENTS[source](folder))
        remedy = "add a server in the client first, or give the path of its file"
    else:
        file = (folder / Path(source).expanduser()).absolute()
        if not file.is_file():
            raise ConfigError(
                ConfigProblem(
                    None, source, "is neither a client nor a file", f"clients: {', '.join(CLIENTS)}"
                )
            )
        lists = (_listed_in(file, folder),)
        remedy = "give a file with an object of mcpServers or servers"
    if not any(found.servers for found in lists):
        looked_at = ", ".join(dict.fromkeys(str(found.file) for found in lists))
        raise ConfigError(ConfigProblem(None, source, f"there are no servers in {looked_at}", remedy))
    return lists


def _listed_in(file: Path, folder: Path) -> ClientServers:
    return ClientServers(file, _servers(_read(file)), folder)


def _servers(whole: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(next((whole[key] for key in _SERVER_KEYS if key in whole), None))


def _read(file: Path) -> Mapping[str, Any]:
    """The object in a file; an empty one when there is no such file."""
    try:
        return _object(parse(file.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        remedy = "check that you may read it"
        raise ConfigError(ConfigProblem(file, "", f"cannot be read: {error.strerror}", remedy)) from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise ConfigError(ConfigProblem(file, "", f"is not valid JSON: {_told(error)}", "mend it")) from None


def _told(error: ValueError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
