"""JSON as editors write it: with comments, and commas before a closing bracket."""

import json
import re
from typing import Any

_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


def parse(text: str) -> Any:
    """The value that `text` holds.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or gives one key of an object twice. Lines and
            columns are those of `text`; no value is quoted.
    """
    for noise in (_COMMENT, _TRAILING_COMMA):
        text = noise.sub(_blanked, text)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _blanked(match: re.Match[str]) -> str:
    """A string as it stands; anything else as blanks, so that lines and columns stay true."""
    return match[1] or re.sub(r"[^\n]", " ", match[0])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return whole
