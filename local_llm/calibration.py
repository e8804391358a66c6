"""From a planner's score to the probability that it is right: isotonic regression, and the thresholds read off it.

Pure arithmetic but for `load` and `save`. It does not know where scores come from.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from pydantic import TypeAdapter

PRECISIONS = (0.80, 0.90, 0.95, 0.98)
"""The precisions that thresholds are worked out for."""

UNREACHED = math.inf
"""The threshold of a precision that no confidence reaches: nothing is as sure as that."""

Thresholds = Mapping[float, float]
"""Precision wanted of what is acted on → the least confidence to act from; `UNREACHED` where there is none."""

_GROUP = 40
"""Samples of neighbouring scores that are taken together: fewer would make a step of every accident."""
_LEAST = 100
"""Samples that a threshold must be read off: of fewer, a share of 98 % says nothing."""
_DIGITS = 4
CONFIDENCE_DIGITS = 3
"""Digits of a confidence; what is beyond them no sample supports."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A score, whether what it was given to was right, and how much that counts."""

    score: float
    right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Knot:
    """A score, and the probability that belongs to it."""

    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Target:
    """A precision, and what acting with it takes."""

    precision: float
    confidence: float | None
    """The least confidence to act from; None where none will do."""
    coverage: float
    """The share of all tasks, those without a proposal too, that is then acted on; by the samples' weights."""


class BadCalibrationError(ValueError):
    """Knots that are no calibration: too few, or falling."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a planner's scores are worth."""

    planner: str
    version: str
    """Which version of the planner it is for."""
    records: int
    """How many samples it was fitted to."""
    knots: tuple[Knot, ...]
    """By rising score; the probability never falls."""
    targets: tuple[Target, ...] = ()
    _scores: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        scores = tuple(knot.score for knot in self.knots)
        object.__setattr__(self, "_scores", scores)
        probabilities = [knot.probability for knot in self.knots]
        if not self.knots or list(scores) != sorted(set(scores)) or probabilities != sorted(probabilities):
            raise BadCalibrationError(
                f"the knots of {self.planner!r} must be some, by rising score, with probabilities that never fall; "
                "fit the calibration again"
            )

    def probability(self, score: float) -> float:
        """The probability in [0, 1] that belongs to `score`: linear between knots, level beyond the outermost."""
        if not score > self._scores[0]:  # whatever is no number is worth the least
            return self.knots[0].probability
        place = bisect_right(self._scores, score)
        if place == len(self.knots):
            return self.knots[-1].probability
        lower, upper = self.knots[place - 1], self.knots[place]
        share = (score - lower.score) / (upper.score - lower.score)
        between = lower.probability + share * (upper.probability - lower.probability)
        return min(between, upper.probability)

    @property
    def thresholds(self) -> Thresholds:
        """The least confidence for each precision."""
        return {
            target.precision: UNREACHED if target.confidence is None else target.confidence
            for target in self.targets
        }


def fit(
    planner: str,
    version: str,
    samples: Sequence[Sample],
    total: float,
    precisions: Sequence[float] = PRECISIONS,
) -> Calibration:
    """The calibration of `samples`, by isotonic regression (pool adjacent violators; Ayer et al., 1955).

    One made-up sample at each end says the contrary of the others there, so that nothing is ever held certain.

    Args:
        planner: whose scores they are.
        version: which version of it.
        samples: what was proposed; at least one.
        total: the weight of all tasks, those included for which nothing was proposed.
        precisions: what to work out thresholds for.

    Raises:
        BadCalibrationError: there are no samples.
    """
    knots = _knots(isotonic(_grouped(sorted(samples, key=lambda sample: sample.score))))
    plain = Calibration(planner, version, len(samples), knots)
    targets = tuple(_target(plain, samples, total, precision) for precision in precisions)
    return Calibration(planner, version, len(samples), knots, targets)


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring scores that share one probability."""

    lowest: float
    highest: float
    right: float
    weight: float

    @property
    def share(self) -> float:
        return self.right / self.weight

    def joined(self, other: "Block") -> "Block":
        return Block(
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            self.right + other.right,
            self.weight + other.weight,
        )


def isotonic(blocks: Iterable[Block]) -> list[Block]:
    """The blocks, by rising score, with neighbours pooled until no share is below the one before it."""
    pooled: list[Block] = []
    for block in blocks:
        last = block
        while pooled and pooled[-1].share >= last.share:
            last = pooled.pop().joined(last)
        pooled.append(last)
    return pooled


def _grouped(samples: Sequence[Sample]) -> list[Block]:
    """The samples, sorted by score, some at a time, those of one score together; the made-up ones at the ends."""
    if not samples:
        raise BadCalibrationError("there is nothing to calibrate with: no sample was given")
    mean = sum(sample.weight for sample in samples) / len(samples)
    lowest, highest = samples[0].score, samples[-1].score
    blocks = [Block(lowest, lowest, mean, mean)]
    count = _GROUP
    for score, same in groupby(samples, key=lambda sample: sample.score):
        for sample in same:
            one = Block(score, score, sample.weight * sample.right, sample.weight)
            if count >= _GROUP and blocks[-1].highest < score:
                blocks.append(one)
                count = 0
            else:
                blocks[-1] = blocks[-1].joined(one)
            count += 1
    return [*blocks, Block(highest, highest, 0.0, mean)]


def _knots(blocks: Iterable[Block]) -> tuple[Knot, ...]:
    """Both ends of every block, at the precision that is kept."""
    knots: dict[float, float] = {}
    for block in blocks:
        for score in (block.lowest, block.highest):
            knots.setdefault(round(score, _DIGITS), round(block.share, _DIGITS))
    return tuple(Knot(score, probability) for score, probability in knots.items())


def _target(calibration: Calibration, samples: Sequence[Sample], total: float, precision: float) -> Target:
    """The least confidence from which on at least `precision` of the samples is right."""

    def confidence(sample: Sample) -> float:
        return round(calibration.probability(sample.score), CONFIDENCE_DIGITS)

    best = Target(precision, None, 0.0)
    count, right, weight = 0, 0.0, 0.0
    for level, same in groupby(sorted(samples, key=confidence, reverse=True), key=confidence):
        for sample in same:
            count, weight = count + 1, weight + sample.weight
            right += sample.weight * sample.right
        if count >= _LEAST and right / weight >= precision:
            best = Target(precision, level, round(weight / total, _DIGITS))
    return best


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stands in the file."""

    planner: str
    version: str
    records: int
    targets: tuple[Target, ...]
    knots: tuple[Knot, ...]


_FORMAT = TypeAdapter(_Kept)


def load(path: Path) -> Calibration:
    """The calibration that `save` has written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no calibration.
    """
    kept = _FORMAT.validate_json(path.read_bytes())
    return Calibration(kept.planner, kept.version, kept.records, kept.knots, kept.targets)


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration; the same one gives the same bytes."""
    kept = _Kept(
        calibration.planner, calibration.version, calibration.records, calibration.targets, calibration.knots
    )
    path.write_bytes(_FORMAT.dump_json(kept, indent=1) + b"\n")
