"""Figures over many judged answers: how often right, how well confidences hold, how fast, at what cost. Pure arithmetic.

A share is None where there is nothing to take it of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor

from local_llm.evaluation.verdicts import Judged

BINS = 15

Pair = tuple[float, bool]
"""A confidence in [0, 1], and whether what it is about was right."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of nearly the same confidence."""

    lower: float
    upper: float
    count: int
    confidence: float
    """Their mean confidence."""
    right: float
    """The share of them that is right; where confidences hold, the same."""


@dataclass(frozen=True, slots=True)
class Point:
    """What comes of acting from one confidence on."""

    confidence: float
    coverage: float
    """The share of all records that is acted on."""
    precision: float
    """The share of those that is right; the rest is the risk."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well confidences hold. About the calls that were proposed, each right if it is sound (see `Verdict`)."""

    proposed: int
    ece: float
    """Expected calibration error (Naeini et al., 2015), 15 bins of equal width."""
    bins: tuple[Bin, ...]
    """Those that hold something, in order."""
    curve: tuple[Point, ...]
    """By falling confidence."""
    coverage_95: float
    coverage_90: float
    """The largest share of all records that can be acted on with at least this precision."""
    ece_of_decisions: float
    """The same error over all records, an abstention having confidence 0, each right if it is exact."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of one planner over some records."""

    records: int
    unanswered: int
    """Records for which there was no usable answer; they count as wrong."""
    calls: int
    """Records that want one call or several; the next three are about these."""
    tool: float | None
    """Share with the right tools."""
    exact: float | None
    """Share with the right tools and exactly the right arguments."""
    arguments: float | None
    """Share of all wanted arguments that are right."""
    exact_of_all: float | None
    """Share of the records of all kinds that is exactly right."""
    abstain: int
    """Records that want no call; the next three are about abstaining, records of kind "missing" left out."""
    abstention_precision: float | None
    abstention_recall: float | None
    abstention_f1: float | None
    missing: int
    """Records that leave something out; the next four are about these."""
    missing_tool: float | None
    missing_exact: float | None
    missing_invented: float | None
    missing_abstained: float | None
    reliability: Reliability | None
    """None where the planner gives no confidence."""
    p50_ms: float | None
    p95_ms: float | None
    cost: float | None
    """Dollars in all; None where nothing was paid, or no price is known."""


def summarise(judged: Sequence[Judged]) -> Summary:
    """The figures over `judged`."""
    known = [one for one in judged if not one.record.relevance]
    calls = [one for one in known if one.record.kind in ("single", "parallel")]
    missing = [one for one in judged if one.record.kind == "missing"]
    verdicts = [one.verdict for one in calls]
    absent = [one.verdict for one in missing]
    abstaining = [
        (one.record.kind == "abstain", one.verdict.abstained)
        for one in judged
        if one.record.kind != "missing"
    ]
    hits = abstaining.count((True, True))
    wanted = hits + abstaining.count((True, False))
    made = hits + abstaining.count((False, True))
    answered = [one.prediction for one in judged if one.prediction]
    milliseconds = [prediction.milliseconds for prediction in answered]
    costs = [prediction.cost for prediction in answered if prediction.cost is not None]
    return Summary(
        records=len(judged),
        unanswered=len(judged) - len(answered),
        calls=len(calls),
        tool=_share(verdict.tool for verdict in verdicts),
        exact=_share(verdict.exact for verdict in verdicts),
        arguments=_ratio(sum(v.args_right for v in verdicts), sum(v.args_total for v in verdicts)),
        exact_of_all=_share(one.verdict.exact for one in known),
        abstain=wanted,
        abstention_precision=_ratio(hits, made),
        abstention_recall=_ratio(hits, wanted),
        abstention_f1=_ratio(2 * hits, wanted + made),
        missing=len(missing),
        missing_tool=_share(verdict.tool for verdict in absent),
        missing_exact=_share(verdict.exact for verdict in absent),
        missing_invented=_share(verdict.invented for verdict in absent),
        missing_abstained=_share(verdict.abstained for verdict in absent),
        reliability=_reliability(known),
        p50_ms=quantile(milliseconds, 0.5),
        p95_ms=quantile(milliseconds, 0.95),
        cost=sum(costs) if costs else None,
    )


def _reliability(known: Sequence[Judged]) -> Reliability | None:
    if not any(one.prediction and one.prediction.confidence is not None for one in known):
        return None
    proposed = [(_confidence(one), one.verdict.sound) for one in known if one.verdict.acted]
    decisions = [(_confidence(one), one.verdict.exact) for one in known]
    return Reliability(
        proposed=len(proposed),
        ece=ece(proposed),
        bins=bins(proposed),
        curve=curve(proposed, len(known)),
        coverage_95=coverage(proposed, len(known), 0.95),
        coverage_90=coverage(proposed, len(known), 0.90),
        ece_of_decisions=ece(decisions),
    )


def _confidence(one: Judged) -> float:
    confidence = one.prediction.confidence if one.prediction else None
    return min(1.0, max(0.0, confidence or 0.0))


def bins(pairs: Iterable[Pair], count: int = BINS) -> tuple[Bin, ...]:
    """The pairs in `count` bins of equal width; empty bins are left out."""
    by_place: dict[int, list[Pair]] = {}
    for confidence, right in pairs:
        by_place.setdefault(min(count - 1, int(confidence * count)), []).append((confidence, right))
    return tuple(
        Bin(
            lower=place / count,
            upper=(place + 1) / count,
            count=len(inside),
            confidence=sum(confidence for confidence, _ in inside) / len(inside),
            right=sum(right for _, right in inside) / len(inside),
        )
        for place, inside in sorted(by_place.items())
    )


def ece(pairs: Sequence[Pair], count: int = BINS) -> float:
    """Expected calibration error: the mean distance of confidence and rightness over the bins, each by its count."""
    return sum(one.count * abs(one.confidence - one.right) for one in bins(pairs, count)) / max(1, len(pairs))


def curve(pairs: Iterable[Pair], total: int) -> tuple[Point, ...]:
    """Coverage and precision at every confidence that occurs, from the highest down; coverage is of `total` records."""
    points: list[Point] = []
    acted = right = 0
    for confidence, same in groupby(sorted(pairs, key=lambda pair: -pair[0]), key=lambda pair: pair[0]):
        group = [each for _, each in same]
        acted, right = acted + len(group), right + sum(group)
        points.append(Point(confidence, acted / total, right / acted))
    return tuple(points)


def coverage(pairs: Iterable[Pair], total: int, precision: float) -> float:
    """The largest share of `total` records that can be acted on, surest first, with at least `precision`.

    Of those of the same confidence, the wrong ones count first.
    """
    best = right = 0
    for acted, (_, is_right) in enumerate(sorted(pairs, key=lambda pair: (-pair[0], pair[1])), start=1):
        right += is_right
        if right / acted >= precision:
            best = acted
    return best / total if total else 0.0


def quantile(values: Iterable[float], share: float) -> float | None:
    """The quantile, interpolated between neighbours; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = (len(ordered) - 1) * share
    lower, upper = ordered[floor(place)], ordered[ceil(place)]
    return lower + (upper - lower) * (place - floor(place))


def _share(hits: Iterable[bool]) -> float | None:
    every = list(hits)
    return _ratio(sum(every), len(every))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
