"""What earlier steps offer to a later one that points back at them: arguments they were given, and their results."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from local_llm.plan import Step
from local_llm.pocket.evidence import ANNOUNCED, GUESS, LED, PENDING, SURE, Claim
from local_llm.pocket.references import Points, Reference
from local_llm.pocket.slots import Slot, read_slot
from local_llm.pocket.spans import Kind, find_spans
from tool_registry.search import words

_LONGEST_RESULT = 2000
"""Characters of a result that may become an argument."""
_WHEREABOUTS = frozenset(
    "repo repository repo_path cwd root project workspace database db bucket namespace".split()
)
"""Names of parameters that say where all of a task takes place."""
_PLACES = frozenset(words("folder directory dir there"))
_FILES = frozenset(words("file document"))
_ID_IN_TEXT = re.compile(r"(?:\bid\b\W{0,4}|#|\b(?:number|no\.)\s*)([\w-]+)", re.IGNORECASE)
_FINAL_NUMBER = re.compile(r"(?:\bis\b|=|:)\s*(-?\d[\d,]*(?:\.\d+)?)\W*$")


def reference_claims(slot: Slot, references: Sequence[Reference], steps: Sequence[Step]) -> Iterator[Claim]:
    """The claims of `slot` on what the `references` stand for, after the successful `steps`, oldest first."""
    if not (slot.textual or slot.numeric or slot.item):
        return
    for reference in references:
        for value, weight, why in _meant(slot, reference, steps):
            known = value if value is PENDING or slot.item is None else [value]
            yield Claim(slot, reference.start, reference.end, known, weight, why)


def carried(slot: Slot, text: str, steps: Sequence[Step]) -> Claim | None:
    """The value that an earlier call gave the parameter of the same name, for a step that leaves it out.

    Only a guess, unless the text says "the file" where the parameter is a file's path.
    """
    value, _ = next(_of_name(slot, steps), (None, ""))
    if value is None and Kind.PATH in slot.kinds:
        value = next(_paths(steps), None)
    if value is None or not _fits(slot, value):
        return None
    nouns = {*words(slot.name), *(_FILES | _PLACES if Kind.PATH in slot.kinds else ())}
    said = any(nouns & set(words(noun)) for noun in re.findall(r"\bthe\s+(\w+)", text, re.IGNORECASE))
    where = bool(slot.parts & _WHEREABOUTS)
    return Claim(
        slot, len(text), len(text), value, SURE + 0.05 if said or where else GUESS, "as in the call before"
    )


def context_words(text: str, steps: Sequence[Step]) -> frozenset[str]:
    """What the last tool's name adds to a step that says "it" instead of a noun: "delete it" after add_note."""
    if not steps or not re.search(r"\b(?:it|them|that one|one)\b", text, re.IGNORECASE):
        return frozenset()
    return frozenset(words(steps[-1].call.tool.name))


def _meant(slot: Slot, reference: Reference, steps: Sequence[Step]) -> Iterator[tuple[Any, float, str]]:
    if reference.points is Points.RESULT:
        yield from _out_of_result(slot, reference, steps)
        return
    if Kind.PATH in slot.kinds or reference.noun in _PLACES | _FILES:
        if Kind.PATH in slot.kinds and (path := next(_paths(steps), None)) is not None:
            folder = reference.noun in _PLACES
            yield (_folder_of(path) if folder else path), ANNOUNCED, "the path of the call before"
        return
    if reference.noun and not _speaks_of(slot, reference.noun, steps):
        return
    for value, why in _of_name(slot, steps):
        if _fits(slot, value):
            yield value, ANNOUNCED, why
            return
    if Kind.IDENTIFIER in slot.kinds or slot.name.lower().endswith("id"):
        yield from _id_out_of(slot, steps)
    elif slot.textual and not slot.kinds and slot.free:
        yield from ((value, LED, why) for value, _, why in _out_of_result(slot, reference, steps))


def _speaks_of(slot: Slot, noun: str, steps: Sequence[Step]) -> bool:
    """Whether "that <noun>" may mean a value of `slot`: its own name, or what the last tool made or read."""
    return noun in slot.words | slot.about or noun in words(steps[-1].call.tool.name)


def _paths(steps: Sequence[Step]) -> Iterator[str]:
    """Paths that earlier calls were given, latest first; of one call, where it put something before where it took it from."""
    for step in reversed(steps):
        parameters = step.call.tool.parameters
        slots = [read_slot(name, parameters.get(name, {}), required=False) for name in step.call.arguments]
        for slot in sorted(slots, key=lambda slot: not slot.goal):
            value = step.call.arguments[slot.name]
            if isinstance(value, str) and (Kind.PATH in slot.kinds or _is_path(value)):
                yield value


def _is_path(value: str) -> bool:
    spans = find_spans(value)
    return len(spans) == 1 and spans[0].kind is Kind.PATH and spans[0].text == value


def _folder_of(path: str) -> str:
    """The folder a path leads to: itself where its last part has no ending."""
    _, ending = posixpath.splitext(path)
    return (posixpath.dirname(path) or ".") if ending else path


def _of_name(slot: Slot, steps: Sequence[Step]) -> Iterator[tuple[Any, str]]:
    """What earlier calls gave the parameter of the same name, or answered under it, latest first."""
    for step in reversed(steps):
        answered = _json_of(step)
        if slot.name in step.call.arguments:
            yield step.call.arguments[slot.name], "as in the call before"
        elif isinstance(answered, Mapping) and slot.name in answered:
            yield cast("Mapping[str, Any]", answered)[slot.name], "out of the result before"


def _id_out_of(slot: Slot, steps: Sequence[Step]) -> Iterator[tuple[Any, float, str]]:
    step = steps[-1]
    if step.result is None:
        yield PENDING, ANNOUNCED, "waits for the result before"
        return
    answered = _json_of(step)
    if isinstance(answered, Mapping) and "id" in answered:
        value = cast("Mapping[str, Any]", answered)["id"]
        if _fits(slot, value):
            yield value, ANNOUNCED, "out of the result before"
        return
    found = {_typed(slot, match[1]) for match in _ID_IN_TEXT.finditer(step.result[:_LONGEST_RESULT])}
    if len(found) == 1 and (value := found.pop()) is not None:
        yield value, LED, "out of the result before"


def _out_of_result(
    slot: Slot, reference: Reference, steps: Sequence[Step]
) -> Iterator[tuple[Any, float, str]]:
    step = steps[-1]
    if step.result is None:
        yield PENDING, ANNOUNCED, "waits for the result before"
        return
    if len(step.result) > _LONGEST_RESULT:
        return
    value = _scalar(slot, reference, step)
    if value is not None:
        yield value, ANNOUNCED, "out of the result before"


def _scalar(slot: Slot, reference: Reference, step: Step) -> Any:
    """The one value of the result that `slot` can hold: by its name, the only one of its type, or the text."""
    answered = _json_of(step)
    if isinstance(answered, Mapping):
        members = cast("Mapping[str, Any]", answered)
        for key in (slot.name, reference.noun, "result", "value", "answer", "output", "text"):
            if key in members and (value := _typed(slot, members[key])) is not None:
                return value
        fitting = [value for member in members.values() if (value := _typed(slot, member)) is not None]
        return fitting[0] if len(fitting) == 1 else None
    if (
        answered is not None
        and not isinstance(answered, list)
        and (value := _typed(slot, answered)) is not None
    ):
        return value
    text = (step.result or "").strip()
    if slot.numeric:
        if final := _FINAL_NUMBER.search(text):
            return _typed(slot, final[1].replace(",", ""))
        numbers = [span.value for span in find_spans(text) if span.kind is Kind.NUMBER]
        return _typed(slot, numbers[0]) if len(numbers) == 1 else None
    return (text or None) if slot.textual and not slot.closed else None


def _typed(slot: Slot, value: Any) -> Any:
    """`value` as `slot` holds it, or None when it cannot."""
    if isinstance(value, bool) or value is None:
        return None
    if slot.numeric:
        try:
            number = float(value) if isinstance(value, str | int | float) else None
        except ValueError:
            return None
        if number is None or not slot.minimum <= number <= slot.maximum:
            return None
        return int(number) if number.is_integer() else (None if "number" not in slot.types else number)
    if slot.textual and not slot.closed and isinstance(value, str | int | float):
        return str(value) if value != "" else None
    return value if value in slot.options else None


def _fits(slot: Slot, value: Any) -> bool:
    if slot.item is not None:
        return not isinstance(value, list | dict)
    return _typed(slot, value) == value or (isinstance(value, str) and slot.textual)


def _json_of(step: Step) -> Any:
    """The step's result as JSON, if it is some and short."""
    if step.result is None or len(step.result) > 20 * _LONGEST_RESULT:
        return None
    try:
        return json.loads(step.result)
    except ValueError:
        return None
