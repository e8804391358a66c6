"""A tool read once: what its name, description and parameters say, in the form that planning compares with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from local_llm.pocket.slots import Slot, read_slots
from local_llm.pocket.vocabulary import VERBS, same_meaning
from tool_registry import ToolEntry
from tool_registry.search import words

_DEPRECATED = re.compile(r"\bDEPRECATED\b|\b(?:is|been) deprecated\b|^\W*deprecated\b")
_FIRST_SENTENCE = re.compile(r".+?(?:[.!?](?=\s)|(?= Use when )|\n|$)", re.DOTALL)
_BY_NAME, _BY_SYNONYM, _BY_LEAD, _BY_DESCRIPTION, _BY_PARAMETER = 1.0, 0.9, 0.75, 0.45, 0.25
"""How well a word of a task is explained by where it stands in a tool's definition."""
_LONGEST_REFERENCE = 4
"""How many `$ref` in a row are followed."""


@dataclass(frozen=True, slots=True)
class ToolReading:
    """What a tool says about itself, as stems."""

    tool: ToolEntry
    name: frozenset[str]
    lead: frozenset[str]
    """Title and first sentence of the description."""
    explains: Mapping[str, float]
    """Stem → how well the tool accounts for it in a task, in [0, 1]; other stems it does not explain."""
    verbs: frozenset[str]
    """Words of the name that say what the tool does."""
    slots: tuple[Slot, ...]
    deprecated: bool
    """Whether the description says that it is."""


def read_tool(tool: ToolEntry) -> ToolReading:
    """What `tool` says about itself; never fails, whatever the definition holds."""
    first = _FIRST_SENTENCE.match(tool.description)
    lead = first.group() if first else ""
    name = frozenset(words(tool.name))
    title_and_lead = frozenset(words(f"{tool.title} {lead}"))
    slots = tuple(
        slot
        for key, schema in tool.parameters.items()
        for slot in read_slots(key, _resolved(schema, tool.input_schema), required=key in tool.required)
    )
    return ToolReading(
        tool=tool,
        name=name,
        lead=title_and_lead,
        explains=_explains(name, title_and_lead, words(tool.description[len(lead) :]), slots),
        verbs=name & VERBS,
        slots=slots,
        deprecated=bool(_DEPRECATED.search(tool.description)),
    )


def _explains(
    name: frozenset[str], lead: frozenset[str], rest: Sequence[str], slots: Sequence[Slot]
) -> Mapping[str, float]:
    """What each place explains its words with; where a word stands in several, the best counts."""
    explained: dict[str, float] = {}
    explained |= dict.fromkeys((stem for slot in slots for stem in slot.words | slot.about), _BY_PARAMETER)
    explained |= dict.fromkeys(rest, _BY_DESCRIPTION)
    explained |= dict.fromkeys((other for stem in lead for other in same_meaning(stem)), _BY_LEAD)
    explained |= dict.fromkeys((other for stem in name for other in same_meaning(stem)), _BY_SYNONYM)
    explained |= dict.fromkeys(name, _BY_NAME)
    return explained


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """`schema` with what its `$ref` inside the same inputSchema points to, its own keywords winning."""
    for _ in range(_LONGEST_REFERENCE):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        target: object = root
        for part in reference[2:].split("/"):
            target = cast("Mapping[str, object]", target).get(part) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            break
        own = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**cast("Mapping[str, Any]", target), **own}
    return schema
