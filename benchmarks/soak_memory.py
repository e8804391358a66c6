"""Does memory grow? The rule by which the soak decides it. Pure.

It was written down before the runs that are judged by it, and is the same for every transport:

- Memory is sampled once a second, as the kernel counts it: resident (everything in RAM, files shared with
  other processes included) and private (what would be free if the process ended). A leak is in both.
- The first fifth of the requests does not count. In it, what is made once is made, and the heap grows to
  what the largest results in flight at once need.
- Over all that follows, the drift is the Theil-Sen slope of memory against requests asked (the median of
  the slopes between any two samples), times the requests of that stretch, over the median memory of it.
  Single samples mean little, for results of 1 MB come and go by the dozen, so no rule that picks a few of
  them (the first and last, the least of each tenth) is used. The median slope is not moved by as much as
  29 % of samples being anything at all (Sen 1968, JASA 63), and every sample counts alike.
- Up to 5 % is flat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Memory = Literal["resident", "private"]

WARM_UP = 0.2
"""The part of the requests after which memory counts."""

DRIFT_LIMIT = 0.05
"""The part of its median by which memory may have grown since the warm-up."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The proxy's process at one moment."""

    requests: int
    """Asked by then."""
    resident_mib: float
    private_mib: float

    def mib(self, memory: Memory) -> float:
        return self.resident_mib if memory == "resident" else self.private_mib


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of memory after the warm-up."""

    median_mib: float
    mib: float
    """Gained from the warm-up to the end, by the slope."""

    @property
    def part(self) -> float:
        return self.mib / self.median_mib


def drift(samples: Sequence[Sample], memory: Memory) -> Drift:
    """How memory changed after the warm-up.

    Args:
        samples: in the order they were taken, at least two of them after the warm-up.
        memory: which to look at.
    """
    first = samples[-1].requests * WARM_UP
    counted = [sample for sample in samples if sample.requests >= first]
    requests = np.array([sample.requests for sample in counted], dtype=float)
    held = np.array([sample.mib(memory) for sample in counted])
    return Drift(float(np.median(held)), _slope(requests, held) * float(requests[-1] - requests[0]))


def _slope(xs: np.ndarray, ys: np.ndarray) -> float:
    """The Theil-Sen estimator: the median of the slopes between every two points that differ in x; 0 without any."""
    earlier, later = np.triu_indices(len(xs), k=1)
    rise, run = ys[later] - ys[earlier], xs[later] - xs[earlier]
    apart = run > 0
    return float(np.median(rise[apart] / run[apart])) if apart.any() else 0.0
