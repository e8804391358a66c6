"""BM25 over documents that are read one by one, so that a change of some costs only those.

Knows words and numbers; what a document stands for is its caller's business.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tool_registry.words import Vocabulary, terms

_K1, _B = 1.5, 0.75
"""How soon more of the same word stops counting, and how much a long document is held against it (BM25's own)."""

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Document:
    """What some text says, as word numbers of a `Vocabulary`."""

    words: NDArray[np.int32]
    """Each word once."""
    counts: NDArray[np.float32]
    """How often each stands there, weighted by where."""

    @classmethod
    def read(cls, places: Iterable[tuple[str, float]], vocabulary: Vocabulary) -> Self:
        """The document made of `places`: texts, and how often each word in them counts."""
        counts: defaultdict[int, float] = defaultdict(float)
        for text, weight in places:
            for word in vocabulary.learn(terms(text)):
                counts[word] += weight
        return cls(
            np.fromiter(counts.keys(), np.int32, len(counts)),
            np.fromiter(counts.values(), np.float32, len(counts)),
        )


class Bm25:
    """Scores of all documents for a query, by Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009).

    The weight of a word is ln(1 + (N - n + 0.5) / (n + 0.5)), never negative, as in Lucene.
    """

    def __init__(self, documents: Sequence[Document], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._size = len(documents)
        self._places, self._impacts, self._starts = _postings(documents, len(vocabulary))

    def scores(self, query: str) -> Scores:
        """One score for each document, 0 where it shares no word with the query."""
        scores = np.zeros(self._size, np.float32)
        for word in dict.fromkeys(self._vocabulary.known(terms(query))):
            if word + 1 < len(self._starts):  # else it came in after these documents had been read
                found = slice(self._starts[word], self._starts[word + 1])
                scores[self._places[found]] += self._impacts[found]
        return scores


def _postings(
    documents: Sequence[Document], vocabulary: int
) -> tuple[NDArray[np.int32], Scores, NDArray[np.int64]]:
    """The documents of each word and what the word adds to their scores, by word, and where each word's begin."""
    sizes = np.fromiter((len(document.words) for document in documents), np.int64, len(documents))
    words = np.concatenate([np.empty(0, np.int32), *(document.words for document in documents)])
    counts = np.concatenate([np.empty(0, np.float32), *(document.counts for document in documents)])
    places = np.repeat(np.arange(len(documents), dtype=np.int32), sizes)
    lengths = np.bincount(places, counts, minlength=len(documents))
    norms = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1e-9)) if len(documents) else lengths
    frequency = np.bincount(words, minlength=vocabulary)
    weights = np.log1p((len(documents) - frequency + 0.5) / (frequency + 0.5))
    impacts = weights[words] * counts / (counts + norms[places])
    order = np.argsort(words, kind="stable")
    starts = np.concatenate([[0], np.cumsum(frequency)])
    return places[order], impacts[order].astype(np.float32), starts
