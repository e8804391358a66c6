"""What a single command has to start, of all that is configured. Knows nothing of what the command does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rich.markup import escape

from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import Settings
from mcp_proxy.profile_slips import profile_findings
from mcp_proxy.render import stderr
from mcp_proxy.running import running
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.upstreams import State
from tool_registry.naming import may_have
from tool_registry.profiles import view


def asleep(settings: Settings) -> Settings:
    """The settings with every upstream lazy whose catalog is known: it runs only if something is asked of it."""
    cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
    upstreams = {
        name: upstream.model_copy(update={"lazy": True})
        if upstream.enabled and cache.load(name, upstream)
        else upstream
        for name, upstream in settings.upstreams.items()
    }
    return settings.model_copy(update={"upstreams": upstreams})


def owners(tool: str, settings: Settings) -> Settings:
    """The settings with those upstreams alone that a tool may belong to by its name; perhaps none."""
    upstreams = {
        name: upstream
        for name, upstream in settings.enabled_upstreams.items()
        if may_have(upstream.prefix, tool)
    }
    return settings.model_copy(update={"upstreams": upstreams})


@asynccontextmanager
async def started(settings: Settings, *, wait_for_all: bool = False) -> AsyncGenerator[Switchboard]:
    """A switchboard that knows what its upstreams offer; the ones that failed are named on stderr.

    Args:
        settings: what to start.
        wait_for_all: start every upstream and wait for it, however long it may take; else only those are started of
            which nothing is known from before, and waited for as long as a client would, and those that are called.
    """
    async with running(settings if wait_for_all else asleep(settings)) as board:
        with stderr.status(f"starting {len(board.upstreams)} upstreams…"):
            await (board.wait_started() if wait_for_all else board.wait_startup())
        for upstream in board.upstreams.values():
            status = upstream.status
            if status.state is State.DOWN:
                stderr.print(
                    f"[red]{escape(status.upstream)} is {status.state.value}[/]: {escape(status.reason)}"
                )
            elif status.state is State.CONNECTING and status.upstream in board.unlisted:
                stderr.print(
                    f"[yellow]{escape(status.upstream)} is still starting[/]; its tools are not in this answer"
                )
        _tell_of_nothing_seen(board)
        yield board


def _tell_of_nothing_seen(board: Switchboard) -> None:
    """Where a profile shows nothing at all, say what in it may be the reason."""
    name = board.settings.server.profile
    table = board.settings.profiles.get(name)
    catalog = board.snapshot.catalog
    if table is None or not catalog.tools or view(catalog, table.profile).tools:
        return
    stderr.print(f"the profile {escape(name)} shows none of {len(catalog.tools)} tools", soft_wrap=True)
    for finding in profile_findings(catalog, {name: table}, board.unlisted):
        stderr.print(
            f"[yellow]{escape(f'{finding.about}: {finding.message}; {finding.remedy}')}[/]", soft_wrap=True
        )
