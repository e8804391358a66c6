"""Claims of text parameters: typed values, quotes, and the phrases that a name or a preposition leads to."""

from collections.abc import Iterator

from local_llm.pocket import vocabulary
from local_llm.pocket.cities import find_cities
from local_llm.pocket.evidence import (
    ANNOUNCED,
    BESIDE,
    FITTING,
    GUESS,
    LED,
    NAMED,
    OPEN_KINDS,
    SURE,
    Claim,
    claim,
    leading,
    naming,
    share,
    suits,
    weighed,
)
from local_llm.pocket.names import is_name, leads_to
from local_llm.pocket.slots import Slot
from local_llm.pocket.spans import Kind, Span
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading
from tool_registry.search import words

_NAME_ENDINGS = frozenset("id ids number name code identifier value address content text".split())
_BEFORE_INFINITIVE = frozenset(
    "want wants need needs like love have try able how help me us you order is".split()
)
_INFINITIVES = frozenset(
    words("go be have travel leave see know learn eat stay fly take return arrive depart meet work make use")
)
_DOCTORS = frozenset(words("doctor physician dentist therapist"))
_SORTS = frozenset("genre style category cuisine sort subgenre language nationality".split())
"""Names of parameters whose value stands before the noun of the tool: "Pop songs", "Italian restaurants"."""
_CURRENCY = frozenset(words("currency currencies"))
_PATH_NOUNS = frozenset(words("folder directory file path"))
_ALSO_SAYS = 0.1
"""What a value is worth that holds a word of the parameter's name: "corporate event" for an event type."""
_MATTER = 0.75
"""From here on, a word is explained by a tool's name or the first sentence of its description."""
_LINK_WITHIN = 8
"""How many words after a parameter's name may stand before the "is" that gives its value."""
_PUT_RIGHT = 0.05
"""What "should be" is worth over "is": it puts right what was said before."""
_GIVING = frozenset({"is", "are", "should", ":", "="})
_STOPS = frozenset({".", "!", "?", ";", ",", "\n", "and"})
_SHORTER = 0.1
"""What a phrase that stops early has less than the one that runs on."""
_DRIFT = 0.02
"""Taken off per place: where nothing else decides, values come in the order of the parameters."""


def text_claims(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """The claims of a parameter that takes text."""
    yield from _by_kind(task, tool, slot)
    yield from named(task, tool, slot)
    yield from _by_announcement(task, tool, slot)
    yield from _by_direction(task, tool, slot)
    if Kind.TIMEZONE in slot.kinds:
        yield from _by_city(task, slot)
    if slot.words & _CURRENCY:
        yield from _by_currency(task, tool, slot)
    yield from _by_linked_name(task, slot)
    yield from _by_capitals(task, tool, slot)
    for span in task.spans:
        if span.quoted and suits(slot, span):
            told = _ALSO_SAYS if slot.words & set(words(span.text)) else 0.0
            yield claim(
                slot, span, (FITTING if slot.free else LED if slot.required else SURE) + told, "quoted"
            )


def _by_city(task: TaskReading, slot: Slot) -> Iterator[Claim]:
    """The time zone of a city, for a parameter that holds one."""
    for city in find_cities(task.text):
        if not any(span.start < city.end and city.start < span.end for span in task.spans):
            weight = min(FITTING + leading(task, slot, city.start), NAMED)
            yield Claim(slot, city.start, city.end, city.value, weight, "the zone of a city")


def _by_currency(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """Currencies by their ISO 4217 codes, or by their names where each has one code."""
    ends = [other.name for other in tool.slots if other.words & _CURRENCY]
    found = [
        (token, code)
        for token in task.tokens
        if (code := token.text if token.text in vocabulary.CURRENCIES.values() else None)
        or (code := vocabulary.CURRENCIES.get(token.lower))
    ]
    for order, (token, code) in enumerate(found):
        weight = FITTING + leading(task, slot, token.start) - _DRIFT * abs(order - ends.index(slot.name))
        yield Claim(slot, token.start, token.end, code, weight, "a currency")


def _by_linked_name(task: TaskReading, slot: Slot) -> Iterator[Claim]:
    """What "is" or a colon gives to the parameter that is named before it: "the date I need is May 3"."""
    for stem in sorted(slot.words):
        for place in task.places.get(stem, ()):
            for link in range(place + 1, min(place + _LINK_WITHIN, len(task.tokens))):
                token = task.tokens[link]
                if token.text in _STOPS:
                    break
                if token.lower in _GIVING and (phrase := task.phrase_after(link, long=False)):
                    put_right = _PUT_RIGHT if token.lower == "should" else 0.0
                    weight = weighed(slot, phrase, NAMED * share(task, slot, place)) + put_right
                    yield claim(slot, phrase, weight, "named")
                    break


def _by_capitals(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """Capitalised names for the parameters that hold such, where the word before or after them agrees."""
    if not (is_name(slot) or slot.parts & _SORTS):
        return
    for name in task.names:
        lead = next((token.lower for token in task.before(name.start, 1)), "")
        after = {token.stem for token in task.after(name.end, 1)} - {""}
        if leads_to(slot, lead):
            weight = LED + 0.02 * len(name.text.split()) + leading(task, slot, name.start)
        elif (
            after & slot.words
            or (slot.parts & _SORTS and after & (tool.name | tool.lead))
            or slot.words & set(words(name.text))
        ):
            weight = LED
        else:
            weight = GUESS
        titled = name.text.startswith("Dr.")
        if titled or lead == "is":
            doctor = bool(slot.words & _DOCTORS)
            weight += 0.1 if titled == doctor else -0.2
        yield claim(slot, name, min(weight, FITTING), "a name")


def named(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """What stands right after the parameter's name ("key greeting"), or one word right before it."""
    nouns = _PATH_NOUNS - slot.words if Kind.PATH in slot.kinds else frozenset[str]()
    for stem in sorted(slot.words | nouns):
        for place in task.places.get(stem, ()):
            told = 1.0 if stem in nouns else share(task, slot, place)
            last = _name_end(task, slot, place)
            most = _most_from(task, tool, slot, place, last)
            for phrase in _after_name(task, slot, last):
                if _is_tools_matter(tool, slot, phrase):
                    continue
                # Typed and quoted values speak for themselves; plain words lean on the words before them.
                limit = most if phrase.kind is Kind.TEXT and not phrase.quoted else NAMED
                if _is_plain_words(task, slot, last, phrase):
                    limit = min(limit, SURE)
                yield claim(slot, phrase, weighed(slot, phrase, limit) * told, "named")
                most -= _SHORTER
            if place and stem not in nouns and not slot.free and (word := _before_name(task, place)):
                yield claim(slot, word, BESIDE * told, "named after its value")


def _is_plain_words(task: TaskReading, slot: Slot, last: int, phrase: Span) -> bool:
    """Whether several plain words follow the name without "is" or a colon: "the brand perception report" is no brand."""
    linked = (
        task.tokens[last + 1].lower in _GIVING | {"as", "to", "of"} if last + 1 < len(task.tokens) else False
    )
    plain = phrase.kind is Kind.TEXT and not phrase.quoted and " " in phrase.text and phrase.text.islower()
    return plain and not linked and not slot.free


def _name_end(task: TaskReading, slot: Slot, place: int) -> int:
    """The last token of the name that goes on from `place`: "customer ID", "receipt number"."""
    while place + 1 < len(task.tokens) and task.tokens[place + 1].lower in slot.parts | _NAME_ENDINGS:
        place += 1
    return place


def _most_from(task: TaskReading, tool: ToolReading, slot: Slot, place: int, last: int) -> float:
    """The most that plain words after the name are worth.

    "search the web" says what to do and "list events near me" names the tool's own matter; "the author of the
    book" asks for the author, and "the artist to the list" goes on to something else ("a task to do" does not).
    """
    name = task.tokens[place]
    following = task.tokens[last + 1].lower if last + 1 < len(task.tokens) else ""
    if name.stem in tool.verbs or following == "of" or (following == "to" and not slot.running):
        return BESIDE
    own_matter = name.stem in slot.words & tool.name and name.lower not in slot.parts
    return BESIDE if own_matter else NAMED


def _after_name(task: TaskReading, slot: Slot, place: int) -> Iterator[Span]:
    """The phrases that may be the value, the longest first: "value 42 under key x" ends where another begins."""
    following = task.tokens[place + 1] if place + 1 < len(task.tokens) else None
    if following is None or following.lower in vocabulary.ANNOUNCERS:
        return
    lengths = (True, False) if slot.running else (False,)
    phrases = (task.phrase_after(place, long=long) for long in lengths)
    for phrase in dict.fromkeys(phrase for phrase in phrases if phrase):
        # "content is 'x'. And then…": what is quoted is the value, and what is around it is not.
        if phrase.quoted or not any(
            span.quoted and phrase.start < span.start < phrase.end for span in task.spans
        ):
            yield phrase


def _before_name(task: TaskReading, place: int) -> Span | None:
    token = task.tokens[place - 1]
    if not token.stem or token.stem in vocabulary.FILLER | vocabulary.VERBS | vocabulary.SLIGHT:
        return None
    return Span(token.start, token.end, Kind.TEXT, token.text, token.text)


def _by_kind(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """Typed values for a parameter that says what kind it holds, or that is one end of a movement."""
    rivals = [other.name for other in tool.slots if _alike(slot, other)]
    for order, span in enumerate(span for span in task.spans if _is_of_kind(slot, span)):
        weight = FITTING
        if span.kind in {Kind.NUMBER, Kind.IDENTIFIER}:
            weight = _identifier_evidence(task, tool, slot, span)
        weight = max(weight, naming(task, slot, span.start, span.end)) + leading(task, slot, span.start)
        # An item of a list has no place of its own among the others.
        drift = abs(order - rivals.index(slot.name)) if slot.name in rivals and len(rivals) > 1 else 0
        yield claim(slot, span, min(weight, NAMED) - _DRIFT * drift, f"{span.kind.article} {span.kind}")


def _alike(slot: Slot, other: Slot) -> bool:
    """Whether the two may want the same values, so that their order has to decide."""
    return other.textual and bool(other.kinds & slot.kinds or (_is_end(slot) and _is_end(other)))


def _is_end(slot: Slot) -> bool:
    """Whether it is one end of a movement and says nothing about its kind, so that any typed value may be it."""
    return (slot.origin or slot.goal) and not slot.kinds and not slot.free


def _is_of_kind(slot: Slot, span: Span) -> bool:
    if span.kind in slot.kinds:
        return True
    if _is_end(slot):
        return span.kind not in {Kind.NUMBER, Kind.TEXT}
    return span.kind is Kind.NUMBER and Kind.IDENTIFIER in slot.kinds


def _identifier_evidence(task: TaskReading, tool: ToolReading, slot: Slot, span: Span) -> float:
    """An id stands right after the noun it belongs to ("note 3"), or looks like one; "5 commits" is a count."""
    before = task.before(span.start, 1)
    if before and before[0].stem and before[0].stem in tool.name | slot.words:
        return FITTING + 0.05
    if before and before[0].lower in {"id", "ids", "number", "code", "#", "no", "is"}:
        return FITTING if before[0].lower != "is" else LED
    if span.kind is Kind.IDENTIFIER:
        return SURE
    return 0.0 if any(token.stem for token in task.after(span.end, 1)) else GUESS


def _by_announcement(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """What "titled", "saying", "for" or "in" leads to, for the parameters such a word may mean."""
    for lead, rank in slot.announcers:
        sure = lead in vocabulary.UNMISTAKABLE
        for place in task.indices.get(lead, ()):
            phrase = task.phrase_after(place, long=slot.running)
            if phrase is None or (
                not sure and (_is_tools_own(tool, phrase) or _is_tools_matter(tool, slot, phrase))
            ):
                continue
            weight = ANNOUNCED if sure else BESIDE if _is_contested(tool, slot, lead, phrase) else LED
            yield claim(slot, phrase, weighed(slot, phrase, weight) - _DRIFT * rank, f"after “{lead}”")


def _is_contested(tool: ToolReading, slot: Slot, lead: str, phrase: Span) -> bool:
    """Whether a preposition may as well lead to another parameter: "in Peru" is a city, a country or a place."""
    if phrase.kind in slot.kinds:
        return False
    rivals = (other for other in tool.slots if other.required >= slot.required and other.name != slot.name)
    return any(lead == other for rival in rivals for other, _ in rival.announcers)


def _by_direction(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """The words after "from" for a source, after "to" for a destination; never a verb: "to buy" is no place."""
    if slot.kinds - OPEN_KINDS:
        return
    origins = vocabulary.ORIGIN_LEADS if slot.origin else frozenset[str]()
    goals = vocabulary.GOAL_LEADS if slot.goal else frozenset[str]()
    for lead in sorted(origins | goals):
        for place in task.indices.get(lead, ()):
            phrase = task.phrase_after(place, long=False)
            own = phrase is not None and (_is_tools_own(tool, phrase) or _is_tools_matter(tool, slot, phrase))
            if phrase and not (own or _is_infinitive(task, place)):
                yield claim(slot, phrase, FITTING, f"after “{lead}”")


def _is_infinitive(task: TaskReading, place: int) -> bool:
    """Whether "to" at token `place` leads to a verb and not to a place."""
    if task.tokens[place].lower != "to":
        return False
    before = task.tokens[place - 1].lower if place else "want"
    following = task.tokens[place + 1].stem if place + 1 < len(task.tokens) else ""
    return before in _BEFORE_INFINITIVE or following in vocabulary.ACTIONS | _INFINITIVES


def _is_tools_matter(tool: ToolReading, slot: Slot, phrase: Span) -> bool:
    """Whether plain words for a name only say what the tool deals with: "a hotel reservation" names no hotel."""
    if phrase.kind is not Kind.TEXT or phrase.quoted or not is_name(slot) or not phrase.text.islower():
        return False
    return all(tool.explains.get(stem, 0.0) >= _MATTER for stem in words(phrase.text))


def _is_tools_own(tool: ToolReading, phrase: Span) -> bool:
    """Whether a phrase only repeats the tool's name: "in memory" said of a memory tool names no namespace."""
    return phrase.kind is Kind.TEXT and not phrase.quoted and tool.name.issuperset(words(phrase.text))
