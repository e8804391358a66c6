"""Dates and times as people say them, read against a given now; without one, only what needs none. Knows no tools, no clock."""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from local_llm.pocket.spans import Kind, Span

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_NUMBERS = {
    word: number
    for number, word in enumerate("a one two three four five six seven eight nine ten eleven twelve".split())
} | {"a": 1, "an": 1, "half": 0.5, "thirty": 30, "twenty": 20, "fifteen": 15}
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


def _month_day(match: re.Match[str], now: datetime | None) -> _Said | None:
    month = next(
        i for i, name in enumerate(_MONTHS, 1) if name.startswith(match["month"].lower().rstrip(".")[:3])
    )
    number = _ordinal(match["day"])
    year = match.groupdict().get("year")
    if number is None or not 1 <= number <= monthrange(int(year) if year else 2024, month)[1]:
        return None
    if year:
        return _Said(Kind.DATE, date(int(year), month, number).isoformat())
    if now is None:
        return _Said(Kind.DATE, None)
    # Without a year, the next such day is meant; how far back "March 3" may lie, nobody says.
    coming = next(
        (day for y in range(now.year, now.year + 9) if (day := _day(y, month, number)) and day >= now.date()),
        None,
    )
    return _Said(Kind.DATE, coming.isoformat() if coming else None)


def _day(year: int, month: int, number: int) -> date | None:
    return date(year, month, number) if number <= monthrange(year, month)[1] else None


def _ordinal(said: str) -> int | None:
    if said.isdigit():
        return int(said)
    tens, _, unit = said.lower().replace("-", " ").rpartition(" ")
    if unit == "thirtieth":
        return 30
    base = {"": 0, "twenty": 20, "thirty": 30}.get(tens)
    return base + _ORDINALS.index(unit) + 1 if base is not None and unit in _ORDINALS else None


def _day_of_month(match: re.Match[str], now: datetime | None) -> _Said | None:
    number = int(match["day"])
    if not 1 <= number <= 31:
        return None
    if now is None:
        return _Said(Kind.DATE, None)
    months = (
        (now.year + (now.month - 1 + ahead) // 12, (now.month - 1 + ahead) % 12 + 1) for ahead in range(4)
    )
    days = (_day(year, month, number) for year, month in months)
    coming = next((day for day in days if day and day >= now.date()), None)
    return _Said(Kind.DATE, coming.isoformat() if coming else None)


_NEAR = {"today": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}


def _near(match: re.Match[str], now: datetime | None) -> _Said:
    said = re.sub(r"\s+", " ", match["near"].lower())
    return _Said(Kind.DATE, (now.date() + timedelta(_NEAR[said])).isoformat() if now else None)


def _weekday(match: re.Match[str], now: datetime | None) -> _Said | None:
    which = (match.groupdict().get("which") or "").lower()
    if which == "last" or now is None:
        return _Said(Kind.DATE, None)
    wanted = next(i for i, name in enumerate(_DAYS) if name.startswith(match["weekday"].lower()[:3]))
    ahead = (wanted - now.weekday()) % 7 or 7
    if match.groupdict().get("later"):
        return _Said(Kind.DATE, (now.date() + timedelta(7 - now.weekday() + wanted)).isoformat())
    # "next friday", said on a Monday, is this week's to some and next week's to others.
    sure = which != "next" or ahead + now.weekday() >= 7
    return _Said(Kind.DATE, (now.date() + timedelta(ahead)).isoformat(), sure)


def _ahead(match: re.Match[str], now: datetime | None) -> _Said:
    said, unit = match["count"].lower(), match["unit"].lower()
    count = float(said) if said.isdigit() else float(_NUMBERS[said])
    back = match.groupdict().get("back")
    clock = unit in {"minute", "hour"}
    if now is None or (not count.is_integer() and not clock) or count > 10_000:
        return _Said(Kind.DATETIME if clock else Kind.DATE, None)
    count = -count if back else count
    if clock:
        moment = now + timedelta(minutes=count if unit == "minute" else 60 * count)
        return _Said(Kind.DATETIME, moment.isoformat(timespec="seconds"))
    if unit in {"day", "week"}:
        return _Said(
            Kind.DATE, (now.date() + timedelta(int(count) * (7 if unit == "week" else 1))).isoformat()
        )
    months = now.year * 12 + now.month - 1 + int(count) * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    if not 1 <= year <= 9999:
        return _Said(Kind.DATE, None)
    return _Said(Kind.DATE, date(year, month + 1, min(now.day, monthrange(year, month + 1)[1])).isoformat())


def _numeric(match: re.Match[str], now: datetime | None) -> _Said | None:
    first, second, year = int(match["first"]), int(match["second"]), int(match["full"])
    readings = {
        day.isoformat()
        for month, number in ((first, second), (second, first))
        if 1 <= month <= 12 and number >= 1 and (day := _day(year, month, number))
    }
    return _Said(Kind.DATE, readings.pop() if len(readings) == 1 else None) if readings else None


def _year_first(match: re.Match[str], now: datetime | None) -> _Said | None:
    month, number = int(match["m"]), int(match["d"])
    day = _day(int(match["y"]), month, number) if 1 <= month <= 12 and number >= 1 else None
    return _Said(Kind.DATE, day.isoformat()) if day else None


def _clock(match: re.Match[str], now: datetime | None) -> _Said | None:
    parts = match.groupdict()
    said = parts["hour"].lower().partition(":")[0]
    hour = int(said) if said.isdigit() else int(_NUMBERS[said])
    minutes = {"half past": 30, "quarter past": 15, "quarter to": -15}.get(
        re.sub(r"\s+", " ", (parts.get("part") or "").lower()), 0
    )
    half = (parts.get("half") or parts.get("half2") or "").lower()
    if not 0 <= hour <= 23 or (hour > 12 and half):
        return None
    if half:
        late = half in {"afternoon", "evening", "night", "p"}
        hour = hour % 12 + (12 if late else 0)
    total = (hour * 60 + minutes + int(parts.get("minute") or 0)) % (24 * 60)
    return _Said(Kind.TIME, f"{total // 60:02d}:{total % 60:02d}", sure=bool(half) or hour > 12)


def _noon(match: re.Match[str], now: datetime | None) -> _Said:
    return _Said(Kind.TIME, "12:00" if match["noon"].lower() == "noon" else "00:00")


_PATTERNS: tuple[tuple[re.Pattern[str], Resolve], ...] = tuple(
    (re.compile(rf"(?<![\w/:.-]){pattern}(?![\w/])", re.IGNORECASE), resolve)
    for pattern, resolve in (
        (rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}", _month_day),
        (rf"(?:the\s+)?(?P<day>(?:(?:twenty|thirty)[ -])?(?:{'|'.join(_ORDINALS)})|thirtieth)\s+(?:of\s+)?{_MONTH}{_YEAR}", _month_day),
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
