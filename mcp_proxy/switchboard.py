"""The running whole: upstreams, the current catalog, the planner, the escalator and the journal.

The one place where the catalog is swapped and the parts are put together.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Call, Planner, Task
from local_llm.pocket import PocketPlanner
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import HttpUpstream, Settings, StdioUpstream
from mcp_proxy.escalation import ClaudeEscalator, Escalator
from mcp_proxy.journal import Journal, new_id
from mcp_proxy.pipeline import Outcome, Person, Ports, Trace, carry_out
from mcp_proxy.records import CallWatch, task_record, unfinished_record
from mcp_proxy.reload import follow
from mcp_proxy.retrieval import Retrieval
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from tool_registry import ArgumentProblem, Catalog, Offer, ToolEntry, ToolIndex, UnusableSchemaError
from tool_registry.visibility import visible

_REMOVED = "it was removed from the configuration"

log = structlog.stdlib.get_logger()


class InvalidArgumentsError(Exception):
    """Arguments that do not fit their tool's inputSchema: the caller's to correct."""

    def __init__(self, tool: ToolEntry, problems: tuple[ArgumentProblem, ...]) -> None:
        self.tool = tool
        self.problems = problems
        super().__init__(f"{tool.qualified}: {'; '.join(map(str, problems))}")


OnChange = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A catalog and its search index: what one request sees from beginning to end."""

    catalog: Catalog
    index: ToolIndex

    def showing(self, catalog: Catalog) -> "Snapshot":
        """The snapshot of another catalog; of what this one's index knows, nothing is read again."""
        return Snapshot(catalog, self.index.with_tools(catalog.tools.values()))


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
        self._cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
        self._listeners: set[OnChange] = set()
        enabled = settings.enabled_upstreams
        known = {name: self._cache.load(name, upstream) for name, upstream in enabled.items()}
        self.snapshot = Snapshot(Catalog(), ToolIndex(())).showing(_catalog(enabled, known))
        self.upstreams: Mapping[str, Upstream] = {
            name: self._start(name, upstream, known[name]) for name, upstream in enabled.items()
        }
        self.retrieval = Retrieval(lambda: self.snapshot.index, self._take_index, settings.search)
        self.retrieval.renew()
        self._unknown = [self.upstreams[name] for name, offer in known.items() if offer is None]
        self._made_at = anyio.current_time()

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
        self._listeners.add(listener)

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
            self.retrieval.search,
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
        changed = [name for name in before if name in enabled and enabled[name] != before[name]]
        offers: dict[str, Offer | None] = {offer.upstream: offer for offer in self.snapshot.catalog.offers}
        for name in changed:
            offers[name] = _as_configured(offers.get(name), enabled[name])
            self.upstreams[name].restart(enabled[name])
        running = dict(self.upstreams)
        for name in enabled.keys() - before.keys():
            offers[name] = self._cache.load(name, enabled[name])
            running[name] = self._join(self._start(name, enabled[name], offers[name]))
        # Those that are leaving stay within reach until their last calls have been answered.
        self.upstreams = running
        catalog = self.snapshot.catalog
        self._show(_catalog(enabled, offers))
        async with anyio.create_task_group() as tasks:
            for upstream in leaving:
                tasks.start_soon(upstream.stop, _REMOVED)
            if self.snapshot.catalog is not catalog:
                await self._tell()
        self.upstreams = {name: running[name] for name in enabled}

    def _start(self, name: str, settings: StdioUpstream | HttpUpstream, known: Offer | None) -> Upstream:
        upstream = Upstream(name, settings, self._take_offer, self._watchdog, known)
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

    async def _take_offer(self, offer: Offer) -> None:
        settings = self.settings.enabled_upstreams.get(offer.upstream)
        if settings is None or not self._show(self.snapshot.catalog.with_offer(offer)):
            return
        await self._cache.save(offer, settings)
        await self._tell()

    def _show(self, catalog: Catalog) -> bool:
        """Have requests see this catalog from now on; False if it is the one they see already."""
        before = self.snapshot.catalog
        if catalog.offers == before.offers:
            return False
        self.snapshot = self.snapshot.showing(catalog)
        self.retrieval.renew()
        for problem in set(catalog.problems) - set(before.problems):
            log.warning(
                "catalog.problem", upstream=problem.upstream, name=problem.name, problem=problem.message
            )
        return True

    def _take_index(self, index: ToolIndex) -> None:
        self.snapshot = replace(self.snapshot, index=index)

    async def _tell(self) -> None:
        for listener in self._listeners:
            await listener()


def _catalog(
    upstreams: Mapping[str, StdioUpstream | HttpUpstream], offers: Mapping[str, Offer | None]
) -> Catalog:
    """The catalog of what the upstreams offer.

    An empty offer for those of which nothing is known, so that the order is the configured one whoever
    connects first.
    """
    return Catalog(
        tuple(offers.get(name) or Offer(name, upstream.prefix) for name, upstream in upstreams.items())
    )


def _as_configured(offer: Offer | None, settings: StdioUpstream | HttpUpstream) -> Offer | None:
    """What a changed upstream offered last, under its new prefix and as far as it may be seen now."""
    if offer is None:
        return None
    return visible(replace(offer, prefix=settings.prefix), settings.allow, settings.deny)


@asynccontextmanager
async def running(
    settings: Settings, planner: Planner | None = None, watch: Path | None = None
) -> AsyncGenerator[Switchboard]:
    """A switchboard with its upstreams starting; all are stopped when the block ends.

    Args:
        settings: what to run.
        planner: who plans; None for the embedded planner.
        watch: the file the settings came from, if edits of its upstreams are to take effect at once.
    """
    async with _journal(settings) as journal, _escalator(settings, journal) as escalator:
        with Watchdog() as watchdog:
            async with anyio.create_task_group() as tasks:
                board = Switchboard(
                    settings, journal, planner or PocketPlanner(), escalator, watchdog=watchdog, tasks=tasks
                )
                tasks.start_soon(board.retrieval.keep)
                if watch:
                    tasks.start_soon(follow, watch, board.adopt)
                try:
                    yield board
                finally:
                    tasks.cancel_scope.cancel()
                    board.retrieval.close()


@asynccontextmanager
async def _journal(settings: Settings) -> AsyncGenerator[Journal | None]:
    if not settings.journal.enabled:
        yield None
        return
    journal = await Journal.open(settings.journal.path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.keep)
        try:
            yield journal
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await journal.close()


@asynccontextmanager
async def _escalator(settings: Settings, journal: Journal | None) -> AsyncGenerator[Escalator | None]:
    if settings.escalation is None:
        yield None
        return
    claude = ClaudeEscalator(settings.escalation)
    try:
        yield BudgetedEscalator(claude, settings.escalation.budget, journal)
    finally:
        with anyio.CancelScope(shield=True):
            await claude.aclose()
