"""An inputSchema as a stranger wrote it → one that can be compiled, in the draft it is written in.

Bounds its size and depth, reads the common slips of hand-written schemas as they are meant, and takes out
what nothing can be judged by. Knows no validator: drafts are names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tool_registry.patterns import UnusablePatternError, matcher

Draft = Literal["2020-12", "2019-09", "draft-07", "draft-06", "draft-04", "draft-03"]

DEPTH_LIMIT = 64
"""How deeply a schema may nest. The deepest of 8,494 published MCP tools nests 18 levels."""

NODE_LIMIT = 20_000
"""How many values a schema may consist of. The largest of the same tools has 2,210."""

_NAMED = re.compile(
    r"https?://json-schema\.org/(?:draft/(2020-12|2019-09)/schema|(draft-0[3467])/schema)#?\s*$"
)
_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
"""Keywords whose members are schemas under names of the author's choice."""
_DATA = frozenset({"const", "enum", "default", "examples", "example"})
"""Keywords whose value is no schema."""
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")


class TooLargeError(ValueError):
    """A schema beyond `DEPTH_LIMIT` or `NODE_LIMIT`."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A schema as it can be compiled."""

    schema: dict[str, Any]
    drafts: tuple[Draft, ...]
    """What it may be written in, likeliest first."""
    unjudged: tuple[str, ...]
    """What was taken out because nothing can be judged by it, each with its place and why."""

    @property
    def declared_names(self) -> frozenset[str]:
        """Every property that the schema names anywhere."""
        return frozenset(_declared(self.schema))


def readable(schema: Mapping[str, Any]) -> Readable:
    """`schema` in a form that can be compiled. The original is left alone.

    - No `$schema` remains: inside, one could switch to another draft half-way.
    - `"nullable": true` (OpenAPI) allows null; `"required": true` in a property (draft-03) makes it required;
      `"exclusiveMinimum": true` (draft-04) makes the `minimum` beside it exclusive.
    - A pattern that cannot be matched in linear time is taken out; so is `unevaluatedProperties` beside
      `patternProperties`, and a value that holds a `$schema`.

    Raises:
        TooLargeError: it is too deep or too large.
    """
    drafts = _drafts(schema.get("$schema"))
    _measure(schema)
    reading = _Reading(is_legacy=drafts[0] in {"draft-03", "draft-04"}, has_patterns=_has_patterns(schema))
    return Readable(reading.schema(schema, ""), drafts, tuple(reading.unjudged))


def _drafts(declared: object) -> tuple[Draft, ...]:
    """The draft that is declared, then those that authors who declare none or another write in."""
    named = _NAMED.match(declared) if isinstance(declared, str) else None
    first = cast("Draft", named[1] or named[2]) if named else "2020-12"
    return tuple(dict.fromkeys((first, *cast("tuple[Draft, ...]", ("2020-12", "draft-07", "draft-04")))))


def _measure(schema: Mapping[str, Any]) -> None:
    level: list[Any] = [schema]
    nodes = 0
    for _ in range(DEPTH_LIMIT):
        nodes += len(level)
        if nodes > NODE_LIMIT:
            raise TooLargeError(f"the schema has more than {NODE_LIMIT:,} values")
        level = [child for value in level for child in children_of(value)]
        if not level:
            return
    raise TooLargeError(f"the schema is nested more than {DEPTH_LIMIT} levels deep")


def children_of(value: Any) -> Iterator[Any]:
    """The values in an object or array."""
    if isinstance(value, Mapping):
        yield from cast("Mapping[str, Any]", value).values()
    elif isinstance(value, list):
        yield from cast("list[Any]", value)


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in children_of(value):
        yield from _descendants(child)


def _declared(schema: Mapping[str, Any]) -> Iterator[str]:
    for node in _descendants(schema):
        members = cast("Mapping[str, Any]", node).get("properties") if isinstance(node, Mapping) else None
        if isinstance(members, Mapping):
            yield from cast("Mapping[str, Any]", members)


def _has_patterns(schema: Mapping[str, Any]) -> bool:
    return any(isinstance(node, Mapping) and "patternProperties" in node for node in _descendants(schema))


def _holds_schema_uri(value: Any) -> bool:
    return any(
        isinstance(node, Mapping) and isinstance(cast("Mapping[str, Any]", node).get("$schema"), str)
        for node in _descendants(value)
    )


@dataclass(slots=True)
class _Reading:
    """One schema being read."""

    is_legacy: bool
    """The slips below are right in its draft."""
    has_patterns: bool
    unjudged: list[str] = field(default_factory=list[str])

    def member(self, schema: Any, at: str) -> Any:
        # jsonschema does not say where a value is that `false` forbids.
        return {"not": {}} if schema is False else self.any(schema, at)

    def any(self, value: Any, at: str) -> Any:
        if isinstance(value, Mapping):
            return self.schema(cast("Mapping[str, Any]", value), at)
        if isinstance(value, list):
            return [self.any(item, f"{at}/{index}") for index, item in enumerate(cast("list[Any]", value))]
        return value

    def schema(self, schema: Mapping[str, Any], at: str) -> dict[str, Any]:
        read: dict[str, Any] = {}
        # Last, so that the step limit has met whatever they would walk through a second time.
        for key in sorted(schema, key=_UNEVALUATED.__contains__):
            value, place = schema[key], f"{at}/{key}"
            if key in _DATA:
                if not self._out(_holds_schema_uri(value), place, "a value with a $schema in it"):
                    read[key] = value
            elif key in _MAPS and isinstance(value, Mapping):
                members = cast("Mapping[str, Any]", value)
                read[key] = {name: self.member(member, f"{place}/{name}") for name, member in members.items()}
            elif key != "$schema" or not isinstance(value, str):
                read[key] = self.any(value, place)
        self._without_unusable_patterns(read, at)
        if self._out(
            self.has_patterns and "unevaluatedProperties" in read,
            f"{at}/unevaluatedProperties",
            "patternProperties beside it",
        ):
            del read["unevaluatedProperties"]
        if not self.is_legacy:
            _hoist_required(read)
            _make_exclusive(read, "minimum", "exclusiveMinimum")
            _make_exclusive(read, "maximum", "exclusiveMaximum")
        return _with_null(read) if read.get("nullable") is True else read

    def _without_unusable_patterns(self, read: dict[str, Any], at: str) -> None:
        if self._is_unusable(read.get("pattern"), f"{at}/pattern"):
            del read["pattern"]
        patterned = read.get("patternProperties")
        if isinstance(patterned, dict):
            members = cast("dict[str, Any]", patterned)
            kept = {
                pattern: member
                for pattern, member in members.items()
                if not self._is_unusable(pattern, f"{at}/patternProperties")
            }
            read["patternProperties"] = kept
            if len(kept) < len(members):
                # Which names are additional cannot be said any more.
                read.pop("additionalProperties", None)

    def _is_unusable(self, pattern: object, at: str) -> bool:
        if not isinstance(pattern, str):
            return False
        try:
            matcher(pattern)
        except UnusablePatternError as error:
            return self._out(True, at, f"the pattern {pattern[:80]!r} ({error})")
        return False

    def _out(self, is_out: bool, at: str, why: str) -> bool:
        if is_out:
            self.unjudged.append(f"{at}: {why}")
        return is_out


def _hoist_required(schema: dict[str, Any]) -> None:
    """`"required": true` in a property, a common slip: it says of the property what the object should say."""
    properties = schema.get("properties")
    for name, member in cast("dict[str, Any]", properties).items() if isinstance(properties, dict) else ():
        if isinstance(member, dict) and isinstance(cast("dict[str, Any]", member).get("required"), bool):
            needed = cast("dict[str, Any]", member).pop("required")
            listed = schema.get("required", [])
            if needed and isinstance(listed, list) and name not in listed:
                schema["required"] = [*cast("list[Any]", listed), name]


def _make_exclusive(schema: dict[str, Any], bound: str, exclusive: str) -> None:
    if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
        schema[exclusive] = schema.pop(bound)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds, values = schema.get("type"), schema.get("enum")
    if isinstance(kinds, str) and kinds != "null":
        schema["type"] = [kinds, "null"]
    elif isinstance(kinds, list) and "null" not in kinds:
        schema["type"] = [*cast("list[Any]", kinds), "null"]
    if isinstance(values, list) and None not in values:
        schema["enum"] = [*cast("list[Any]", values), None]
    return schema
