"""What speaks for giving a value to a parameter: the words beside it, its kind, the way it points."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from local_llm.pocket.slots import ISO, Slot
from local_llm.pocket.spans import Kind, Span
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.vocabulary import ANNOUNCERS, GOAL_LEADS, ORIGIN_LEADS
from tool_registry.search import words

NAMED = 1.0
"""The text names the parameter beside the value."""
OPTION = 0.9
"""A listed option stands in the text."""
ANNOUNCED = 0.88
"""A word such as "titled" announces the value."""
FITTING = 0.8
"""The value is of the very kind the parameter holds: a path for a path."""
LED = 0.72
"""A preposition leads to the value: "to X" for a destination."""
SURE = 0.6
"""From here on a claim is evidence, below it a guess; optional parameters take no guesses."""
BESIDE = 0.55
"""A word of no known kind stands where the value may stand."""
GUESS = 0.45
"""Only the type fits."""


class Pending(Enum):
    """A value that is meant and not known yet."""

    RESULT = "the result of an earlier call"


PENDING: Final = Pending.RESULT
"""Claimed where a step wants the result of an earlier one that was not called, as in a dry run."""

OPEN_KINDS = frozenset({Kind.PATH, Kind.IDENTIFIER})
"""Kinds that ordinary words can be of."""
_EMPTY = frozenset(
    "it this that them these those there here me my mine our us is are be all any now please".split()
)
_TYPED = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIME})
"""Kinds of values that a parameter of no declared kind is seldom meant to hold."""
_HOLDS: dict[Kind, frozenset[str]] = {
    kind: frozenset(
        {"value", "when", "start", "end", "from", "to", "due", "period", "range", "year", "month", "schedule"}
    )
    for kind in _TYPED
}
_LINKS = frozenset({"of", "is", "to", "=", ":", "the", "a", "an", "as"})
_PATH_NOUN = re.compile(r"\s+(?:folder|directory|file)$", re.IGNORECASE)
_PERCENT = frozenset(words("percent percentage pct rate"))


@dataclass(frozen=True, slots=True)
class Claim:
    """One value for one parameter."""

    slot: Slot
    start: int
    end: int
    """Where the value stands; no two claims of one call may overlap."""
    value: Any
    weight: float
    """Evidence, about in [0, 1]; see the constants of this module."""
    why: str
    """What speaks for it, without the value itself: "named", "an option"…"""
    quoted: bool = False
    """Whether the value stands in quotes, so that nothing in it is a word of the task."""


def claim(slot: Slot, span: Span, weight: float, why: str) -> Claim:
    """A claim of `slot` on what `span` says, dates and times in the form the parameter wants.

    Worth nothing where that form cannot be had: a day that is not known, a date without the time that belongs to it.
    """
    value = _written(slot, span)
    if value is None:
        return Claim(slot, span.start, span.end, span.text, 0.0, why)
    return Claim(
        slot, span.start, span.end, value, min(weight, BESIDE) if span.doubtful else weight, why, span.quoted
    )


def _written(slot: Slot, span: Span) -> str | None:
    """The text of `span` as `slot` wants it, None when it cannot be had."""
    if Kind.PATH in slot.kinds and span.kind is Kind.TEXT and not span.quoted and not slot.goal:
        return _PATH_NOUN.sub("", span.text) or span.text
    if span.kind is Kind.TIME and slot.clock:
        return str(span.value)
    if slot.dated and span.kind in {Kind.DATE, Kind.DATETIME}:
        return _dated(slot, span)
    return span.text


def _dated(slot: Slot, span: Span) -> str | None:
    """A date in the form that `slot` asks for, None where the day is not known, or the time that belongs to it."""
    try:
        moment = datetime.fromisoformat(str(span.value))
    except ValueError:
        return None
    if slot.whole or slot.dated == ISO:
        return None if slot.whole and span.kind is Kind.DATE else str(span.value)
    return moment.strftime(slot.dated)


def suits(slot: Slot, span: Span) -> bool:
    """Whether the kind of `span` does not speak against `slot`."""
    if span.kind is Kind.REFERENCE:
        return False
    return not slot.kinds or span.kind in slot.kinds or Kind.IDENTIFIER in slot.kinds


def weighed(slot: Slot, phrase: Span, weight: float) -> float:
    """`weight`, or less where `phrase` is not of the parameter's kind: a path may be any word, a date may not."""
    if not phrase.quoted and all(word in _EMPTY for word in phrase.text.lower().split()):
        return 0.0
    if not slot.kinds and phrase.kind in _TYPED and not phrase.quoted and not slot.free:
        return min(weight, SURE) if slot.parts & _HOLDS.get(phrase.kind, frozenset()) else min(weight, BESIDE)
    if not slot.kinds or phrase.kind in slot.kinds:
        return weight
    one_word = slot.kinds & OPEN_KINDS and " " not in phrase.text
    return min(weight, SURE + 0.05) if one_word else GUESS


def share(task: TaskReading, slot: Slot, place: int) -> float:
    """How much of the parameter's name stands around token `place`: one word of two says less than both."""
    if len(slot.words) == 1:
        return 1.0
    heard = {stem for token in task.tokens[max(0, place - 2) : place + 2] for stem in words(token.text)}
    return 0.55 + 0.45 * (len(heard & slot.words) - 1) / (len(slot.words) - 1)


def naming(task: TaskReading, slot: Slot, start: int, end: int) -> float:
    """How clearly the words just before or just after a value name the parameter; 0 when they do not."""
    for token in task.before(start, 3):
        if token.stem and slot.words & {token.stem, *words(token.text)}:
            return NAMED * share(task, slot, task.index_at(token.start))
        if token.lower not in _LINKS:
            break
    for token in task.after(end, 2):
        if token.text == "%" and slot.words & _PERCENT:
            return NAMED
        if token.stem and slot.words & {token.stem, *words(token.text)}:
            return 0.95 * share(task, slot, task.index_at(token.start))
    return 0.0


def leading(task: TaskReading, slot: Slot, start: int) -> float:
    """What the word right before a value adds: a fit preposition ("in /repo"), or the way it points."""
    lead = next((token.lower for token in task.before(start, 1)), "")
    fit = 0.05 if slot.parts & set(ANNOUNCERS.get(lead, ())) else 0.0
    if not (slot.origin or slot.goal):
        return fit
    if lead[:1].isdigit():
        return 0.1 if slot.origin else 0.0
    if lead in ORIGIN_LEADS:
        return 0.15 if slot.origin else -0.4
    if lead in GOAL_LEADS:
        return 0.15 if slot.goal else -0.4
    return fit
