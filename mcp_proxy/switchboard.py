"""What a client can have done: tasks carried out, tools called, requests passed on to the upstreams that run.

How the parts are made is known in `running`; when the catalog changes, in `current_catalog`.
"""

from collections.abc import Mapping
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Call, Planner, Task
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import HttpUpstream, Settings, StdioUpstream
from mcp_proxy.current_catalog import CurrentCatalog, OnChange, Snapshot
from mcp_proxy.escalation import Escalator
from mcp_proxy.journal import Journal, new_id
from mcp_proxy.pipeline import Outcome, Person, Ports, Trace, carry_out
from mcp_proxy.records import CallWatch, task_record, unfinished_record
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from tool_registry import ArgumentProblem, ToolEntry, UnusableSchemaError

_REMOVED = "it was removed from the configuration"

log = structlog.stdlib.get_logger()


class InvalidArgumentsError(Exception):
    """Arguments that do not fit their tool's inputSchema: the caller's to correct."""

    def __init__(self, tool: ToolEntry, problems: tuple[ArgumentProblem, ...]) -> None:
        self.tool = tool
        self.problems = problems
        super().__init__(f"{tool.qualified}: {'; '.join(map(str, problems))}")


class Switchboard:
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
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.planner = planner
        self.escalator = escalator
        self._watchdog = watchdog
        self._tasks = tasks
        enabled = settings.enabled_upstreams
        cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
        self._catalog = CurrentCatalog(enabled, cache)
        self.upstreams: Mapping[str, Upstream] = {
            name: self._start(name, upstream) for name, upstream in enabled.items()
        }
        self._unknown = [self.upstreams[name] for name, offer in self._catalog.known.items() if offer is None]
        self._made_at = anyio.current_time()

    @property
    def snapshot(self) -> Snapshot:
        """What requests see of the upstreams at this moment."""
        return self._catalog.snapshot

    async def wait_started(self) -> None:
        """Have every upstream run, lazy ones too; return when each has been connected to or has failed once."""
        async with anyio.create_task_group() as tasks:
            for upstream in self.upstreams.values():
                tasks.start_soon(upstream.wait_started)

    async def wait_startup(self) -> None:
        """Return when the upstreams of which nothing was known have been listed or have failed once.

        Waits at most for `startup_wait` seconds from the start.
        """
        with anyio.CancelScope(deadline=self._made_at + self.settings.server.startup_wait):
            for upstream in self._unknown:
                await upstream.wait_listed()

    def on_change(self, listener: OnChange) -> None:
        """Have `listener` called after every change of the catalog."""
        self._catalog.on_change(listener)

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
        """Send a request to an upstream; see `Upstream.request`."""
        if upstream not in self.upstreams:
            raise UpstreamUnavailableError(upstream, _REMOVED)
        return await self.upstreams[upstream].request(method, params, on_progress)

    async def adopt(self, upstreams: Mapping[str, StdioUpstream | HttpUpstream]) -> None:
        """Run these upstreams: start what is new, stop what is gone, restart what is changed, leave all others be.

        What a changed one offered stays in the catalog until it has listed anew, as far as it may still be seen.
        Returns when those that are gone have ended.
        """
        before = self.settings.enabled_upstreams
        self.settings = self.settings.model_copy(update={"upstreams": upstreams})
        enabled = self.settings.enabled_upstreams
        leaving = [upstream for name, upstream in self.upstreams.items() if name not in enabled]
        for name in before.keys() & enabled.keys():
            if enabled[name] != before[name]:
                self.upstreams[name].restart(enabled[name])
        is_changed = self._catalog.reconfigure(enabled)
        running = dict(self.upstreams)
        for name in enabled.keys() - before.keys():
            running[name] = self._join(self._start(name, enabled[name]))
        # Those that are leaving stay within reach until their last calls have been answered.
        self.upstreams = running
        async with anyio.create_task_group() as tasks:
            for upstream in leaving:
                tasks.start_soon(upstream.stop, _REMOVED)
            if is_changed:
                await self._catalog.tell()
        self.upstreams = {name: running[name] for name in enabled}

    def _start(self, name: str, settings: StdioUpstream | HttpUpstream) -> Upstream:
        upstream = Upstream(name, settings, self._catalog.take, self._watchdog, self._catalog.known[name])
        self._tasks.start_soon(upstream.run)
        return upstream

    def _join(self, newcomer: Upstream) -> Upstream:
        """Tell a newcomer what the upstreams before it have been told of the clients."""
        for upstream in self.upstreams.values():
            newcomer.relay.audience = upstream.relay.audience
            newcomer.relay.level = upstream.relay.level
        return newcomer

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
