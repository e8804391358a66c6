"""Which server a task names, if it names one: "with claude-flow", "use ruv-swarm to …", "the git server"."""

import re
from collections.abc import Iterable
from functools import lru_cache

Stretch = tuple[int, int]
"""Offsets of a part of a text; the end is exclusive."""

_LEAD = r"(?P<lead>^\s*|\b(?:with|using|use|via|through|on|in|ask|have|let)\s+(?:the\s+)?|\bthe\s+)"
_CALLED = r"(?:(?P<called>\s+(?:mcp\s+)?(?:server|upstream|mcp)\b)|(?P<colon>\s*:(?=\s)))?"


def named_server(text: str, upstreams: Iterable[str]) -> tuple[str | None, Stretch]:
    """The one of `upstreams` that `text` names, and where; `None` and an empty stretch when none is.

    A name of one word, such as "time", is a word like any other unless the text calls it a server or begins
    with it and a colon.
    """
    for upstream in sorted(set(upstreams), key=lambda name: (-len(name), name)):
        pattern, plain_word = _pattern(upstream)
        for mention in pattern.finditer(text):
            addressed = mention["colon"] and not mention["lead"].strip()
            if mention["called"] or addressed or not plain_word:
                return upstream, mention.span()
    return None, (0, 0)


@lru_cache(maxsize=1024)
def _pattern(upstream: str) -> tuple[re.Pattern[str], bool]:
    """The pattern of an upstream's mention, and whether its name is but one word."""
    parts = [re.escape(part) for part in re.split(r"[\W_]+", upstream) if part]
    if not parts:
        return re.compile(r"(?P<lead>)(?P<called>)(?P<colon>)(?!)"), True
    name = r"[\s_-]?".join(parts)
    return re.compile(rf"{_LEAD}{name}(?![\w-]){_CALLED}", re.IGNORECASE), len(parts) == 1
