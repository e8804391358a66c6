"""The running whole, put together: upstreams, planner, escalators and journal, started and stopped in order."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from local_llm import Planner
from local_llm.pocket import PocketPlanner
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.client_escalator import ClientEscalator
from mcp_proxy.config import Settings
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.journal import Journal
from mcp_proxy.proposals import Proposer
from mcp_proxy.redaction import hide_also
from mcp_proxy.reload import follow
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.watchdog import Watchdog


@asynccontextmanager
async def running(
    settings: Settings,
    planner: Planner | None = None,
    watch: Path | None = None,
    *,
    many_clients: bool = False,
) -> AsyncGenerator[Switchboard]:
    """A switchboard with its upstreams starting; all are stopped when the block ends.

    Args:
        settings: what to run.
        planner: who plans; None for the embedded planner.
        watch: the file the settings came from, if edits of its upstreams are to take effect at once.
        many_clients: whether there may be more than one, so that a client has to be given connections of its
            own where an upstream wants that; to a sole client all of them belong anyway.
    """
    hide_also(settings.privacy.redact, settings.secrets)
    async with _journal(settings) as journal, _escalators(settings, journal) as escalators:
        with Watchdog() as watchdog:
            async with anyio.create_task_group() as tasks:
                board = Switchboard(
                    settings,
                    journal,
                    planner or PocketPlanner(),
                    escalators,
                    watchdog=watchdog,
                    tasks=tasks,
                    many_clients=many_clients,
                )
                if watch:
                    tasks.start_soon(follow, watch, board.adopt)
                try:
                    yield board
                finally:
                    tasks.cancel_scope.cancel()
                    board.close()


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
async def _escalators(settings: Settings, journal: Journal | None) -> AsyncGenerator[tuple[Proposer, ...]]:
    """Who is asked above the local planners, in the configured order. Nothing is opened before one of them is."""
    if settings.escalation is None or settings.privacy.level == "high":
        yield ()
        return
    configured = settings.escalation
    claude = ClaudeEscalator(configured.claude) if configured.claude else None
    client = ClientEscalator(configured.max_tokens, configured.client_timeout)
    paid = BudgetedEscalator(claude, configured.budget, journal) if claude else None
    by_name = {"client": client, "claude": paid}
    try:
        yield tuple(proposer for name in configured.order if (proposer := by_name[name]))
    finally:
        if claude:
            with anyio.CancelScope(shield=True):
                await claude.aclose()
