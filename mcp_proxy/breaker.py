"""A circuit breaker: whether somebody who may fail, dawdle or answer badly is to be asked at this moment.

Knows neither planners nor the event loop: it is told what came of asking, and reads the clock it is given. The pattern
is Nygard's (*Release It!*); counting slow answers over a window of the latest ones is Resilience4j's.
"""

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mcp_proxy.backoff import Backoff

Clock = Callable[[], float]
"""Seconds since whenever, never going back."""


class State(StrEnum):
    """Whether whoever is behind a breaker is asked."""

    CLOSED = "closed"
    """Everybody's question goes through."""
    OPEN = "open"
    """Nobody's does, for a while."""
    HALF_OPEN = "half-open"
    """One does, on trial; the others' do not until it is settled."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens, and for how long."""

    failures: int = 3
    """Failures in a row."""
    slow_after: float = math.inf
    """Seconds from which on an answer is slow."""
    slow_share: float = 0.5
    """Share of slow ones among the latest answers."""
    bad_share: float = 0.75
    """Share of bad ones among the latest judged. High: each of them was caught, and a wrong planner is not a broken one."""
    least: int = 8
    """How many answers it takes for a share to mean something."""
    window: int = 20
    """How many answers count as the latest."""
    longest_pause: float = 60.0
    """Seconds it stays open at most. It begins with half a second, doubled each time it does not help."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A breaker at one moment, for people and probes."""

    state: State = State.CLOSED
    why: str = ""
    """What opened it; empty while it is closed."""
    pause: float = 0.0
    """Seconds until it lets somebody through on trial."""

    def __str__(self) -> str:
        match self.state:
            case State.CLOSED:
                return "is asked"
            case State.OPEN:
                return f"is not asked for another {max(1, math.ceil(self.pause))} s: {self.why}"
            case State.HALF_OPEN:
                return f"is asked by one at a time: {self.why}"


@dataclass(slots=True, eq=False)
class Asking:
    """One question that a breaker let through. It is settled once; what is said of it later changes nothing."""

    began: float
    era: int
    """How often the breaker had opened or closed by then: what was asked before it did says nothing of now."""
    settled: bool = False


class Breaker:
    """The breaker of one who is asked. For one event loop: nothing in it waits, so nothing needs a lock.

    Whoever is let through by `ask` settles the `Asking` by one of `answered`, `failed` and `withdrawn`. Meant for a
    `finally`, `withdrawn` does nothing after the others; so a cancelled trial makes room for the next.
    """

    def __init__(self, limits: Limits | None = None, clock: Clock = time.monotonic) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._pauses = Backoff(sys.maxsize, self._limits.longest_pause)
        self._era = 0
        self._failures = 0
        self._slow: deque[bool] = deque(maxlen=self._limits.window)
        self._bad: deque[bool] = deque(maxlen=self._limits.window)
        self._until: float | None = None
        """When the pause ends, or has ended; None while closed."""
        self._why = ""
        self._trial: Asking | None = None
        self._on_probation = False
        """Closed again after bad answers: the next one that is judged decides."""

    @property
    def condition(self) -> Condition:
        """What it is like now."""
        if self._until is None:
            return Condition()
        pause = self._until - self._clock()
        return Condition(State.OPEN if pause > 0 else State.HALF_OPEN, self._why, max(0.0, pause))

    def ask(self) -> Asking | None:
        """Leave to ask; None while it is open, and while another has been let through on trial."""
        state = self.condition.state
        if state is State.OPEN or self._trial:
            return None
        asking = Asking(self._clock(), self._era)
        if state is State.HALF_OPEN:
            self._trial = asking
        return asking

    def answered(self, asking: Asking) -> None:
        """There was an answer, whatever it is worth."""
        if not self._settles(asking):
            return
        slow = self._is_slow(asking)
        if self._until is None:
            self._failures = 0
            self._note_pace(slow=slow)
        elif slow:
            self._open(f"on trial it took over {self._limits.slow_after:g} s")
        else:
            self._close()
            asking.era = self._era

    def failed(self, asking: Asking, why: str, retry_after: float | None = None) -> None:
        """There was no usable answer.

        Args:
            asking: what failed.
            why: in words that anybody may read.
            retry_after: seconds for which it asked to be left alone; it is, at once, up to the longest pause.
        """
        if not self._settles(asking):
            return
        self._failures += 1
        if self._until is not None:
            self._open(f"on trial it failed again: {why}", retry_after)
        elif self._failures >= self._limits.failures:
            self._open(f"{self._failures} failures in a row, the last: {why}", retry_after)
        elif retry_after:
            self._open(why, retry_after)
        else:
            self._note_pace(slow=self._is_slow(asking))

    def withdrawn(self, asking: Asking) -> None:
        """The question was taken back, or came to nothing through no fault of who was asked.

        Nothing is learnt by that, unless the wait was long enough to be told from impatience.
        """
        if not self._settles(asking) or not self._is_slow(asking):
            return
        if self._until is None:
            self._note_pace(slow=True)
        else:
            self._open(f"on trial it gave no answer in {self._limits.slow_after:g} s")

    def judged(self, *, good: bool, asking: Asking | None = None) -> None:
        """An answer turned out good or bad.

        Args:
            good: how.
            asking: what was answered; None for an answer of some time ago, which decides no probation.
        """
        if self._until is not None or (asking and asking.era != self._era):
            return
        if asking and self._on_probation:
            self._on_probation = False
            if not good:
                self._open("its next answer was bad too", bad=True)
            return
        self._bad.append(not good)
        if not good and self._exceeds(self._bad, self._limits.bad_share):
            counted = f"{sum(self._bad)} of its latest {len(self._bad)} answers"
            self._open(f"{counted} were invalid or turned out wrong", bad=True)

    def _settles(self, asking: Asking) -> bool:
        """Whether this is news: the first word on a question of this era."""
        if asking.settled or asking.era != self._era:
            return False
        asking.settled = True
        if asking is self._trial:
            self._trial = None
        return True

    def _is_slow(self, asking: Asking) -> bool:
        return self._clock() - asking.began >= self._limits.slow_after

    def _note_pace(self, *, slow: bool) -> None:
        self._slow.append(slow)
        if slow and self._exceeds(self._slow, self._limits.slow_share):
            counted = f"{sum(self._slow)} of its latest {len(self._slow)} answers"
            self._open(f"{counted} took over {self._limits.slow_after:g} s")
        elif len(self._slow) >= self._limits.least and not self._on_probation:
            self._pauses.succeeded()

    def _exceeds(self, answers: deque[bool], share: float) -> bool:
        return len(answers) >= self._limits.least and sum(answers) >= share * len(answers)

    def _open(self, why: str, retry_after: float | None = None, *, bad: bool = False) -> None:
        wished = min(retry_after or 0.0, self._limits.longest_pause)
        self._until = self._clock() + max(self._pauses.failed(), wished)
        self._why = why
        self._on_probation = self._on_probation or bad
        self._begin_era()

    def _close(self) -> None:
        self._until = None
        self._why = ""
        self._begin_era()

    def _begin_era(self) -> None:
        self._era += 1
        self._failures = 0
        self._slow.clear()
        self._bad.clear()
        self._trial = None
