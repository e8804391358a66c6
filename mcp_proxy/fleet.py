"""The upstreams that run: started, stopped and changed as configured, and which of their connections is whose.

What is asked of them is the business of `switchboard`; what they offer together, of `current_catalog`.
"""

from collections.abc import Callable, Iterable, Mapping

import anyio
from anyio.abc import TaskGroup
from mcp.server.connection import Connection as ClientConnection
from mcp_types import LoggingLevel

from mcp_proxy.callers import Caller
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.client_sessions import ClientSessions
from mcp_proxy.config import HttpUpstream, Settings, StdioUpstream
from mcp_proxy.current_catalog import CurrentCatalog, OnChange, Snapshot
from mcp_proxy.pinning import Pinning
from mcp_proxy.redaction import hide_also
from mcp_proxy.relay import Audience
from mcp_proxy.retrieval import Retrieval
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from tool_registry import Offer, ToolIndex

_REMOVED = "it was removed from the configuration"
_NOW_SHARED = "its configuration was changed: clients share one connection from now on"


class Fleet:
    """The upstreams, and the catalog of what they offer."""

    def __init__(
        self, settings: Settings, *, watchdog: Watchdog, tasks: TaskGroup, many_clients: bool
    ) -> None:
        """The upstreams of `settings`, starting in `tasks`; see `running` for `many_clients`."""
        self.settings = settings
        self._watchdog = watchdog
        self._tasks = tasks
        enabled = settings.enabled_upstreams
        cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
        self._catalog = CurrentCatalog(enabled, cache, Pinning(settings.pins))
        tasks.start_soon(self._catalog.follow_pins)
        self._retrievals: dict[Retrieval, anyio.CancelScope] = {}
        self.retrieval = self.retrieval_in(lambda: self.snapshot.index, self._catalog.take_index)
        """Finds tools in the whole catalog."""
        self._catalog.on_change(self._index_anew)
        self._audience: Audience | None = None
        self._level: LoggingLevel | None = None
        self._sessions = ClientSessions(tasks, watchdog, self._take_unless_listed) if many_clients else None
        self.upstreams: Mapping[str, Upstream] = {
            name: self._start(name, upstream) for name, upstream in enabled.items()
        }
        self._unknown = [self.upstreams[name] for name, offer in self._catalog.known.items() if offer is None]
        self._made_at = anyio.current_time()

    @property
    def snapshot(self) -> Snapshot:
        """What requests see of the upstreams at this moment."""
        return self._catalog.snapshot

    @property
    def unlisted(self) -> list[str]:
        """The upstreams of which it is not known what they offer."""
        return self._catalog.unlisted

    def upstream_for(self, name: str, caller: Caller | None) -> Upstream:
        """An upstream by the connection that requests of `caller` go over: the client's own, or that of all.

        Raises:
            UpstreamUnavailableError: there is none of that name (any more), or no room for the client's own.
        """
        if name not in self.upstreams:
            raise UpstreamUnavailableError(name, _REMOVED)
        own = self.own_upstream(name, caller.session if caller else None)
        return own or self.upstreams[name]

    def own_upstream(self, name: str, client: ClientConnection | None) -> Upstream | None:
        """The connection a client has of its own to an upstream, made if need be; None where it shares one.

        Raises:
            UpstreamUnavailableError: there is no room for another.
        """
        settings = self.settings.enabled_upstreams.get(name)
        if client is None or self._sessions is None or settings is None or settings.session == "shared":
            return None
        return self._sessions.of(client, name, settings)

    def own_upstreams(self, client: ClientConnection) -> Iterable[Upstream]:
        """The connections a client has of its own by now."""
        return self._sessions.all_of(client) if self._sessions else ()

    @property
    def client_sessions(self) -> Mapping[str, int]:
        """How many clients have a connection of their own, to each upstream where they have."""
        sessions = self._sessions
        if sessions is None:
            return {}
        enabled = self.settings.enabled_upstreams.items()
        return {name: sessions.number_of(name) for name, each in enabled if each.session == "per_client"}

    def address(self, audience: Audience) -> None:
        """Have what the shared connections ask and tell outside of calls go to `audience`."""
        self._audience = audience
        for upstream in self.upstreams.values():
            upstream.relay.audience = audience

    async def set_level(self, level: LoggingLevel) -> None:
        """Have upstreams log from `level` on over the shared connections, those yet to come included."""
        self._level = level
        async with anyio.create_task_group() as tasks:
            for upstream in self.upstreams.values():
                tasks.start_soon(upstream.relay.set_level, level)

    def retrieval_in(
        self, current: Callable[[], ToolIndex], replace: Callable[[ToolIndex], None]
    ) -> Retrieval:
        """A retrieval that keeps its index complete until the end; see `Retrieval`."""
        retrieval = Retrieval(current, replace, self.settings.search)
        self._retrievals[retrieval] = kept = anyio.CancelScope()

        async def keep() -> None:
            with kept:
                await retrieval.keep()

        self._tasks.start_soon(keep)
        retrieval.renew()
        return retrieval

    def let_go(self, retrieval: Retrieval) -> None:
        """End a retrieval before the whole ends."""
        self._retrievals.pop(retrieval).cancel()
        retrieval.close()

    def close(self) -> None:
        """Let go of files."""
        for retrieval in self._retrievals:
            retrieval.close()

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
        """Have `listener` called after every change of the catalog, and of the profiles."""
        self._catalog.on_change(listener)

    def forget(self, listener: OnChange) -> None:
        """Call a listener no more."""
        self._catalog.forget(listener)

    async def adopt(self, edited: Settings) -> None:
        """Have the upstreams and profiles of `edited` settings, from this moment on.

        New upstreams are started, missing ones stopped, changed ones restarted, all others left alone. What a changed
        one offered stays in the catalog until it has listed anew, as far as it may still be seen. Returns when those
        that are gone have ended.
        """
        before, profiles = self.settings.enabled_upstreams, self.settings.profiles
        self.settings = self.settings.following(edited)
        hide_also(self.settings.privacy.redact, self.settings.secrets)
        enabled = self.settings.enabled_upstreams
        leaving: dict[Upstream, str] = {}
        for name in self.upstreams.keys() - enabled.keys():
            gone = [self.upstreams[name], *self._reconfigure_sessions(name, None)]
            leaving |= dict.fromkeys(gone, _REMOVED)
        for name in before.keys() & enabled.keys():
            if enabled[name] != before[name]:
                self.upstreams[name].restart(self._for_all(enabled[name]))
                leaving |= dict.fromkeys(self._reconfigure_sessions(name, enabled[name]), _NOW_SHARED)
        is_changed = self._catalog.reconfigure(enabled)
        running = dict(self.upstreams)
        for name in enabled.keys() - before.keys():
            running[name] = self._start(name, enabled[name])
        # Those that are leaving stay within reach until their last calls have been answered.
        self.upstreams = running
        async with anyio.create_task_group() as tasks:
            for upstream, reason in leaving.items():
                tasks.start_soon(upstream.stop, reason)
            if is_changed or self.settings.profiles != profiles:
                await self._catalog.tell()
        self.upstreams = {name: running[name] for name in enabled}

    async def _index_anew(self) -> None:
        self.retrieval.renew()

    def _start(self, name: str, settings: StdioUpstream | HttpUpstream) -> Upstream:
        """Run the connection that all clients share."""
        known = self._catalog.known[name]
        run_as = self._for_all(settings)
        # One that is there to be listed is listed even if something is known of it: nobody else does that.
        is_asleep = settings.lazy or run_as is settings
        upstream = Upstream(name, run_as, self._catalog.take, self._watchdog, known if is_asleep else None)
        upstream.relay.audience = self._audience
        upstream.relay.level = self._level
        self._tasks.start_soon(upstream.run)
        return upstream

    def _for_all(self, settings: StdioUpstream | HttpUpstream) -> StdioUpstream | HttpUpstream:
        """How the shared connection is run: if clients have their own, only for as long as it takes to list."""
        if self._sessions is None or settings.session == "shared":
            return settings
        return settings.model_copy(update={"lazy": True})

    def _reconfigure_sessions(
        self, name: str, settings: StdioUpstream | HttpUpstream | None
    ) -> list[Upstream]:
        """Have clients' own connections to an upstream be as `settings` say; returns those to be stopped."""
        if self._sessions is None:
            return []
        if settings is None or settings.session == "shared":
            return self._sessions.withdraw(name)
        self._sessions.restart(name, settings)
        return []

    async def _take_unless_listed(self, offer: Offer) -> None:
        """What a client's new connection lists, for want of anything newer than what was known at the start."""
        upstream = self.upstreams.get(offer.upstream)
        if upstream and not upstream.status.connects:
            await self._catalog.take(offer)
