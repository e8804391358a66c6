"""Finding the tools a query may mean: by its words (BM25), and by its meaning where vectors are given.

An index is a value. A changed catalog makes another, which reads the changed tools only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from tool_registry.catalog import ToolEntry
from tool_registry.passage import passage
from tool_registry.words import Vocabulary, words

if TYPE_CHECKING:  # They load numpy, which most calls of a proxy never need.
    from tool_registry.lexical import Bm25, Document
    from tool_registry.meaning import Meanings, Vector, Vectors

__all__ = ["Candidate", "Examples", "ToolIndex", "words"]

_WEIGHTS = {"name": 2.0, "title": 2.0, "server": 1.0, "description": 1.0, "parameters": 0.5, "examples": 1.0}
"""How often a word counts by where it stands; BM25 has no fields of its own. Chosen on requests the benchmarks leave out."""
_LONGEST_FIELD = 20_000
"""Characters of a field that are read."""
_MOST_WORDS = 200_000
"""Words a vocabulary may have come to know before an index is made anew, lest it grow with every change."""
_COSINE = 25.0
"""What a cosine of 1 counts in BM25 points; chosen like the weights."""
_RELATED = 0.15
"""The cosine from which on a tool is worth showing that shares no word with the query."""

Examples = Mapping[str, Sequence[str]]
"""Questions that a tool is known to answer, by its qualified name."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tool that a query may mean."""

    tool: ToolEntry
    score: float
    """BM25 points, plus 25 times the cosine where meanings are compared; comparable within one search only."""


class ToolIndex:
    """A searchable set of tools."""

    def __init__(
        self,
        tools: Iterable[ToolEntry],
        examples: Examples | None = None,
        vectors: "Vectors | None" = None,
        before: "Sequence[_Reading]" = (),
    ) -> None:
        self.tools: tuple[ToolEntry, ...] = tuple(tools)
        self._examples: Examples = examples or {}
        self._vectors: Vectors = vectors or {}
        if not before or len(before[0].vocabulary) > _MOST_WORDS:
            before = ()
        self._vocabulary = before[0].vocabulary if before else Vocabulary()
        self._readings = tuple(self._read({reading.key: reading for reading in before}))

    def with_tools(self, tools: Iterable[ToolEntry]) -> "ToolIndex":
        """An index of these tools. Of those that this one has read already, nothing is read again."""
        return ToolIndex(tools, self._examples, self._vectors, self._readings)

    def with_examples(self, examples: Examples) -> "ToolIndex":
        """The same tools, found by these questions too."""
        return ToolIndex(self.tools, examples, self._vectors, self._readings)

    def with_vectors(self, vectors: "Vectors") -> "ToolIndex":
        """The same tools, compared by meaning too. `vectors` holds those of `passages`, or of some of them."""
        return ToolIndex(self.tools, self._examples, vectors, self._readings)

    @property
    def has_vectors(self) -> bool:
        """Whether a search can compare meanings."""
        return bool(self._vectors)

    @property
    def passages(self) -> Iterator[str]:
        """The texts whose vectors stand for the tools: one for each tool, and one for each example question."""
        return (text for reading in self._readings for text in reading.passages)

    def prepare(self, pause: Callable[[], object] = bool) -> None:
        """Do now what the first search would: for thousands of tools it takes a while, and may be done in a thread.

        Args:
            pause: called after each tool, to let others do something.
        """
        for reading in self._readings:
            _ = reading.document
            pause()
        _ = self._bm25, self._meanings

    def search(self, query: str, limit: int = 20, vector: "Vector | None" = None) -> tuple[Candidate, ...]:
        """The `limit` best tools for `query`, best first; of equally good ones, the first in the catalog.

        Args:
            query: what is looked for. Tools that share no word with it are left out, unless they mean the like.
            limit: the most that are wanted.
            vector: the query's own, to compare meanings.
        """
        if not self.tools:
            return ()
        scores = self._bm25.scores(query[:_LONGEST_FIELD])
        fitting = scores > 0
        if vector is not None and self._vectors:
            cosines = self._meanings.cosines(vector)
            fitting |= cosines >= _RELATED
            scores += _COSINE * cosines
        # Stable: equal scores keep catalog order, so that the same task always sees the same candidates.
        order = (-scores).argsort(kind="stable")
        best = cast("list[int]", order[fitting[order]][:limit].tolist())
        return tuple(Candidate(self.tools[place], float(scores[place])) for place in best)

    def _read(self, known: "Mapping[tuple[str, str], _Reading]") -> "Iterator[_Reading]":
        """What is to be read of each tool; taken from `known` where that is of the same."""
        for tool in self.tools:
            reading = _Reading(tool, tuple(self._examples.get(tool.qualified, ())), self._vocabulary)
            before = known.get(reading.key)
            yield before if before and before.same_as(reading) else reading

    @cached_property
    def _bm25(self) -> "Bm25":
        from tool_registry.lexical import Bm25  # noqa: PLC0415

        return Bm25([reading.document for reading in self._readings], self._vocabulary)

    @cached_property
    def _meanings(self) -> "Meanings":
        from tool_registry.meaning import Meanings  # noqa: PLC0415

        found = self._vectors
        return Meanings([[found[text] for text in own.passages if text in found] for own in self._readings])


@dataclass(frozen=True)
class _Reading:
    """What is read of one tool, once, when it is first needed."""

    tool: ToolEntry
    questions: tuple[str, ...]
    vocabulary: Vocabulary

    @property
    def key(self) -> tuple[str, str]:
        return self.tool.upstream, self.tool.name

    def same_as(self, other: "_Reading") -> bool:
        """Whether the other would find the same."""
        return self.questions == other.questions and self.tool.definition == other.tool.definition

    @cached_property
    def passages(self) -> tuple[str, ...]:
        """The texts whose vectors stand for the tool."""
        return (passage(self.tool), *self.questions)

    @cached_property
    def document(self) -> "Document":
        """The tool's words."""
        from tool_registry.lexical import Document  # noqa: PLC0415

        tool = self.tool
        fields = {
            "name": tool.name,
            "title": tool.title,
            "server": tool.upstream,
            "description": tool.description,
            "parameters": " ".join(_about(name, schema) for name, schema in tool.parameters.items()),
            "examples": "\n".join(self.questions),
        }
        places = ((text[:_LONGEST_FIELD], _WEIGHTS[field]) for field, text in fields.items())
        return Document.read(places, self.vocabulary)


def _about(name: str, schema: Mapping[str, Any]) -> str:
    """A parameter in words: its name, what it is for, and what it may be."""
    options = schema.get("enum")
    spelled = [str(option) for option in cast("list[object]", options)] if isinstance(options, list) else []
    return " ".join([name, str(schema.get("description", "")), *spelled])
