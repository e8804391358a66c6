"""The day's budget for escalation, counted from a real journal."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_llm import NoPlan, Task
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.escalation import Budget
from mcp_proxy.journal import Journal, SpendRecord, TaskRecord
from mcp_proxy.proposals import Proposal, ProposalError, Usage
from tool_registry import Candidate

ANSWER = Proposal(NoPlan("claude", "none fits"), Usage(cost=0.25))


@dataclass
class Claude:
    """Answers every task alike, and notes it."""

    asked: list[str] = field(default_factory=list[str])

    name = "claude"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        self.asked.append(f"{task.text}, {len(candidates)} candidates, {reason}")
        return ANSWER


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    yield journal
    await journal.close()


async def spend(journal: Journal, cost: float | None = 0.25, provider: str = "claude", **fields: Any) -> None:
    spent = SpendRecord(provider=provider, cost=cost, **fields)
    await journal.record_task(TaskRecord(client="c", text="t", ending="unsure", spends=(spent,)))


async def resolved(budget: Budget, journal: Journal | None) -> Proposal:
    return await BudgetedEscalator(Claude(), budget, journal).propose(Task("t"), (), "unsure")


async def refused(budget: Budget, journal: Journal | None) -> str:
    """Why nothing was sent."""
    claude = Claude()
    with pytest.raises(ProposalError) as caught:
        await BudgetedEscalator(claude, budget, journal).propose(Task("t"), (), "unsure")
    assert claude.asked == []
    assert caught.value.kind == "budget"
    return caught.value.message


async def test_within_the_budget_a_task_is_passed_on_as_it_is(journal: Journal) -> None:
    claude = Claude()
    budgeted = BudgetedEscalator(claude, Budget(max_calls_per_day=1), journal)
    assert await budgeted.propose(Task("t"), (), "unsure") is ANSWER
    assert claude.asked == ["t, 0 candidates, unsure"]
    assert budgeted.name == "claude"


async def test_the_last_escalation_of_the_day_is_the_last(journal: Journal) -> None:
    budget = Budget(max_calls_per_day=2)
    await spend(journal)
    assert await resolved(budget, journal) is ANSWER
    await spend(journal)
    assert await refused(budget, journal) == "today's 2 escalations are used up"


async def test_the_days_money_is_spent_when_it_is_reached(journal: Journal) -> None:
    budget = Budget(max_dollars_per_day=0.5)
    await spend(journal, 0.49)
    assert await resolved(budget, journal) is ANSWER
    await spend(journal, 0.01)
    assert await refused(budget, journal) == "today's $0.50 for escalation are spent"


async def test_a_budget_of_nothing_allows_nothing(journal: Journal) -> None:
    assert "0 escalations" in await refused(Budget(max_calls_per_day=0), journal)
    assert "$0.00" in await refused(Budget(max_dollars_per_day=0), journal)


async def test_yesterday_and_other_providers_do_not_count(journal: Journal) -> None:
    await spend(journal, 9.0, at=datetime.now(UTC) - timedelta(days=1))
    await spend(journal, 9.0, provider="other")
    assert await resolved(Budget(max_calls_per_day=1, max_dollars_per_day=0.1), journal) is ANSWER


async def test_an_escalation_of_unknown_cost_counts_as_one(journal: Journal) -> None:
    await spend(journal, cost=None)
    assert "used up" in await refused(Budget(max_calls_per_day=1), journal)


async def test_without_a_budget_no_journal_is_needed() -> None:
    assert await resolved(Budget(), None) is ANSWER


async def test_a_budget_nobody_counts_is_not_spent() -> None:
    assert "the journal that counts what was spent is off" in await refused(Budget(max_calls_per_day=9), None)


async def test_a_budget_that_cannot_be_checked_is_not_spent(tmp_path: Path) -> None:
    broken = await Journal.open(tmp_path)  # a folder, where the file should be
    assert "cannot be read" in await refused(Budget(max_dollars_per_day=9), broken)
    await broken.close()
