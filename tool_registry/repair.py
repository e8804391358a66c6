"""Repairs that lose nothing: another spelling of the same value, never a guess between two readings."""

import json
from collections.abc import Mapping
from typing import Any

_READ_AS_JSON = {
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": None,
}
_SPELLINGS = {"true": True, "false": False}


def read_text(schema: Mapping[str, Any], text: str) -> Any:
    """The value that `text` spells for a parameter of this schema; `text` itself if it spells none of the type.

    "5" is 5 for an integer and stays "5" for a string; "a, b" is ["a", "b"] for an array.
    """
    kind = schema.get("type")
    if kind not in _READ_AS_JSON:
        return text
    try:
        value = _SPELLINGS.get(text.strip().lower()) if kind == "boolean" else json.loads(text)
    except ValueError:
        value = None
    expected = _READ_AS_JSON[kind]
    if (
        expected is not None
        and isinstance(value, expected)
        and (kind == "boolean" or not isinstance(value, bool))
    ):
        return value
    if kind == "array" and value is None:
        return [part.strip() for part in text.split(",")]
    return text
