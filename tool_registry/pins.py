"""Pins: the definition of each tool that is trusted, and what becomes of an offer that differs from it.

Trust on first use: what an upstream lists when nothing is known of it is trusted, and held to from then on.
Knows neither where pins are kept nor who accepts a change.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, cast

from tool_registry.catalog import Definition, Offer
from tool_registry.naming import qualify
from tool_registry.unseen import spelled_out

PINNED = ("title", "description", "inputSchema", "outputSchema", "annotations")
"""The fields a pin holds a tool to: what a model reads, and what decides how a call is checked and approved.

Not `icons`, `_meta` and `execution`, which no model reads and some servers fill anew on every start.
"""

_VERSION = 1
"""Of the fingerprint. Pins keep whole definitions, so a new version needs no migration."""

_DEEPEST = 100
"""Levels of nesting a definition may have to be compared; none that is written in earnest comes near."""

_FORMER = 10
"""How many definitions trusted before are remembered of a tool."""

_SETS = frozenset({"required", "enum", "type"})
"""Keywords of JSON Schema whose arrays have no order: some servers list them in another one on every start."""

_PIECE = re.compile(r"(?<=[.!?] )|(?<=\n)")

Answer = Literal["allow", "ask"]
OnChanged = Literal["quarantine", "warn"]


class TooDeepError(ValueError):
    """A definition is nested too deeply to be compared."""


class Standing(StrEnum):
    """How a tool stands to its pin."""

    TRUSTED = "trusted"
    CHANGED = "changed"
    NEW = "new"
    """Never trusted yet."""
    GONE = "gone"
    """Trusted, and not offered any longer."""


FLAGGED = "has a definition that looks like an attack"
"""Why a tool is quarantined whose words the scan marks."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What is remembered of one tool of one upstream."""

    name: str
    """The upstream's own name for it."""
    trusted: Definition | None = None
    """The definition it is held to; None before any has been trusted."""
    waiting: Definition | None = None
    """A definition that was offered instead, and waits for a person to look at it."""
    gone: bool = False
    former: tuple[str, ...] = ()
    """Fingerprints of what was trusted before, newest first. Going back to it is no news: a session that began
    before an update was accepted still offers it."""

    @property
    def standing(self) -> Standing:
        if self.trusted is None:
            return Standing.NEW
        if self.waiting is not None:
            return Standing.CHANGED
        return Standing.GONE if self.gone else Standing.TRUSTED

    def accepted(self) -> "Pin":
        """The pin with what waits trusted."""
        if self.waiting is None:
            return self
        before = self.former if self.trusted is None else (fingerprint(self.trusted), *self.former)
        return replace(self, trusted=self.waiting, waiting=None, former=before[:_FORMER])


@dataclass(frozen=True, slots=True)
class Rules:
    """What becomes of what was not trusted before."""

    on_new: Answer = "allow"
    """A tool that an upstream did not have when it was first seen."""
    on_changed: OnChanged = "quarantine"
    on_flagged: Answer = "ask"
    """A tool never seen before whose definition looks like an attack."""


@dataclass(frozen=True, slots=True)
class Review:
    """An offer held against the pins."""

    offer: Offer
    """What may be shown: quarantined tools in it have the trusted definition, or an empty one."""
    updates: tuple[Pin, ...]
    """The pins that have to be kept anew."""


def pinned_part(tool: Definition) -> dict[str, Any]:
    """What a pin holds a tool to: its name and those of the `PINNED` fields that it has."""
    return {field: tool[field] for field in ("name", *PINNED) if tool.get(field) is not None}


def fingerprint(tool: Definition) -> str:
    """The version and SHA-256 of what a pin holds a tool to; the order of keys and of sets makes no difference.

    Raises:
        TooDeepError: the definition is nested too deeply.
    """
    text = _as_text(_canonical(pinned_part(tool), _DEEPEST))
    return f"{_VERSION}:{hashlib.sha256(text.encode()).hexdigest()}"


def review(
    offer: Offer, pins: Mapping[str, Pin], rules: Rules, is_flagged: Callable[[Definition], bool]
) -> Review:
    """Hold an offer against the pins of its upstream.

    Args:
        offer: everything the upstream lists.
        pins: what is remembered of it, by tool; empty for one that is seen for the first time.
        rules: what becomes of what was not trusted before.
        is_flagged: whether a definition looks like an attack; asked only about tools never trusted.
    """
    found: dict[str, Pin] = {}
    quarantined: dict[str, str] = {}
    shown: list[Definition] = []
    for tool in offer.tools:
        name = tool.get("name")
        if not isinstance(name, str) or name in found:
            shown.append(tool)  # the catalog leaves it out, and says so
            continue
        pin, reason = _judged(name, tool, pins, rules, is_flagged)
        found[name] = pin
        if reason:
            quarantined[name] = _told(qualify(offer.prefix, name), reason)
        shown.append(_withheld(pin) if reason else tool)
    gone = (replace(pin, gone=True) for name, pin in pins.items() if name not in found and not pin.gone)
    updates = (*(pin for name, pin in found.items() if pins.get(name) != pin), *gone)
    admitted = replace(offer, tools=tuple(shown), quarantined=MappingProxyType(quarantined))
    return Review(admitted, updates)


def changed_fields(before: Definition, after: Definition) -> tuple[str, ...]:
    """The pinned fields in which two definitions of a tool differ."""
    return tuple(
        field
        for field in PINNED
        if _canonical(before.get(field), _DEEPEST) != _canonical(after.get(field), _DEEPEST)
    )


def diff(before: Definition | None, after: Definition) -> Iterator[str]:
    """The lines in which two definitions of a tool differ, field by field, as a unified diff.

    Texts are cut into sentences, schemas into the lines of sorted JSON; what cannot be seen is spelled out.
    None stands for a tool that was not there.
    """
    for field in changed_fields(before or {}, after):
        old, new = (_pieces(definition.get(field)) for definition in (before or {}, after))
        lines = unified_diff(old, new, lineterm="", n=2)
        yield f"{field}:"
        yield from (f"  {line}" for line in list(lines)[2:] if not line.startswith("@@"))


def _judged(
    name: str,
    tool: Definition,
    pins: Mapping[str, Pin],
    rules: Rules,
    is_flagged: Callable[[Definition], bool],
) -> tuple[Pin, str]:
    """The pin of an offered tool from now on, and why it is quarantined, if it is."""
    pin, offered = pins.get(name, Pin(name)), pinned_part(tool)
    pin, trusted = replace(pin, waiting=None, gone=False), pin.trusted
    try:
        if trusted is None:
            reason = _against_a_newcomer(offered, rules, is_flagged, first=not pins)
            return (replace(pin, waiting=offered) if reason else replace(pin, trusted=offered)), reason
        # Most often the very same text; then nothing need be put in order to see it.
        if _as_text(trusted) == _as_text(offered) or _is_trusted(offered, pin):
            return pin, ""
        fields = " and ".join(changed_fields(trusted, offered))
    except (TooDeepError, RecursionError):
        return pin, f"is nested more than {_DEEPEST} levels deep, and cannot be compared"
    reason = f"has another {fields} than the one that was trusted"
    return replace(pin, waiting=offered), reason if rules.on_changed == "quarantine" else ""


def _is_trusted(offered: Definition, pin: Pin) -> bool:
    """Whether a definition is, or once was, the trusted one."""
    mark = fingerprint(offered)
    return mark in pin.former or (pin.trusted is not None and mark == fingerprint(pin.trusted))


def _against_a_newcomer(
    offered: Definition, rules: Rules, is_flagged: Callable[[Definition], bool], *, first: bool
) -> str:
    """Why a tool that was never trusted is quarantined; empty if it is not.

    Raises:
        TooDeepError: nothing it turned into could be told from it.
    """
    fingerprint(offered)
    if rules.on_new == "ask" and not first:
        return "is new on this server"
    if rules.on_flagged == "ask" and is_flagged(offered):
        return FLAGGED
    return ""


def _told(qualified: str, reason: str) -> str:
    return (
        f"{qualified} is quarantined and cannot be called: it {reason}. A person has to look at it "
        f"(`switchboard pins diff {qualified}`) and may accept it (`switchboard pins accept {qualified}`)"
    )


def _withheld(pin: Pin) -> Definition:
    """What stands for a quarantined tool: nothing that has not been trusted, whatever is offered."""
    return pin.trusted or {"name": pin.name, "inputSchema": {"type": "object"}}


def _canonical(value: Any, depth: int, key: str = "") -> Any:
    """A JSON value in which what means the same to a schema is the same: 1 and 1.0, sets in any order."""
    if not depth:
        raise TooDeepError
    match value:
        case dict():
            members = cast("dict[str, Any]", value).items()
            return {name: _canonical(inner, depth - 1, name) for name, inner in members}
        case list() | tuple():
            items = [_canonical(item, depth - 1) for item in cast("Sequence[Any]", value)]
            return sorted(items, key=_as_text) if key in _SETS else items
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _pieces(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [spelled_out(piece) for piece in _PIECE.split(value) if piece]
    lines: Iterable[str] = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")
    return [spelled_out(line) for line in lines]
