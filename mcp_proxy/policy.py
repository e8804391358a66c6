"""Policy: who is asked for the next call of a task, in which order, and how sure they have to be.

Strategy and privacy decide who may be asked, breakers who is worth asking now. Asking itself is the pipeline's.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from local_llm import Plan
from mcp_proxy.breaker import Breaker, Clock, Condition, Limits, State
from mcp_proxy.gate import Bar
from mcp_proxy.guarded import Guarded
from mcp_proxy.proposals import Proposer
from mcp_proxy.settings_planner import PlannerSettings
from mcp_proxy.strategy import AIMS, WITHOUT_MEASURE, Bars, Privacy, Record, Strategy, Thresholds

_OF_A_CLIENT = "client"
"""The name of the escalator that is a client's own model: each client's is another, with a breaker of its own."""

_MOST_BREAKERS = 256

_NO_RECORD: Record = MappingProxyType({})
_NO_THRESHOLDS: Mapping[str, Thresholds] = MappingProxyType({})
_NO_TIMEOUTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """Who is asked about one task."""

    strategy: Strategy
    privacy: Privacy
    """Whether anything of it may leave the machine, by all that has a say in it."""
    local: tuple[Guarded, ...]
    """The planners, in the order they are asked."""
    above: tuple[Guarded, ...]
    """The escalators, in the order they are asked after them."""
    notes: tuple[str, ...]
    """Who is left out, and why; in words."""
    nobody: str
    """Why nobody can be asked, and what can be done about it; empty when somebody can."""
    _bars: Bars = field(repr=False)

    @property
    def proposers(self) -> tuple[Guarded, ...]:
        """All of them, in order."""
        return (*self.local, *self.above)

    def bar(self, plan: Plan) -> Bar:
        """How sure `plan` has to be. Whoever is above has no measured confidence, and is held to none."""
        if any(plan.planner == proposer.name for proposer in self.above):
            return WITHOUT_MEASURE
        return self._bars.bar(plan)

    def judged(self, proposer: str, *, valid: bool) -> None:
        """Whether the latest plan of `proposer` was a valid call, for its breaker."""
        for guarded in self.proposers:
            if guarded.name == proposer:
                guarded.judged(good=valid)


class Policy:
    """What is configured, how those who may be asked are doing, and what is known of how their calls turned out."""

    def __init__(
        self,
        settings: PlannerSettings,
        privacy: Privacy,
        planners: Sequence[Proposer],
        *,
        thresholds: Mapping[str, Thresholds] = _NO_THRESHOLDS,
        timeouts: Mapping[str, float] = _NO_TIMEOUTS,
        clock: Clock = time.monotonic,
    ) -> None:
        """The policy of a whole switchboard.

        Args:
            settings: the table [planner].
            privacy: `level` of the table [privacy].
            planners: the local ones, in the order they are to be asked.
            thresholds: by the name of a planner, where its confidence is calibrated.
            timeouts: seconds that others than the planners may take, by name; over half of it is slow. One that is
                not named is never too slow.
            clock: seconds, for pauses and latency.
        """
        self._settings = settings
        self._kept_here = _kept_here(settings.strategy, privacy)
        self._planners = tuple(planners)
        self._thresholds = thresholds
        self._timeouts = {**timeouts, **{planner.name: settings.timeout for planner in planners}}
        self._clock = clock
        self._record = _NO_RECORD
        self._breakers: dict[str, Breaker] = {}

    def route(
        self,
        strategy: Strategy | None = None,
        privacy: Privacy | None = None,
        escalators: Sequence[Proposer] = (),
        client: str = "",
    ) -> Route:
        """Who is asked about a task.

        A task can have more privacy than is configured, never less; its strategy decides how sure a plan has to be.

        Args:
            strategy: the task's own; None for the one that is configured.
            privacy: the task's own, likewise.
            escalators: who might be asked beside the planners, in order.
            client: whose task it is.
        """
        strategy = strategy or self._settings.strategy
        aim = AIMS[strategy]
        kept_here = self._kept_here or _kept_here(strategy, privacy)
        local = [self._guarded(planner, client) for planner in self._planners]
        above = [] if kept_here else [self._guarded(escalator, client) for escalator in escalators]
        resting = [guarded for guarded in (*local, *above) if guarded.breaker.condition.state is State.OPEN]
        notes = [f"{guarded.name} {guarded.breaker.condition}" for guarded in resting]
        if kept_here:
            notes += [f"{escalator.name} is not asked: {kept_here}" for escalator in escalators]
        return Route(
            strategy,
            "high" if kept_here else "normal",
            tuple(guarded for guarded in local if guarded not in resting),
            tuple(guarded for guarded in above if guarded not in resting),
            tuple(notes),
            _nobody(notes, resting) if len(resting) == len(local) + len(above) else "",
            Bars(aim, self._thresholds, self._settings.threshold, self._record),
        )

    def learn(self, record: Record) -> None:
        """How calls turned out, for the tasks to come; `adaptive` goes by it."""
        self._record = record

    def feedback(self, proposer: str, *, good: bool) -> None:
        """What the user thought of a call that `proposer` planned, some time ago."""
        if breaker := self._breakers.get(proposer):
            breaker.judged(good=good)

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """How all those are doing that were asked so far, and the planners, by name."""
        for planner in self._planners:
            self._breaker(planner.name)
        return {name: breaker.condition for name, breaker in self._breakers.items()}

    def _guarded(self, proposer: Proposer, client: str) -> Guarded:
        return Guarded(proposer, self._breaker(proposer.name, client))

    def _breaker(self, name: str, client: str = "") -> Breaker:
        """The breaker of whoever has that name, now the one used last; the one not used for longest makes room."""
        key = f"{name} of {client}" if name == _OF_A_CLIENT and client else name
        breaker = self._breakers.pop(key, None)
        if breaker is None:
            slow_after = self._timeouts.get(name, math.inf) / 2
            breaker = Breaker(Limits(slow_after=slow_after), self._clock)
        self._breakers[key] = breaker
        if len(self._breakers) > _MOST_BREAKERS:
            del self._breakers[next(iter(self._breakers))]
        return breaker


def _kept_here(strategy: Strategy, privacy: Privacy | None) -> str:
    """Why nothing may leave the machine; empty when it may."""
    if privacy == "high":
        return "privacy is high"
    return "" if AIMS[strategy].escalates else f"strategy {strategy} keeps everything on this machine"


def _nobody(notes: Sequence[str], resting: Sequence[Guarded]) -> str:
    if not resting:
        return "nobody is configured to be asked for a plan; name a planner in [planner] order"
    pause = min(guarded.breaker.condition.pause for guarded in resting)
    return f"nobody can be asked for a plan: {'; '.join(notes)}. Try again in {max(1, math.ceil(pause))} s"
