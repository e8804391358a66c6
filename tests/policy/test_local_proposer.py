"""Whatever a planner does, what comes of it is a proposal or an error that names no more than its kind, and in time."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import anyio
import pytest
import structlog

from local_llm import Call, Finished, NoPlan, Plan, Task
from mcp_proxy.breaker import Breaker, State
from mcp_proxy.guarded import Guarded
from mcp_proxy.local_proposer import LocalProposer
from mcp_proxy.proposals import Proposal, ProposalError
from tests.policy.proposers import (
    CANDIDATES,
    TASK,
    TOOL,
    HangingPlanner,
    Planner,
    Unlike,
    plan,
    tool_of,
)
from tool_registry import Candidate

SECRET = "the key is hunter2, at /home/me"


async def ask(planner: Any, seconds: float = 30.0) -> Proposal:
    return await LocalProposer(planner, seconds).propose(TASK, CANDIDATES, "")


async def refused(planner: Any, seconds: float = 30.0) -> ProposalError:
    with pytest.raises(ProposalError) as caught:
        await ask(planner, seconds)
    return caught.value


@pytest.mark.parametrize(
    "outcome",
    [plan(), NoPlan("good", "nothing fits"), Finished("good", "it is done")],
    ids=lambda each: type(each).__name__,
)
async def test_what_a_planner_answers_goes_on_as_it_is_and_costs_nothing(outcome: Any) -> None:
    assert await ask(Planner(outcome)) == Proposal(outcome, None)


class OddError(Exception):
    pass


@pytest.mark.parametrize(
    "error",
    [
        OddError(SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
        RecursionError(SECRET),
        MemoryError(SECRET),
        TimeoutError(SECRET),
        SystemExit(SECRET),
        asyncio.CancelledError(SECRET),
        StopAsyncIteration(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_planner_that_raises_is_told_of_by_the_kind_of_error_alone(error: BaseException) -> None:
    with structlog.testing.capture_logs() as logs:
        told = await refused(Planner(error))
    assert told.kind == "unavailable"
    assert type(error).__name__ in told.message
    assert SECRET not in f"{told!r} {told.__cause__!r}"
    assert [log["log_level"] for log in logs if SECRET in str(log)] == ["debug"]


async def test_a_planner_that_hangs_is_given_up() -> None:
    told = await refused(HangingPlanner(), 0.05)
    assert told.kind == "timeout"
    assert "no answer within 0.05 s" in told.message


async def test_a_task_that_is_cancelled_is_cancelled() -> None:
    planner = HangingPlanner()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await planner.asked.wait()
                scope.cancel()

            tasks.start_soon(cancel)
            await ask(planner)
    assert scope.cancelled_caught


async def test_a_task_that_the_event_loop_cancels_is_cancelled() -> None:
    planner = HangingPlanner()
    asked = asyncio.ensure_future(ask(planner))
    await planner.asked.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_deadline_around_it_is_not_its_own() -> None:
    planner = HangingPlanner()
    with anyio.move_on_after(0.05) as scope:
        await ask(planner)
    assert scope.cancelled_caught


class ByTheWorker:
    """A planner whose worker dies: what it waits for is cancelled."""

    name = "worker"

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        await future
        return plan(candidates[0].tool, title=task.text)


async def test_a_worker_that_dies_does_not_cancel_the_task() -> None:
    assert (await refused(ByTheWorker())).kind == "unavailable"


def lie(confidence: Any = 0.9, arguments: Any = None, tool: Any = TOOL, missing: Any = ()) -> Plan:
    call = Call(tool, {"title": "Milk"} if arguments is None else arguments)
    return Plan(call, confidence, "good", "as told", missing)


CIRCLE: dict[str, Any] = {}
CIRCLE["circle"] = CIRCLE
LIES: Mapping[str, tuple[Any, str]] = {
    "nothing": (None, "NoneType, which is no plan"),
    "a string": ("add_note", "str, which is no plan"),
    "some object": (Unlike(), "Unlike, which is no plan"),
    "a call alone": (Call(TOOL, {}), "Call, which is no plan"),
    "no confidence at all": (lie(None), "no confidence from 0 to 1"),
    "a confidence in words": (lie("sure"), "no confidence from 0 to 1"),
    "NaN": (lie(math.nan), "no confidence from 0 to 1"),
    "more than certain": (lie(1.0001), "no confidence from 0 to 1"),
    "less than nothing": (lie(-0.1), "no confidence from 0 to 1"),
    "infinite": (lie(math.inf), "no confidence from 0 to 1"),
    "a tool that was not offered": (
        lie(tool=tool_of("shred_note")),
        "'notes__shred_note', which it was not offered",
    ),
    "the name of a tool": (lie(tool="notes__add_note"), "Plan, which is no plan"),
    "no tool": (lie(tool=None), "Plan, which is no plan"),
    "arguments in a list": (lie(arguments=["Milk"]), "no JSON object"),
    "arguments in text": (lie(arguments='{"title": "Milk"}'), "no JSON object"),
    "arguments without names": (lie(arguments={1: "Milk"}), "no JSON object"),
    "arguments that are objects": (lie(arguments={"title": Unlike()}), "no JSON object"),
    "arguments in a circle": (lie(arguments=CIRCLE), "no JSON object"),
    "missing by number": (lie(missing=(1,)), "no JSON object"),
    "missing in text": (lie(missing="title"), "no JSON object"),
}


@pytest.mark.parametrize(("answer", "why"), LIES.values(), ids=LIES.keys())
async def test_what_is_no_proposal_is_held_against_the_proposer(answer: Any, why: str) -> None:
    breaker = Breaker()
    for _ in range(3):
        guarded = Guarded(LocalProposer(Planner(answer), 30.0), breaker)
        with pytest.raises(ProposalError, match=why) as caught:
            await guarded.propose(TASK, CANDIDATES, "")
        assert caught.value.kind == "reply"
    assert breaker.condition.state is State.OPEN
    assert breaker.condition.why == "3 failures in a row, the last: its answer was of no use"


async def test_a_plan_is_about_the_candidate_itself_and_signed_by_who_made_it() -> None:
    forged = tool_of("add_note")  # looks the same, and could be without its quarantine
    guarded = Guarded(LocalProposer(Planner(plan(forged, planner="claude")), 30.0), Breaker())
    proposed = cast("Plan", (await guarded.propose(TASK, CANDIDATES, "")).outcome)
    assert proposed.call.tool is TOOL
    assert proposed.planner == "good"


async def test_invalid_arguments_are_for_the_pipeline_to_judge() -> None:
    guarded = Guarded(LocalProposer(Planner(plan(title=7, colour="red")), 30.0), Breaker())
    proposed = cast("Plan", (await guarded.propose(TASK, CANDIDATES, "")).outcome)
    assert proposed.call.arguments == {"title": 7, "colour": "red"}
