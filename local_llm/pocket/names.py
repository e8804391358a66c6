"""Names of people, places and works that stand in a text, by their capital letters, and which parameters hold such."""

import re
from collections.abc import Iterator, Sequence

from local_llm.pocket.slots import Slot
from local_llm.pocket.spans import Kind, Span
from tool_registry.search import words

_WORD = r"(?:(?:Dr|Mr|Mrs|Ms|Prof|St)\.|[A-Z][\w'’-]*|[A-Z]\.)"
_RUN = re.compile(
    rf"(?<![\w.])(?:{_WORD})(?:(?:\s+(?:of|the|and|de|la|van|von|der|in|for|&)\s+(?:the\s+)?|\s+|,\s+(?=[A-Z]{{2}}\b))(?:{_WORD}|\d+\b))*"
)
_JOINED = re.compile(r"\s+(?:and|in|for|the)\s+", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s?$")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n/]\s*|[\"“(]\s*)$")
_SENTENCE_END = re.compile(r"\s*(?:[.!?\n]|$)")
_NO_NAMES = frozenset(
    "i i'm i'd i'll i've id ok hi hello hey please can could would what where when who how which the a an my it is are "
    "do does yes no sure also find show get book play add tell give let make create search look need want thanks today "
    "tomorrow monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december and but so if then your our their his her in on at to from for with by of".split()
)

PLACES = frozenset(
    words(
        "city location place town region country area destination municipality state address venue origin station airport "
        "neighborhood district province county site where"
    )
)
PEOPLE = frozenset(
    words(
        "name person people author artist director customer patient user contact singer band performer owner host guest "
        "employee recipient actor composer writer creator player"
    )
)
THINGS = frozenset(
    words(
        "team company organization brand airline hotel restaurant movie film song music album track book title event "
        "attraction playlist school university museum product business establishment venue shop store"
    )
)
_PLACE_LEADS = frozenset(
    "in at near to from around toward towards into for of visiting through across within outside".split()
)
_PEOPLE_LEADS = frozenset("by with for is am from of starring named about".split())
_AREAS = frozenset(words("city town country state region area municipality district county"))
_THING_LEADS = frozenset("for is of like see watch play at to about the on with book".split())


def find_names(text: str, taken: Sequence[Span]) -> Iterator[Span]:
    """The runs of capitalised words in `text`, left to right, outside of the values already `taken`.

    A single word that begins a sentence is none; one that joins two names by "and" or "in" is given in its parts, too.
    """
    for match in _RUN.finditer(text):
        for start, end in _parts(text, match.start(), match.end()):
            if not any(
                span.start < end and start < span.end and span.kind is not Kind.NUMBER for span in taken
            ):
                yield Span(start, end, Kind.TEXT, text[start:end], text[start:end])


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    start, end = _trimmed(text, start, end)
    if start >= end:
        return
    alone = not re.search(r"\s", text[start:end])
    begins, ends = _SENTENCE_START.search(text[:start]), _SENTENCE_END.match(text[end:])
    if not (alone and begins) or ends:
        yield start, end
    for joint in _JOINED.finditer(text, start, end):
        if joint.group().strip().lower() != "and" or re.search(r"\s", text[joint.end() : end]):
            yield start, joint.start()
            yield _trimmed(text, joint.end(), end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The run without leading words that are no names and without a possessive ending."""
    while start < end:
        first = re.match(r"[^\s]+", text[start:end])
        if first is None or first.group().lower().rstrip(",.") not in _NO_NAMES:
            break
        start += first.end()
        start += len(text[start:end]) - len(text[start:end].lstrip())
    ending = _POSSESSIVE.search(text[start:end])
    return start, (start + ending.start() if ending else end)


def is_place(slot: Slot) -> bool:
    """Whether the parameter holds the name of a place."""
    return bool(PLACES & _said(slot)) and not slot.kinds


def is_name(slot: Slot) -> bool:
    """Whether the parameter holds the name of somebody or something."""
    return bool((PEOPLE | PLACES | THINGS) & _said(slot)) and not slot.kinds and not slot.free


def _said(slot: Slot) -> frozenset[str]:
    return slot.words | frozenset(words(" ".join(slot.parts)))


def leads_to(slot: Slot, lead: str) -> bool:
    """Whether the word before a name says that it is one for `slot`: "in" for a place, "by" for an author."""
    if is_place(slot):
        if slot.origin or slot.goal:
            return False
        return lead in _PLACE_LEADS and not (lead == "at" and slot.words & _AREAS)
    return lead in (_THING_LEADS if THINGS & _said(slot) else _PEOPLE_LEADS)
