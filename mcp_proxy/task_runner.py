"""Carries out the tasks of one desk's clients: the pipeline with its ports, and the journal beside it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Call, Plan, Task
from local_llm.pocket import next_request
from mcp_proxy.absences import explanation
from mcp_proxy.desk import Desk, InvalidArgumentsError, QuarantinedError, log_repairs
from mcp_proxy.escalation_settings import why_not_escalated
from mcp_proxy.failures import failure
from mcp_proxy.judging import Judge, with_arguments
from mcp_proxy.outcome import Ending, Outcome, Trace
from mcp_proxy.paused import Paused, PausedTasks, UnknownPausedTaskError
from mcp_proxy.pipeline import carry_out
from mcp_proxy.policy import Route
from mcp_proxy.ports import Answer, Person, Ports
from mcp_proxy.records import Asked, task_record, unfinished_record
from mcp_proxy.results import error_result
from mcp_proxy.task_progress import TaskProgress
from mcp_proxy.task_tools import Wishes
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Candidate, UnusableSchemaError

log = structlog.stdlib.get_logger()

_NOTHING_WISHED = Wishes()


class TaskRunner:
    """Carries out tasks with the tools that the clients of one desk see."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._paused = PausedTasks()

    async def do(
        self,
        task: Task,
        person: Person,
        wishes: Wishes = _NOTHING_WISHED,
        *,
        on_progress: ProgressFnT | None = None,
        client: str = "",
    ) -> Outcome:
        """Carry out a task with what is seen now and note it in the journal; see `pipeline.carry_out`.

        Raises:
            UnknownPausedTaskError: it is to be taken up again, and is not there.
        """
        paused = self._taken_up(wishes.resume)
        planned = None
        if paused:
            task = replace(paused.task, answers={**paused.task.answers, **task.answers})
            planned = with_arguments(paused.plan, {**paused.plan.call.arguments, **task.answers})
        asked, trace = Asked(task.text, client, self._desk.profile), Trace()
        journal = self._desk.board.journal
        route = self._desk.board.policy.route(
            wishes.strategy, "high" if wishes.private else None, self._desk.escalators(asked.id), client
        )
        trace.route += route.notes
        if journal:
            # So that a task is known of even if the process dies over it.
            await journal.record_task(asked.begun)
        ports = self._ports(route, person, wishes, asked, on_progress)
        try:
            outcome = await carry_out(task, ports, dry_run=wishes.dry_run, planned=planned, trace=trace)
        except BaseException as error:
            # However it ended, an escalation may have been paid for by then.
            if journal:
                await journal.record_task(unfinished_record(asked, trace, error))
            raise
        outcome = replace(
            outcome,
            id=asked.id,
            strategy=route.strategy,
            private=route.privacy == "high",
            resume=self._put_aside(task, outcome),
        )
        if journal:
            await journal.record_task(task_record(asked, outcome))
        for made in outcome.steps:
            if made.repairs and made.result is not None:
                log_repairs(made.plan.call.tool, made.repairs)
        return outcome

    def _taken_up(self, handle: str) -> Paused | None:
        if not handle:
            return None
        if (paused := self._paused.take(handle)) is None:
            raise UnknownPausedTaskError
        return paused

    def _put_aside(self, task: Task, outcome: Outcome) -> str:
        """Under what the task can be taken up again, if it stopped for want of a value."""
        plan = outcome.pending
        if outcome.dry_run or outcome.ending is not Ending.NEEDS or not isinstance(plan, Plan):
            return ""
        if not (plan.missing or outcome.problems):
            return ""
        return self._paused.keep(replace(task, steps=(*task.steps, *outcome.task_steps)), plan)

    def _ports(
        self, route: Route, person: Person, wishes: Wishes, asked: Asked, on_progress: ProgressFnT | None
    ) -> Ports:
        desk, progress = self._desk, TaskProgress(on_progress)
        settings = desk.board.settings.planner

        async def search(task: Task, limit: int, /, *, whole: bool) -> tuple[Candidate, ...]:
            query = task.text if whole else next_request(task)
            if wishes.tools is None:
                return await desk.retrieval.search(query, limit)
            found = await desk.retrieval.search(query, len(desk.seen.catalog.tools))
            return tuple(each for each in found if wishes.allows(each.tool.qualified))[:limit]

        async def call(call: Call, /) -> Answer:
            return await self._call(call, asked, progress)

        return Ports(
            search=search,
            local=route.local,
            above=route.above,
            nobody=route.nobody,
            why_none_above="" if route.above else _why_none_above(route, desk),
            why_fewer=partial(explanation, desk),
            person=person,
            call=call,
            judge=Judge(route.bar, desk.check),
            tell=progress.tell,
            judged=route.judged,
            candidates=settings.candidates,
            most_steps=min(wishes.max_steps or settings.max_steps, settings.max_steps),
            deadline=settings.deadline,
        )

    async def _call(self, call: Call, asked: Asked, progress: TaskProgress) -> Answer:
        """Make a call of a task; what goes wrong is its answer."""
        params: Mapping[str, Any] = {"arguments": dict(call.arguments)}
        try:
            result = await self._desk.call_tool(
                call.tool, params, progress.relay, client=asked.client, task_id=asked.id
            )
        except MCPError as error:
            said = f"{call.tool.qualified} answered with an error: {error.message}"
            return Answer(error_result(said))
        except InvalidArgumentsError as error:
            return Answer(failure(error, call.tool.qualified))
        except (QuarantinedError, UnusableSchemaError, UpstreamUnavailableError) as error:
            return Answer(failure(error, call.tool.qualified), correctable=False)
        return Answer(result)


def _why_none_above(route: Route, desk: Desk) -> str:
    """Why nobody is asked above the planners, and what would change it."""
    if route.nobody or route.notes:
        return "" if route.nobody else "; ".join(route.notes)
    return why_not_escalated(desk.board.settings.escalation, route.privacy)
