"""What may be meant where arguments are wrong: for one fault, the edits that would lose nothing. Proposals only.

Whether an edit puts anything right is not known here; repair.py finds out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from tool_registry import spelling
from tool_registry.faults import Fault, Path, pointer_of
from tool_registry.problems import is_secret, quoted
from tool_registry.spelling import NOTHING

_SEPARATORS = ",;\n["
"""A text with one of these may stand for several items."""


class Kind(StrEnum):
    """What a repair does."""

    NUMBER = "number"
    """A text that is a number becomes it: "5" → 5."""
    BOOLEAN = "boolean"
    """The text "true" becomes true."""
    NULL = "null"
    """The text "null" becomes null."""
    JSON = "json"
    """A text that is JSON becomes the object or array it is."""
    LIST = "list"
    """One item becomes a list of it."""
    OPTION = "option"
    """The option that is meant, but for its case, its separators, or its end."""
    DATE = "date"
    """20261121 → 2026-11-21; midnight of a day → the day."""
    NAME = "name"
    """A parameter gets the name that it misses by a hair."""
    DEFAULT = "default"
    """A required parameter that was left out gets the default its schema declares."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing put right."""

    pointer: str
    """JSON Pointer (RFC 6901) into the repaired arguments."""
    kind: Kind
    before: Any
    """The value as it came; for a name, the name. None for a default."""
    after: Any
    secret: bool = False
    """Neither value may be shown."""

    def __str__(self) -> str:
        before, after = ("(not shown)",) * 2 if self.secret else (quoted(self.before), quoted(self.after))
        match self.kind:
            case Kind.NAME:
                return f"{self.pointer}: was called {self.before}"
            case Kind.DEFAULT:
                return f"{self.pointer}: was left out, and has its declared default {after}"
            case Kind.LIST:
                return f"{self.pointer}: {before} was put into a list"
            case Kind.JSON:
                # Anything may stand in the text, secrets included.
                return f"{self.pointer}: a text was read as the JSON it is, {after}"
            case _:
                return f"{self.pointer}: {before} was read as {after}"

    def described(self) -> dict[str, str]:
        """The repair as JSON, without the values it must not show."""
        return {"pointer": self.pointer, "kind": self.kind.value, "text": str(self)}


@dataclass(frozen=True, slots=True)
class Edit:
    """A value to put in a place."""

    path: Path
    value: Any
    repair: Repair


def ranked_edits(fault: Fault, declared: frozenset[str]) -> Iterator[list[Edit]]:
    """What may be meant where a fault is: the likeliest rank first. Two that fit in one rank are two readings.

    Args:
        fault: what is wrong.
        declared: every property that the schema names anywhere; none of them is a misspelling.
    """
    match fault.keyword:
        case "type":
            yield [*edits_of_value(fault)]
            yield [*_put_into_list(fault)]
        case "enum":
            yield [*_of_value(fault, Kind.OPTION, spelling.option(fault.value, fault.wanted))]
        case "const":
            yield [*_of_value(fault, Kind.OPTION, spelling.option(fault.value, [fault.wanted]))]
        case "format" if fault.wanted == "date":
            yield [*_of_value(fault, Kind.DATE, spelling.as_date(fault.value))]
        case "required" if fault.missing is not None:
            missing = fault.missing
            written = [name for name in _unknown(fault, declared) if spelling.is_near(name, missing)]
            yield [edit for name in written for edit in _renamed(fault, fault.path, name, declared)]
            yield [*_default(fault, fault.missing)]
        case "additionalProperties":
            *parent, written = fault.path
            yield [*_renamed(fault, tuple(parent), str(written), declared)]
        case _:
            return


def steps_of(fault: Fault) -> int:
    """What `ranked_edits` takes for a fault, in the steps of a check."""
    value, properties = fault.value, fault.schema.get("properties")
    match fault.keyword:
        case "type":
            return len(value) // 500 if isinstance(value, str) else 0
        case "enum":
            return len(fault.wanted) // 2
        case "required" | "additionalProperties":
            return (len(value) + len(cast("Mapping[str, Any]", properties or {}))) // 2
        case _:
            return 0


def edits_of_value(fault: Fault) -> Iterator[Edit]:
    """Other spellings of a value that has none of the types wanted."""
    value = fault.value
    for kind in _named(fault.wanted):
        if isinstance(value, str):
            what, spelled = spelled_as(value, kind)
            yield from _of_value(fault, what, spelled)
        elif kind == "integer" and isinstance(value, float) and value.is_integer():
            yield from _of_value(fault, Kind.NUMBER, int(value))


def spelled_as(text: str, kind: str) -> tuple[Kind, Any]:
    """The value of JSON type `kind` that `text` spells, or `NOTHING`."""
    match kind:
        case "integer" | "number":
            value = spelling.number(text)
            is_whole = kind == "number" or not isinstance(value, float)
            return Kind.NUMBER, value if is_whole else NOTHING
        case "boolean":
            return Kind.BOOLEAN, spelling.boolean(text)
        case "null":
            return Kind.NULL, spelling.null(text)
        case "object":
            return Kind.JSON, spelling.container(text, dict)
        case "array":
            return Kind.JSON, spelling.container(text, list)
        case _:
            return Kind.JSON, NOTHING


def _named(kinds: Any) -> Sequence[str]:
    listed = cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]
    return [kind for kind in listed if isinstance(kind, str)]


def _of_value(fault: Fault, kind: Kind, value: Any) -> Iterator[Edit]:
    if value is not NOTHING:
        secret = is_secret(fault.path, fault.schema)
        yield Edit(fault.path, value, Repair(pointer_of(fault.path), kind, fault.value, value, secret))


def _put_into_list(fault: Fault) -> Iterator[Edit]:
    """One item where a list is wanted. A text that may be several items is left alone."""
    value = fault.value
    is_several = isinstance(value, str) and not set(_SEPARATORS).isdisjoint(value)
    if "array" in _named(fault.wanted) and value is not None and not is_several:
        yield from _of_value(fault, Kind.LIST, [value])


def _unknown(fault: Fault, declared: frozenset[str]) -> list[str]:
    """The names in an object that the schema names nowhere."""
    return [name for name in cast("Mapping[str, Any]", fault.value) if name not in declared]


def _renamed(fault: Fault, path: Path, written: str, declared: frozenset[str]) -> Iterator[Edit]:
    """The object at `path` with one of its unknown names as the absent one that it misses."""
    given = cast("Mapping[str, Any]", fault.value)
    absent = [name for name in fault.schema.get("properties", {}) if name not in given]
    unknown = _unknown(fault, declared)
    name = spelling.near_miss(written, unknown, absent) if written in unknown else None
    if name is not None:
        renamed = {name if key == written else key: value for key, value in given.items()}
        yield Edit(path, renamed, Repair(pointer_of((*path, name)), Kind.NAME, written, name))


def _default(fault: Fault, missing: str) -> Iterator[Edit]:
    """The object with the declared default of what it leaves out."""
    about = fault.schema.get("properties", {}).get(missing)
    if isinstance(about, Mapping) and "default" in about:
        value = cast("Mapping[str, Any]", about)["default"]
        place = (*fault.path, missing)
        secret = is_secret(place, cast("Mapping[str, Any]", about))
        repair = Repair(pointer_of(place), Kind.DEFAULT, None, value, secret)
        yield Edit(fault.path, {**fault.value, missing: value}, repair)
