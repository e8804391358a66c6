"""The beginning of a JSON value, by its elements: every list keeps its first ones, and what is left out is counted. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, cast

from tool_registry.cutting import character_start
from tool_registry.tokens import estimate_tokens

_DEEPEST = 64
"""Levels that are looked into; what lies deeper is left out."""

_STRING_PER_ITEM = 40
_LEAST_STRING = 80
_MEMBERS_PER_ITEM = 4
"""When lists may show n items: characters strings may show for each, at least, and members of objects."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,11}")

_NAMED = 8
"""How many shortened places are named."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A place of which only the beginning is shown."""

    pointer: str
    """JSON Pointer (RFC 6901)."""
    shown: int
    total: int
    unit: Literal["items", "members", "characters"]

    def __str__(self) -> str:
        return f"{self.shown:,} of {self.total:,} {self.unit} at {self.pointer or 'the top'}"


@dataclass(frozen=True, slots=True)
class JsonExcerpt:
    """A value that is shortened, and the first places where."""

    value: Any
    shortened: tuple[Shortened, ...] = ()


def json_text(value: Any, *, indented: bool) -> str:
    """A value as JSON text."""
    if indented:
        return json.dumps(value, ensure_ascii=False, indent=2)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_excerpt(
    value: Any, tokens: int, *, indented: bool = False, marked: bool = True
) -> JsonExcerpt | None:
    """`value` with its lists, objects and strings so shortened that, written as text, it fits in `tokens`.

    Args:
        value: any JSON value.
        tokens: how long it may be.
        indented: whether it is going to be written on many lines.
        marked: whether to say in each place how much is left out there; without, the types of all values stay.

    Returns:
        None when not even the shortest form fits.
    """

    def fits(items: int) -> JsonExcerpt | None:
        shortened = _shortened(value, items, marked=marked)
        text = json_text(shortened.value, indented=indented)
        return shortened if estimate_tokens(text) <= tokens else None

    return _largest(fits, tokens)


def _largest(fits: Callable[[int], JsonExcerpt | None], ceiling: int) -> JsonExcerpt | None:
    """The result for the largest number that fits, which is sought by doubling and then halving."""
    best, low, high = fits(1), 1, 2
    if best is None:
        return None
    while high <= 2 * ceiling and (found := fits(high)):
        best, low, high = found, high, high * 2
        if not found.shortened:
            return found
    while high - low > max(low // 16, 1):
        middle = (low + high) // 2
        if found := fits(middle):
            best, low = found, middle
        else:
            high = middle
    return best


def _shortened(value: Any, items: int, *, marked: bool) -> JsonExcerpt:
    shortening = _Shortening(items, marked)
    result = shortening.of(value, "", _DEEPEST)
    return JsonExcerpt(result, tuple(shortening.places))


@dataclass(slots=True)
class _Shortening:
    items: int
    marked: bool
    places: list[Shortened] = field(default_factory=list[Shortened])

    def of(self, value: Any, pointer: str, depth: int) -> Any:
        if isinstance(value, str):
            return self._string(value, pointer)
        if isinstance(value, list):
            return self._list(cast("list[Any]", value), pointer, depth)
        if isinstance(value, Mapping):
            return self._object(cast("Mapping[str, Any]", value), pointer, depth)
        return value

    def _string(self, text: str, pointer: str) -> str:
        limit = max(self.items * _STRING_PER_ITEM, _LEAST_STRING)
        if len(text) <= limit:
            return text
        limit = character_start(text, limit)
        self._note(pointer, limit, len(text), "characters")
        return f"{text[:limit]}… ({len(text) - limit:,} more characters)"

    def _list(self, elements: list[Any], pointer: str, depth: int) -> list[Any]:
        limit = self.items if depth else 0
        shown = [self.of(each, f"{pointer}/{i}", depth - 1) for i, each in enumerate(elements[:limit])]
        if len(elements) > limit:
            self._note(pointer, limit, len(elements), "items")
            if self.marked:
                shown.append(f"… {len(elements) - limit:,} more items")
        return shown

    def _object(self, members: Mapping[str, Any], pointer: str, depth: int) -> dict[str, Any]:
        limit = self.items * _MEMBERS_PER_ITEM if depth else 0
        shown = {
            name: self.of(each, f"{pointer}/{escaped(name)}", depth - 1)
            for name, each in islice(members.items(), limit)
        }
        if len(members) > limit:
            self._note(pointer, limit, len(members), "members")
            if self.marked:
                shown["…"] = f"{len(members) - limit:,} more members"
        return shown

    def _note(
        self, pointer: str, shown: int, total: int, unit: Literal["items", "members", "characters"]
    ) -> None:
        if len(self.places) < _NAMED:
            self.places.append(Shortened(pointer, shown, total, unit))


def escaped(name: str) -> str:
    """A member's name as a part of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class NoSuchPlaceError(LookupError):
    """A JSON Pointer that leads nowhere: the caller's to correct."""


def at_pointer(value: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer (RFC 6901); the empty one is the whole value.

    Raises:
        NoSuchPlaceError: nothing does; the message says how far the pointer leads, and what is there.
    """
    if pointer and not pointer.startswith("/"):
        raise NoSuchPlaceError(f"{pointer!r} is no JSON Pointer: it begins with /, or is empty for the whole")
    reached = ""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = cast("Mapping[str, Any]", value)[name]
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(name)]
        else:
            raise NoSuchPlaceError(f"nothing is at {pointer!r}: {reached or 'the whole'} is {_kind(value)}")
        reached += f"/{part}"
    return value


def _kind(value: Any) -> str:
    """A value in a few words, for a message."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        names = ", ".join(f"{name[:40]}" for name in islice(members, 12))
        return f"an object of {len(members):,} members: {names}{', …' if len(members) > 12 else ''}"  # noqa: PLR2004
    if isinstance(value, list):
        return f"a list of {len(cast('list[Any]', value)):,} items, from /0 on"
    return "a single value"
