"""Whether two argument values mean the same, and whether a value is one of those allowed. Pure.

The rules are those under which tool-call corpora are commonly scored (Berkeley Function-Calling Leaderboard, "AST"
evaluation): the writing of a string is forgiven, its words are not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

_UNCOUNTED = re.compile(r"[\s,./\-_*^]")
"""What does not count in a string, apart from letter case."""
_CLOSE = 1e-6
"""How near two numbers that are not both whole must be, relative to the larger."""


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers nearly, strings in their words, objects by key, lists in order."""
    if _is_number(one) and _is_number(other):
        return _same_number(one, other)
    match one, other:
        case str(), str():
            return _same_text(one, other)
        case list(), list():
            left, right = cast("list[Any]", one), cast("list[Any]", other)
            return len(left) == len(right) and all(map(same_value, left, right))
        case dict(), dict():
            mine, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
            return mine.keys() == theirs.keys() and all(same_value(mine[key], theirs[key]) for key in mine)
        case _:
            return type(one) is type(other) and one == other


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same_number(one: float, other: float) -> bool:
    """Whole numbers must be equal."""
    if one == other:
        return True
    try:
        if float(one).is_integer() and float(other).is_integer():
            return False
        return abs(one - other) <= _CLOSE * max(1.0, abs(one), abs(other))
    except OverflowError:
        return False


def _same_text(one: str, other: str) -> bool:
    left, right = _words(one), _words(other)
    return left == right if left or right else one.strip() == other.strip()


def _words(text: str) -> str:
    return _UNCOUNTED.sub("", text).casefold().replace("'", '"')


def may_be_left_out(allowed: Sequence[Any]) -> bool:
    """Whether a list of allowed values says that the argument need not be given."""
    return any(_is_nothing(value) for value in allowed)


def real_values(allowed: Sequence[Any]) -> list[Any]:
    """The allowed values but the mark for "left out"."""
    return [value for value in allowed if not _is_nothing(value)]


def _is_nothing(value: Any) -> bool:
    return isinstance(value, str) and not value


def is_allowed(value: Any, allowed: Sequence[Any], schema: Mapping[str, Any]) -> bool:
    """Whether `value` is of its schema's type, or of an allowed value's, and one of the allowed values."""
    real = real_values(allowed)
    if not real:
        return value in ("", None, [], {})
    if not _fits(value, schema) and not any(_same_type(value, each) for each in real):
        return False
    if _is_nothing(value) and may_be_left_out(allowed):
        return True
    return any(_is_like(value, each) for each in real)


def _is_like(value: Any, wanted: Any) -> bool:
    """Whether `value` is the allowed value `wanted`, whose objects hold lists of allowed values for each key."""
    match wanted:
        case dict():
            return isinstance(value, dict) and _is_like_object(
                cast("dict[str, Any]", value), cast("dict[str, Any]", wanted)
            )
        case list():
            each = cast("list[Any]", wanted)
            given = cast("list[Any]", value)
            return isinstance(value, list) and len(given) == len(each) and all(map(_is_like, given, each))
        case _:
            return same_value(value, wanted)


def _is_like_object(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    def allowed(key: str) -> list[Any]:
        options = wanted[key]
        return cast("list[Any]", options) if isinstance(options, list) else [options]

    given = all(
        key in wanted and any(_is_like(inner, each) for each in allowed(key)) for key, inner in value.items()
    )
    return given and all(key in value or may_be_left_out(allowed(key)) for key in wanted)


def _same_type(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return isinstance(one, int) == isinstance(other, int)
    return type(one) is type(other)


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether `value` is of the schema's type; a whole number passes for a number, a number for no integer."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return any(_fits(value, {**schema, "type": each}) for each in cast("list[Any]", kind))
    if kind == "array" and isinstance(value, list):
        items = schema.get("items")
        inner = cast("Mapping[str, Any]", items) if isinstance(items, dict) else dict[str, Any]()
        return all(_fits(each, inner) for each in cast("list[Any]", value))
    is_one = _TYPES.get(kind) if isinstance(kind, str) else None
    return is_one is None or is_one(value)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
