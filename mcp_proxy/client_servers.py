"""One server as an MCP client configures it, in the words of a `switchboard.toml`. Pure.

What looks like a credential does not pass: `${NAME}` takes its place. Better once too often than once too seldom.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError

from mcp_proxy.redaction import is_secret_name, redact_text
from mcp_proxy.settings import Upstream, ends_in_sse

_OWN_PACKAGES = frozenset({"mcp_proxy", "mcp-switchboard"})

_UPSTREAM: TypeAdapter[Any] = TypeAdapter(Upstream)

_STANDS_FOR = re.compile(r"(?<!\$)\$\{[^}]*\}")
"""A variable that stands for something; `$${` and an unclosed `${` are plain text."""

_KNOWN = frozenset({"command", "args", "env", "cwd", "url", "headers", "type", "transport", "disabled"})

_REFERENCE = re.compile(r"\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"(?:env:)?(?P<name>[A-Za-z_]\w*)(?P<default>:-.*)?", re.DOTALL)
_SCHEME = re.compile(r"(?:bearer|basic|token|digest)\s+", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<head>-{0,2}(?P<name>[A-Za-z][\w.-]*)=)(?P<value>.+)", re.DOTALL)
_OFTEN_SECRET = re.compile(r"(?:key|_pat|_dsn)$", re.IGNORECASE)
"""Names beyond those the journal hides: OPENAI_KEY, GITHUB_PAT, SENTRY_DSN."""

_NO_SECRETS = frozenset({"", "true", "false"})


@dataclass(frozen=True, slots=True)
class Translated:
    """A server in our words."""

    table: Mapping[str, Any]
    """Its table; empty when nothing can be made of it."""
    remarks: tuple[str, ...] = ()
    why_disabled: str = ""


class SecretReferences:
    """Environment variables in the place of secrets: equal secrets may share one, different ones never do."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self.stand_for: dict[str, str] = {}
        """By name, what each variable stands for; never the secret."""

    def to(self, secret: str, place: str, *wanted: str) -> str:
        """`${NAME}` for `secret`, with the first of the `wanted` names that is free."""
        names = [_variable(name) for name in wanted]
        names += (f"{names[-1]}_{number}" for number in range(2, len(self._secrets) + 3))
        name = next(name for name in names if self._secrets.setdefault(name, secret) == secret)
        self.stand_for.setdefault(name, place)
        return f"${{{name}}}"

    def note(self, name: str, place: str) -> None:
        """Remember that the variable `name` is referred to at `place`."""
        self.stand_for.setdefault(name, place)


def is_switchboard(name: str, server: Any) -> bool:
    """Whether a client's server is Switchboard itself, which must not stand behind itself."""
    entry = _object(server)
    command, args = _text(entry.get("command", "")), [_text(arg) for arg in _list(entry.get("args"))]
    program = PurePath(command.replace("\\", "/")).name.removesuffix(".exe")
    started = (
        program == "switchboard" or not _OWN_PACKAGES.isdisjoint(args) or {"switchboard", "serve"} <= {*args}
    )
    return started or (name == "switchboard" and "url" in entry)


def translate(name: str, server: Any, folder: Path, target: Path, references: SecretReferences) -> Translated:
    """The table of one server.

    Args:
        name: what the client calls it.
        server: as it stands in the client's file.
        folder: where the client starts it.
        target: the folder of the file the table is meant for; relative paths in it start there.
        references: what stands for secrets so far; added to.
    """
    entry = _object(server)
    ways = {way: entry[way] for way in ("command", "url") if isinstance(entry.get(way), str) and entry[way]}
    if not ways:
        return Translated({}, ("left out, it has neither a command nor a url",))
    rest = {key: value for key, value in entry.items() if key not in ("command", "url")}
    return _Translation(name, folder, target, references).upstream({**rest, **ways})


class _Translation:
    """The translation of one server; gathers on the way what it cannot express."""

    def __init__(self, name: str, folder: Path, target: Path, references: SecretReferences) -> None:
        self._name = name
        self._folder = folder
        self._target = target
        self._references = references
        self._not_understood: list[str] = []

    def upstream(self, entry: Mapping[str, Any]) -> Translated:
        table = self._process(entry) if "command" in entry else self._address(entry)
        left_out = sorted(entry.keys() - _KNOWN)
        remarks = [f"left out: {', '.join(left_out)}"] if left_out else []
        if problem := _problem(table):
            return Translated({}, (f"left out, {problem}",))
        why = ""
        if self._not_understood:
            why = f"put something in the place of {', '.join(self._not_understood)}"
            remarks.append(f"imported disabled: {why}")
        if why or entry.get("disabled") is True:
            table["enabled"] = False
        return Translated(table, tuple(remarks), why)

    def _process(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        table: dict[str, Any] = {"command": self._path("command", entry["command"])}
        if args := self._args([_text(arg) for arg in _list(entry.get("args"))]):
            table["args"] = args
        env = {
            key: self._env(key, _text(value))
            for key, value in _object(entry.get("env")).items()
            if value is not None
        }
        if env:
            table["env"] = env
        if cwd := entry.get("cwd"):
            table["cwd"] = self._path("cwd", _text(cwd))
        return table

    def _address(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        url = self._expanded("url", entry["url"])
        named = any(_is_secret(key) and value for key, value in parse_qsl(url.partition("?")[2]))
        if _holds_secret(url) or (named and "${" not in url):
            url = self._references.to(url, self._place("url"), f"{self._name}_url")
        headers = {
            key: self._header(key, _text(value))
            for key, value in _object(entry.get("headers")).items()
            if value is not None
        }
        kind, guess = entry.get("type", entry.get("transport")), ends_in_sse(entry["url"])
        transport = (
            {"transport": "sse" if kind == "sse" else "http"} if kind and guess != (kind == "sse") else {}
        )
        return {"url": url, **transport, **({"headers": headers} if headers else {})}

    def _args(self, args: list[str]) -> list[str]:
        return [
            self._arg(number, arg, after)
            for number, (arg, after) in enumerate(zip(args, ("", *args), strict=False), start=1)
        ]

    def _arg(self, number: int, arg: str, after: str) -> str:
        """An argument; one that follows a flag such as `--api-key` is secret whatever it looks like."""
        place = f"args[{number - 1}]"
        arg = self._expanded(place, arg)
        flag = after.lstrip("-") if after.startswith("-") and "=" not in after else ""
        if match := _ASSIGNMENT.fullmatch(arg):
            if _holds_secret(arg) or (_is_secret(match["name"]) and _is_literal(match["value"])):
                own = (f"{self._name}_{match['name']}",) if arg.startswith("-") else (match["name"],)
                return match["head"] + self._references.to(match["value"], self._place(place), *own)
        elif _holds_secret(arg) or (_is_secret(flag) and _is_literal(arg) and not arg.startswith("-")):
            wanted = f"{self._name}_{flag or f'arg_{number}'}"
            return self._references.to(arg, self._place(place), wanted)
        return arg

    def _env(self, key: str, value: str) -> str:
        place = f"env.{key}"
        value = self._expanded(place, value)
        if _holds_secret(value) or (_is_secret(key) and _is_literal(value)):
            return self._references.to(value, self._place(place), key, f"{self._name}_{key}")
        return value

    def _header(self, key: str, value: str) -> str:
        """A header; `Bearer` and the like stay in sight."""
        place = f"headers.{key}"
        value = self._expanded(place, value)
        if not (_holds_secret(value) or (_is_secret(key) and _is_literal(value))):
            return value
        scheme = match[0] if (match := _SCHEME.match(value)) else ""
        wanted = f"{self._name}_{'token' if key.lower() == 'authorization' else key}"
        return scheme + self._references.to(value.removeprefix(scheme), self._place(place), wanted)

    def _path(self, place: str, path: str) -> str:
        """A path that means the same beside the target; a bare command is looked up on PATH."""
        path = self._expanded(place, path)
        if _holds_secret(path):
            return self._references.to(path, self._place(place), f"{self._name}_{place}")
        is_bare = place == "command" and {"/", os.sep}.isdisjoint(path)
        if is_bare or path.startswith(("~", "${")) or self._folder == self._target:
            return path
        return str(self._folder / path)

    def _expanded(self, place: str, text: str) -> str:
        """`text` with the client's own variables replaced, as far as they have a meaning outside it."""
        return _REFERENCE.sub(lambda reference: self._replacement(place, reference), text)

    def _replacement(self, place: str, reference: re.Match[str]) -> str:
        inside = reference["inside"]
        if not reference["end"]:
            return f"${reference[0]}"  # no reference: our way to write a plain "${"
        own = {
            "workspaceFolder": str(self._folder),
            "workspaceFolderBasename": self._folder.name,
            "userHome": str(Path.home()),
            "pathSeparator": os.sep,
            "/": os.sep,
        }
        if inside in own:
            return own[inside]
        kind, _, asked = inside.partition(":")
        if kind == "input" and asked:
            return self._references.to(inside, f"what the client asks for as {asked!r}", asked)
        if match := _VARIABLE.fullmatch(inside):
            if match["default"] is None:
                self._references.note(match["name"], self._place(place))
        else:
            self._not_understood.append(reference[0])
        return reference[0]

    def _place(self, key: str) -> str:
        return f"{key} of {self._name}"


def _problem(table: Mapping[str, Any]) -> str:
    """Why the configuration would be refused with this table in it; an address with a reference cannot be judged."""
    judged = {**table, "prefix": "any", "enabled": not _STANDS_FOR.search(table.get("url", ""))}
    try:
        _UPSTREAM.validate_python(judged)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = (*first["loc"][1:], *first.get("ctx", {}).get("at", ()))  # the first part is pydantic's tag
        return f"its {'.'.join(map(str, place))} {first['msg']}"
    return ""


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or bool(_OFTEN_SECRET.search(name))


def _is_literal(value: str) -> bool:
    """Whether a value stands there itself, rather than by reference, and says anything."""
    return "${" not in value and value.lower() not in _NO_SECRETS


def _holds_secret(text: str) -> bool:
    """Whether a credential stands in `text`, references aside; their defaults are looked at too."""
    if "${" in text:
        text = _SCHEME.sub("", _REFERENCE.sub(lambda reference: reference["inside"].partition(":-")[2], text))
    return redact_text(text) != text


def _variable(name: str) -> str:
    """A name an environment variable may have; one that already is is left as it is."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return name if name.isupper() else name.upper()
    legal = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").upper()
    return f"_{legal}" if not legal or legal[0].isdigit() else legal


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
