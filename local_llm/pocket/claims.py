"""Claims: which value standing in a task a parameter may take, how much speaks for it, and why.

These are the rules behind `seams.FindClaims`, which a learned model may replace.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from local_llm.pocket import vocabulary
from local_llm.pocket.earlier import reference_claims
from local_llm.pocket.evidence import (
    ANNOUNCED,
    BESIDE,
    FITTING,
    GUESS,
    LED,
    NAMED,
    OPTION,
    SURE,
    Claim,
    leading,
    naming,
    share,
)
from local_llm.pocket.slots import Slot
from local_llm.pocket.spans import Kind, Span
from local_llm.pocket.task_reading import TaskReading, Token
from local_llm.pocket.text_claims import named, text_claims
from local_llm.pocket.tool_reading import ToolReading
from tool_registry.search import words

_LIST_LEADS = frozenset(
    "about have has include includes including like for in with of using both between are".split()
)
_LONGEST_ITEM = 4
"""Words that one item of a list may have."""
_BRACKETS = re.compile(r"\[[^\[\]]{1,2000}\]")
_SHARES = frozenset(words("percent percentage pct rate share ratio probability chance humidity"))


def find_claims(task: TaskReading, tools: Sequence[ToolReading]) -> tuple[tuple[Claim, ...], ...]:
    """Every claim that the parameters of each of `tools` have on what stands in `task`; weak ones included."""
    return tuple(_claims_of(task, tool) for tool in tools)


def _claims_of(task: TaskReading, tool: ToolReading) -> tuple[Claim, ...]:
    if not task.references:
        return tuple(claim for slot in tool.slots for claim in _claims(task, tool, slot))
    pointing = [(at.start, at.end) for at in task.references]
    written = (claim for slot in tool.slots for claim in _claims(task, tool, slot))
    meant = (claim for slot in tool.slots for claim in reference_claims(slot, task.references, task.steps))
    return (
        *(
            claim
            for claim in written
            if not any(claim.start < end and start < claim.end for start, end in pointing)
        ),
        *meant,
    )


def _claims(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    if slot.item is not None:
        yield from _list_claims(task, tool, slot, slot.item)
    elif slot.joined:
        for claim in _list_claims(task, tool, slot, replace(slot, joined=False, kinds=frozenset())):
            yield replace(claim, value=",".join(str(value) for value in claim.value))
    elif "boolean" in slot.types:
        yield from _boolean_claims(task, tool, slot)
    elif slot.options:
        yield from _option_claims(task, tool, slot)
        if not slot.closed:
            yield from named(task, tool, slot)
    elif slot.numeric:
        yield from _number_claims(task, tool, slot)
    elif slot.textual:
        yield from text_claims(task, tool, slot)


def _option_claims(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    for option in slot.options:
        for place, length in _mentions(task, option):
            if task.negation(place):
                continue
            start, end = task.tokens[place].start, task.tokens[place + length - 1].end
            told = naming(task, slot, start, end) > 0
            # "list all agents" names the tool's own work, not an optional filter that lists the same word.
            if not (told or slot.required) and _is_tool_word(tool, task.tokens[place : place + length]):
                continue
            # "one way" and "all agents" are seldom about a parameter that happens to list 1 or all.
            unnamed = GUESS if not isinstance(option, str) else SURE if option == "all" else OPTION
            weight = NAMED if told else unnamed
            weight += leading(task, slot, start)
            yield Claim(slot, start, end, option, weight, "an option that the task names")


def _mentions(task: TaskReading, option: str | float) -> Iterator[tuple[int, int]]:
    """Where `option` stands in the task, as written or in another form of the same word: (token, length)."""
    if not isinstance(option, str):
        for span in task.spans:
            if span.kind is Kind.NUMBER and span.value == option:
                yield task.index_at(span.start), 1
        return
    stems = [stem for part in option.replace("_", " ").replace("-", " ").split() for stem in words(part)]
    written = option.lower()
    for heard in (written, *vocabulary.UNIT_FORMS.get(written, ())):
        for place in task.indices.get(heard, ()):
            yield place, 1
    if not stems:
        return
    for place in task.places.get(stems[0], ()):
        heard = task.tokens[place]
        if len(stems) == 1 and heard.lower != written and heard.stem == stems[0]:
            yield place, 1
        elif len(stems) > 1 and [t.stem for t in task.tokens[place : place + len(stems)]] == stems:
            yield place, len(stems)


def _is_tool_word(tool: ToolReading, tokens: tuple[Token, ...]) -> bool:
    return all(token.stem in tool.name for token in tokens)


def _number_claims(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    numbers = [span for span in task.spans if span.kind is Kind.NUMBER and not span.quoted]
    numbers += _ones(task, tool, slot)
    wanting = [other for other in tool.slots if other.numeric and other.required]
    for order, span in enumerate(numbers):
        value = _fitting_number(slot, span)
        if value is None:
            continue
        weight, why = _number_evidence(task, tool, slot, span)
        if task.text[span.end : span.end + 1] == "%" and not (slot.words | slot.about) & _SHARES:
            weight, why = min(weight, BESIDE), "a percentage, for a parameter that speaks of none"
        elif slot.required and weight < LED and len(numbers) == len(wanting):
            # Which of several is which is clear only where the parameters are alike: a and b, x and y.
            alike = len(wanting) == 1 or all(len(other.name) == 1 for other in wanting)
            weight, why = LED if alike else BESIDE, "the numbers are as many as the parameters"
        # Where nothing else decides, values come in the order of the parameters.
        drift = abs(order - wanting.index(slot)) if slot in wanting else 0
        yield Claim(slot, span.start, span.end, value, weight - 0.02 * drift, why)


def _ones(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Span]:
    """The word "one" after the noun that it numbers: "note one". Elsewhere it stands for a thing, and is no number."""
    for place in task.indices.get("one", ()):
        token = task.tokens[place]
        numbered = place > 0 and task.tokens[place - 1].stem in (
            tool.name | slot.words
        ) - vocabulary.VERBS - {""}
        if numbered and task.value_at(place) is None:
            yield Span(token.start, token.end, Kind.NUMBER, token.text, 1)


def _fitting_number(slot: Slot, span: Span) -> int | float | None:
    value = span.value
    if isinstance(value, str) or not slot.minimum <= value <= slot.maximum:
        return None
    if "number" not in slot.types and value != int(value):
        return None
    return value


def _number_evidence(task: TaskReading, tool: ToolReading, slot: Slot, span: Span) -> tuple[float, str]:
    if (told := naming(task, slot, span.start, span.end)) > 0:
        return told, "named beside its number"
    before = [token.lower for token in task.before(span.start, 2)]
    after = [token.stem for token in task.after(span.end, 2) if token.stem][:1]
    counted = set(after) & (tool.name | tool.lead | vocabulary.COUNTED)
    if slot.words & vocabulary.COUNTING_NAMES and (
        counted or (set(before) & vocabulary.COUNTING_LEADS and not slot.required)
    ):
        shared = len({*words(" ".join(before)), *after} & slot.about)
        return min(0.75 + 0.05 * shared, OPTION), "a count of what the tool returns"
    if before and (stem := "".join(words(before[0]))) and _only_of(tool, slot, stem):
        return SURE + 0.02, "after a word that only its description says"
    near = {token.stem for token in (*task.before(span.start, 2), *task.after(span.end, 2)) if token.stem}
    shared = len(near & (slot.about | slot.words))
    if shared > 1:
        return SURE + 0.05, "described by the words beside it"
    return (BESIDE, "near a word of its description") if shared else (GUESS, "a number")


def _only_of(tool: ToolReading, slot: Slot, stem: str) -> bool:
    """Whether no numeric parameter but `slot` is described with `stem`."""
    return [other.name for other in tool.slots if other.numeric and stem in other.about] == [slot.name]


def _boolean_claims(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    core = slot.words - vocabulary.BOOLEAN_PREFIXES - vocabulary.NEGATIVE_PREFIXES
    places = [task.places.get(stem) for stem in core]
    if not core or not all(places):
        return
    found = sorted(place[0] for place in places if place)
    first, last = found[0], found[-1]
    if last - first > len(found) or core <= tool.name:
        return
    negation = task.negation(first)
    prefixed = bool(slot.words & vocabulary.NEGATIVE_PREFIXES)
    if prefixed and not negation:
        return
    told = {token.lower for token in task.tokens[last + 1 : last + 3]}
    value = prefixed or not (negation or told & {"false", "off", "no", "disabled"})
    start = negation.start if negation else task.tokens[first].start
    yield Claim(slot, start, task.tokens[last].end, value, ANNOUNCED, "mentioned" if value else "negated")


def _list_claims(task: TaskReading, tool: ToolReading, slot: Slot, item: Slot) -> Iterator[Claim]:
    for match in _BRACKETS.finditer(task.text):
        if (listed := _json_list(item, match.group())) is not None:
            yield Claim(slot, match.start(), match.end(), listed, FITTING, "a list")
    for place, weight, why in _list_leads(task, slot):
        items = task.list_after(place)
        values = [value for span in items if (value := _item_value(item, span)) is not None]
        if values and len(values) == len(items):
            yield Claim(slot, items[0].start, items[-1].end, values, weight, why)
    if slot.required and item.textual and not item.closed and not item.kinds:
        yield from _plain_lists(task, tool, slot)
    claims = [claim for claim in _claims(task, tool, replace(item, name=slot.name)) if claim.weight >= SURE]
    for run in _runs(task, claims):
        weight = sum(claim.weight for claim in run) / len(run) + 0.01 * (len(run) - 1)
        yield Claim(slot, run[0].start, run[-1].end, [claim.value for claim in run], weight, run[0].why)


def _json_list(item: Slot, text: str) -> list[Any] | None:
    """The items of a list in brackets, if each may be an `item`; None when it is no such list."""
    try:
        values = cast("list[object]", json.loads(text))
    except ValueError:
        return None
    fits = all(
        (isinstance(value, int | float) and not isinstance(value, bool))
        if item.numeric
        else isinstance(value, str)
        for value in values
    )
    return values if values and fits else None


def _list_leads(task: TaskReading, slot: Slot) -> Iterator[tuple[int, float, str]]:
    for stem in sorted(slot.words):
        for place in task.places.get(stem, ()):
            yield place, NAMED * share(task, slot, place), "named"
    for lead, _ in slot.announcers:
        if lead in vocabulary.UNMISTAKABLE:
            for place in task.indices.get(lead, ()):
                yield place, ANNOUNCED, f"after “{lead}”"


def _plain_lists(task: TaskReading, tool: ToolReading, slot: Slot) -> Iterator[Claim]:
    """The lists of the task ("I have rice, beans and corn"), for a parameter that must be one; surer if it is the only such."""
    lists = [other for other in tool.slots if other.item is not None and other.required]
    for lead in _LIST_LEADS & task.indices.keys():
        for place in task.indices[lead]:
            items = task.list_after(place)
            if len(items) > 1 and all(_is_item(span.text) for span in items):
                weight = SURE + 0.02 * len(items) if len(lists) == 1 else GUESS
                yield Claim(slot, items[0].start, items[-1].end, [i.text for i in items], weight, "a list")


def _is_item(text: str) -> bool:
    """Whether a phrase is short and has no "is" or "are" of its own."""
    said = text.lower().split()
    return len(said) <= _LONGEST_ITEM and not {"is", "are", "that", "which"} & set(said)


def _item_value(item: Slot, span: Span) -> Any:
    if item.numeric:
        return _fitting_number(item, span)
    if item.closed:
        said = span.text.lower()
        return next((option for option in item.options if str(option).lower() == said), None)
    return span.text


def _runs(task: TaskReading, claims: list[Claim]) -> Iterator[list[Claim]]:
    """Claims whose values are joined by nothing but commas and "and"."""
    run: list[Claim] = []
    for claim in sorted(claims, key=lambda claim: (claim.start, -claim.weight)):
        if run and claim.start < run[-1].end:
            continue
        between = task.text[run[-1].end : claim.start].strip().lower() if run else ""
        if run and between.replace("and", ",").replace("&", ",").strip(" ,"):
            yield run
            run = []
        run.append(claim)
    if run:
        yield run
