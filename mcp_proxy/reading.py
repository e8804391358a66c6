"""What stands in a line from a peer: JSON as it ought to be, and as programs really write it. Pure.

Whatever is read here can be written again: values no JSON has, and nesting no writer follows, stop here.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

import orjson

_LEVELS = 250
"""Lines with fewer opening brackets are not looked at more closely. orjson and pydantic write 254 levels."""

_LARGEST = 1 << 64

_FIRST_ID = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18}|"[^"\\]*")\s*[,}]')
_LAST_ID = re.compile(rb'"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18}|"[^"\\]*")\s*\}\s*\Z')
"""Where the SDKs put a message's id. Anywhere else it may be that of something in the message."""

_TAIL = 400
"""Bytes at the end of a line in which its id is looked for."""

_METHOD = re.compile(rb'\s*(?:\{|,)\s*"method"\s*:')


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that cannot be used, and what is known of it all the same."""

    why: str
    number: int | str | None = None
    """The id of the message, if it is sure."""
    is_request: bool = False


def read(line: bytes) -> object:
    """The value that a line holds, or why there is none: an `Unreadable`.

    What is wrong with it, but clear, is put right as JSON.stringify would: bytes that are no UTF-8 and halves
    of surrogate pairs become U+FFFD; NaN, the infinities and numbers beyond them become null.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if not line.lstrip().startswith(b"{"):
            return Unreadable(str(error))
        try:
            value = _read_leniently(line)
        except (ValueError, RecursionError):
            return _unreadable(line, str(error))
    if line.count(b"{") + line.count(b"[") > _LEVELS and not _is_writable(value):
        return _unreadable(line, "nested too deeply")
    return value


def _read_leniently(line: bytes) -> object:
    """The value of a line that is JSON but for its text's encoding and its numbers.

    Raises:
        ValueError: it is not.
        RecursionError: it is nested too deeply.
    """
    value: object = json.loads(
        line.decode("utf-8", "replace"), parse_int=_number, parse_float=_number, parse_constant=lambda _: None
    )
    text = json.dumps(value, ensure_ascii=False)
    return orjson.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _number(text: str) -> int | float | None:
    """A number as orjson reads it: an integer of 64 bits, or else a float; None beyond the largest float."""
    if len(text) <= len(f"-{_LARGEST}") and text.lstrip("-").isdecimal():
        integer = int(text)
        if -_LARGEST // 2 <= integer < _LARGEST:
            return integer
    number = float(text)
    return number if abs(number) != float("inf") else None


def _is_writable(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _unreadable(line: bytes, why: str) -> Unreadable:
    found = _FIRST_ID.match(line)
    after = line[found.end() - 1 : found.end() + _TAIL] if found else line[:_TAIL]
    found = found or _LAST_ID.search(line[-_TAIL:])
    number: Any = json.loads(found[1]) if found else None
    return Unreadable(why, cast("int | str | None", number), _METHOD.match(after) is not None)
