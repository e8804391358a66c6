"""An escalator that keeps to a budget: the day's spending is read from the journal before each escalation."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import anyio

from local_llm import Task
from mcp_proxy.escalation import Budget
from mcp_proxy.journal import Journal
from mcp_proxy.proposals import Proposal, ProposalError, Proposer
from tool_registry import Candidate


class BudgetedEscalator:
    """`escalator` for as long as the day's budget (UTC) lasts.

    What was spent before comes from the journal, once a day; from then on it is counted here, so that tasks
    at once cannot all take the last place. Other processes' spending shows the next day, or after a restart.
    """

    def __init__(
        self, escalator: Proposer, budget: Budget, journal: Journal | None, profile: str | None = None
    ) -> None:
        """An escalator with a budget for all tasks, or for those of one profile."""
        self._profile = profile
        self._escalator = escalator
        self._budget = budget
        self._journal = journal
        self._today: date | None = None
        self._calls = 0
        self._dollars = 0.0
        self._starting_day = anyio.Lock()

    @property
    def name(self) -> str:
        return self._escalator.name

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """See `Proposer.propose`.

        Raises:
            ProposalError: the budget is used up or cannot be checked, or there was no usable answer.
        """
        if self._budget == Budget():
            return await self._escalator.propose(task, candidates, reason)
        async with self._starting_day:
            await self._start_day()
        if why := self._budget.exhausted(self._calls, self._dollars):
            whose = f" of profile {self._profile}" if self._profile else ""
            raise ProposalError("budget", f"{why}{whose}")
        self._calls += 1
        escalated = await self._escalator.propose(task, candidates, reason)
        self._dollars += (escalated.usage and escalated.usage.cost) or 0.0
        return escalated

    async def _start_day(self) -> None:
        now = datetime.now(UTC)
        if self._today == now.date():
            return
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await self._journal.spent(self.name, midnight, self._profile) if self._journal else None
        if spent is None:
            raise ProposalError(
                "budget",
                "a budget is set, but the journal that counts what was spent is off or cannot be read",
            )
        self._today, self._calls, self._dollars = now.date(), spent.requests, spent.cost
