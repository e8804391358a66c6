"""What tools mean, as vectors: how near a query's comes to each tool's.

The vectors come from outside; nothing here knows a model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating[Any]]
"""A unit vector of shape (dimensions,)."""
Vectors = Mapping[str, Vector]
"""Vectors by the text they are of."""
Scores = NDArray[np.float32]


class Meanings:
    """The vectors of all tools, of which some may have none and some several."""

    def __init__(self, vectors: Sequence[Sequence[Vector]]) -> None:
        self._size = len(vectors)
        counts = np.fromiter((len(own) for own in vectors), np.int64, len(vectors))
        self._owners = np.flatnonzero(counts)
        self._starts = np.concatenate([[0], np.cumsum(counts[self._owners])[:-1]])
        rows = [vector for own in vectors for vector in own]
        self._single = len(rows) == len(self._owners)
        self._rows = np.array(rows, np.float32)

    def cosines(self, query: Vector) -> Scores:
        """The cosine of each tool's nearest vector; a tool without one gets the mean of the others."""
        if not len(self._owners):
            return np.zeros(self._size, np.float32)
        # Not `@`, whose library splits the work among all processors and waits where one of them is busy.
        cosines = np.einsum("ij,j->i", self._rows, query.astype(np.float32))
        nearest = cosines if self._single else np.maximum.reduceat(cosines, self._starts)
        scores = np.full(self._size, nearest.mean(), np.float32)
        scores[self._owners] = nearest
        return scores
