"""Asking a planner for its answer to each record: one call after the other, as when a task is carried out.

Who is asked comes in as a `Contestant`; what is right is not known here.
"""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from local_llm.evaluation.records import NamedCall, Record
from local_llm.evaluation.verdicts import Judged, Prediction, judge
from local_llm.plan import Finished, NoPlan, Plan, Planner, Step, Task
from tool_registry import Candidate, Catalog, Offer, ToolIndex

MOST_STEPS = 10
"""Calls after which a planner that still wants more is not asked again."""
_SERVER = "corpus"
"""The server that a record's tools are said to belong to: no request should happen to name it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant answered once."""

    outcome: Plan | NoPlan | Finished
    cost: float | None = None
    """In dollars."""


class NoAnswerError(Exception):
    """A contestant that could not answer, and whether it is of use to ask it again."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.final = final


class Contestant(Protocol):
    """Whoever is to be evaluated."""

    @property
    def name(self) -> str: ...

    @property
    def is_measured(self) -> bool:
        """Whether its confidences mean something."""
        ...

    async def answer(self, task: Task, candidates: Sequence[Candidate]) -> Answer:
        """Its answer for the next call of `task`.

        Raises:
            NoAnswerError: there is none.
        """
        ...


class PlannerContestant:
    """A planner that costs nothing to ask."""

    is_measured = True

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    @property
    def name(self) -> str:
        return self._planner.name

    async def answer(self, task: Task, candidates: Sequence[Candidate]) -> Answer:
        return Answer(await self._planner.plan(task, candidates))


def candidates(record: Record) -> tuple[Candidate, ...]:
    """The record's tools, those first that share words with the request, as a search would give them."""
    catalog = Catalog((Offer(_SERVER, "", record.tools),))
    tools = sorted(catalog.tools.values(), key=lambda tool: tool.name)
    found = ToolIndex(tools).search(record.query, len(tools))
    seen = {candidate.tool.qualified for candidate in found}
    return (*found, *(Candidate(tool, 0.0) for tool in tools if tool.qualified not in seen))


async def answers(contestant: Contestant, records: Iterable[Record]) -> AsyncIterator[Judged]:
    """The judged answers of a contestant, record by record.

    Raises:
        NoAnswerError: it is of no use to ask on. What it answered so far has been given.
    """
    for record in records:
        try:
            prediction = await predict(contestant, record)
        except NoAnswerError as error:
            if error.final:
                raise
            prediction = None
        yield Judged(record, prediction, judge(record, prediction))


async def predict(contestant: Contestant, record: Record) -> Prediction:
    """What `contestant` makes of a record: asked until it says that the task is done, each call answered by "ok".

    Raises:
        NoAnswerError: it could not answer.
    """
    offered = candidates(record)
    plans: list[Plan] = []
    costs: list[float] = []
    outcome: Plan | NoPlan | Finished | None = None
    milliseconds = 0.0
    while len(plans) < MOST_STEPS:
        steps = tuple(Step(plan.call, "ok") for plan in plans)
        began = time.perf_counter()
        answer = await contestant.answer(Task(record.query, steps=steps), offered)
        milliseconds += (time.perf_counter() - began) * 1000
        outcome = answer.outcome
        costs += [] if answer.cost is None else [answer.cost]
        if isinstance(outcome, Plan):
            plans.append(outcome)
        if not isinstance(outcome, Plan) or outcome.last or outcome.missing:
            break
    return Prediction(
        calls=tuple(NamedCall(plan.call.tool.name, plan.call.arguments) for plan in plans),
        # The whole is no surer than its least sure call.
        confidence=min((plan.confidence for plan in plans), default=None) if contestant.is_measured else None,
        abstained=not plans,
        missing=plans[-1].missing if plans else (),
        milliseconds=milliseconds,
        cost=sum(costs) if costs else None,
        reason=outcome.reason if outcome else "",
    )
