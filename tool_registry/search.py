"""Finding the tools a task may mean: BM25 over names, descriptions, parameters and server names.

The index is built from one catalog and never changes; a new catalog gets a new index.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import Stemmer

from tool_registry.catalog import ToolEntry

_STEMMER = cast("Any", Stemmer).Stemmer("english")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_STOP_WORDS = frozenset(
    "a an and any are as at be by can do for from have i in is it its me my of on or please so some that the "
    "their them then there these this those to us want was we what which will with would you your".split()
)

_FIELD_WEIGHTS = {"name": 4, "title": 2, "server": 2, "description": 1, "parameters": 1}
"""How often a field's words are counted; BM25 has no fields of its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tool that a task may mean."""

    tool: ToolEntry
    score: float
    """BM25 score: higher is better, 0 when no word is shared; comparable within one search only."""


def words(text: str) -> tuple[str, ...]:
    """The searchable words of `text`: camelCase and snake_case split, lower case, stemmed, no stop words."""
    found = (word.lower() for word in _WORD.findall(text))
    return tuple(_stem(word) for word in found if word not in _STOP_WORDS)


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


class ToolIndex:
    """A searchable set of tools."""

    def __init__(self, tools: Iterable[ToolEntry]) -> None:
        self._tools: tuple[ToolEntry, ...] = tuple(tools)

    @cached_property
    def _bm25(self) -> Any:
        # Loaded with numpy on first use, which most calls of a proxy never come to; not typed well enough
        # for strict checking.
        import bm25s  # noqa: PLC0415

        index = cast("Any", bm25s.BM25())
        # A word of our own in every document: the library refuses a corpus without any words.
        documents: list[list[str]] = [[*_document(tool), "\0"] for tool in self._tools]
        index.index(documents, show_progress=False)
        return index

    def search(self, query: str, limit: int = 20) -> tuple[Candidate, ...]:
        """The `limit` best tools for `query`, best first; tools that share no word with it are left out."""
        if not self._tools:
            return ()
        terms = [word for word in words(query) if word in self._bm25.vocab_dict]
        if not terms:
            return ()
        scores: Any = self._bm25.get_scores(terms)
        # Stable: equal scores keep catalog order, so that the same task always sees the same candidates.
        best = cast("list[int]", (-scores).argsort(kind="stable")[:limit].tolist())
        return tuple(Candidate(self._tools[i], float(scores[i])) for i in best if scores[i] > 0)


def _document(tool: ToolEntry) -> list[str]:
    fields = {
        "name": tool.name,
        "title": tool.title,
        "server": tool.upstream,
        "description": tool.description,
        "parameters": " ".join(_about(name, schema) for name, schema in tool.parameters.items()),
    }
    return [word for field, text in fields.items() for word in words(text) * _FIELD_WEIGHTS[field]]


def _about(name: str, schema: Mapping[str, Any]) -> str:
    """A parameter in words: its name, what it is for, and what it may be."""
    options = schema.get("enum")
    spelled = [str(option) for option in cast("list[object]", options)] if isinstance(options, list) else []
    return " ".join([name, str(schema.get("description", "")), *spelled])
