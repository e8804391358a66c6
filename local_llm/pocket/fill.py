"""Filling the parameters of one tool: claims go in, the best set of claims that share no text comes out."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local_llm.pocket.earlier import carried
from local_llm.pocket.evidence import BESIDE, GUESS, OPEN_KINDS, PENDING, SURE, Claim
from local_llm.pocket.mention import Stretch
from local_llm.pocket.slots import Slot
from local_llm.pocket.spans import Kind
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading
from tool_registry.search import words

_SENTENCE_END = re.compile(r"[.!?\n]\s")
_FOLDERS = frozenset(words("folder directory dir"))
_FOLDER_NOUN = re.compile(r"\s+(?:folder|directory|dir)$|^(?:folder|directory|dir)\s+", re.IGNORECASE)
_BEAM = 16
_CLAIMS_PER_SLOT = 5
_REQUIRED_BONUS = 0.2
"""What filling a required parameter is worth over an optional one with equal evidence."""


@dataclass(frozen=True, slots=True)
class Filling:
    """The arguments of one call and what they rest on."""

    tool: ToolReading
    claims: tuple[Claim, ...]
    """One for each parameter filled from the text, in the order of the parameters."""
    missing: tuple[str, ...]
    """Required parameters without a value."""
    answered: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values the user gave when asked."""

    @property
    def arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for claim in self.claims:
            if claim.value is not PENDING:
                *objects, name = claim.slot.path
                target = arguments
                for key in objects:
                    target = target.setdefault(key, {})
                target[name] = claim.value
        return {**arguments, **self.answered}

    @property
    def weakest(self) -> float:
        """The evidence in [0, 1] for the least certain value; 1 when nothing was taken from the text."""
        return min((claim.weight for claim in self.claims), default=1.0)

    def uses(self, start: int, end: int) -> bool:
        """Whether a value was taken from text that reaches into [start, end)."""
        return any(_overlap(claim, start, end) for claim in self.claims)


def fill(
    task: TaskReading,
    tool: ToolReading,
    found: Sequence[Claim],
    answers: Mapping[str, Any] | None = None,
    taken: Sequence[Stretch] = (),
) -> Filling:
    """The parameters of `tool` filled from `task`.

    Args:
        task: the task.
        tool: the tool.
        found: the claims of its parameters on what stands in the task, overlapping ones included.
        answers: values the user gave for parameters; those of other tools are passed over.
        taken: stretches of the text that are no values, such as the mention of a server.
    """
    names = dict.fromkeys(slot.path[0] for slot in tool.slots)
    answered = {name: answers[name] for name in names if answers and name in answers}
    open_slots = [slot for slot in tool.slots if slot.path[0] not in answered]
    by_slot: dict[str, list[Claim]] = defaultdict(list)
    for claim in found:
        floor = GUESS if claim.slot.required else SURE
        if claim.weight >= floor and not any(_overlap(claim, start, end) for start, end in taken):
            by_slot[claim.slot.name].append(claim)
    claims = _assign(open_slots, by_slot)
    missing = [slot for slot in open_slots if slot.required and all(c.slot.name != slot.name for c in claims)]
    for slot in tuple(missing) if task.steps else ():
        if known := carried(slot, task.text, task.steps):
            claims, missing = (*claims, known), [other for other in missing if other is not slot]
    if len(missing) == 1 and (only := _only_one_left(task, missing[0], claims, taken)):
        claims, missing = (*claims, only), []
    if len(missing) == 1 and (rest := _rest(task, tool, missing[0], claims, taken)):
        claims, missing = (*claims, rest), []
    claims = tuple(_into_folder(claim, claims, task) for claim in claims)
    order = {slot.name: index for index, slot in enumerate(tool.slots)}
    claims = tuple(sorted(claims, key=lambda claim: order[claim.slot.name]))
    pending = [claim.slot.path[0] for claim in claims if claim.value is PENDING]
    absent = dict.fromkeys((*(slot.path[0] for slot in missing), *pending))
    return Filling(tool, _whole_objects(tool, claims, absent), tuple(absent), answered)


def _into_folder(claim: Claim, claims: Sequence[Claim], task: TaskReading) -> Claim:
    """The claim of a destination that the text calls a folder, with the name of the file that goes there added."""
    slot = claim.slot
    if not (slot.goal and isinstance(claim.value, str) and _is_called_folder(claim, task)):
        return claim
    moved = [other.value for other in claims if other.slot.origin and isinstance(other.value, str)]
    if len(moved) != 1 or "." not in posixpath.basename(moved[0]):
        return claim
    folder = _FOLDER_NOUN.sub("", claim.value).strip("'\"/ ") if not claim.quoted else claim.value.rstrip("/")
    path = posixpath.join(
        "/" + folder if claim.value.startswith("/") else folder, posixpath.basename(moved[0])
    )
    return replace(claim, value=path, why="the file's name in that folder")


def _is_called_folder(claim: Claim, task: TaskReading) -> bool:
    after = task.after(claim.end, 1)
    before = task.before(claim.start, 1)
    called = any(token.stem in _FOLDERS for token in (*after, *before))
    return called or str(claim.value).endswith("/") or bool(_FOLDER_NOUN.search(str(claim.value)))


def _whole_objects(tool: ToolReading, claims: Sequence[Claim], absent: Collection[str]) -> tuple[Claim, ...]:
    """`claims` without those on members of objects that would lack what they require."""
    given = {claim.slot.path for claim in claims}
    broken = {
        slot.path[0] for slot in tool.slots if slot.needed and len(slot.path) > 1 and slot.path not in given
    } | set(absent)
    return tuple(claim for claim in claims if len(claim.slot.path) == 1 or claim.slot.path[0] not in broken)


def _assign(slots: Sequence[Slot], by_slot: dict[str, list[Claim]]) -> tuple[Claim, ...]:
    """The set of claims, at most one a parameter and none overlapping, with the greatest weight (beam search)."""
    beam: list[tuple[float, tuple[Claim, ...]]] = [(0.0, ())]
    for slot in sorted(slots, key=lambda slot: not slot.required):
        options = sorted(by_slot.get(slot.name, ()), key=lambda claim: -claim.weight)[:_CLAIMS_PER_SLOT]
        if not options:
            continue
        bonus = _REQUIRED_BONUS if slot.required else 0.0
        grown = [
            (score + claim.weight + bonus, (*chosen, claim))
            for score, chosen in beam
            for claim in options
            if not any(_overlap(claim, other.start, other.end) for other in chosen)
        ]
        beam = sorted((*beam, *grown), key=lambda state: -state[0])[:_BEAM]
    return beam[0][1]


def _only_one_left(
    task: TaskReading, slot: Slot, claims: Sequence[Claim], taken: Sequence[Stretch]
) -> Claim | None:
    """The one name, quote or id that no parameter took, for the one required text that is absent."""
    if not slot.textual or slot.options or slot.kinds - OPEN_KINDS:
        return None
    spans = [span for span in task.spans if span.quoted or span.kind is Kind.IDENTIFIER]
    left = [
        span
        for span in dict.fromkeys((*spans, *task.names))
        if not any(_overlap(claim, span.start, span.end) for claim in claims)
        and not any(start < span.end and span.start < end for start, end in taken)
    ]
    if len(left) != 1 or left[0].kind is Kind.REFERENCE or (slot.running and not left[0].quoted):
        return None
    return Claim(
        slot, left[0].start, left[0].end, left[0].text, BESIDE, "the only value left", left[0].quoted
    )


def _rest(
    task: TaskReading,
    tool: ToolReading,
    slot: Slot,
    claims: Sequence[Claim],
    taken: Sequence[Stretch],
) -> Claim | None:
    """The end of the text that nothing explains, as a guess at the one required text that is absent."""
    if not (slot.textual and slot.running) or slot.options:
        return None
    start, told = None, False
    for token in task.tokens:
        used = any(_overlap(claim, token.start, token.end) for claim in claims)
        used = used or any(begin < token.end and token.start < end for begin, end in taken)
        if used or token.stem in tool.name:
            start, told = None, told or not used
        elif start is None and told and token.stem:
            start = token.start
    if start is None:
        return None
    text = task.text[start:].rstrip(" \t\n.!?")
    if _SENTENCE_END.search(text):
        return None
    return Claim(slot, start, start + len(text), text, GUESS, "what the rest of the task says")


def _overlap(claim: Claim, start: int, end: int) -> bool:
    return claim.start < end and start < claim.end
