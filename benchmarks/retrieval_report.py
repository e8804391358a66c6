"""What the retrieval benchmark found: the record it writes, and the tables made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks.records import Records
from benchmarks.retrieval_score import Scores, mean

RECORD = Path(__file__).parent / "results" / "retrieval.json"

_HEADS = ("requests", "tools", "by", "R@1", "R@3", "R@5", "R@10", "MRR", "nDCG@10")


@dataclass(frozen=True, slots=True)
class Found:
    """How well the tools of one task were found, one way."""

    task: str
    tools: int
    requests: int
    way: str
    """words, meaning, both; with "fp32" where the encoder had its original weights."""
    scores: Scores


@dataclass(frozen=True, slots=True)
class Cost:
    """What searching the largest set of tools takes: milliseconds and seconds are processor time of one thread."""

    tools: int
    query_p50_ms: float
    query_p95_ms: float
    """The query's own embedding included; of each query, the fastest of several tries."""
    words_p95_ms: float
    """The same without meanings."""
    reading_s: float
    """Reading all tools' words, the first time."""
    change_ms: float
    """Reading them again after one server's tools have changed."""
    embedding_ms: float
    """Embedding one tool: the mean."""
    index_mib: float
    """What the index adds to the process, its vectors included and the encoder not."""


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run: when, where, with which encoder."""

    date: str
    python: str
    cores: int
    system: str
    encoder: str
    """SHA-256 of the encoder's file, the first digits."""
    found: tuple[Found, ...]
    cost: Cost


_RECORDS = Records(Record, RECORD)
save, load = _RECORDS.save, _RECORDS.load


def table(record: Record) -> str:
    """How well tools are found, by words, by meaning, and by both; at the end, the means over the tasks."""
    found = [one for one in record.found if "fp32" not in one.way]
    means = (
        ("mean", "", way, *_figures(mean(one.scores for one in found if one.way == way)))
        for way in dict.fromkeys(one.way for one in found)
    )
    return _markdown(_HEADS, (*map(_row, found), *means))


def eight_bits(record: Record) -> str:
    """What the 8-bit weights cost: the same figures with the encoder as shipped and as published."""
    compared = {one.task for one in record.found if "fp32" in one.way}
    found = (one for one in record.found if one.task in compared and one.way != "words")
    return _markdown(_HEADS, (_row(one) for one in sorted(found, key=lambda one: one.task)))


def costs(record: Record) -> str:
    """What searching takes."""
    cost = record.cost
    rows = (
        (
            "a query, its embedding included, p50 / p95",
            f"{cost.query_p50_ms:.1f} / {cost.query_p95_ms:.1f} ms",
        ),
        ("a query in words alone, p95", f"{cost.words_p95_ms:.1f} ms"),
        ("reading all tools the first time", f"{cost.reading_s:.1f} s"),
        ("reading again when one server has changed", f"{cost.change_ms:.0f} ms"),
        ("embedding one tool, once ever", f"{cost.embedding_ms:.1f} ms"),
        ("memory of the index with its vectors", f"{cost.index_mib:.0f} MiB"),
    )
    return _markdown((f"with {cost.tools:,} tools", ""), rows)


def conditions(record: Record) -> str:
    """One sentence: what ran, when and where."""
    return (
        f"Measured on {record.date}: {record.cores} cores, {record.system}, Python {record.python}; "
        f"encoder {record.encoder}."
    )


def _row(one: Found) -> Sequence[str]:
    return (f"{one.requests:,} of {one.task}", f"{one.tools:,}", one.way, *_figures(one.scores))


def _figures(scores: Scores) -> Sequence[str]:
    return [f"{figure:.3f}" for figure in astuple(scores)]


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))
