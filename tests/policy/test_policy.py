"""Who is asked about a task, in which order, and what becomes of those who fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from local_llm import NoPlan, Task
from mcp_proxy.breaker import State
from mcp_proxy.gate import Bar
from mcp_proxy.guarded import Guarded
from mcp_proxy.local_proposer import LocalProposer
from mcp_proxy.policy import Policy, Route
from mcp_proxy.proposals import Proposal, ProposalError, Proposer
from mcp_proxy.settings_planner import PlannerSettings
from mcp_proxy.strategy import Privacy, Strategy, Tally
from tests.policy.proposers import CANDIDATES, TASK, Above, Clock, HangingPlanner, Planner, plan
from tool_registry import Candidate

CLAUDE = Above([Proposal(plan(planner="claude", confidence=1.0))])
OWN = Above([Proposal(plan(planner="client", confidence=1.0))], name="client")
GOOD = Planner(plan())
BROKEN = Planner(OSError("no such file"), "broken")


def policy(
    *planners: Any, clock: Clock | None = None, privacy: Privacy = "normal", **settings: Any
) -> Policy:
    planners = planners or (GOOD,)
    table = PlannerSettings.model_validate({"timeout": 0.1, **settings})
    proposers = [LocalProposer(planner, table.timeout) for planner in planners]
    return Policy(table, privacy, proposers, timeouts={"claude": 10.0}, clock=clock or Clock())


async def asked(route: Route) -> list[str]:
    """What came of asking everybody on a route once: a plan, its absence, or the kind of failure."""
    told: list[str] = []
    for proposer in route.proposers:
        try:
            told.append(type((await proposer.propose(TASK, CANDIDATES, "")).outcome).__name__)
        except ProposalError as error:
            told.append(error.kind)
    return told


def names(proposers: Sequence[Guarded]) -> list[str]:
    return [proposer.name for proposer in proposers]


def states(of: Policy) -> dict[str, State]:
    return {name: condition.state for name, condition in of.conditions.items()}


def test_planners_come_first_and_escalators_after_them() -> None:
    route = policy(GOOD, BROKEN).route(escalators=[OWN, CLAUDE])
    assert (names(route.local), names(route.above)) == (["good", "broken"], ["client", "claude"])
    assert names(route.proposers) == ["good", "broken", "client", "claude"]
    assert (route.strategy, route.privacy, route.notes, route.nobody) == ("cost_optimized", "normal", (), "")


@pytest.mark.parametrize(
    ("configured", "level", "strategy", "privacy", "why"),
    [
        ("cost_optimized", "high", None, None, "privacy is high"),
        ("cost_optimized", "high", "quality_optimized", "normal", "privacy is high"),
        ("cost_optimized", "normal", None, "high", "privacy is high"),
        (
            "cost_optimized",
            "normal",
            "privacy_first",
            None,
            "strategy privacy_first keeps everything on this machine",
        ),
        ("privacy_first", "normal", None, None, "strategy privacy_first keeps everything on this machine"),
        ("privacy_first", "normal", "quality_optimized", "normal", "strategy privacy_first keeps everything"),
    ],
)
def test_what_is_private_reaches_no_escalator_whoever_wants_it_so(
    configured: str, level: Privacy, strategy: str | None, privacy: Privacy | None, why: str
) -> None:
    route = policy(strategy=configured, privacy=level).route(
        Strategy(strategy) if strategy else None, privacy, [CLAUDE]
    )
    assert (names(route.proposers), route.privacy) == (["good"], "high")
    (note,) = route.notes
    assert note.startswith(f"claude is not asked: {why}")


def test_a_task_may_choose_its_strategy() -> None:
    thresholds = {"good": {0.80: 0.63, 0.90: 0.82}}
    of = Policy(PlannerSettings(), "normal", [LocalProposer(GOOD, 1.0)], thresholds=thresholds)
    assert of.route().bar(plan()) == Bar(0.63, 0.3)
    assert of.route(Strategy.QUALITY_OPTIMIZED).bar(plan()) == Bar(0.82, 0.3)


def test_who_is_above_is_held_to_no_bar_and_a_planner_cannot_pass_for_them() -> None:
    route = policy(threshold=0.99).route(escalators=[CLAUDE])
    assert route.bar(plan(confidence=0.0, planner="claude")) == Bar(0.0, 0.0)
    assert route.bar(plan()) == Bar(0.99, 0.3)
    alone = policy(threshold=0.99).route()
    assert alone.bar(plan(planner="claude")).act == 0.99


def test_adaptive_goes_by_what_was_learnt_for_tasks_to_come() -> None:
    of = policy(strategy="adaptive")
    before = of.route()
    of.learn({("notes__add_note", "good"): Tally(0, 100)})
    assert of.route().bar(plan()).act > before.bar(plan()).act == 0.6
    of.learn({})
    assert of.route().bar(plan()).act == 0.6


async def test_who_keeps_failing_is_left_out_and_the_next_is_asked() -> None:
    clock = Clock()
    of = policy(BROKEN, GOOD, clock=clock)
    for _ in range(3):
        assert await asked(of.route()) == ["unavailable", "Plan"]
    route = of.route()
    assert (names(route.proposers), route.nobody) == (["good"], "")
    (note,) = route.notes
    assert note.startswith(
        "broken is not asked for another 1 s: 3 failures in a row, the last: it broke down"
    )
    clock.now += 60
    assert names(of.route().proposers) == ["broken", "good"]


async def test_who_recovers_is_asked_again() -> None:
    clock, planner = Clock(), Planner(OSError(), "moody")
    of = policy(planner, clock=clock)
    for _ in range(3):
        await asked(of.route())
    clock.now += 60
    assert await asked(of.route()) == ["unavailable"]
    clock.now += 60
    planner.answer = plan()
    assert await asked(of.route()) == ["Plan"]
    assert states(of) == {"moody": State.CLOSED}


async def test_when_nobody_is_left_it_says_why_and_when_to_try_again() -> None:
    of = policy(BROKEN, HangingPlanner())
    for _ in range(3):
        assert await asked(of.route()) == ["unavailable", "timeout"]
    route = of.route(privacy="high", escalators=[CLAUDE])
    assert route.proposers == ()
    assert "broken is not asked for another 1 s" in route.nobody
    assert (
        "hanging is not asked for another 1 s: 3 failures in a row, the last: it gave no answer in time"
        in route.nobody
    )
    assert "claude is not asked: privacy is high" in route.nobody
    assert route.nobody.endswith("Try again in 1 s")


async def test_a_route_made_before_does_not_reach_who_is_left_alone_since() -> None:
    of = policy(BROKEN)
    before = of.route()
    for _ in range(3):
        await asked(of.route())
    times = BROKEN.asked
    assert await asked(before) == ["unavailable"]
    assert BROKEN.asked == times


@pytest.mark.parametrize("kind", ["request", "budget"])
async def test_what_is_the_tasks_fault_or_the_budgets_is_not_held_against_anyone(kind: Any) -> None:
    above, of = Above([ProposalError(kind, "no")]), policy()
    for _ in range(50):
        assert await asked(of.route(escalators=[above])) == ["Plan", kind]
    assert states(of)["claude"] is State.CLOSED


async def test_to_have_no_plan_is_an_answer() -> None:
    of = policy(Planner(NoPlan("good", "nothing fits")))
    for _ in range(50):
        assert await asked(of.route()) == ["NoPlan"]
    assert states(of) == {"good": State.CLOSED}


async def test_who_asks_to_be_left_alone_is_at_once() -> None:
    above, of = Above([ProposalError("rate_limit", "HTTP 429", retry_after=30)]), policy()
    assert await asked(of.route(escalators=[above])) == ["Plan", "rate_limit"]
    assert 30 <= of.conditions["claude"].pause <= 60


async def test_who_is_slow_is_left_alone_for_a_while() -> None:
    clock = Clock()
    above, of = replace(CLAUDE, clock=clock, seconds=6.0), policy(clock=clock)
    for _ in range(8):
        assert await asked(of.route(escalators=[above])) == ["Plan", "Plan"]
    assert of.conditions["claude"].why == "8 of its latest 8 answers took over 5 s"


async def test_who_proposes_invalid_calls_time_and_again_is_left_alone_for_a_while() -> None:
    of = policy()
    for _ in range(8):
        route = of.route()
        await asked(route)
        route.judged("good", valid=False)
    assert of.conditions["good"].state is State.OPEN
    assert "invalid" in of.conditions["good"].why


async def test_bad_feedback_counts_and_what_is_unknown_does_not_matter() -> None:
    of = policy()
    await asked(of.route())
    for _ in range(8):
        of.feedback("good", good=False)
        of.feedback("nobody", good=False)
        of.route().judged("nobody", valid=False)
        of.route().judged("good", valid=False)  # never asked on this route
    assert states(of) == {"good": State.OPEN}


async def test_an_escalator_that_breaks_its_word_is_held_to_it() -> None:
    above, of = Above([OSError("unforeseen")]), policy()
    for _ in range(3):
        with pytest.raises(OSError, match="unforeseen"):
            await of.route(escalators=[above]).above[0].propose(TASK, CANDIDATES, "")
    assert states(of)["claude"] is State.OPEN


async def test_each_clients_own_model_has_a_breaker_of_its_own() -> None:
    broken, of = Above([ProposalError("unavailable", "no")], name="client"), policy()
    for _ in range(3):
        await asked(of.route(escalators=[broken], client="one 1.0"))
    assert names(of.route(escalators=[broken], client="one 1.0").above) == []
    assert names(of.route(escalators=[broken], client="two 1.0").above) == ["client"]
    for number in range(1000):
        of.route(escalators=[broken], client=f"client {number}")
    assert len(of.conditions) <= 257


async def all_at_once(count: int, ask: Callable[[], Any]) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(ask)


class Gate:
    """A planner that answers once a test lets it, and counts who is waiting."""

    name = "gate"

    def __init__(self) -> None:
        self.waiting = 0
        self.came = anyio.Event()
        self.open = anyio.Event()

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> NoPlan:
        self.waiting += 1
        self.came.set()
        await self.open.wait()
        return NoPlan(self.name, f"nothing for {task.text!r} among {len(candidates)}")


async def broken_once(clock: Clock, planner: Any) -> Policy:
    """A policy over `planner` after failures and the pause that follows: half-open."""
    of = policy(planner, clock=clock, timeout=30.0)
    failing = Guarded(LocalProposer(Planner(OSError(), planner.name), 1.0), of.route().local[0].breaker)
    for _ in range(3):
        with pytest.raises(ProposalError):
            await failing.propose(TASK, CANDIDATES, "")
    clock.now += 60
    assert states(of) == {planner.name: State.HALF_OPEN}
    return of


async def test_of_a_hundred_tasks_at_once_one_is_the_trial() -> None:
    gate = Gate()
    of = await broken_once(Clock(), gate)
    told: list[str] = []

    async def ask() -> None:
        told.extend(await asked(of.route()))
        if len(told) == 99:
            gate.open.set()

    await all_at_once(100, ask)
    assert gate.waiting == 1
    assert (told.count("unavailable"), told.count("NoPlan")) == (99, 1)
    assert states(of) == {"gate": State.CLOSED}


async def test_a_trial_that_is_cancelled_leaves_the_next_one_to_try() -> None:
    gate = Gate()
    of = await broken_once(Clock(), gate)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asked, of.route())
        await gate.came.wait()
        assert await asked(of.route()) == ["unavailable"]
        tasks.cancel_scope.cancel()
    gate.open.set()
    assert await asked(of.route()) == ["NoPlan"]
    assert states(of) == {"gate": State.CLOSED}


async def test_a_hundred_tasks_that_hang_all_end_and_the_next_does_not_wait() -> None:
    planner = HangingPlanner()
    of = policy(planner, GOOD)
    told: list[str] = []

    async def ask() -> None:
        told.extend(await asked(of.route()))

    await all_at_once(100, ask)
    assert (told.count("timeout"), told.count("Plan")) == (100, 100)
    assert names(of.route().proposers) == ["good"]


def test_proposers_of_the_route_are_proposers() -> None:
    proposer: Proposer = policy().route().local[0]
    assert proposer.name == "good"
