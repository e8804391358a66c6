"""Where one step of a task ends and the next begins. Knows words and values, no tools and no earlier results."""

from collections.abc import Iterator
from functools import lru_cache

from local_llm.pocket.task_reading import TaskReading, Token
from local_llm.pocket.vocabulary import ACTIONS

_STRONG = frozenset(
    "; then afterwards afterward finally lastly secondly thirdly additionally furthermore moreover subsequently".split()
)
"""Joints that say that something comes after; the others may as well join two things of one step."""
_JOINTS = _STRONG | frozenset({",", ".", "!", "?", "&", "and", "also", "next", "please"})
_SENTENCE_ENDS = frozenset({".", "!", "?"})
_AFTER_THAT = ("after", "that")
_COURTESIES = tuple(
    tuple(courtesy.split())
    for courtesy in (
        "please", "kindly", "also", "can you please", "could you please", "can you", "could you", "would you", "will you",
        "let's", "you can",
    )
)  # fmt: skip
_WISHES = tuple(
    tuple(wish.split())
    for wish in (
        "i want to", "i want you to", "i want", "i need to", "i need you to", "i need", "i'd like to", "i would like to",
        "i'd like", "i would like", "i also need to", "i also need", "i also want to", "i also want", "i require",
        "i am also interested in", "i'm also interested in", "i would also like to", "i'd also like to",
        "i'm looking for", "i am looking for",
    )
)  # fmt: skip
"""How people begin a wish; a second one is more of the first, unless a word such as "additionally" says otherwise."""
_THANKS = frozenset(
    "provide give gather retrieve get show tell send let present return share the requested required this that these all "
    "information info results result details data answer answers me us it them to with know and please thank thanks you "
    "soon as possible when done for".split()
)
"""Words of a last sentence that asks for nothing new."""
_LEAST_THANKS = 3
_ASKING = frozenset({"what", "what's", "which", "who", "where", "how"})
_OBJECTS = frozenset(
    "the a an my our your his her their its it them that this these those all every each any some both there for to "
    "in into on at from with of as how what which who where whether me us him".split()
)
"""Words that go on after a verb, hardly ever after a noun: "write the…" is a step, "write access" is none."""
_RUNNING = frozenset({"saying", "says", "containing", "reading"})
"""Words that announce running text, which may hold what looks like a step."""


@lru_cache(maxsize=256)
def clauses(text: str) -> tuple[str, ...]:
    """The steps that `text` asks for, in order, each as it stands there; one when it asks for one thing.

    What is quoted is never split, and "search for cats and dogs" is one step: after a mere "and" or comma,
    a verb with something to act on has to follow.
    """
    task = TaskReading(text)
    cuts = list(_cuts(task))
    starts = [0, *(start for _, start in cuts)]
    ends = [*(end for end, _ in cuts), len(text)]
    found = tuple(text[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return found if len(found) == 1 or not _is_thanks(found[-1]) else found[:-1]


def _is_thanks(clause: str) -> bool:
    """Whether a clause only asks for the answer: "and give it to me"; "show it" alone may mean a step."""
    words = [token.lower for token in TaskReading(clause).tokens if token.text[0].isalnum()]
    return (
        len(words) >= _LEAST_THANKS
        and all(word in _THANKS for word in words)
        and bool({"me", "us", "know"} & set(words))
    )


@lru_cache(maxsize=256)
def running_step(text: str) -> str | None:
    """The verb after "and" in running text that may as well begin a step: "saying y and email it to Bob".

    None where the text gives orders itself, as in "saying read the book and delete it".
    """
    task = TaskReading(text)
    for place in sorted(place for lead in _RUNNING for place in task.indices.get(lead, ())):
        if place + 1 >= len(task.tokens) or task.value_at(place + 1) is not None:
            continue
        ordered = task.tokens[place + 1].stem in ACTIONS
        index = place + 1
        while index < len(task.tokens):
            following, strong = _past_joints(task, index)
            if following > index and following < len(task.tokens) and (strong or not ordered):
                verb = _past_courtesies(task, following)
                if _acts(task, verb) and (strong or _has_object(task, verb)):
                    return task.tokens[verb].lower
            index = max(following, index + 1)
    return None


def _cuts(task: TaskReading) -> Iterator[tuple[int, int]]:
    """Where a step ends and where the next one begins, as offsets."""
    index, begun = 0, 0
    while index < len(task.tokens):
        following, strong = _past_joints(task, index)
        if following == index:
            index += 1
            continue
        if following < len(task.tokens) and _is_step(task, begun, index, following, strong=strong):
            yield task.tokens[index].start, task.tokens[following].start
            begun = following
        index = max(following, index + 1)


def _past_joints(task: TaskReading, index: int) -> tuple[int, bool]:
    """The first token at or after `index` that joins nothing, and whether a joint before it was a strong one."""
    strong = False
    while index < len(task.tokens) and not task.in_value(task.tokens[index]):
        token = task.tokens[index]
        if tuple(other.lower for other in task.tokens[index : index + 2]) == _AFTER_THAT:
            strong, index = True, index + 2
        elif token.lower in _JOINTS and not _is_inside_word(task, token):
            strong = strong or token.lower in _STRONG
            index += 1
        else:
            break
    return index, strong


def _is_inside_word(task: TaskReading, token: Token) -> bool:
    """Whether a mark is part of something longer, as in "3.5", "e.g." or "v1.2"."""
    return token.text in _SENTENCE_ENDS and not task.text[token.end : token.end + 1].isspace()


def _is_step(task: TaskReading, begun: int, ended: int, following: int, *, strong: bool) -> bool:
    """Whether tokens from `following` on are a step, given that one from `begun` to `ended` comes before."""
    wished = _past(task, begun, _WISHES) > begun
    asked = wished or any(_acts(task, index) for index in range(begun, ended))
    if not asked or _is_in_running_text(task, begun, ended, strong=strong):
        return False
    verb = _past_courtesies(task, following)
    wish = _past(task, verb, _WISHES)
    also = strong or any(token.lower == "also" for token in task.tokens[ended : max(verb, wish)])
    sentence = any(token.text in _SENTENCE_ENDS for token in task.tokens[ended:following])
    if wish > verb or (wished and sentence):
        return also and (wish > verb or _begins(task, verb, following, also=True))
    questions = all(task.tokens[index].lower in _ASKING for index in (begun, verb))
    return _begins(task, verb, following, also=strong or questions)


def _begins(task: TaskReading, verb: int, following: int, *, also: bool) -> bool:
    """Whether a step begins with the token at `verb`, after courtesies from `following` on."""
    token = task.tokens[verb]
    if task.in_value(token):
        return False
    if _acts(task, verb) and token.lower not in _ASKING:
        return also or verb > following or _has_object(task, verb)
    return token.lower in _ASKING and (also or task.tokens[following - 1].text in _SENTENCE_ENDS)


def _acts(task: TaskReading, index: int) -> bool:
    token = task.tokens[index]
    if token.stem in ACTIONS and not task.in_value(token):
        return True
    return token.lower in _ASKING


def _past_courtesies(task: TaskReading, index: int) -> int:
    following = _past(task, index, _COURTESIES)
    return index if following == index else _past_courtesies(task, following)


def _past(task: TaskReading, index: int, openings: tuple[tuple[str, ...], ...]) -> int:
    """The token after the longest of `openings` that stands at `index`; `index` itself when none does."""
    ends = (
        index + len(opening)
        for opening in openings
        if tuple(token.lower for token in task.tokens[index : index + len(opening)]) == opening
    )
    return max((end for end in ends if end < len(task.tokens)), default=index)


def _has_object(task: TaskReading, verb: int) -> bool:
    """Whether something stands after the verb that it can act on, and the verb is no noun itself."""
    if verb + 1 >= len(task.tokens):
        return False
    token = task.tokens[verb + 1]
    before = task.tokens[verb - 1].lower
    if task.value_at(verb + 1) is not None or token.lower in _OBJECTS:
        return True
    # "describe users" is a step where the step before is one; in "for read and write access" it is a noun.
    led = any(
        other.lower in {"for", "about", "matching", "of"}
        for other in task.tokens[max(0, verb - 4) : verb - 1]
    )
    return before in {"and", "also", ".", ","} and bool(token.stem) and not led


def _is_in_running_text(task: TaskReading, begun: int, ended: int, *, strong: bool) -> bool:
    """Whether the step so far ends in unquoted text, so that what follows may still belong to it."""
    for index in range(ended - 1, begun - 1, -1):
        token = task.tokens[index]
        if token.lower in _RUNNING and not task.in_value(token) and index + 1 < ended:
            if task.value_at(index + 1) is not None:
                return False
            # Text that gives orders itself, as in "saying wash up and then dry", may go on giving them.
            return not strong or task.tokens[index + 1].stem in ACTIONS
    return False
