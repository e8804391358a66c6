"""Choosing among tools: how much of a task each tool and its filled parameters explain.

These are the rules behind `seams.Judge`, which a learned model may replace.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local_llm.pocket.earlier import context_words
from local_llm.pocket.fill import Filling
from local_llm.pocket.mention import Stretch
from local_llm.pocket.request import reservations
from local_llm.pocket.spans import Kind
from local_llm.pocket.task_reading import TaskReading, Token
from local_llm.pocket.tool_reading import ToolReading
from local_llm.pocket.vocabulary import DEEDS, FILLER, SLIGHT, VERBS, same_meaning

_BY_FILLED_NAME = 0.9
_BY_FILLED_DESCRIPTION = 0.75
"""How well a word is explained by the name or the description of a parameter that has a value."""
_UNEXPLAINED_BELOW = 0.3
_SLIGHT_WEIGHT = 0.3
"""What a word such as "get" or "list" counts, against 1 for a word that tells tools apart."""
_VALUE_WEIGHT = 0.5
"""What a value that found its parameter counts as explained."""
_COVERED, _SAID, _FILLED = 0.5, 0.35, 0.15
_UNUSED_VALUE = 0.1
_DEPRECATED = 0.3
"""What the score loses for each value that no parameter took, and for a tool that calls itself deprecated."""
_OTHER_VERB, _OTHER_VERB_DESCRIBED = 0.55, 0.9
"""Factor where the task wants another thing done than the tool's name says; where its description says it."""
_QUESTIONS = frozenset({"what", "what's", "which", "who", "where"})
_HINTS = {
    "text": frozenset(
        {"txt", "md", "log", "csv", "json", "yaml", "yml", "toml", "py", "js", "ts", "html", "xml"}
    ),
    "media": frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "mp3", "wav", "mp4"}),
    "directori": frozenset({""}),
}
"""Stems that a path says by its ending, which the task then leaves out."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one tool, with its parameters filled, suits a task."""

    filling: Filling
    score: float
    """In [0, 1]; comparable between tools for one task."""
    covered: float
    """Share in [0, 1] of the task's content that the tool or its values explain."""
    leftover: tuple[str, ...]
    """Words of the task that nothing explains, and the kinds of values that no parameter took."""
    reservations: tuple[str, ...]
    """What makes the task something other than one plain request for this tool."""
    agrees: bool = True
    """Whether the tool's name says what the task wants done, as far as either says it."""
    found: float = 1.0
    """The score it was retrieved with, as a share in [0, 1] of the best candidate's; the planner fills it in."""


def judge(task: TaskReading, fillings: Sequence[Filling], taken: Sequence[Stretch] = ()) -> tuple[Fit, ...]:
    """How well the tool of each of `fillings` suits `task`; `taken` are stretches of text that speak of the server."""
    return tuple(_fit(task, filling, taken) for filling in fillings)


def _fit(task: TaskReading, filling: Filling, taken: Sequence[Stretch]) -> Fit:
    tool = filling.tool
    content = [
        token
        for token in _content(task)
        if not _within(token, taken) and not filling.uses(token.start, token.end)
    ]
    explained = {token: _explained(token.stem, filling) for token in content}
    unused = list(_unused_values(task, filling, taken))
    valued = _VALUE_WEIGHT * len(filling.claims)
    total = sum(map(_weight, content)) + valued + len(unused)
    covered = (sum(_weight(t) * explained[t] for t in content) + valued) / total if total else 0.0
    required = sum(slot.required for slot in tool.slots)
    filled = 1 - len(filling.missing) / required if required else 1.0
    score = _COVERED * covered + _SAID * _said(task, filling) + _FILLED * filled
    agreement = _verb_agreement(content, tool)
    score *= agreement
    score -= _UNUSED_VALUE * len(unused) + _DEPRECATED * tool.deprecated
    leftover = (token.text for token in content if explained[token] < _UNEXPLAINED_BELOW)
    return Fit(
        filling,
        max(score, 0.0),
        covered,
        (*leftover, *unused),
        tuple(reservations(task, filling)),
        agrees=agreement == 1.0 and not _wants_another_deed(content, tool),
    )


def _content(task: TaskReading) -> list[Token]:
    """The words that say what is wanted, in order."""
    places = sorted({place for places in task.places.values() for place in places})
    return [task.tokens[place] for place in places if task.tokens[place].stem not in FILLER]


def _within(token: Token, stretches: Sequence[Stretch]) -> bool:
    return any(start <= token.start and token.end <= end for start, end in stretches)


def _weight(token: Token) -> float:
    return _SLIGHT_WEIGHT if token.stem in SLIGHT else 1.0


def _explained(stem: str, filling: Filling) -> float:
    """How well the tool and its filled parameters account for one word of the task, in [0, 1]."""
    by_tool = filling.tool.explains.get(stem, 0.0)
    if any(stem in claim.slot.words for claim in filling.claims):
        return max(by_tool, _BY_FILLED_NAME)
    if any(stem in claim.slot.about for claim in filling.claims):
        return max(by_tool, _BY_FILLED_DESCRIPTION)
    return by_tool


def _unused_values(task: TaskReading, filling: Filling, taken: Sequence[Stretch]) -> Iterator[str]:
    """The kinds of values in the task that no parameter took: someone said them for a reason."""
    places = [*((claim.start, claim.end) for claim in filling.claims), *taken]
    for span in task.spans:
        if span.kind is not Kind.IDENTIFIER and not any(s < span.end and span.start < e for s, e in places):
            yield str(span.kind)


def _said(task: TaskReading, filling: Filling) -> float:
    """The share of the tool's name that the task says, in the same words or others of the same meaning."""
    heard = {token.stem for token in _content(task)} | _hinted(filling) | context_words(task.text, task.steps)
    meant = {other for stem in heard for other in same_meaning(stem)}
    if not _QUESTIONS.isdisjoint(task.indices):
        meant.add("get")
    weights = {stem: _SLIGHT_WEIGHT if stem in SLIGHT else 1.0 for stem in sorted(filling.tool.name)}
    said = sum(w * (1.0 if s in heard else 0.9 if s in meant else 0.0) for s, w in weights.items())
    return said / sum(weights.values()) if weights else 0.0


def _hinted(filling: Filling) -> set[str]:
    names = [str(claim.value).rpartition("/")[2] for claim in filling.claims if Kind.PATH in claim.slot.kinds]
    endings = {name.rpartition(".")[2].lower() if "." in name else "" for name in names}
    return {stem for stem, known in _HINTS.items() if endings & known}


def _wants_another_deed(content: Sequence[Token], tool: ToolReading) -> bool:
    """Whether the task begins with a deed that nothing in the tool's definition speaks of: "delete" of a listing."""
    verb = next((token.stem for token in content[:2] if token.stem in DEEDS), None)
    return verb is not None and not any(tool.explains.get(stem, 0.0) for stem in same_meaning(verb))


def _verb_agreement(content: Sequence[Token], tool: ToolReading) -> float:
    """1 when what the task wants done is what the tool says it does, or either does not say; else less."""
    verb = next((token.stem for token in content[:4] if token.stem in VERBS), None)
    if verb is None or not tool.verbs:
        return 1.0
    same = same_meaning(verb)
    if same & tool.verbs:
        return 1.0
    return _OTHER_VERB_DESCRIBED if same & tool.lead else _OTHER_VERB
