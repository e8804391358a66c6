"""An escalator that keeps to a budget: the day's spending is read from the journal before each escalation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from local_llm import Task
from mcp_proxy.escalation import Budget, Escalated, EscalationError, Escalator
from mcp_proxy.journal import Journal
from tool_registry import Candidate


@dataclass(frozen=True, slots=True)
class BudgetedEscalator:
    """`escalator` for as long as the day's budget (UTC) lasts."""

    escalator: Escalator
    budget: Budget
    journal: Journal | None

    @property
    def name(self) -> str:
        return self.escalator.name

    async def resolve(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Escalated:
        """See `Escalator.resolve`.

        Raises:
            EscalationError: the budget is used up or cannot be checked, or there was no usable answer.
        """
        if why := await self._forbidden():
            raise EscalationError("budget", why)
        return await self.escalator.resolve(task, candidates, reason)

    async def _forbidden(self) -> str | None:
        if self.budget == Budget():
            return None
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await self.journal.spent(self.name, since=today) if self.journal else None
        if spent is None:
            return "a budget is set, but the journal that counts what was spent is off or cannot be read"
        return self.budget.exhausted(spent.tasks, spent.cost)
