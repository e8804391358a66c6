"""How long to wait before what failed is tried again: ever longer, then long. A circuit breaker, half-open once per pause."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

STILL_TRYING = "Switchboard keeps trying to reconnect"
"""The outlook of an upstream that has not been given up."""

_FIRST_PAUSE = 0.5
"""Seconds; doubles with every failure."""


@dataclass(slots=True)
class Backoff:
    """The failures in a row of an upstream, or of whoever is asked for plans. Pauses are cut short at random, so that no two retry in step."""

    most_failures: int
    """From this failure on it is given up, and tried only once per longest pause."""
    longest_pause: float
    """Seconds."""
    failures: int = 0

    @property
    def has_given_up(self) -> bool:
        return self.failures >= self.most_failures

    def succeeded(self) -> None:
        """Begin to count anew."""
        self.failures = 0

    def failed(self) -> float:
        """Count a failure, and return the seconds until the next attempt."""
        self.failures += 1
        doubled = _FIRST_PAUSE * 2 ** min(self.failures - 1, 30)
        pause = self.longest_pause if self.has_given_up else min(doubled, self.longest_pause)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret

    def outlook(self, pause: float) -> str:
        """What is to be expected, in words for the user, when the next attempt is `pause` seconds away."""
        if not self.has_given_up:
            return STILL_TRYING
        at = datetime.now().astimezone() + timedelta(seconds=pause)
        return f"given up for now after {self.failures} failed starts; next try at {at:%H:%M:%S}"
