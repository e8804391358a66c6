"""The running whole, put together: upstreams, planner, escalator and journal, started and stopped in order."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import anyio

from local_llm import Planner
from local_llm.pocket import PocketPlanner
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.config import Settings
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.journal import Bounds, Journal
from mcp_proxy.policy import Policy
from mcp_proxy.profile_slips import ProfileSlips
from mcp_proxy.proposals import Proposer
from mcp_proxy.redaction import hide_also
from mcp_proxy.reload import follow
from mcp_proxy.strategy import Tally
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.watchdog import Watchdog

_LEARNT_EVERY = 300.0
"""Seconds between two looks at how calls turned out."""

_REMEMBERED = timedelta(days=90)
"""How far back they count."""


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
        watch: the file the settings came from, if edits of its upstreams and profiles are to take effect at once.
        many_clients: whether there may be more than one, so that a client has to be given connections of its
            own where an upstream wants that; to a sole client all of them belong anyway.
    """
    hide_also(settings.privacy.redact, settings.secrets)
    async with _journal(settings) as journal, _escalator(settings, journal) as escalator:
        with Watchdog() as watchdog:
            async with anyio.create_task_group() as tasks:
                board = Switchboard(
                    settings,
                    journal,
                    planner or PocketPlanner(clock=lambda: datetime.now().astimezone()),
                    escalator,
                    watchdog=watchdog,
                    tasks=tasks,
                    many_clients=many_clients,
                )
                if journal:
                    tasks.start_soon(_learn, journal, board.policy)
                slips = ProfileSlips(board)
                board.on_change(slips.look)
                await slips.look()
                if watch:
                    tasks.start_soon(follow, watch, board.adopt)
                try:
                    yield board
                finally:
                    tasks.cancel_scope.cancel()
                    board.close()


async def _learn(journal: Journal, policy: Policy) -> NoReturn:
    """Have the policy know how calls turned out, now and every so often. Ends only by cancellation."""
    while True:
        rates = await journal.success_rates(datetime.now(UTC) - _REMEMBERED)
        policy.learn({key: Tally(rate.good, rate.bad) for key, rate in rates.items()})
        await anyio.sleep(_LEARNT_EVERY)


@asynccontextmanager
async def _journal(settings: Settings) -> AsyncGenerator[Journal | None]:
    if not settings.journal.enabled:
        yield None
        return
    table = settings.journal
    bounds = Bounds(int(table.max_size), timedelta(seconds=table.max_age))
    journal = await Journal.open(table.path, bounds=bounds)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.keep)
        try:
            yield journal
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await journal.close()


@asynccontextmanager
async def _escalator(settings: Settings, journal: Journal | None) -> AsyncGenerator[Proposer | None]:
    if settings.escalation is None:
        yield None
        return
    claude = ClaudeEscalator(settings.escalation)
    try:
        yield BudgetedEscalator(claude, settings.escalation.budget, journal)
    finally:
        with anyio.CancelScope(shield=True):
            await claude.aclose()
