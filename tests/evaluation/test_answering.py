"""How a planner is asked: step by step, with its own calls fed back, until it is done."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from local_llm import Call, Finished, NoPlan, Plan, Task
from local_llm.evaluation import Answer, NoAnswerError, PlannerContestant, Record, answers, summarise
from local_llm.evaluation.answering import MOST_STEPS, candidates, predict
from local_llm.evaluation.records import NamedCall
from local_llm.evaluation.report import FIGURES, answers_as_json, as_json
from tool_registry import Candidate

TOOLS = tuple(
    {"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ("read", "write")
)
BOTH = Record(
    id="both",
    source="own",
    query="read it, then write it",
    tools=TOOLS,
    kind="parallel",
    calls=(NamedCall("write", {"n": 1}), NamedCall("read")),
)
ONE = Record(
    id="one", source="own", query="write it", tools=TOOLS, kind="single", calls=(NamedCall("write"),)
)


class Stepping:
    """Calls the tools it was told to, one each time it is asked, and says after how many it is done."""

    name = "stepping"

    def __init__(
        self, *calls: tuple[str, dict[str, Any]], last: int, confidence: Sequence[float] = (0.5,)
    ) -> None:
        self._calls, self._last, self._confidence = calls, last, confidence
        self.results: list[list[str | None]] = []

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan | Finished:
        self.results.append([step.result for step in task.steps])
        place = len(task.steps)
        if place >= len(self._calls):
            return Finished(self.name, "all is done")
        name, arguments = self._calls[place]
        tool = next(candidate.tool for candidate in candidates if candidate.tool.name == name)
        sure = self._confidence[place % len(self._confidence)]
        return Plan(Call(tool, arguments), sure, self.name, "as told", last=place + 1 == self._last)


async def test_a_planner_is_asked_until_its_last_call_and_told_that_each_went_well() -> None:
    planner = Stepping(("read", {}), ("write", {"n": 1}), last=2, confidence=(0.9, 0.4))
    (judged,) = [one async for one in answers(PlannerContestant(planner), [BOTH])]
    assert judged.verdict.exact
    assert judged.prediction
    assert judged.prediction.confidence == 0.4
    assert planner.results == [[], ["ok"]]


async def test_what_was_called_stands_when_a_planner_says_that_nothing_is_left() -> None:
    planner = Stepping(("write", {}), last=9)
    prediction = await predict(PlannerContestant(planner), ONE)
    assert prediction.calls == (NamedCall("write", {}),)
    assert not prediction.abstained


async def test_a_planner_that_never_ends_is_not_asked_for_ever() -> None:
    endless: list[tuple[str, dict[str, Any]]] = [("read", {})] * 50
    planner = Stepping(*endless, last=99)
    prediction = await predict(PlannerContestant(planner), BOTH)
    assert len(prediction.calls) == len(planner.results) == MOST_STEPS


async def test_a_planner_that_plans_nothing_has_abstained() -> None:
    prediction = await predict(PlannerContestant(Stepping(last=1)), ONE)
    assert prediction.abstained
    assert prediction.confidence is None


class Broke:
    """Answers as often as it was told, then has no money left; before that, it fails at every other record."""

    name, is_measured = "broke", False

    def __init__(self, answers: int) -> None:
        self._left = answers

    async def answer(self, task: Task, candidates: Sequence[Candidate]) -> Answer:
        del task
        self._left -= 1
        if self._left < 0:
            raise NoAnswerError("today's budget is used up", final=True)
        if self._left % 2:
            raise NoAnswerError("overloaded")
        return Answer(Plan(Call(candidates[0].tool, {}), 1.0, self.name, "so"), cost=0.25)


async def test_failures_count_as_wrong_and_the_last_straw_ends_it_with_what_there_is() -> None:
    asked = answers(Broke(5), [replace(ONE, id=str(number)) for number in range(9)])
    judged = [await anext(asked) for _ in range(5)]
    with pytest.raises(NoAnswerError, match="used up"):
        await anext(asked)
    summary = summarise(judged)
    assert (summary.records, summary.unanswered, summary.cost) == (5, 2, 0.75)
    assert summary.reliability is None, "its confidences mean nothing"
    assert summary.abstention_recall is None
    assert all(isinstance(figure(summary), str) for figure in FIGURES.values())
    assert json.loads(json.dumps([as_json(summary), answers_as_json(judged)]))


def test_candidates_come_in_the_order_of_a_search_and_all_of_them() -> None:
    assert [candidate.tool.name for candidate in candidates(ONE)] == ["write", "read"]


def test_figures_of_nothing_are_dashes() -> None:
    empty = summarise([])
    assert [
        figure(empty) for label, figure in FIGURES.items() if label not in ("records", "without an answer")
    ] == ["–" if "latency" not in label else "– / –" for label in list(FIGURES)[2:]]
