"""Dates and times as people say them, read against a given now; without one, only what needs none. Knows no tools, no clock."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from local_llm.pocket.spans import Kind, Span

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_WEEK = 7
_LEAP_YEAR = 2024
_FIRST_YEAR = 1000
"""Before it, `%Y` has fewer than four digits on some systems."""
_NUMBERS = dict(zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True)) | {
    "a": 1, "an": 1, "half": 0.5, "fifteen": 15, "twenty": 20, "thirty": 30,
}  # fmt: skip
_TENS = {"": 0, "twenty": 20, "thirty": 30}
_NEAR = {"today": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}
_MINUTES = {"minute": 1, "hour": 60}
_DAYS_IN = {"day": 1, "week": 7}
_MONTHS_IN = {"month": 1, "year": 12}
_PARTS = {"half past": 30, "quarter past": 15, "quarter to": -15}
_LATE = frozenset({"afternoon", "evening", "night", "p"})
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d)\b)?"
_WEEKDAY = r"(?P<weekday>mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?\b"
_COUNT = rf"(?P<count>\d+|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_UNIT = r"(?P<unit>minute|hour|day|week|month|year)s?"
_HOUR = (
    r"(?P<hour>\d{1,2}(?::(?P<minute>\d\d))?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
_HALF = r"(?:\s+(?:in the|at)\s+(?P<half>morning|afternoon|evening|night)|\s*(?P<half2>[ap])(?:\.m\.|m\b))"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a mention comes to."""

    kind: Kind
    value: str | None
    """ISO 8601, None when now is needed and not known."""
    sure: bool = True


Resolve = Callable[[re.Match[str], datetime | None], _Said | None]


def find_dates(text: str, now: datetime | None) -> Iterator[Span]:
    """The dates and times that `text` says in words, left to right; each `value` is ISO 8601, or the text where unknown.

    Args:
        text: any text.
        now: when it was said; None leaves everything relative to it as written.
    """
    position = 0
    while position < len(text):
        found = [(m, resolve) for pattern, resolve in _PATTERNS if (m := pattern.search(text, position))]
        if not found:
            return
        match, resolve = min(found, key=lambda pair: (pair[0].start(), -pair[0].end()))
        said = resolve(match, now)
        if said:
            written = _ARTICLE.sub("", match.group())
            start = match.end() - len(written)
            yield Span(start, match.end(), said.kind, written, said.value or written, doubtful=not said.sure)
        position = match.end() if said else match.start() + 1


_ARTICLE = re.compile(r"^the\s+", re.IGNORECASE)
_NOW = re.compile(
    r"\(?\b(?:the\s+current\s+(?:time|date)|today(?:['’]s\s+date)?)\s+is\s+(?P<said>[^()\n]{4,60}?)(?:\.?\)|\.(?=\s|$)|$)",
    re.IGNORECASE,
)


def said_now(text: str, now: datetime | None) -> tuple[str, datetime | None]:
    """`text` with a sentence such as "Today is May 3, 2024." blanked out, and that day; else both as they came."""
    for match in _NOW.finditer(text):
        dated = [span for span in find_dates(match["said"], None) if _is_day(span.value)]
        days = [str(span.value) for span in dated] or re.findall(r"\b\d{4}-\d\d-\d\d\b", match["said"])
        if len(days) == 1:
            blank = " " * len(match.group())
            day = datetime.combine(date.fromisoformat(days[0]), time())
            return text[: match.start()] + blank + text[match.end() :], day
    return text, now


def _is_day(value: str | float) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None


def _day(year: int, month: int, number: int) -> date | None:
    """That day, None when the calendar has none such."""
    try:
        return date(year, month, number)
    except ValueError:
        return None


def _iso(day: date | None) -> _Said:
    """That day, without the time where it has one."""
    return _Said(Kind.DATE, f"{day:%Y-%m-%d}" if day and day.year >= _FIRST_YEAR else None)


def _month_day(match: re.Match[str], now: datetime | None) -> _Said | None:
    short = match["month"].lower()[:3]
    month = next(index for index, name in enumerate(_MONTHS, 1) if name.startswith(short))
    number, year = _ordinal(match["day"]), match.groupdict().get("year")
    if number is None or _day(int(year) if year else _LEAP_YEAR, month, number) is None:
        return None
    if year:
        return _iso(_day(int(year), month, number))
    # Without a year, the next such day is meant: the 29th of February may be eight years off.
    days = (_day(now.year + ahead, month, number) for ahead in range(9)) if now else ()
    return _iso(next((day for day in days if now and day and day >= now.date()), None))


def _ordinal(said: str) -> int | None:
    """The number that "14", "first" or "twenty second" says."""
    if said.isdigit():
        return int(said)
    tens, _, unit = said.lower().replace("-", " ").rpartition(" ")
    base = _TENS.get(tens)
    return base + _ORDINALS.index(unit) + 1 if base is not None and unit in _ORDINALS else None


def _day_of_month(match: re.Match[str], now: datetime | None) -> _Said | None:
    number = int(match["day"])
    if _day(_LEAP_YEAR, 1, number) is None:
        return None
    months = ((now.year * 12 + now.month - 1 + ahead) for ahead in range(4)) if now else ()
    days = (_day(month // 12, month % 12 + 1, number) for month in months)
    return _iso(next((day for day in days if now and day and day >= now.date()), None))


def _near(match: re.Match[str], now: datetime | None) -> _Said:
    said = re.sub(r"\s+", " ", match["near"].lower())
    return _iso(_later(now, days=_NEAR[said]))


def _weekday(match: re.Match[str], now: datetime | None) -> _Said:
    which = (match.groupdict().get("which") or "").lower()
    if which == "last" or now is None:
        return _iso(None)
    wanted = next(index for index, name in enumerate(_DAYS) if name.startswith(match["weekday"].lower()[:3]))
    to_next_week = _WEEK - now.weekday() + wanted
    if match.groupdict().get("later"):
        return _iso(_later(now, days=to_next_week))
    ahead = (wanted - now.weekday()) % _WEEK or _WEEK
    # "next friday", said on a Monday, is this week's to some and next week's to others.
    sure = which != "next" or ahead == to_next_week
    return replace(_iso(_later(now, days=ahead)), sure=sure)


def _ahead(match: re.Match[str], now: datetime | None) -> _Said:
    said, unit = match["count"].lower(), match["unit"].lower()
    count = float(said) if said.isdigit() else float(_NUMBERS[said])
    count = -count if match.groupdict().get("back") else count
    if unit in _MINUTES:
        moment = _later(now, minutes=count * _MINUTES[unit])
        return _Said(Kind.DATETIME, moment.isoformat(timespec="seconds") if moment else None)
    if not count.is_integer():
        return _iso(None)
    if unit in _DAYS_IN:
        return _iso(_later(now, days=count * _DAYS_IN[unit]))
    if now is None:
        return _iso(None)
    month = int(now.year * 12 + now.month - 1 + count * _MONTHS_IN[unit])
    ends = (_day(month // 12, month % 12 + 1, day) for day in range(now.day, now.day - 4, -1))
    return _iso(next((day for day in ends if day), None))


def _later(now: datetime | None, *, days: float = 0.0, minutes: float = 0.0) -> datetime | None:
    try:
        return now + timedelta(days=days, minutes=minutes) if now else None
    except OverflowError:
        return None


def _numeric(match: re.Match[str], _now: datetime | None) -> _Said | None:
    """A date in figures; known only where day and month cannot be mistaken for each other."""
    first, second, year = int(match["first"]), int(match["second"]), int(match["full"])
    days = {day for day in (_day(year, first, second), _day(year, second, first)) if day}
    return _iso(days.pop() if len(days) == 1 else None) if days else None


def _year_first(match: re.Match[str], _now: datetime | None) -> _Said | None:
    day = _day(int(match["y"]), int(match["m"]), int(match["d"]))
    return _iso(day) if day else None


def _clock(match: re.Match[str], _now: datetime | None) -> _Said | None:
    """A time of day; in doubt where nobody says which half of the day it is in."""
    parts = {name: (said or "").lower() for name, said in match.groupdict().items()}
    said = parts["hour"].partition(":")[0]
    hour = int(said) if said.isdigit() else int(_NUMBERS[said])
    half = parts.get("half") or parts.get("half2") or ""
    if half and hour in range(1, 13):
        hour = hour % 12 + (12 if half in _LATE else 0)
    elif half or hour not in range(24):
        return None
    minutes = _PARTS.get(re.sub(r"\s+", " ", parts.get("part", "")), 0) + int(parts.get("minute") or 0)
    hour, minutes = divmod((hour * 60 + minutes) % (24 * 60), 60)
    return _Said(Kind.TIME, f"{hour:02d}:{minutes:02d}", sure=bool(half) or hour not in range(1, 13))


def _noon(match: re.Match[str], _now: datetime | None) -> _Said:
    return _Said(Kind.TIME, "12:00" if match["noon"].lower() == "noon" else "00:00")


_PATTERNS: tuple[tuple[re.Pattern[str], Resolve], ...] = tuple(
    (re.compile(rf"(?<![\w/:.-]){pattern}(?![\w/])", re.IGNORECASE), resolve)
    for pattern, resolve in (
        (rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}", _month_day),
        (rf"(?:the\s+)?(?P<day>(?:(?:twenty|thirty)[ -])?(?:{'|'.join(_ORDINALS)}))\s+(?:of\s+)?{_MONTH}{_YEAR}", _month_day),
        (rf"{_MONTH}\s+(?:the\s+)?{_DAY}{_YEAR}", _month_day),
        (r"the\s+(?P<day>\d{1,2})(?:st|nd|rd|th)(?:\s+of\s+(?:this|the)\s+month)?(?!\s+(?:of|century|floor|street|ave|edition)\b)", _day_of_month),
        (r"(?:the\s+)?(?P<near>day\s+after\s+tomorrow|day\s+before\s+yesterday|today|tomorrow|yesterday)", _near),
        (rf"{_WEEKDAY}\s+(?P<later>next\s+week)", _weekday),
        (rf"(?:(?P<which>next|this|coming|last)\s+)?{_WEEKDAY}", _weekday),
        (rf"in\s+{_COUNT}(?:\s+an?)?\s+{_UNIT}(?:['’]\s*time)?", _ahead),
        (rf"{_COUNT}\s+{_UNIT}\s+from\s+(?:now|today)", _ahead),
        (rf"{_COUNT}\s+{_UNIT}\s+(?P<back>ago)", _ahead),
        (r"(?P<first>\d{1,2})[/.](?P<second>\d{1,2})[/.](?P<full>(?:19|20)\d\d)", _numeric),
        (r"(?P<y>(?:19|20)\d\d)[/.](?P<m>\d{1,2})[/.](?P<d>\d{1,2})", _year_first),
        (rf"(?:(?P<part>half past|quarter past|quarter to)\s+)?{_HOUR}(?:\s+o['’]?clock)?{_HALF}", _clock),
        (rf"(?P<part>half past|quarter past|quarter to)\s+{_HOUR}", _clock),
        (rf"(?P<half>morning|afternoon|evening)\s+(?:(?P<part>half past|quarter past|quarter to)\s+)?{_HOUR}", _clock),
        (rf"{_HOUR}\s+o['’]?clock", _clock),
        (r"(?P<noon>noon|midnight)", _noon),
    )
)  # fmt: skip
