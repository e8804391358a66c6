"""The upstreams that run, the catalog of what they offer, and what is asked of them.

How the parts are made is known in `running`; when the catalog changes, in `current_catalog`; what clients can
have done with it, in `desk`.
"""

from collections.abc import Mapping
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Planner
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import HttpUpstream, Settings, StdioUpstream
from mcp_proxy.current_catalog import CurrentCatalog, OnChange, Snapshot
from mcp_proxy.escalation import Escalator
from mcp_proxy.journal import Journal
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog

_REMOVED = "it was removed from the configuration"

log = structlog.stdlib.get_logger()


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
