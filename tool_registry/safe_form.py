"""The form of an inputSchema that every client takes. For showing only: a call is validated by the original.

Some clients and APIs refuse a tool, or a whole request, over a combinator at the top of one schema, an older draft's
keyword, or a `$ref`. What they cannot be told is left out, so the form may be looser than the original; it asks for
no parameter that the original does not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from jsonschema.exceptions import SchemaError

from tool_registry.dialect import TooLargeError, readable
from tool_registry.keywords import PLAIN

_COMBINATORS = ("allOf", "anyOf", "oneOf")
_CONDITIONAL = ("then", "else")
_TOP_LEVEL = ("description", "title", "$defs", "definitions")
"""What a schema may keep at its top beside its properties, as it is."""
_BESIDE_REF = frozenset({"$ref", "title", "description", "default", "examples", "deprecated"})
_DEPTH = 4
"""How deeply combinators at the top are looked into."""
_INLINED_LIMIT = 5_000
"""How many schemas a form with its references written out may have; from there on, anything is allowed."""
_ANYTHING: Mapping[str, Any] = {}

Schema = Mapping[str, Any]


def client_safe(schema: Schema, *, inline_refs: bool = False) -> dict[str, Any]:
    """`schema` as a 2020-12 schema of an object, with its properties at the top and no combinator there.

    Alternatives become one set of properties, of which those are required that every alternative requires; where
    they disagree on a property, it takes what any of them takes. What cannot be said in 2020-12 allows anything.

    Args:
        schema: an inputSchema, in whatever state.
        inline_refs: write local references out, for clients that follow none; a recursive one allows anything.
    """
    try:
        read = readable({key: value for key, value in schema.items() if key != "$schema"})
        root = _without_siblings(read.schema) if _ignores_siblings(schema) else read.schema
    except (TooLargeError, RecursionError):
        return {"type": "object", "properties": {}, "required": []}
    properties = {name: _any_of(ways) for name, ways in _properties(root, root, _DEPTH).items()}
    top = {key: root[key] for key in _TOP_LEVEL if key in root}
    form: dict[str, Any] = {
        **top,
        "type": "object",
        "properties": {
            name: member if _is_modern(member) else _ANYTHING for name, member in properties.items()
        },
        "required": [*dict.fromkeys(_required(root, root, _DEPTH))],
        **_additional(root),
    }
    if not _is_modern(form):
        return {"type": "object", "properties": dict.fromkeys(properties, _ANYTHING), "required": []}
    return _Inlining(form).whole() if inline_refs else form


def flattened(definition: Schema) -> Schema:
    """A Tool object without a combinator at the top of its inputSchema; itself, if it has none there."""
    schema = _object(definition.get("inputSchema"))
    if not any(keyword in schema for keyword in _COMBINATORS):
        return definition
    return {**definition, "inputSchema": client_safe(schema)}


def _ignores_siblings(schema: Schema) -> bool:
    """Whether its draft ignores what stands beside a `$ref`; from 2019-09 on it counts."""
    declared = schema.get("$schema")
    return isinstance(declared, str) and "/draft-0" in declared


def _without_siblings(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_siblings(item) for item in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    members = {key: _without_siblings(member) for key, member in cast("Schema", value).items()}
    if not isinstance(members.get("$ref"), str):
        return members
    kept = _BESIDE_REF | {"$defs", "definitions"}
    return {key: member for key, member in members.items() if key in kept}


def _properties(schema: Schema, root: Schema, depth: int) -> dict[str, list[Any]]:
    """Every property that the schema or what it combines names, with all that is said of it."""
    named: dict[str, list[Any]] = {}
    for part in _parts(schema, root, depth):
        for name, member in _object(part.get("properties")).items():
            ways = named.setdefault(name, [])
            if member not in ways:
                ways.append(member)
    return named


def _parts(schema: Schema, root: Schema, depth: int) -> Iterator[Schema]:
    """The schema and whatever it combines at its top."""
    yield schema
    if depth == 0:
        return
    inner = [_referenced(schema.get("$ref"), root), *(_object(schema.get(key)) for key in _CONDITIONAL)]
    for key in _COMBINATORS:
        inner += _branches(schema, key)
    for part in inner:
        if part:
            yield from _parts(part, root, depth - 1)


def _required(schema: Schema, root: Schema, depth: int) -> list[str]:
    """What every call needs: what the schema requires, and what each of its alternatives does."""
    names = [name for name in _array(schema.get("required")) if isinstance(name, str)]
    if depth == 0:
        return names
    for part in (_referenced(schema.get("$ref"), root), *_branches(schema, "allOf")):
        names += _required(part, root, depth - 1)
    for key in ("anyOf", "oneOf"):
        needs = [_required(branch, root, depth - 1) for branch in _branches(schema, key)]
        names += [name for name in needs[0] if all(name in others for others in needs)] if needs else []
    return names


def _additional(root: Schema) -> dict[str, Any]:
    """`additionalProperties`, unless there are patterns, which are not told, or a reference that may name more."""
    allowed = root.get("additionalProperties")
    told = allowed is not None and not root.get("patternProperties") and _is_modern(allowed)
    return {"additionalProperties": allowed} if told else {}


def _any_of(ways: list[Any]) -> Any:
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def _branches(schema: Schema, key: str) -> list[Schema]:
    return [_object(branch) for branch in _array(schema.get(key))]


def _referenced(reference: object, root: Schema) -> Schema:
    """What a local reference leads to; an empty schema for any other."""
    return _object(_target(reference, root))


def _target(reference: object, root: Schema) -> Any:
    """What a JSON Pointer into the schema leads to, or None."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    here: Any = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and key in here:
            here = cast("Schema", here)[key]
        elif isinstance(here, list) and key.isdecimal() and int(key) < len(cast("list[Any]", here)):
            here = cast("list[Any]", here)[int(key)]
        else:
            return None
    return here


def _is_modern(schema: Any) -> bool:
    """Whether it is a valid schema of 2020-12."""
    try:
        PLAIN["2020-12"].check_schema(schema, format_checker=None)
    except (SchemaError, RecursionError):
        return False
    return True


@dataclass(slots=True)
class _Inlining:
    """One schema with its references being written out."""

    root: Schema
    left: int = field(default=_INLINED_LIMIT)

    def whole(self) -> dict[str, Any]:
        plain = {key: member for key, member in self.root.items() if key not in {"$defs", "definitions"}}
        return cast("dict[str, Any]", self._written_out(plain, ()))

    def _written_out(self, value: Any, inside: tuple[str, ...]) -> Any:
        """`value` with references written out; `inside` are those that it stands in."""
        if isinstance(value, list):
            return [self._written_out(item, inside) for item in cast("list[Any]", value)]
        if not isinstance(value, Mapping):
            return value
        schema = cast("Schema", value)
        self.left -= 1
        reference = schema.get("$ref")
        if self.left < 0:
            return {}
        if not isinstance(reference, str):
            written = {key: self._written_out(member, inside) for key, member in schema.items()}
            # Some APIs refuse an array of which they are not told what is in it.
            return {"items": {}, **written} if written.get("type") == "array" else written
        target = _target(reference, self.root)
        about = {key: member for key, member in schema.items() if key in _BESIDE_REF and key != "$ref"}
        if reference in inside or not isinstance(target, Mapping):
            return about
        return {**self._written_out(target, (*inside, reference)), **about}


def _object(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, Mapping) else {}


def _array(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
