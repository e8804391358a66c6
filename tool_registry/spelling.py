"""Other spellings of the same value: texts that are numbers, dates, JSON; options and names nearly written right.

Each function gives the one value that is meant, or `NOTHING`: never a guess between two readings.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast

NOTHING: Final = object()
"""No value is spelled; None is one (null)."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?")
_NUMBER_LIMIT = 64
_JSON_LIMIT = 1 << 20
"""Longest text read as JSON, in characters."""

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-4]):[0-5]\d(:([0-5]\d|60)([.,]\d{1,12})?)?\s?([Zz]|[+-]\d{2}(:?\d{2})?)?", re.ASCII
)
_MIDNIGHT = re.compile(r"00:00(:00(\.0{1,12})?)?([Zz]|[+-]00:00)?", re.ASCII)
_BASIC_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)

_PREFIX_LENGTH = 3
_NAME_LENGTH = 5
"""Shorter names differ too little: `from` and `form`, `lat` and `let`."""
_WORD_JOINTS = re.compile(r"[\s_-]+")


def number(text: str) -> Any:
    """The number that `text` is in JSON, without loss: `5.0` is 5; `5,000`, `007` and `0x10` are none."""
    text = text.strip()
    if len(text) > _NUMBER_LIMIT or not _NUMBER.fullmatch(text):
        return NOTHING
    exact = Decimal(text)
    if exact == exact.to_integral_value() and abs(exact.adjusted()) <= _NUMBER_LIMIT:
        return int(exact)
    nearest = float(text)
    return nearest if Decimal(repr(nearest)) == exact else NOTHING


def boolean(text: str) -> Any:
    """True or False in any case. "yes", "on" and "1" are answers to questions, and no spellings of a value."""
    return {"true": True, "false": False}.get(text.strip().lower(), NOTHING)


def null(text: str) -> Any:
    """None for "null"."""
    return None if text.strip() == "null" else NOTHING


def container(text: str, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """The object or array that `text` is as JSON. A key that stands there twice has two readings."""
    text = text.strip()
    if len(text) > _JSON_LIMIT or not text.startswith("{" if kind is dict else "["):
        return NOTHING
    try:
        value: Any = json.loads(text, object_pairs_hook=_object, parse_constant=_refused)
    except (ValueError, RecursionError):
        return NOTHING
    return cast("Any", value) if isinstance(value, kind) else NOTHING


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key stands there twice")
    return members


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def is_date(text: str) -> bool:
    """Whether it is a full-date of RFC 3339: 2026-11-21."""
    found = _DATE.fullmatch(text)
    return found is not None and _is_in_calendar(found)


def is_date_time(text: str) -> bool:
    """Whether it is a date, or date and time, by ISO 8601's extended form.

    Looser than RFC 3339, which wants seconds and an offset: most servers do not, and it is theirs to judge.
    """
    day, time = text[:10], text[10:]
    return is_date(day) and (not time or (time[0] in "Tt " and _TIME.fullmatch(time[1:]) is not None))


def as_date(text: str) -> Any:
    """The date that `text` gives in another way: 20261121, or a time that is midnight in UTC or of no zone.

    21/11/2026 has two readings.
    """
    text = text.strip()
    if is_date(text):
        return text
    if is_date(text[:10]) and text[10:11] in {"T", "t", " "} and _MIDNIGHT.fullmatch(text[11:]):
        return text[:10]
    basic = _BASIC_DATE.fullmatch(text)
    return "-".join(basic.groups()) if basic and _is_in_calendar(basic) else NOTHING


def _is_in_calendar(found: re.Match[str]) -> bool:
    try:
        date(*map(int, found.groups()))
    except ValueError:
        return False
    return True


def option(value: Any, options: Sequence[Any]) -> Any:
    """The one of `options` that `value` means: the same JSON text, else case and separators aside, else by prefix.

    A prefix counts from three characters on.
    """
    spelled = [one for one in options if _as_text(one) == _as_text(value)]
    if isinstance(value, str) and not spelled:
        texts = [one for one in options if isinstance(one, str)]
        plain = plain_name(value)
        spelled = [one for one in texts if plain_name(one) == plain]
        if not spelled and len(plain) >= _PREFIX_LENGTH:
            spelled = [one for one in texts if plain_name(one).startswith(plain)]
    return spelled[0] if len(spelled) == 1 else NOTHING


def _as_text(value: Any) -> str | None:
    """What a scalar looks like when written down."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float | None) else None


@lru_cache(maxsize=8192)
def plain_name(name: str) -> str:
    """A name without case and separators: `file_name`, `fileName` and `File Name` are one."""
    return _WORD_JOINTS.sub("", name.strip()).casefold()


def is_near(written: str, name: str) -> bool:
    """Whether `written` is `name` but for case and separators, or but for one slip of the keyboard in a long name.

    A slip is one character left out, added, changed, or two swapped; not the first one, and never a digit.
    """
    one, other = plain_name(written), plain_name(name)
    if one == other:
        return True
    long = min(len(one), len(other)) >= _NAME_LENGTH and abs(len(one) - len(other)) <= 1
    return long and one[0] == other[0] and _digits(one) == _digits(other) and _is_one_slip(one, other)


def _digits(name: str) -> list[str]:
    return [character for character in name if character.isdigit()]


def _is_one_slip(one: str, other: str) -> bool:
    if len(one) > len(other):
        one, other = other, one
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    here, there = one[start:], other[start:]
    if len(one) < len(other):
        return here == there[1:]
    return here[1:] == there[1:] or (here[2:] == there[2:] and here[:2] == there[1::-1])


def near_miss(written: str, unknown: Iterable[str], absent: Iterable[str]) -> str | None:
    """The one of the `absent` names that `written` misses, where neither has another to be taken for."""
    near = [name for name in absent if is_near(written, name)]
    is_sole = len(near) == 1 and not any(is_near(other, near[0]) for other in unknown if other != written)
    return near[0] if is_sole else None


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types a schema allows, as far as `type`, `anyOf` and `oneOf` name them."""
    own = schema.get("type")
    kinds: list[object] = cast("list[object]", own) if isinstance(own, list) else [own]
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        for branch in cast("list[object]", branches) if isinstance(branches, list) else []:
            if isinstance(branch, Mapping):
                kinds = [*kinds, *types_of(cast("Mapping[str, Any]", branch))]
    return tuple(kind for kind in kinds if isinstance(kind, str))
