"""A tool's inputSchema as a signature: what a model needs to call it, in a tenth of the tokens."""

import json
from collections.abc import Mapping
from typing import Any, cast

_DEEPEST = 2
"""What is nested more deeply than this is shown as `object` or `any`."""

_OPTIONS = 12
"""Enum values that are shown; of more, the first ones and `…`."""

_COMBINATORS = ("anyOf", "oneOf")


def signature(name: str, schema: Mapping[str, Any]) -> str:
    """`name` with the parameters of `schema`: `add(title: string, tags?: string[], kind?: "note" | "task")`.

    Optional parameters end in `?`. Types are written as TypeScript has them, as most models know them best.
    """
    return f"{name}({_members(schema, schema, 0)})"


def _members(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    required = _list(schema.get("required"))
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(_object(about), root, depth)}"
        for name, about in _object(schema.get("properties")).items()
    )


def _type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    schema = _resolved(schema, root)
    if "const" in schema:
        return _literal(schema["const"])
    if options := _list(schema.get("enum")):
        return " | ".join([*map(_literal, options[:_OPTIONS]), *(["…"] if len(options) > _OPTIONS else [])])
    for combinator in _COMBINATORS:
        if branches := _list(schema.get(combinator)):
            if depth > _DEEPEST:
                return "any"
            return " | ".join(dict.fromkeys(_type(_object(branch), root, depth + 1) for branch in branches))
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return " | ".join(_plain({**schema, "type": kind}, root, depth) for kind in cast("list[str]", kinds))
    return _plain(schema, root, depth)


def _plain(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    """A schema with one type, or none."""
    match schema.get("type"):
        case "array":
            item = _type(_object(schema.get("items")), root, depth + 1) if depth <= _DEEPEST else "any"
            return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"
        case "object":
            members = _members(schema, root, depth + 1) if depth < _DEEPEST else ""
            return f"{{{members}}}" if members else "object"
        case str() as kind:
            return kind
        case _:
            return "object" if "properties" in schema else "any"


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local `$ref` of the plain kind leads to; anything else as it is."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    found: Any = root
    for part in reference[2:].split("/"):
        found = _object(found).get(part.replace("~1", "/").replace("~0", "~"))
    target = _object(found)
    return schema if "$ref" in target else target


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
