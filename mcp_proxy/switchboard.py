"""What a client can have done: tasks carried out, tools called, requests passed on to the upstreams that run.

How the parts are made is known in `running`; which upstreams run, and for whom, in `fleet`.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Call, Planner, Task
from mcp_proxy.callers import CALLER
from mcp_proxy.config import Settings
from mcp_proxy.escalation import Escalator
from mcp_proxy.fleet import Fleet
from mcp_proxy.journal import Journal, new_id
from mcp_proxy.pipeline import Outcome, Person, Ports, Trace, carry_out
from mcp_proxy.records import CallWatch, task_record, unfinished_record
from mcp_proxy.watchdog import Watchdog
from tool_registry import ArgumentProblem, ToolEntry, UnusableSchemaError

log = structlog.stdlib.get_logger()


class InvalidArgumentsError(Exception):
    """Arguments that do not fit their tool's inputSchema: the caller's to correct."""

    def __init__(self, tool: ToolEntry, problems: tuple[ArgumentProblem, ...]) -> None:
        self.tool = tool
        self.problems = problems
        super().__init__(f"{tool.qualified}: {'; '.join(map(str, problems))}")


class Switchboard(Fleet):
    """Everything a client can reach. Made by `running`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal | None,
        planner: Planner,
        escalator: Escalator | None,
        *,
        watchdog: Watchdog,
        tasks: TaskGroup,
        many_clients: bool,
    ) -> None:
        super().__init__(settings, watchdog=watchdog, tasks=tasks, many_clients=many_clients)
        self.journal = journal
        self.planner = planner
        self.escalator = escalator

    async def do(
        self,
        task: Task,
        person: Person,
        *,
        dry_run: bool = False,
        on_progress: ProgressFnT | None = None,
        client: str = "",
    ) -> Outcome:
        """Carry out a task on the current catalog and note it in the journal; see `pipeline.carry_out`."""
        task_id = new_id()

        async def make(call: Call) -> Mapping[str, Any]:
            params = {"arguments": dict(call.arguments)}
            return await self.call_tool(call.tool, params, on_progress, client=client, task_id=task_id)

        planner = self.settings.planner
        ports = Ports(
            self.snapshot.index,
            self.planner,
            person,
            make,
            self.escalator,
            planner.threshold,
            planner.candidates,
        )
        trace = Trace()
        try:
            outcome = await carry_out(task, ports, dry_run=dry_run, trace=trace)
        except BaseException as error:
            # However it ended, an escalation may have been paid for by then.
            if self.journal:
                await self.journal.record_task(unfinished_record(task_id, client, task.text, trace, error))
            raise
        if self.journal:
            await self.journal.record_task(task_record(task_id, client, task.text, outcome))
        return outcome

    async def call_tool(
        self,
        tool: ToolEntry,
        params: Mapping[str, Any],
        on_progress: ProgressFnT | None = None,
        *,
        client: str = "",
        task_id: str | None = None,
    ) -> dict[str, Any]:
        """Validate as the upstream's `validation` says and make a call, and note it in the journal.

        Args:
            tool: the tool to call.
            params: those of `tools/call`; the name is replaced by the upstream's own.
            on_progress: receives the upstream's progress.
            client: name and version of the client, for the journal.
            task_id: the task the call is made for, if it is.

        Raises:
            InvalidArgumentsError: the arguments do not fit the inputSchema; the upstream saw nothing.
            UnusableSchemaError: the inputSchema itself is broken.
            UpstreamUnavailableError: the upstream is down, or went away before it answered.
            MCPError: the upstream answered with an error.
        """
        arguments: Mapping[str, Any] = params.get("arguments") or {}
        self._check(tool, arguments)
        watch = CallWatch(tool, arguments, client, task_id)
        try:
            with watch.watching():
                params = {**params, "name": tool.name}
                watch.result = result = await self.request(tool.upstream, "tools/call", params, on_progress)
                return result
        finally:
            if self.journal:
                await self.journal.record_call(watch.record)

    async def request(
        self, upstream: str, method: str, params: Mapping[str, Any], on_progress: ProgressFnT | None = None
    ) -> dict[str, Any]:
        """Send a request to an upstream on behalf of the client being served; see `Upstream.request`."""
        return await self.upstream_for(upstream, CALLER.get()).request(method, params, on_progress)

    def _check(self, tool: ToolEntry, arguments: Mapping[str, Any]) -> None:
        upstream = self.upstreams.get(tool.upstream)
        validation = upstream.validation if upstream else "enforce"
        if validation == "off":
            return
        try:
            problems = tool.check(arguments)
        except UnusableSchemaError as error:
            if validation == "enforce":
                raise
            log.warning("call.unchecked", tool=tool.qualified, reason=str(error))
            return
        if problems and validation == "enforce":
            raise InvalidArgumentsError(tool, problems)
        for problem in problems:
            # Not the message, which quotes the value.
            log.warning("call.invalid_argument", tool=tool.qualified, pointer=problem.pointer)
