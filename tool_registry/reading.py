"""Reading a long result piece by piece: by offset, by line, by search text, by JSON Pointer. Pure.

A text is UTF-8 in a buffer, which may be a mapped file: nothing here makes a copy of all of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from mmap import mmap
from typing import Any, cast

from tool_registry.cutting import excerpt
from tool_registry.json_excerpt import NoSuchPlaceError, at_pointer, json_excerpt, json_text
from tool_registry.tokens import estimate_tokens

Buffer = bytes | mmap

_BYTES_PER_TOKEN = 40
"""More than any ordinary text has."""

_CHUNK = 1 << 20

_AROUND = 160
"""Bytes shown on each side of what a search has found."""

_MOST_COUNTED = 10_000
"""Matches up to which a search counts."""

_MATCHES = 20


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a result."""

    text: str
    shown: str
    """Which piece of how much it is, in a few words."""
    onward: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where to read on; empty at the end."""


def by_offset(text: Buffer, offset: int, limit: int | None, tokens: int) -> Passage:
    """From byte `offset` on: at most `limit` bytes and about `tokens` tokens.

    Raises:
        NoSuchPlaceError: the text is shorter.
    """
    size = len(text)
    if offset > size or (offset == size and size):
        raise NoSuchPlaceError(f"offset {offset:,} is past the end: there are {size:,} bytes")
    start = _character(text, offset)
    shown = _beginning(text, start, size if limit is None else min(size, offset + max(limit, 4)), tokens)
    end = start + shown.size
    onward = {"offset": end} if end < size else {}
    return Passage(shown.text, f"bytes {start:,} to {end:,} of {size:,}", onward)


def by_line(text: Buffer, line: int, lines: int | None, tokens: int) -> Passage:
    """From line `line` (the first is 1) on: at most `lines` lines and about `tokens` tokens.

    Raises:
        NoSuchPlaceError: there are fewer lines.
    """
    size, total = len(text), line_count(text)
    if line > total:
        raise NoSuchPlaceError(f"line {line:,} is past the end: there are {total:,} lines")
    start = _line_start(text, line, 0)
    stop = size if lines is None else _line_start(text, lines + 1, start)
    shown = _beginning(text, start, stop, tokens)
    end = start + shown.size
    last = line + _newlines(text, start, end - 1)
    onward: dict[str, Any] = {}
    if end < size:
        onward = {"line": last + 1} if text[end - 1 : end] == b"\n" else {"offset": end}
    return Passage(shown.text, f"lines {line:,} to {last:,} of {total:,}", onward)


def by_search(text: Buffer, sought: str, skip: int, limit: int | None, tokens: int) -> Passage:
    """The places where `sought` stands, whatever its case, each with what is around it.

    Raises:
        NoSuchPlaceError: there are no more than `skip`.
    """
    places = list(_found(text, sought))
    total = f"{len(places):,}{' or more' if len(places) == _MOST_COUNTED else ''}"
    if skip >= len(places):
        raise NoSuchPlaceError(f"{sought[:80]!r} was found {total} times" if places else _not_found(sought))
    pieces: list[str] = []
    counted, line = 0, 1
    for place in places[skip : skip + (limit or _MATCHES)]:
        line += _newlines(text, counted, place)
        counted = place
        piece = f"line {line:,}, offset {place:,}: {_around(text, place, len(sought.encode()))}"
        cost = estimate_tokens(piece)
        if cost > tokens and pieces:
            break
        pieces.append(piece)
        tokens -= cost
    end = skip + len(pieces)
    onward = {"search": sought, "offset": end} if end < len(places) else {}
    return Passage("\n\n".join(pieces), f"matches {skip + 1:,} to {end:,} of {total}", onward)


def by_pointer(value: Any, pointer: str, offset: int, limit: int | None, tokens: int) -> Passage:
    """What stands at a JSON Pointer; `offset` and `limit` count its items, members or characters.

    Raises:
        NoSuchPlaceError: nothing does, or not as much.
    """
    found = at_pointer(value, pointer)
    match found:
        case str():
            return _characters(found, pointer, offset, limit, tokens)
        case list():
            return _items(cast("list[Any]", found), pointer, offset, limit, tokens)
        case Mapping():
            return _members(cast("Mapping[str, Any]", found), pointer, offset, limit, tokens)
        case _:
            return Passage(json.dumps(found), f"all of {pointer}")


def line_count(text: Buffer) -> int:
    """How many lines there are; a last one without an end counts."""
    size = len(text)
    return _newlines(text, 0, size) + (1 if size and text[size - 1 : size] != b"\n" else 0)


@dataclass(frozen=True, slots=True)
class _Beginning:
    text: str
    size: int
    """In bytes of the buffer."""


def _beginning(text: Buffer, start: int, stop: int, tokens: int) -> _Beginning:
    """As much of the bytes from `start` to `stop` as `tokens` allow."""
    window = text[start : min(stop, start + tokens * _BYTES_PER_TOKEN + 4)]
    # The last character may be cut in two; it comes next time.
    characters = window.decode("utf-8", "ignore")
    cut = excerpt(characters, tokens)
    return _Beginning(cut.text, len(characters[: cut.end].encode()))


def _character(text: Buffer, offset: int) -> int:
    """The first byte of the character that byte `offset` belongs to."""
    while 0 < offset < len(text) and text[offset] & 0xC0 == 0x80:  # noqa: PLR2004  a byte in the midst of one
        offset -= 1
    return offset


def _newlines(text: Buffer, start: int, stop: int) -> int:
    return sum(text[at : min(at + _CHUNK, stop)].count(b"\n") for at in range(start, stop, _CHUNK))


def _line_start(text: Buffer, line: int, start: int) -> int:
    """Where line `line` begins, counted from `start`, which is line 1; the end when there are fewer."""
    before = line - 1
    while before > 0 and start < len(text):
        chunk = text[start : start + _CHUNK]
        ends = chunk.count(b"\n")
        if ends < before:
            before, start = before - ends, start + len(chunk)
            continue
        position = -1
        for _ in range(before):
            position = chunk.index(b"\n", position + 1)
        return start + position + 1
    return min(start, len(text))


def _found(text: Buffer, sought: str) -> Iterator[int]:
    """Where `sought` stands, at most once within what is shown around a place."""
    variants = (
        b"|".join(re.escape(each.encode()) for each in dict.fromkeys((c, c.lower(), c.upper())))
        for c in sought
    )
    pattern = re.compile(b"".join(b"(?:%s)" % each for each in variants))
    last = -_AROUND
    matches = (match.start() for match in pattern.finditer(text))
    apart = (start for start in matches if start >= last + _AROUND // 2)
    for start in islice(apart, _MOST_COUNTED):
        last = start
        yield start


def _not_found(sought: str) -> str:
    return f"{sought[:80]!r} is nowhere in the result"


def _around(text: Buffer, place: int, length: int) -> str:
    """What stands around a place, up to the ends of the lines beside its own."""
    start, stop = max(place - _AROUND, 0), min(place + length + _AROUND, len(text))
    before, after = text[start:place], text[place:stop]
    if before.count(b"\n") > 1:
        start += before.rindex(b"\n", 0, before.rindex(b"\n")) + 1
    if after.count(b"\n") > 1:
        stop = place + after.index(b"\n", after.index(b"\n") + 1)
    shown = text[_character(text, start) : stop].decode("utf-8", "ignore").strip("\r\n")
    is_cut_before = start > 0 and text[start - 1 : start] != b"\n"
    is_cut_after = stop < len(text) and text[stop : stop + 1] != b"\n"
    return f"{'…' * is_cut_before}{shown}{'…' * is_cut_after}"


def _window(total: int, unit: str, pointer: str, offset: int, limit: int | None) -> range:
    if offset >= total and offset:
        raise NoSuchPlaceError(f"{pointer or 'the whole'} has {total:,} {unit}; {offset:,} is past the end")
    return range(offset, total if limit is None else min(total, offset + limit))


def _told(window: range, end: int, total: int, unit: str, pointer: str) -> str:
    return f"{unit} {window.start:,} to {end:,} of {total:,} at {pointer or 'the top'}"


def _onward(pointer: str, end: int, total: int) -> Mapping[str, Any]:
    return {"pointer": pointer, "offset": end} if end < total else {}


def _characters(text: str, pointer: str, offset: int, limit: int | None, tokens: int) -> Passage:
    window = _window(len(text), "characters", pointer, offset, limit)
    cut = excerpt(text[window.start : window.stop], tokens)
    end = offset + cut.end
    return Passage(
        cut.text,
        _told(window, end, len(text), "characters", pointer),
        _onward(pointer, end, len(text)),
    )


def _items(items: list[Any], pointer: str, offset: int, limit: int | None, tokens: int) -> Passage:
    """Whole items, as many as there is room for; if there is none for one, what there is of it."""
    window = _window(len(items), "items", pointer, offset, limit)
    texts: list[str] = []
    inner = ""
    for index in window:
        text = json_text(items[index], indented=False)
        cost = estimate_tokens(text)
        if cost > tokens and texts:
            break
        if cost > tokens:
            shortened = json_excerpt(items[index], tokens)
            text = (
                excerpt(text, tokens).text
                if shortened is None
                else json_text(shortened.value, indented=False)
            )
            inner = f"; the item is shortened: read it at {pointer}/{index}"
        texts.append(text)
        tokens -= cost
    end = offset + len(texts)
    shown = _told(window, end, len(items), "items", pointer) + inner
    listed = ",\n".join(texts)
    return Passage(f"[{listed}]", shown, _onward(pointer, end, len(items)))


def _members(
    members: Mapping[str, Any], pointer: str, offset: int, limit: int | None, tokens: int
) -> Passage:
    """An overview: every member, long ones shortened."""
    window = _window(len(members), "members", pointer, offset, limit)
    part = dict(islice(members.items(), window.start, window.stop))
    if estimate_tokens(whole := json_text(part, indented=False)) <= tokens:
        return Passage(
            whole,
            _told(window, window.stop, len(members), "members", pointer),
            _onward(pointer, window.stop, len(members)),
        )
    shortened = json_excerpt(part, tokens)
    if shortened is None:
        raise NoSuchPlaceError(
            f"{pointer or 'the whole'} is too much at once; read it with a limit, or deeper"
        )
    cut = next((each.shown for each in shortened.shortened if not each.pointer), len(part))
    places = "; ".join(
        f"{each.shown:,} of {each.total:,} {each.unit} at {pointer}{each.pointer}"
        for each in shortened.shortened
        if each.pointer
    )
    end = offset + cut
    shown = _told(window, end, len(members), "members", pointer) + (
        f"; shortened: {places}" if places else ""
    )
    return Passage(json_text(shortened.value, indented=False), shown, _onward(pointer, end, len(members)))
