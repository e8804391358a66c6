"""How many tokens a text is, estimated without a tokenizer from the kinds of bytes it holds. Pure."""

import string
from collections.abc import Iterator

CLASSES: dict[str, tuple[bytes, float]] = {
    "lower case": (string.ascii_lowercase.encode(), 0.28),
    "upper case": (string.ascii_uppercase.encode(), 0.34),
    "digits": (string.digits.encode(), 0.74),
    "spaces": (b" ", 0.03),
    "line ends and tabs": (b"\n\r\t", 2.1),
    "punctuation": (string.punctuation.encode(), 0.2),
    "Latin with accents, Greek": (bytes(range(0xC2, 0xD0)), 0.7),
    "Cyrillic": (b"\xd0\xd1", 0.36),
    "Armenian, Hebrew, Arabic": (bytes(range(0xD2, 0xE0)), 0.68),
    "Indic, Thai, Georgian, symbols": (b"\xe0\xe1\xe2", 0.84),
    "Chinese, Japanese, Korean": (bytes(range(0xE3, 0xEE)), 0.73),
    "emoji and rare signs": (bytes(range(0xEE, 0xF8)), 1.2),
}
"""Classes of characters: the bytes they begin with in UTF-8, and tokens per character.

Fitted by benchmarks/tokens.py to three tokenizers (o200k, Claude 2, Llama 3); its record has the error by kind of text.
"""

_WHOLE = 1 << 19
"""Bytes up to which all of a text is looked at; of a longer one, windows spread evenly over it."""

_WINDOWS = 64


def estimate_tokens(text: str | bytes) -> int:
    """About how many tokens `text` (bytes: UTF-8) is. Takes no longer for 100 MB than for half a megabyte."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if len(data) <= _WHOLE:
        return round(_weigh(data))
    seen = list(_windows(data))
    return round(sum(map(_weigh, seen)) * len(data) / sum(map(len, seen)))


def counts(text: str) -> dict[str, int]:
    """How many characters of each class there are."""
    data = text.encode("utf-8", "replace")
    return {name: len(data) - len(data.translate(None, leads)) for name, (leads, _) in CLASSES.items()}


def _weigh(data: bytes) -> float:
    return sum(weight * (len(data) - len(data.translate(None, leads))) for leads, weight in CLASSES.values())


def _windows(data: bytes) -> Iterator[bytes]:
    size = _WHOLE // _WINDOWS
    for number in range(_WINDOWS):
        start = (len(data) - size) * number // (_WINDOWS - 1)
        yield data[start : start + size]
