"""The running whole: upstreams, the current catalog, the planner, the escalator and the journal.

The one place where the catalog is swapped and the parts are put together.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import structlog
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Call, Planner, Task
from local_llm.pocket import PocketPlanner
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import Settings
from mcp_proxy.escalation import ClaudeEscalator, Escalator
from mcp_proxy.journal import Journal, new_id
from mcp_proxy.pipeline import Outcome, Person, Ports, Trace, carry_out
from mcp_proxy.records import CallWatch, task_record, unfinished_record
from mcp_proxy.upstreams import Upstream
from mcp_proxy.watchdog import Watchdog
from tool_registry import ArgumentProblem, Catalog, Offer, ToolEntry, ToolIndex

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

    @classmethod
    def of(cls, catalog: Catalog) -> "Snapshot":
        return cls(catalog, ToolIndex(catalog.tools.values()))


class Switchboard:
    """Everything a client can reach. Made by `running`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal | None,
        planner: Planner,
        escalator: Escalator | None,
        watchdog: Watchdog,
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.planner = planner
        self.escalator = escalator
        enabled = settings.enabled_upstreams
        self._cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
        known = {name: self._cache.load(name, upstream) for name, upstream in enabled.items()}
        self._unknown = [name for name, offer in known.items() if offer is None]
        # An offer each, if an empty one, so that the catalog's order is the configured one whoever connects first.
        offers = (offer or Offer(name, enabled[name].prefix) for name, offer in known.items())
        self.snapshot = Snapshot.of(Catalog(tuple(offers)))
        self.upstreams: Mapping[str, Upstream] = {
            name: Upstream(name, upstream, self._take_offer, watchdog) for name, upstream in enabled.items()
        }
        self._made_at = anyio.current_time()
        self._listeners: set[OnChange] = set()

    async def wait_started(self) -> None:
        """Return when every upstream has been connected to or has failed once."""
        for upstream in self.upstreams.values():
            await upstream.wait_started()

    async def wait_startup(self) -> None:
        """`wait_started` for the upstreams of which nothing is known yet, at most for `startup_wait` seconds in all."""
        with anyio.CancelScope(deadline=self._made_at + self.settings.server.startup_wait):
            for name in self._unknown:
                await self.upstreams[name].wait_started()

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
        """Validate and make a call, and note it in the journal.

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
        if problems := tool.check(arguments):
            raise InvalidArgumentsError(tool, problems)
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
        return await self.upstreams[upstream].request(method, params, on_progress)

    async def _take_offer(self, offer: Offer) -> None:
        before = self.snapshot.catalog
        catalog = before.with_offer(offer)
        if catalog.offers == before.offers:
            return
        self.snapshot = Snapshot.of(catalog)
        for problem in set(catalog.problems) - set(before.problems):
            log.warning(
                "catalog.problem", upstream=problem.upstream, name=problem.name, problem=problem.message
            )
        await self._cache.save(offer, self.settings.upstreams[offer.upstream])
        for listener in self._listeners:
            await listener()


@asynccontextmanager
async def running(settings: Settings, planner: Planner | None = None) -> AsyncGenerator[Switchboard]:
    """A switchboard with its upstreams starting; all are stopped when the block ends.

    Args:
        settings: what to run.
        planner: who plans; None for the embedded planner.
    """
    async with _journal(settings) as journal, _escalator(settings, journal) as escalator:
        with Watchdog() as watchdog:
            async with anyio.create_task_group() as tasks:
                board = Switchboard(settings, journal, planner or PocketPlanner(), escalator, watchdog)
                for upstream in board.upstreams.values():
                    tasks.start_soon(upstream.run)
                try:
                    yield board
                finally:
                    tasks.cancel_scope.cancel()


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
