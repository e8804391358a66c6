"""A fast test for the plain schemas most tools have: True means that jsonschema would find nothing wrong.

False means nothing at all. So every rule here may be stricter than JSON Schema, and none may be looser:
tests/registry/test_quick.py holds it to that.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from tool_registry.dialect import Draft, children_of
from tool_registry.keywords import BRIEF, METER, Meter, TooManyStepsError
from tool_registry.patterns import matcher
from tool_registry.spelling import is_date, is_date_time

QuickCheck = Callable[[Any], bool]

_ANNOTATIONS = frozenset(
    "title description default examples example deprecated readOnly writeOnly nullable $comment $defs "
    "definitions".split()
)
"""Keywords that no value can fail. `$id` and the like are not among them: they change what a reference means."""

_TYPES: Mapping[str, type] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "array": list,
    "object": dict,
    "null": type(None),
}


_LOOKS_LIMIT = 16
"""How often a value may be looked at. 16 is the most that any of 4,406 published tools needs."""


def quick_check(schema: Any, draft: Draft) -> QuickCheck | None:
    """The test for `schema`, or None if it uses more than is known here."""
    if draft == "draft-03" or _looks(schema) > _LOOKS_LIMIT:
        return None
    check = _check(schema)
    return _briefly(check) if check and _has_pattern(schema) else check


def _looks(schema: Any) -> int:
    """How often a single value is looked at, at most: once for each alternative that it may stand in."""
    if not isinstance(schema, dict):
        return 1
    members = cast("dict[str, Any]", schema)
    alternatives, named = members.get("anyOf"), members.get("properties")
    inside = [members[key] for key in ("items", "additionalProperties") if key in members]
    inside += cast("dict[str, Any]", named).values() if isinstance(named, dict) else ()
    looks = map(_looks, cast("list[Any]", alternatives)) if isinstance(alternatives, list) else ()
    return max([1, *map(_looks, inside)]) + sum(looks)


def _has_pattern(schema: Any) -> bool:
    is_pattern = isinstance(schema, Mapping) and "pattern" in schema
    return is_pattern or any(map(_has_pattern, children_of(schema)))


def _briefly(check: QuickCheck) -> QuickCheck:
    """The test, which says nothing where it would take long."""

    def test(value: Any) -> bool:
        token = METER.set(Meter(BRIEF))
        try:
            return check(value)
        except TooManyStepsError:
            return False
        finally:
            METER.reset(token)

    return test


def _check(schema: Any) -> QuickCheck | None:
    if schema is True:
        return _always
    if not isinstance(schema, dict):
        return None
    parts: list[QuickCheck] = []
    for keyword, value in cast("dict[str, Any]", schema).items():
        if keyword in _ANNOTATIONS or keyword in {"required", "additionalProperties"}:
            continue
        make = _MAKERS.get(keyword)
        part = make(value) if make else None
        if part is None:
            return None
        parts.append(part)
    objects = _object_check(cast("dict[str, Any]", schema))
    if objects is None:
        return None
    if objects is not _always:
        parts.append(objects)
    return _all_of(parts)


def _always(_: Any) -> bool:
    return True


def _all_of(parts: list[QuickCheck]) -> QuickCheck:
    match parts:
        case []:
            return _always
        case [only]:
            return only
        case [first, second]:
            return lambda value: first(value) and second(value)
        case _:
            return lambda value: all(part(value) for part in parts)


def _type(kinds: Any) -> QuickCheck | None:
    """Exact Python types: no subclass, and no 5.0 for an integer."""
    named = cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]
    types: set[type] = set()
    for kind in named:
        if kind == "number":
            types |= {int, float}
        elif kind in _TYPES:
            types.add(_TYPES[kind])
        else:
            return None
    if len(types) == 1:
        (only,) = types
        return lambda value: type(value) is only
    return lambda value: type(value) in types


def _enum(options: Any) -> QuickCheck | None:
    """Texts only: among numbers and booleans equality is another than Python's."""
    texts = frozenset(option for option in options if type(option) is str)
    return (lambda value: type(value) is str and value in texts) if texts else None


def _const(value: Any) -> QuickCheck | None:
    return _enum([value])


def _items(schema: Any) -> QuickCheck | None:
    item = _check(schema)
    if item is None:
        return None
    return lambda value: type(value) is not list or all(map(item, cast("list[Any]", value)))


def _any_of(schemas: Any) -> QuickCheck | None:
    checks = [check for check in map(_check, schemas) if check]
    return (lambda value: any(check(value) for check in checks)) if checks else None


def _number(holds: Callable[[Any, Any], bool]) -> Callable[[Any], QuickCheck | None]:
    def make(bound: Any) -> QuickCheck | None:
        if type(bound) is not int and type(bound) is not float:
            return None  # a boolean, in draft-04
        return lambda value: (type(value) is not int and type(value) is not float) or holds(value, bound)

    return make


def _size(kind: type, holds: Callable[[int, Any], bool]) -> Callable[[Any], QuickCheck | None]:
    return lambda bound: lambda value: type(value) is not kind or holds(len(value), bound)


def _pattern(pattern: Any) -> QuickCheck | None:
    compiled = matcher(pattern)
    return lambda value: type(value) is not str or METER.get().matches(compiled, value)


def _format(name: Any) -> QuickCheck | None:
    test = {"date": is_date, "date-time": is_date_time}.get(name)
    return (lambda value: type(value) is not str or test(value)) if test else _always


def _properties(_: Any) -> QuickCheck | None:
    return _always  # with `required` and `additionalProperties`: `_object_check`


def _object_check(schema: dict[str, Any]) -> QuickCheck | None:
    """`properties`, `required` and `additionalProperties` together, in one walk through the members."""
    members = {name: _check(member) for name, member in schema.get("properties", {}).items()}
    additional = schema.get("additionalProperties", True)
    other = _never if additional is False else _check(additional)
    required = schema.get("required", [])
    if other is None or not isinstance(required, list):
        return None
    if not members and not required and other is _always:
        return _always
    needed = frozenset(cast("list[str]", required))
    get = members.get

    def fits(value: Any) -> bool:
        if type(value) is not dict:
            return True
        given = cast("dict[str, Any]", value)
        if not needed <= given.keys():
            return False
        for name, member in given.items():
            check = get(name, other)
            if check is None or not check(member):
                return False
        return True

    return fits


def _never(_: Any) -> bool:
    return False


_MAKERS: Mapping[str, Callable[[Any], QuickCheck | None]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "items": _items,
    "anyOf": _any_of,
    "minimum": _number(lambda value, bound: value >= bound),
    "maximum": _number(lambda value, bound: value <= bound),
    "exclusiveMinimum": _number(lambda value, bound: value > bound),
    "exclusiveMaximum": _number(lambda value, bound: value < bound),
    "minLength": _size(str, lambda size, bound: size >= bound),
    "maxLength": _size(str, lambda size, bound: size <= bound),
    "minItems": _size(list, lambda size, bound: size >= bound),
    "maxItems": _size(list, lambda size, bound: size <= bound),
    "minProperties": _size(dict, lambda size, bound: size >= bound),
    "maxProperties": _size(dict, lambda size, bound: size <= bound),
    "pattern": _pattern,
    "format": _format,
}
