"""Servers of an MCP client as `[upstreams.*]` tables, added to a `switchboard.toml` that otherwise stays as it is.

Credentials are never copied: an environment variable stands for each. Only `read_target` and `write` touch files.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mcp_proxy.client_files import ClientServers
from mcp_proxy.client_servers import SecretReferences, Translated, is_switchboard, translate
from mcp_proxy.config_file import ConfigError, ConfigProblem
from tool_registry.naming import prefix_of

_LINE = 100
"""Longest line an inline table may make; a longer one becomes a table of its own."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Import:
    """What an import does to a file; nothing is written yet."""

    target: Path
    added: tuple[str, ...]
    """Names of the new upstreams."""
    tables: str
    """Their tables, as TOML."""
    text: str
    """The whole file with them."""
    variables: Mapping[str, str]
    """Environment variables the new tables refer to, and what each stands for."""
    remarks: tuple[str, ...]
    """What was not taken over as it stood, and why."""


def read_target(target: Path) -> str:
    """The text of the file to add to, line ends and all; empty when it is not there yet.

    Raises:
        ConfigError: it is no TOML file, or cannot be read.
    """
    if target.suffix != ".toml":
        raise ConfigError(
            ConfigProblem(
                target, "", "is not a TOML file by its name", "name one with --to, such as switchboard.toml"
            )
        )
    try:
        return target.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            ConfigProblem(target, "", f"cannot be read: {error.strerror}", "check the path")
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(
            ConfigProblem(target, "", "is not UTF-8 text", "save it with the encoding UTF-8")
        ) from None


def plan_import(lists: Iterable[ClientServers], target: Path, text: str) -> Import:
    """Work out what adding the servers of `lists` makes of `text`, which stands in `target`.

    Raises:
        ConfigError: the upstreams in `text` are written in a way that none can be added to.
    """
    known = _upstreams_of(target, text)
    references, remarks = SecretReferences(), list[str]()
    added: dict[str, Translated] = {}
    for found, name, server in _each(lists):
        if is_switchboard(name, server):
            remarks.append(f"{name}: left out, it is Switchboard itself")
        elif name in known:
            remarks.append(f"{name}: kept as it stands in {target}")
        elif name in added:
            remarks.append(f"{name}: also in {found.file}; the first one counts")
        else:
            upstream = translate(name, server, found.folder, target.parent, references)
            remarks += (f"{name}: {remark}" for remark in upstream.remarks)
            if upstream.table:
                added[name] = _told_apart(name, upstream, known, added)
    tables = "\n".join(_rendered(name, upstream) for name, upstream in added.items())
    variables = {
        name: place
        for name, place in references.stand_for.items()
        if f"${{{name}}}" in tables or f"${{env:{name}}}" in tables
    }
    change = Import(target, tuple(added), tables, _appended(text, tables), variables, tuple(remarks))
    _check(change, known, added)
    return change


def write(change: Import) -> None:
    """Put the new text into the file, all at once: whoever reads it meanwhile sees the old one or the new one.

    A link stays a link, and the file keeps its mode.

    Raises:
        ConfigError: it cannot be written.
    """
    target = change.target.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(change.text.encode())
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        remedy = "check that you may write there, or name another file with --to"
        raise ConfigError(
            ConfigProblem(target, "", f"cannot be written: {error.strerror}", remedy)
        ) from error


def _each(lists: Iterable[ClientServers]) -> Iterator[tuple[ClientServers, str, Any]]:
    return ((found, name, server) for found in lists for name, server in found.servers.items())


def _upstreams_of(target: Path, text: str) -> dict[str, Any]:
    try:
        upstreams = tomllib.loads(text.removeprefix("\ufeff")).get("upstreams", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            ConfigProblem(target, "", f"is not valid TOML: {error}", "mend that line")
        ) from None
    if not isinstance(upstreams, dict):
        raise ConfigError(
            ConfigProblem(target, "upstreams", "should be a table", "write [upstreams.name] for each")
        )
    return cast("dict[str, Any]", upstreams)


def _told_apart(
    name: str, upstream: Translated, known: Mapping[str, Any], added: Mapping[str, Translated]
) -> Translated:
    """`upstream`, with a prefix of its own where the one its name makes is taken."""
    tables = {**known, **{other: there.table for other, there in added.items()}}
    taken = {_prefix(other, table) for other, table in tables.items()}
    first = prefix_of(name)
    if first not in taken:
        return upstream
    prefix = next(p for n in range(2, len(taken) + 3) if (p := f"{first}_{n}") not in taken)
    return Translated({**upstream.table, "prefix": prefix}, upstream.remarks, upstream.why_disabled)


def _prefix(name: str, table: Any) -> str:
    own = cast("Mapping[str, Any]", table).get("prefix") if isinstance(table, Mapping) else None
    return prefix_of(name) if own is None else str(own)


def _check(change: Import, known: Mapping[str, Any], added: Mapping[str, Translated]) -> None:
    """Refuse a change that would break the file, or turn out as anything but the old upstreams and the new."""
    for name, table in known.items():
        if added and _prefix(name, table) == "" and table.get("enabled", True):
            place, message = f"upstreams.{_key(name)}.prefix", "may be empty only for a single upstream"
            raise ConfigError(
                ConfigProblem(change.target, place, message, "give it a prefix, then import again")
            )
    try:
        outcome = _upstreams_of(change.target, change.text.encode().decode())
    except (ConfigError, UnicodeEncodeError):
        outcome = None
    if outcome != {**known, **{name: dict(upstream.table) for name, upstream in added.items()}}:
        message = "cannot take the new tables as it is written"
        raise ConfigError(
            ConfigProblem(
                change.target, "upstreams", message, "write a table [upstreams.name] for each upstream"
            )
        )


def _appended(text: str, tables: str) -> str:
    if not tables:
        return text
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return text + (gap + tables).replace("\n", "\r\n" if "\r\n" in text else "\n")


def _rendered(name: str, upstream: Translated) -> str:
    """An upstream as TOML; why it is disabled stands beside that line."""
    head = f"upstreams.{_key(name)}"
    lines, own_tables = [f"[{head}]"], list[str]()
    for key, value in upstream.table.items():
        line = f"{key} = {_value(value)}"
        if isinstance(value, dict) and len(line) > _LINE:
            members = cast("dict[str, str]", value).items()
            own_tables += ["", f"[{head}.{key}]", *(f"{_key(k)} = {_value(v)}" for k, v in members)]
        elif key == "enabled" and upstream.why_disabled:
            lines.append(f"{line}  # {upstream.why_disabled}")
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in (*lines, *own_tables))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """A text, truth value, list or table of texts as TOML: JSON's strings are TOML's but for one character."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return f"{{ {', '.join(f'{_key(key)} = {_value(item)}' for key, item in members)} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
