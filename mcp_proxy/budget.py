"""An escalator that keeps to a budget: the most a request can take is set aside before it is sent, and settled after."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from local_llm import Task
from mcp_proxy.escalation_settings import Amount, Budget
from mcp_proxy.journal import Journal
from mcp_proxy.proposals import Proposal, ProposalError, Proposer, Usage
from mcp_proxy.spending import Limit, Reservation
from tool_registry import Candidate

_UNCOUNTED = "a budget is set, but the journal that counts what is spent is off or cannot be written"


class PaidProposer(Proposer, Protocol):
    """A `Proposer` that is paid for."""

    async def at_most(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Amount:
        """What a `propose` of the same can take at most."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetedEscalator:
    """`escalator` as far as the budgets last: that of all tasks, and one of the profile's own.

    What is spent is kept in the journal's file, request by request, whatever becomes of the task: so that it holds for
    tasks at once, for all processes that share the file, and after a restart. A request that came to nothing but
    may be billed counts what was set aside for it, and so does one during which the process was killed.
    """

    escalator: PaidProposer
    budget: Budget
    journal: Journal | None
    profile: str = ""
    own_budget: Budget = field(default_factory=Budget)
    """The profile's own."""
    task_id: str = ""
    """The task it is asked about; empty for tasks that are not told apart."""

    @property
    def name(self) -> str:
        return self.escalator.name

    def for_profile(self, profile: str, budget: Budget) -> "BudgetedEscalator":
        """The same for the tasks of a profile, within a budget of its own too."""
        return replace(self, profile=profile, own_budget=budget)

    def for_task(self, task_id: str) -> "BudgetedEscalator":
        """The same for one task, whose requests are summed up."""
        return replace(self, task_id=task_id)

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """See `Proposer.propose`.

        Raises:
            ProposalError: a budget is used up or cannot be kept, or there was no usable answer.
        """
        bound = await self.escalator.at_most(task, candidates, reason)
        if bound == Amount() or (self.journal is None and not self._limits):
            return await self.escalator.propose(task, candidates, reason)
        if self.journal is None:
            raise ProposalError("budget", _UNCOUNTED)
        wanted = Reservation(self.name, bound, self.profile, self.task_id)
        if why := await self._refusal(self.journal, wanted):
            raise ProposalError("budget", why)
        try:
            proposal = await self.escalator.propose(task, candidates, reason)
        except ProposalError as error:
            if not error.may_be_billed:
                await self.journal.settle(wanted.id, Amount())
            raise
        await self.journal.settle(wanted.id, _spent(proposal.usage))
        return proposal

    @property
    def _limits(self) -> tuple[Limit, ...]:
        limits = (Limit(self.budget), Limit(self.own_budget, self.profile))
        return tuple(limit for limit in limits if limit.budget != Budget())

    async def _refusal(self, journal: Journal, wanted: Reservation) -> str:
        why = await journal.reserve(wanted, self._limits, datetime.now(UTC))
        if why is None:  # nothing could be written, which matters only where something has to be kept to
            return _UNCOUNTED if self._limits else ""
        return why


def _spent(usage: Usage | None) -> Amount:
    if usage is None:
        return Amount(calls=1)
    read = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
    return Amount(1, read + usage.output_tokens, usage.cost or 0.0)
