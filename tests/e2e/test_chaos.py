"""Planners that die, hang, dawdle and lie behind a real server: the client always gets an answer, and nothing wrong is done."""

import math
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult

from local_llm import Call, NoPlan, Plan, Planner, Task
from mcp_proxy.config import Settings
from mcp_proxy.desk import Desk
from mcp_proxy.running import running
from mcp_proxy.server import Front
from tests.serving import ERAS, demo, outcome_of, text_of
from tool_registry import Candidate

TASK = "add a note titled Milk saying buy two"
SECRET = "what the planner said"

LATEST_ANSWER = 60
"""Seconds after which a client that waits has been forgotten, however busy the machine is."""


@asynccontextmanager
async def served(folder: Path, planner: Planner, **table: Any) -> AsyncGenerator[Front]:
    """A server with a notebook, for which `planner` plans."""
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    own = {"upstreams": {"notes": notes}, "journal": {"path": str(folder / "journal.sqlite")}}
    settings = Settings.model_validate({**own, "planner": {"timeout": 0.2, **table}})
    async with running(settings, planner) as board:
        await board.wait_started()
        yield Front(Desk(board))


@asynccontextmanager
async def client_of(front: Front, era: str = "legacy") -> AsyncGenerator[Client]:
    """A client that does not wait for ever."""
    async with Client(front.server, mode=era) as client:
        with anyio.fail_after(LATEST_ANSWER):
            yield client


@asynccontextmanager
async def client_with(
    folder: Path, planner: Planner, era: str = "legacy", **table: Any
) -> AsyncGenerator[Client]:
    """A client of a server of its own."""
    async with served(folder, planner, **table) as front, client_of(front, era) as client:
        yield client


async def do(client: Client, tool: str = "do") -> CallToolResult:
    return await client.call_tool(tool, {"task": TASK})


async def titles(client: Client) -> list[str]:
    """What was written, as a call without any planner says."""
    listed = outcome_of(await client.call_tool("notes__list_notes", {}))
    return [note["title"] for note in listed["notes"]]


def sure(candidates: Sequence[Candidate]) -> Plan:
    """The plan that is right."""
    tool = next(each.tool for each in candidates if each.tool.name == "add_note")
    return Plan(Call(tool, {"title": "Milk", "text": "buy two"}), 0.9, "odd", "as told")


class Odd:
    """A planner that does with the right plan whatever it is told to."""

    name = "odd"

    def __init__(self, deed: Callable[[Plan], Any]) -> None:
        self.deed = deed

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Any:
        assert task.text == TASK
        return self.deed(sure(candidates))


def _as_told(plan: Plan) -> Plan:
    return plan


def _says_nothing_fits(plan: Plan) -> NoPlan:
    return NoPlan(plan.planner, "nothing fits")


class Slow(Odd):
    """One that takes longer than it should, or for ever."""

    def __init__(self, seconds: float) -> None:
        super().__init__(_as_told)
        self.seconds = seconds
        self.begun = anyio.Event()

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Any:
        self.begun.set()
        await anyio.sleep(self.seconds)
        return await super().plan(task, candidates)


class ByAProcess(Odd):
    """One that plans in a process of its own, which is killed while it does."""

    def __init__(self) -> None:
        super().__init__(_as_told)

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Any:
        async with await anyio.open_process([sys.executable, "-c", "input()"]) as process:
            assert process.stdout
            process.kill()
            await process.stdout.receive()
        return await super().plan(task, candidates)


def _raises(error: BaseException) -> Callable[[Plan], Any]:
    def deed(_: Plan) -> Any:
        raise error

    return deed


def _aims_at(plan: Plan, **changes: Any) -> Plan:
    """The plan, for a tool that only looks like the one that is there."""
    return replace(plan, call=replace(plan.call, tool=replace(plan.call.tool, **changes)))


DEEDS: dict[str, tuple[Callable[[Plan], Any], str]] = {
    "raises": (_raises(RuntimeError(SECRET)), "odd failed: it broke down (RuntimeError)"),
    "exits": (_raises(SystemExit(SECRET)), "odd failed: it broke down (SystemExit)"),
    "says nothing": (lambda _: None, "NoneType, which is no plan"),
    "is beyond certain": (lambda plan: replace(plan, confidence=7.0), "no confidence from 0 to 1"),
    "is certain of NaN": (lambda plan: replace(plan, confidence=math.nan), "no confidence from 0 to 1"),
    "makes tools up": (lambda plan: _aims_at(plan, qualified="notes__nope"), "which it was not offered"),
    "fits nothing": (
        lambda plan: replace(plan, call=Call(plan.call.tool, {"title": 7, "text": []})),
        "/title: expected string, got 7",
    ),
    "speaks no JSON": (
        lambda plan: replace(plan, call=Call(plan.call.tool, {"title": object()})),
        "no JSON object",
    ),
}


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Odd, Front]]:
    """A planner that can be told what to do, and the server it plans for."""
    odd = Odd(_as_told)
    async with served(tmp_path_factory.mktemp("shared"), odd) as front:
        yield odd, front


@pytest.mark.parametrize(("deed", "why"), DEEDS.values(), ids=DEEDS.keys())
async def test_whatever_a_planner_does_the_client_is_told_and_nothing_is_done(
    shared: tuple[Odd, Front], deed: Callable[[Plan], Any], why: str
) -> None:
    odd, front = shared
    odd.deed = deed
    async with client_of(front) as client:
        for tool in ("plan", "do"):
            result = await do(client, tool)
            assert why in outcome_of(result)["reason"]
            assert SECRET not in text_of(result)
            assert outcome_of(result)["ending"] == "unsure"
        assert await titles(client) == []
        odd.deed = _says_nothing_fits
        assert "nothing fits" in outcome_of(await do(client))["reason"]


async def test_a_planner_whose_process_is_killed_is_told_of(tmp_path: Path) -> None:
    async with client_with(tmp_path, ByAProcess(), timeout=LATEST_ANSWER) as client:
        assert "odd failed: it broke down (EndOfStream)" in outcome_of(await do(client))["reason"]
        assert await titles(client) == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_planner_that_hangs_is_given_up(tmp_path: Path, era: str) -> None:
    async with client_with(tmp_path, Slow(math.inf), era) as client:
        outcome = outcome_of(await do(client))
    assert outcome["ending"] == "unsure"
    assert "odd failed: no answer within 0.2 s; [planner] timeout" in outcome["reason"]


async def test_a_task_ends_at_its_deadline_whatever_a_planner_may_take(tmp_path: Path) -> None:
    async with client_with(tmp_path, Slow(math.inf), timeout=LATEST_ANSWER * 2, deadline=0.2) as client:
        outcome = outcome_of(await do(client))
    assert (outcome["ending"], outcome["reason"]) == ("stopped", "it was not done within 0.2 s")


async def test_a_planner_that_dawdles_is_waited_for(tmp_path: Path) -> None:
    async with client_with(tmp_path, Slow(0.3), timeout=LATEST_ANSWER) as client:
        assert outcome_of(await do(client))["ending"] == "done"
        assert await titles(client) == ["Milk"]


async def test_a_planner_that_recovers_is_asked_again(tmp_path: Path) -> None:
    planner = Odd(_raises(RuntimeError()))
    async with client_with(tmp_path, planner) as client:
        reason = ""
        # Its pauses begin short, and grow with each failure until one is seen, however busy the machine is.
        while "nobody can be asked for a plan: odd is not asked for another" not in reason:
            reason = outcome_of(await do(client))["reason"]
        assert "it broke down" in reason
        planner.deed = _as_told
        while outcome_of(await do(client))["ending"] != "done":
            assert await titles(client) == []
        assert await titles(client) == ["Milk"]


async def test_a_hundred_tasks_at_once_are_all_answered_when_the_planner_hangs(tmp_path: Path) -> None:
    endings: list[str] = []
    async with client_with(tmp_path, Slow(math.inf), timeout=1) as client:

        async def ask() -> None:
            endings.append(outcome_of(await do(client))["ending"])

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(ask)
            assert await titles(client) == []
    assert endings == ["unsure"] * 100


async def test_a_task_taken_back_while_the_planner_hangs_takes_nothing_with_it(tmp_path: Path) -> None:
    planner = Slow(math.inf)
    async with client_with(tmp_path, planner, timeout=LATEST_ANSWER * 2) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do, client)
            await planner.begun.wait()
            tasks.cancel_scope.cancel()
        planner.seconds = 0
        assert outcome_of(await do(client))["ending"] == "done"
