"""Cutting a text where a reader would: after a line, else a sentence, else a word, never inside a character. Pure."""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from tool_registry.tokens import estimate_tokens

_STEP = 2048
"""Characters that are weighed at a time while the budget is spent."""

_LOOKED_BACK = 0.3
"""How much of what fits may be given up for a better place to cut."""

_ENDS = (
    re.compile(r"\n"),
    re.compile(r"[.!?…]['\")\]]*\s|[。！？]"),
    re.compile(r"\s|[,;、，]"),
)
"""Where to cut, best first: after each."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*)?\Z")
"""A terminal's escape sequence that has begun and not ended."""

_LONGEST_ESCAPE = 256
_LONGEST_CHARACTER = 64
"""Code points that one character, as a reader sees it, is taken to have at most."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_RESET = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text."""

    text: str
    """What to show: the characters before `end`, and what closes a code block or a colour that is open there."""
    end: int
    """Where the rest begins, in characters."""


def excerpt(text: str, tokens: int) -> Excerpt:
    """As much of the beginning of `text` as `tokens` allow; at least one character, lest reading on never end."""
    limit = _affordable(text, tokens)
    if limit >= len(text):
        return Excerpt(text, len(text))
    end = max(_boundary(text, limit), 1)
    return Excerpt(text[:end] + _closing(text[:end]), end)


def _affordable(text: str, tokens: int) -> int:
    """How many characters `tokens` are enough for."""
    position, spent = 0, 0
    while position < len(text):
        piece = text[position : position + _STEP]
        cost = estimate_tokens(piece)
        if spent + cost > tokens:
            lengths = range(len(piece))
            return (
                position
                + bisect_right(lengths, tokens - spent, key=lambda end: estimate_tokens(piece[:end]))
                - 1
            )
        position, spent = position + len(piece), spent + cost
    return position


def _boundary(text: str, limit: int) -> int:
    """The best place to cut at or before `limit`."""
    limit = _unparted(text, limit)
    earliest = int(limit * (1 - _LOOKED_BACK))
    for end in _ENDS:
        found = [match.end() for match in end.finditer(text, earliest, limit)]
        if found:
            return _unparted(text, found[-1])
    return limit


def _unparted(text: str, position: int) -> int:
    """`position`, or the nearest before it that parts neither a character nor an escape sequence."""
    return character_start(text, _before_escape(text, position))


def _before_escape(text: str, position: int) -> int:
    start = max(position - _LONGEST_ESCAPE, 0)
    begun = _ESCAPE.search(text[start:position])
    return start + begun.start() if begun else position


def character_start(text: str, position: int) -> int:
    """`position`, or the nearest before it that does not part what is read as one character (much of UAX #29)."""
    for back in range(position, max(position - _LONGEST_CHARACTER, 0), -1):
        if not _joined(text, back):
            return back
    return position


def _joined(text: str, position: int) -> bool:
    """Whether the characters on both sides of `position` belong together."""
    if not 0 < position < len(text):
        return False
    before, after = text[position - 1], text[position]
    return (
        (before, after) == ("\r", "\n")
        or before == "\u200d"  # zero width joiner, as in emoji of several people
        or after == "\u200d"
        or "\ufe00" <= after <= "\ufe0f"  # variation selectors
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags, as in the flag of Scotland
        or unicodedata.category(after).startswith("M")
        or (_is_regional(after) and _regionals_before(text, position) % 2 == 1)
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals_before(text: str, position: int) -> int:
    """How many regional indicators, two of which make a flag, stand in a row before `position`."""
    start = position
    while start > max(position - _LONGEST_CHARACTER, 0) and _is_regional(text[start - 1]):
        start -= 1
    return position - start


def _closing(shown: str) -> str:
    """What a text that ends here leaves open: a code block, and a terminal's colours."""
    closing = ""
    opened = ""
    for fence in _FENCE.findall(shown):
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened):
            opened = ""
    if opened:
        closing += ("" if shown.endswith("\n") else "\n") + opened + "\n"
    colours = shown.rfind("\x1b[")
    if colours >= 0 and not shown.startswith((_RESET, "\x1b[m"), colours):
        closing += _RESET
    return closing
