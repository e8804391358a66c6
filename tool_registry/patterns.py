r"""Regular expressions of strangers, matched in time linear in the text. Knows nothing of schemas.

JSON Schema means ECMA-262 by them (2020-12 Core, section 6.4), and so does RE2, nearly: `\d` and `\w` are ASCII,
`$` is the very end. RE2 never backtracks; what needs that (lookaround, back-references, more than 1,000 repeats)
it does not take.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import re2  # pyright: ignore[reportMissingTypeStubs]

_UNICODE_ESCAPE = re.compile(r"(\\\\)|\\u(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))")
_MEMORY = 1 << 22
"""Bytes one compiled pattern may take."""
_LARGEST = 10_000
r"""Instructions one compiled pattern may have. The largest of 4,406 published tools has 367; `\p{L}` has 1,200."""


class UnusablePatternError(ValueError):
    """A pattern that cannot be matched in linear time, or is none."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A compiled pattern."""

    search: Callable[[str], object]
    size: int
    """Its instructions. Where RE2 has to give up its automaton, a match takes 10 to 25 ns for each and each character."""

    def __call__(self, text: str) -> bool:
        """Whether it occurs anywhere in `text`."""
        return self.search(_encodable(text)) is not None


@lru_cache(maxsize=2048)
def matcher(pattern: str) -> Matcher:
    """The test for `pattern`.

    Raises:
        UnusablePatternError: RE2 does not take it.
    """
    engine = cast("Any", re2)
    options = engine.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        compiled = engine.compile(_in_re2_words(pattern), options=options)
    except engine.error as error:
        raise UnusablePatternError(_reason(error)) from error
    except UnicodeEncodeError as error:
        raise UnusablePatternError("it holds half of a surrogate pair") from error
    if compiled.programsize > _LARGEST:
        raise UnusablePatternError(f"it compiles to more than {_LARGEST:,} instructions")
    return Matcher(compiled.search, compiled.programsize)


def _in_re2_words(pattern: str) -> str:
    r"""`\u00e9` and `\u{e9}` as RE2 writes them."""
    return _UNICODE_ESCAPE.sub(
        lambda found: found[0] if found[1] else rf"\x{{{found[2] or found[3]}}}", pattern
    )


def _encodable(text: str) -> str:
    """A lone surrogate is legal in a JSON string and no UTF-8: it counts as one character like any other."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _reason(error: Exception) -> str:
    reason: object = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
