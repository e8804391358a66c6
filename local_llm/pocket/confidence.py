"""How sure a plan is: what can be seen of it, weighed by a logistic model, made a probability by a calibration.

Weights and calibration stand in JSON beside this file; `fit_confidence` makes both. Nothing here reads a task.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from local_llm import calibration
from local_llm.calibration import CONFIDENCE_DIGITS, Calibration, Thresholds
from local_llm.pocket.choose import Fit
from local_llm.pocket.evidence import ANNOUNCED, SURE
from local_llm.pocket.spans import Kind

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "confidence.json"
CALIBRATION = FOLDER / "calibration.json"

Confidence = Callable[[Fit, Fit | None], float]
"""How sure the plan of the best fit is, in [0, 1], beside its rival, if there is one."""

_TIE, _CLEAR = 0.04, 0.15
"""Lead over the rival: below the first number a tie, from the second on clear."""
_FAR = 0.6
"""A greater lead says no more; without a rival it counts as this."""
_WHOLE = 0.85
"""The score from which on a tool fits as well as most that are right."""
_VALUES = frozenset(str(kind) for kind in Kind)
"""What is left over of a value: its kind, not its words."""
_RESERVED = 0.5
"""Factor for a plan with reservations. It is set, not fitted: the corpora hold requests only, in which "how do I …" and
"this" are ways to ask for something; someone who talks to a tool may be asking about it, or forbidding it."""
_MANY, _MOST_LEFT, _MOST_OPEN = 4, 6, 5
"""More of a thing (values, words left over, parameters left open) says no more."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A fit and its rival, with what several features are about."""

    best: Fit
    lead: float

    @property
    def values(self) -> int:
        return len(self.best.filling.claims)

    @property
    def parameters(self) -> int:
        return len(self.best.filling.tool.slots)

    @property
    def required(self) -> int:
        return sum(slot.required for slot in self.best.filling.tool.slots)

    @property
    def optional(self) -> int:
        """Optional parameters that were given."""
        return sum(not claim.slot.required for claim in self.best.filling.claims)


# How many tools there were to choose from is left out on purpose: in the corpora long lists go with easy requests.
# Kinds of values stand for how often each is read wrongly. All are about in [0, 1].
FEATURES: Mapping[str, Callable[[_Seen], float]] = {
    "score": lambda seen: min(seen.best.score / _WHOLE, 1.0),
    "score beyond": lambda seen: max(seen.best.score - _WHOLE, 0.0) / (1 - _WHOLE),
    "lead": lambda seen: seen.lead,
    "clear lead": lambda seen: min(max((seen.lead - _TIE) / (_CLEAR - _TIE), 0.0), 1.0),
    "lead, covered": lambda seen: seen.lead * seen.best.covered,
    "covered": lambda seen: seen.best.covered,
    "covered without values": lambda seen: 0.0 if seen.values else seen.best.covered,
    "other deed": lambda seen: float(not seen.best.agrees),
    "quoted": lambda seen: _share(sum(claim.quoted for claim in seen.best.filling.claims), 2),
    "left over": lambda seen: _share(len(seen.best.leftover), _MOST_LEFT),
    "values left over": lambda seen: _share(sum(each in _VALUES for each in seen.best.leftover), 2),
    "guessed": lambda seen: float(seen.best.filling.weakest < SURE),
    "weakest evidence": lambda seen: seen.best.filling.weakest,
    "mean evidence": lambda seen: _mean_evidence(seen.best),
    "strong evidence": lambda seen: _share(
        sum(claim.weight >= ANNOUNCED for claim in seen.best.filling.claims), _MANY
    ),
    "texts": lambda seen: _share(
        sum(
            c.slot.textual and not c.slot.closed and isinstance(c.value, str)
            for c in seen.best.filling.claims
        ),
        _MANY,
    ),
    "options": lambda seen: _share(
        sum(c.slot.closed and not isinstance(c.value, bool) for c in seen.best.filling.claims), _MANY
    ),
    "numbers": lambda seen: _share(sum(c.slot.numeric for c in seen.best.filling.claims), _MANY),
    "booleans": lambda seen: _share(sum(isinstance(c.value, bool) for c in seen.best.filling.claims), _MANY),
    "lists": lambda seen: _share(sum(isinstance(c.value, list) for c in seen.best.filling.claims), 2),
    "no parameters": lambda seen: float(seen.parameters == 0),
    "nothing given": lambda seen: float(seen.parameters > 0 and seen.values == 0),
    "required": lambda seen: _share(seen.required, 5),
    "optional given": lambda seen: float(seen.optional > 0),
    "optional open": lambda seen: _share(seen.parameters - seen.required - seen.optional, _MOST_OPEN),
    "missing": lambda seen: _share(len(seen.best.filling.missing), _MANY),
    "any missing": lambda seen: float(bool(seen.best.filling.missing)),
    "all missing": lambda seen: float(0 < seen.required == len(seen.best.filling.missing)),
}
"""What is seen of a plan, by name."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic model: what each feature adds to the log odds that the plan is right."""

    bias: float
    features: Mapping[str, float]

    def score(self, features: Mapping[str, float]) -> float:
        """The log odds; each feature must be there."""
        return self.bias + sum(weight * features[name] for name, weight in self.features.items())


WEIGHTS_FORMAT = TypeAdapter(Weights)


@dataclass(frozen=True, slots=True)
class FittedConfidence:
    """The probability, by weights and calibration, that the plan of a fit is right as far as it goes.

    That is: tool and arguments exactly, or, where it says what is missing, the tool and the arguments it gives.
    """

    weights: Weights
    calibration: Calibration

    def __call__(self, best: Fit, rival: Fit | None) -> float:
        probability = self.calibration.probability(self.weights.score(features(best, rival)))
        return round(probability * (_RESERVED if best.reservations else 1.0), CONFIDENCE_DIGITS)


def features(best: Fit, rival: Fit | None) -> dict[str, float]:
    """What is seen of the plan of `best`, by the names of `FEATURES`."""
    lead = best.score - rival.score if rival else _FAR
    seen = _Seen(best, min(max(lead, 0.0), _FAR))
    return {name: feature(seen) for name, feature in FEATURES.items()}


@cache
def shipped() -> FittedConfidence:
    """The confidence that comes with the planner.

    Raises:
        OSError: its files are not there: the installation is damaged.
        ValueError: they are not what they should be.
    """
    weights = WEIGHTS_FORMAT.validate_json(WEIGHTS.read_bytes())
    if weights.features.keys() != FEATURES.keys():
        raise ValueError(
            f"{WEIGHTS.name} is not for these features: run python -m local_llm.pocket.fit_confidence"
        )
    return FittedConfidence(weights, calibration.load(CALIBRATION))


def thresholds() -> Thresholds:
    """Precision wanted of what the pocket planner's plans are acted on → the least confidence to act from."""
    return shipped().calibration.thresholds


def _share(count: int, most: int) -> float:
    return min(count, most) / most


def _mean_evidence(best: Fit) -> float:
    weights = [claim.weight for claim in best.filling.claims]
    return math.fsum(weights) / len(weights) if weights else 1.0
