"""A task text read once: its words with their places, its values, and the phrases that follow a word."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from local_llm.plan import Step
from local_llm.pocket.dates import find_dates
from local_llm.pocket.names import find_names
from local_llm.pocket.references import Reference, find_references
from local_llm.pocket.spans import Kind, Span, find_spans
from local_llm.pocket.vocabulary import UNITS, UNMISTAKABLE, VERBS
from tool_registry.search import words

# A unit glued to its number ("10km") is a word of its own.
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"\d+(?:\.\d+)?(?=(?:{_UNIT})\b)|[^\W_]+(?:['’_-][^\W_]+)*|[^\w\s]|_",
    re.IGNORECASE,
)

_BOUNDARIES = frozenset(
    "to from around in into on onto at for with of by as using via under within inside about between until since "
    "near against during across because please and or then that which where when but without not if".split()
)
"""Words that open a new part of a task; a short phrase ends before them, a long one only before announcing words."""
_LINKS = frozenset(
    {
        "say",
        "include",
        "includes",
        "including",
        "is",
        "are",
        "as",
        "be",
        "of",
        "to",
        ":",
        "=",
        "the",
        "a",
        "an",
        "should",
        "will",
        "would",
        "equals",
    }
)
_NEGATIONS = frozenset(
    {"no", "not", "without", "dont", "don't", "don’t", "never", "disable", "skip", "except", "off"}
)
_JOINTS = frozenset({",", "and", "or", "&"})
_SENTENCE_ENDS = frozenset({".", "!", "?", ";", "\n"})
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "st", "prof", "vs"})
_SPEAKERS = frozenset("i we you it they he she please this these i'm i'd we're let can could".split())
"""Words that begin something else where an item of a list might stand."""
_LONGEST_LIST = 20


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a punctuation mark."""

    start: int
    end: int
    text: str
    lower: str
    stem: str
    """The searchable stem; empty for stop words and punctuation, so that only content words have one."""


@dataclass(frozen=True)
class TaskReading:
    """What stands in a task."""

    text: str
    steps: tuple[Step, ...] = ()
    """The successful calls before it, which its words may point at."""
    now: datetime | None = None
    """When it was said, for "tomorrow"; None when that is not known."""

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        found = find_spans(self.text)
        dated = [
            span
            for span in find_dates(self.text, self.now)
            if not any(
                other.start < span.end and span.start < other.end and _stands(other) for other in found
            )
        ]
        pointing = (
            Span(at.start, at.end, Kind.REFERENCE, self.text[at.start : at.end], "", quoted=True)
            for at in self.references
        )
        kept = (
            span
            for span in found
            if not any(span.start < other.end and other.start < span.end for other in dated)
        )
        return tuple(sorted((*kept, *dated, *pointing), key=lambda span: span.start))

    @cached_property
    def names(self) -> tuple[Span, ...]:
        """Runs of capitalised words that are no value of another kind."""
        return tuple(find_names(self.text, self.spans))

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The words that point back at earlier steps; none where there were none."""
        if not self.steps:
            return ()
        valued = [(span.start, span.end) for span in find_spans(self.text)]
        return tuple(find_references(self.text, valued))

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(
            Token(m.start(), m.end(), m.group(), m.group().lower(), "".join(words(m.group())))
            for m in _TOKEN.finditer(self.text)
        )

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each stem stands outside of quotes, URLs and paths: indices into `tokens`."""
        found: dict[str, list[int]] = {}
        for index, token in enumerate(self.tokens):
            if token.stem and not self.in_value(token):
                for stem in {token.stem, *words(token.text)}:
                    found.setdefault(stem, []).append(index)
        return found

    @cached_property
    def indices(self) -> dict[str, list[int]]:
        """Where each word stands outside of values, as written in lower case: indices into `tokens`."""
        found: dict[str, list[int]] = {}
        for index, token in enumerate(self.tokens):
            if not self.in_value(token):
                found.setdefault(token.lower, []).append(index)
        return found

    def in_value(self, token: Token) -> bool:
        """Whether `token` is part of a quote, URL, path or the like."""
        return any(
            span.start <= token.start
            and token.end <= span.end
            and span.kind not in {Kind.NUMBER, Kind.IDENTIFIER}
            for span in self.spans
        )

    def before(self, position: int, count: int) -> tuple[Token, ...]:
        """Up to `count` tokens that end at or before character `position`, nearest first."""
        index = self.index_at(position)
        return self.tokens[max(0, index - count) : index][::-1]

    def after(self, position: int, count: int) -> tuple[Token, ...]:
        """Up to `count` tokens that start at or after character `position`."""
        index = self.index_at(position)
        return self.tokens[index : index + count]

    def index_at(self, position: int) -> int:
        """The index of the first token that starts at or after character `position`."""
        return bisect_left(self.tokens, position, key=lambda token: token.start)

    def negation(self, index: int) -> Token | None:
        """The one of the two tokens before `index` that negates it, if any."""
        return next(
            (token for token in self.tokens[max(0, index - 2) : index] if token.lower in _NEGATIONS), None
        )

    def value_at(self, index: int) -> Span | None:
        """The typed or quoted value that starts with token `index`."""
        if index >= len(self.tokens):
            return None
        start = self.tokens[index].start
        return next((span for span in self.spans if span.start <= start < span.end), None)

    def phrase_after(self, index: int, *, long: bool) -> Span | None:
        """What follows token `index`: a value if one stands there, else words up to the next part of the task.

        A long phrase runs to the end of the sentence or to the next announcing word. Unless such a word leads to
        it, it also ends before a second step: in "search for milk and list the notes", but not after "saying".
        """
        first = self._skip_links(index + 1, articles=not long)
        span = self.value_at(first)
        if span and (span.quoted or not long):
            return span
        last = first
        announced = self.tokens[index].lower in UNMISTAKABLE
        while last < len(self.tokens) and not self._ends_phrase(last, long=long):
            if not announced and self._starts_step(last):
                break
            last += 1
        return self._phrase(first, last)

    def list_after(self, index: int) -> tuple[Span, ...]:
        """The items of the list that follows token `index` ("a, b and c"); empty when nothing follows."""
        return tuple(self._items(self._skip_links(index + 1, articles=True)))

    def _items(self, first: int) -> Iterator[Span]:
        for _ in range(_LONGEST_LIST):
            span = self.value_at(first)
            last = first
            while span is None and last < len(self.tokens) and not self._ends_phrase(last, long=False):
                last += 1
            item = span or self._phrase(first, last)
            if item is None or (item.kind is Kind.TEXT and item.text.split()[0].lower() in _SPEAKERS):
                return
            yield item
            first = self.index_at(item.end)
            joints = 0
            while first < len(self.tokens) and self.tokens[first].lower in _JOINTS:
                first, joints = first + 1, joints + 1
            if not joints or (
                first < len(self.tokens) and self.tokens[first].lower in _BOUNDARIES | UNMISTAKABLE
            ):
                return

    def _skip_links(self, index: int, *, articles: bool) -> int:
        skipped = _LINKS if articles else _LINKS - {"the", "a", "an", "to", "of"}
        while index < len(self.tokens) and self.tokens[index].text in skipped:
            index += 1
        return index

    def _ends_phrase(self, index: int, *, long: bool) -> bool:
        token = self.tokens[index]
        if token.text in _SENTENCE_ENDS:
            following = self.text[token.end : token.end + 1]
            initial = index > 0 and (
                len(self.tokens[index - 1].text) == 1 or self.tokens[index - 1].lower in _TITLES
            )
            return (not following or following.isspace()) and not (initial and token.text == ".")
        if token.lower in UNMISTAKABLE:
            return True
        if long:
            return False
        return token.lower in _BOUNDARIES or token.text in {",", ":", "(", ")", '"'}

    def _starts_step(self, index: int) -> bool:
        """Whether "and" or "then" at token `index` leads to another thing to do."""
        following = self.tokens[index + 1 : index + 2]
        return self.tokens[index].lower in {"and", "then"} and bool(following) and following[0].stem in VERBS

    def _phrase(self, first: int, last: int) -> Span | None:
        if first >= last or first >= len(self.tokens):
            return None
        start, end = self.tokens[first].start, self.tokens[last - 1].end
        text = self.text[start:end]
        return Span(start, end, Kind.TEXT, text, text)


def _stands(span: Span) -> bool:
    """Whether a value stands where a date seems to be one: what is quoted, or written to the minute."""
    return span.quoted or span.kind in {Kind.URL, Kind.EMAIL, Kind.DATETIME, Kind.DATE, Kind.TIMEZONE}
