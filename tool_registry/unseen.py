"""Characters that text can hold without a reader seeing them, and text with those spelled out."""

import re
import unicodedata

_KEPT = frozenset("\n\t ")
_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode's general categories of what has no shape of its own, or none that fonts agree on."""

_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters and marks that look like nothing: the Hangul fillers, the empty Braille cell, two Khmer vowels."""

_EMOJI_JOINERS = re.compile(
    r"(?<=[^\x00-\u1fff])\u200d(?=[^\x00-\u1fff])|(?<=[^\x00-\u007f])[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
)
"""A joiner between two symbols, or a selector right after one: how many an emoji is written."""


def is_unseen(character: str) -> bool:
    """Whether a reader would not see the character; ordinary blanks and line ends do not count."""
    if character in _KEPT or character == "\r":
        return False
    return (
        character in _BLANK
        or unicodedata.category(character) in _CATEGORIES
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def unseen(text: str) -> list[tuple[int, str]]:
    """Every unseen character of `text` with its place, but for those that belong to emoji."""
    if text.isascii() and text.isprintable():
        return []
    plain = {match.start() for match in _EMOJI_JOINERS.finditer(text)}
    return [(place, char) for place, char in enumerate(text) if is_unseen(char) and place not in plain]


def spelled_out(text: str) -> str:
    r"""`text` on one line, with everything unseen as an escape: `\u200b`, `\n`, `\x1b`."""
    return "".join(_escape(char) if char in "\n\t\r" or is_unseen(char) else char for char in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
