"""Words of a step that point back at an earlier one: "it", "that folder", "its result". Knows words only."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tool_registry.search import words


class Points(StrEnum):
    """What a reference points at."""

    RESULT = "result"
    THING = "thing"


@dataclass(frozen=True, slots=True)
class Reference:
    """Words of a step that stand for a value of an earlier one."""

    start: int
    end: int
    points: Points
    noun: str
    """Stem of the noun that says what is meant, as in "that folder"; empty for "it" and "there"."""


_RESULTS = (
    r"results?|outputs?|answers?|outcome|response|reply|sum|total|product|difference|average|"
    r"contents?|conversion|count|number"
)
_REFERENCE = re.compile(
    rf"\b(?:(?:(?:its|the|that|this)\s+(?P<result>{_RESULTS})(?!\s+(?:of|for|in|between|\d)\b)(?!\s*['\"\d]))"
    r"|(?P<same>the\s+same|that|this)\s+(?P<noun>[a-z]+)|(?P<it>it|them|there|that|this|the\s+same))\b",
    re.IGNORECASE,
)
_RUNNING_LEAD = re.compile(r"\b(?:saying|says|containing)\s+(?=\S)", re.IGNORECASE)


def find_references(text: str, quoted: Sequence[tuple[int, int]]) -> Iterator[Reference]:
    """The references in `text`, outside of the stretches that are `quoted` and of running text."""
    running = next((match.end() for match in _RUNNING_LEAD.finditer(text)), len(text))
    for match in _REFERENCE.finditer(text):
        start, end = match.span()
        if start > running or any(begin < end and start < stop for begin, stop in quoted):
            continue
        if match["result"]:
            yield Reference(start, end, Points.RESULT, words(match["result"])[0])
        elif match["same"]:
            stem = "".join(words(match["noun"]))
            if stem:
                yield Reference(start, match.end("same"), Points.THING, stem)
        elif not (match["it"].lower() == "there" and re.match(r"\s+(?:is|are)\b", text[end:])):
            yield Reference(start, end, Points.THING, "folder" if match["it"].lower() == "there" else "")
