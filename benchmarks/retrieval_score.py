"""How well a ranking found what was wanted: recall, reciprocal rank, discounted gain. Pure arithmetic."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from math import log2

DEPTH = 10
"""How far down a ranking is looked for the discounted gain."""


@dataclass(frozen=True, slots=True)
class Scores:
    """All in [0, 1]; of several requests, the means."""

    recall_1: float
    """The share of the wanted tools that stand first; with n wanted, at most 1/n."""
    recall_3: float
    recall_5: float
    recall_10: float
    mrr: float
    """One divided by the place of the first wanted tool."""
    ndcg_10: float
    """Normalised discounted cumulative gain of the first ten, with binary relevance (Järvelin and Kekäläinen, 2002)."""


def score(ranked: Sequence[str], wanted: Collection[str]) -> Scores:
    """The scores of one ranking, best first, of which repeated names count once. Something must be wanted."""
    places = [place for place, name in enumerate(dict.fromkeys(ranked)) if name in wanted]

    def recall(depth: int) -> float:
        return sum(place < depth for place in places) / len(wanted)

    gain = sum(1 / log2(place + 2) for place in places if place < DEPTH)
    ideal = sum(1 / log2(place + 2) for place in range(min(DEPTH, len(wanted))))
    first = 1 / (places[0] + 1) if places else 0.0
    return Scores(recall(1), recall(3), recall(5), recall(10), first, gain / ideal)


def mean(scores: Iterable[Scores]) -> Scores:
    """The mean of each score. There must be some."""
    every = list(scores)
    return Scores(*(sum(getattr(one, field.name) for one in every) / len(every) for field in fields(Scores)))
