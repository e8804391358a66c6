"""Whether a task is one plain request: not a question about doing it, not a refusal, not two steps in one, not half of a talk."""

import itertools
import re
from collections.abc import Iterator

from local_llm.pocket.clauses import running_step
from local_llm.pocket.fill import Filling
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.vocabulary import UNMISTAKABLE, VERBS
from tool_registry.search import words

_ASKING = re.compile(
    r"\b(?:how (?:do|does|can|could|should|would|to)|should (?:i|we)|why|did (?:i|we|you)|what (?:does|happens))\b",
    re.IGNORECASE,
)
_REFUSALS = frozenset({"don't", "don’t", "dont", "not", "never", "cannot", "can't", "can’t"})
_POINTING = frozenset({"this", "these", "those", "them"})
_UNLIKE_ANY = frozenset(words("append prepend insert restore undo undelete revert"))
"""Verbs that no near one stands for: a tool that writes does not append, it replaces."""
_CONDITIONS = frozenset("not but without except excluding or unless".split())
"""Words that tell what is looked for from what is not, which a tool takes for words to look for."""
_THEN = frozenset({"and", "then", "also", "afterwards", ",", ";", ".", "&"})


def reservations(task: TaskReading, filling: Filling) -> Iterator[str]:
    """What makes `task` something other than one request; words inside the values of `filling` do not count."""
    asking = _ASKING.search(task.text)
    if asking and not filling.uses(asking.start(), asking.end()):
        yield f"“{asking.group().lower()}” asks about it"
    yield from _doubtful_values(filling)
    if step := running_step(task.text):
        yield f"“{step}” may be a second step or part of the text"
    acted = False
    for index, token in enumerate(task.tokens):
        if filling.uses(token.start, token.end) or task.in_value(token):
            continue
        if token.lower in _REFUSALS:
            yield f"“{token.lower}” forbids something"
        if token.lower in _POINTING or (token.lower == "it" and task.tokens[index - 1].stem in VERBS):
            yield f"“{token.lower}” points at something outside the task"
        if token.stem in _UNLIKE_ANY - filling.tool.name - filling.tool.lead:
            yield f"“{token.lower}” is more than the tool says it does"
        verb = token.stem in VERBS
        if verb and acted and task.tokens[index - 1].lower in _THEN:
            yield f"“{token.lower}” is a second step"
        acted = acted or verb


def _doubtful_values(filling: Filling) -> Iterator[str]:
    """What makes a value doubtful although it stands there: a condition inside it, the same value in two places."""
    for claim in filling.claims:
        said = claim.why.removeprefix("after “").removesuffix("”")
        if isinstance(claim.value, str) and not claim.quoted and said not in UNMISTAKABLE:
            words = claim.value.lower().split()
            if condition := next((word for word in words[1:-1] if word in _CONDITIONS), None):
                yield f"“{condition}” may be a condition rather than part of the {claim.slot.name}"
    optional = [claim for claim in filling.claims if claim.slot.options and claim.slot.closed]
    for first, second in itertools.pairwise(optional):
        if first.value == second.value and first.slot.options == second.slot.options:
            yield f"{first.slot.name} and {second.slot.name} come out the same"
