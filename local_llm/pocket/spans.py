"""Typed values standing in a text: numbers, quotes, URLs, paths, dates… each with its place. Knows no tools."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value looks like, whatever it is for."""

    URL = "url"
    EMAIL = "email"
    TIMEZONE = "timezone"
    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    PATH = "path"
    NUMBER = "number"
    IDENTIFIER = "identifier"
    TEXT = "text"
    REFERENCE = "reference"
    """Words such as "it" or "that folder", which stand for a value of an earlier step."""

    @property
    def article(self) -> str:
        return "an" if self.value[0] in "aeio" else "a"


@dataclass(frozen=True, slots=True)
class Span:
    """One value in a text."""

    start: int
    end: int
    """Offsets of the whole span, quotes and currency signs included; `end` is exclusive."""
    kind: Kind
    text: str
    """The value as written, without the quotes around it."""
    value: str | int | float
    """The typed reading: a number for NUMBER, `HH:MM[:SS]` in 24 hours for TIME, ISO 8601 for DATE and DATETIME
    where it is known, else `text`."""
    quoted: bool = False
    doubtful: bool = False
    """Whether people do not agree how it is to be read: "next friday"."""


_AREAS = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc"
_UNITS: dict[str, int] = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen".split(),
        range(20),
        strict=True,
    )
)
_TENS: dict[str, int] = dict(
    zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True)
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_WORD = "|".join((*_TENS, *sorted(_UNITS, key=len, reverse=True)))
_SCALE = "|".join(_SCALES)

# "one" is a pronoun unless a noun follows it.
_NOUN = r"\s+(?!(?:of|for|to|at|in|on|by|with|from|that|which|who|is|was|and|or|more|another)\b)[a-z]"
_KIND_OF_GROUP = {
    "spelled": Kind.NUMBER,
    "multiplied": Kind.NUMBER,
    "dozen": Kind.NUMBER,
    "web": Kind.URL,
    "address": Kind.IDENTIFIER,
    "version": Kind.IDENTIFIER,
}
# Earlier kinds win where two begin at the same place. A number glued to a multiplier ("10k") or an ordinal
# ending is not read as a number at all: half a reading would be a wrong value.
_TYPED = re.compile(
    rf"""
    (?P<url>(?:https?|wss?|ftp|file|s3|ssh|git)://[^\s"'<>`]+)
  | (?P<web>(?<![\w.@/])www\.[\w-]+(?:\.[\w-]+)+(?:/[^\s"'<>`]*)?)
  | (?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<timezone>\b(?:(?:{_AREAS})/[A-Za-z_]+(?:/[A-Za-z_]+)?|UTC|GMT)\b)
  | (?P<datetime>\b\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)
  | (?P<date>(?<![\w-])\d{{4}}-\d\d-\d\d(?![\w-]))
  | (?P<time>(?<![\w:.])(?:\d{{1,2}}:\d\d(?::\d\d)?(?:\s?[apAP](?:\.[mM]\.|[mM]\b))?|\d{{1,2}}\s?[apAP](?:\.[mM]\.|[mM]\b))(?![\w:]))
  | (?P<address>(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?(?![\w.]*\d))
  | (?P<version>(?<![\w.])v?\d+(?:\.\d+){{2,}}(?![\w.]*\d))
  | (?P<path>(?<![\w.@*+/-])(?:
        [A-Za-z]:\\[^\s"'<>|,;]+
      | (?:~|\.\.?)?/(?:[^\s"'`,;:<>|?()]+)?
      | [\w.@*+-]*[\w*](?:/[\w.@*+-]+)+/?
      | \*\.[A-Za-z]\w*
      | \.?[\w+-]+(?:\.[\w-]+)*\.[A-Za-z][A-Za-z0-9]{{0,5}}(?!\w)
    ))
  | (?P<multiplied>(?<![\w.,/:-])[$€£]?\d{{1,9}}(?:\.\d{{1,6}})?(?:[kK]|\s(?:thousand|million))(?![\w-]))
  | (?P<dozen>\b(?:half\s)?a\sdozen\b)
  | (?P<number>(?<![\w.,/:-])[$€£\#]?-?(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,15}})(?:\.\d{{1,15}})?
        (?=%|(?![\w/:-])(?!\.\d)|(?!(?:k|m|b|bn|x|st|nd|rd|th|am|pm)\b)[A-Za-z°]{{1,4}}(?![\w-])))
  | (?P<spelled>\b(?!one\b(?!{_NOUN}))(?:{_WORD})(?:[ -](?:{_WORD}))?(?:[ -](?:{_SCALE}))?\b(?!-))
  | (?P<identifier>(?<![\w-])(?=[\w-]*[A-Za-z_])(?:(?=[\w-]*\d)|(?=\w*[A-Za-z0-9]_[A-Za-z0-9])|(?=[a-z]+[A-Z]))\w+(?:[-.]\w+)*)
    """,
    re.VERBOSE,
)
_QUOTED = re.compile(
    r'"(?P<double>[^"]+)"|“(?P<curly>[^“”]+)”|`(?P<tick>[^`]+)`'
    r"|(?<![\w'])'(?P<single>(?:[^'\n]|'(?=\w))+)'(?!\w)"
)
_TRAILING = ".,;:!?)]}"
_NOT_PATHS = frozenset(
    {"and/or", "either/or", "read/write", "input/output", "on/off", "yes/no", "n/a", "e.g", "i.e"}
)


def find_spans(text: str) -> tuple[Span, ...]:
    """Every value in `text`, left to right, none overlapping another; what is quoted is one value."""
    spans: list[Span] = []
    position = 0
    for quote in _QUOTED.finditer(text):
        spans += _typed(text, position, quote.start())
        inner = quote.group(quote.lastgroup or 0)
        spans.append(_quoted(quote.start(), quote.end(), inner))
        position = quote.end()
    return (*spans, *_typed(text, position, len(text)))


def _quoted(start: int, end: int, inner: str) -> Span:
    """A quoted value, typed by what it holds when that is one value and nothing else."""
    typed = list(_typed(inner, 0, len(inner)))
    if len(typed) == 1 and (typed[0].start, typed[0].end) == (0, len(inner)):
        return Span(start, end, typed[0].kind, inner, typed[0].value, quoted=True)
    return Span(start, end, Kind.TEXT, inner, inner, quoted=True)


def _typed(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _TYPED.finditer(text, start, end):
        group = match.lastgroup or ""
        found = match.group()
        if group in {"url", "web", "path"}:
            found = found.rstrip(_TRAILING) or found
        if group == "path" and (
            found.lower() in _NOT_PATHS or not any(c.isalnum() or c in "/*" for c in found)
        ):
            continue
        kind = _KIND_OF_GROUP.get(group) or Kind(group)
        yield Span(match.start(), match.start() + len(found), kind, found.lstrip("$€£#"), _read(group, found))


def _read(group: str, found: str) -> str | int | float:
    match group:
        case "number":
            plain = found.lstrip("$€£#").replace(",", "")
            return float(plain) if "." in plain else int(plain)
        case "spelled":
            return _spelled(found)
        case "multiplied":
            return _multiplied(found)
        case "dozen":
            return 6 if found.startswith("half") else 12
        case "time":
            return _in_24_hours(found)
        case _:
            return found


def _multiplied(found: str) -> int | float:
    """The number that digits and a multiplier say: "2.5k", "3 million"."""
    digits, _, word = found.lstrip("$€£").partition(" ")
    factor = _SCALES[word] if word else _SCALES["thousand"]
    value = round(float(digits.rstrip("kK")) * factor, 6)
    return int(value) if value.is_integer() else value


def _spelled(found: str) -> int:
    """The number that a few number words say: "five", "twenty-five", "two hundred"."""
    total = 0
    for word in re.split(r"[ -]", found):
        if scale := _SCALES.get(word):
            total *= scale
        else:
            total += _TENS.get(word) or _UNITS[word]
    return total


def _in_24_hours(found: str) -> str:
    """The time as HH:MM, "9:30 pm" as "21:30"; a time without am or pm as it stands, with two digits for the hour."""
    hour, _, rest = re.sub(r"[^\d:]", "", found).partition(":")
    number = int(hour)
    if half := re.search(r"[ap]", found, re.IGNORECASE):
        number = number % 12 + (12 if half.group() in "pP" else 0)
    return f"{number:02d}:{rest or '00'}"
