"""Strategies: how sure a plan has to be before it is acted on, by what is aimed at. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from local_llm import Plan
from mcp_proxy.gate import EXECUTE_FROM, Bar


class Strategy(StrEnum):
    """What counts when it is not clear which call is meant."""

    PRIVACY_FIRST = "privacy_first"
    """Nothing leaves the machine; the user is asked instead."""
    COST_OPTIMIZED = "cost_optimized"
    """Done here where that is sure enough, else passed on."""
    QUALITY_OPTIMIZED = "quality_optimized"
    """The same, but it takes more to be sure enough."""
    ADAPTIVE = "adaptive"
    """The same, but what is sure enough depends on how a tool's calls turned out before."""


Privacy = Literal["normal", "high"]
"""Whether a task may be passed on to a model elsewhere; "high" forbids it."""

Thresholds = Mapping[float, float]
"""Of one planner: for a share of right calls that is aimed at, the least confidence from which on that share is right.

A confidence above 1, or infinite, where none reaches that share.
"""

WITHOUT_MEASURE = Bar(act=0.0, ask=0.0)
"""For proposals whose confidence was never measured: it says nothing, so nothing is asked of it."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a strategy is after."""

    precision: float
    """The share of right calls among those made without asking."""
    ask: float
    """The probability of being right from which on a plan is worth a "shall I?", where nobody else can be asked."""
    escalates: bool = True
    """Whether tasks may leave the machine."""
    learns: bool = False
    """Whether a tool's own record moves its threshold."""


AIMS: Mapping[Strategy, Aim] = {
    # What may destroy something waits for a person's yes in any case, so that a wrong call costs little.
    Strategy.PRIVACY_FIRST: Aim(precision=0.80, ask=0.3, escalates=False),
    Strategy.COST_OPTIMIZED: Aim(precision=0.80, ask=0.3),
    Strategy.QUALITY_OPTIMIZED: Aim(precision=0.90, ask=0.3),
    Strategy.ADAPTIVE: Aim(precision=0.80, ask=0.3, learns=True),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How the calls of one tool, planned by one planner, turned out."""

    good: int = 0
    bad: int = 0

    @property
    def all(self) -> int:
        return self.good + self.bad


Record = Mapping[tuple[str, str], Tally]
"""By the tool's qualified name and the planner's name."""

_FEW = 10
"""Calls of a tool before which its own record says nothing."""

_PRIOR_CALLS = 20
"""How many calls the measured precision counts for, beside a tool's own record."""

_MOST_SHIFT = 4.0
"""By how much, at most, the record changes the odds."""

_NEVER_BELOW = 0.5
"""No record lets a plan be acted on that is more likely wrong than right."""


def least_confidence(thresholds: Thresholds, precision: float) -> float:
    """The confidence from which on calls are right with at least this precision; infinite when none reaches it.

    Without thresholds, which is without calibration, it is the gate's own.
    """
    if not thresholds:
        return EXECUTE_FROM
    least = min((target for target in thresholds if target >= precision), default=None)
    confidence = math.inf if least is None else thresholds[least]
    return confidence if confidence <= 1 else math.inf


def adapted(base: float, precision: float, tally: Tally) -> float:
    """The least confidence for one tool: `base`, moved by how that tool's calls turned out.

    The share of a tool's calls that are right has the prior Beta(20p, 20(1-p)), with `precision` p, for which `base` was
    chosen; the mean of its posterior is m = (20p + good) / (20 + good + bad). Where the odds of being right differ
    from those that confidences were calibrated for by the factor r = odds(m) / odds(p), so do the odds each confidence
    stands for (Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
    2002, for two classes). So the bar is where odds(confidence) * r = odds(base). r is kept within [1/4, 4], and below 10
    calls it is 1; the bar never sinks below one half.
    """
    if tally.all < _FEW or not 0 < base < 1:
        return base
    mean = (_PRIOR_CALLS * precision + tally.good) / (_PRIOR_CALLS + tally.all)
    shift = min(max(_odds(mean) / _odds(precision), 1 / _MOST_SHIFT), _MOST_SHIFT)
    odds = _odds(base) / shift
    return max(odds / (1 + odds), min(base, _NEVER_BELOW))


def _odds(probability: float) -> float:
    return probability / (1 - probability)


@dataclass(frozen=True, slots=True)
class Bars:
    """How sure plans have to be for one task: by planner, and where the strategy learns, by tool."""

    aim: Aim
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict[str, Thresholds])
    """By the planner's name."""
    fixed: float | None = None
    """The confidence to act from, whatever is aimed at."""
    record: Record = field(default_factory=dict[tuple[str, str], Tally])

    def bar(self, plan: Plan) -> Bar:
        """The bar for a plan of a planner whose confidence is a probability."""
        act = self.fixed if self.fixed is not None else self._learnt(plan)
        return Bar(act, min(act, self.aim.ask))

    def _learnt(self, plan: Plan) -> float:
        base = least_confidence(self.thresholds.get(plan.planner, {}), self.aim.precision)
        if not self.aim.learns:
            return base
        tally = self.record.get((plan.call.tool.qualified, plan.planner), Tally())
        return adapted(base, self.aim.precision, tally)
