"""Budgets for escalation, kept in a real journal: for tasks at once, several processes, a restart and a kill."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_llm import NoPlan, Task
from mcp_proxy import spending
from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.escalation_settings import Amount, Budget, ClaudeSettings
from mcp_proxy.journal import Journal
from mcp_proxy.proposals import Proposal, ProposalError, Usage
from tests.escalation.anthropic_server import AnthropicServer, says
from tool_registry import Candidate, ToolEntry

AT_MOST = Amount(1, 1000, 0.5)
TOOK = Usage(input_tokens=60, output_tokens=20, cache_write_tokens=15, cache_read_tokens=5, cost=0.25)
ANSWER = Proposal(NoPlan("claude", "none fits"), TOOK)


@dataclass
class Claude:
    """Takes 100 tokens and $0.25 for every task, of 1,000 and $0.50 at most, and notes it."""

    answer: Proposal | ProposalError = ANSWER
    asked: list[str] = field(default_factory=list[str])
    begun: anyio.Event = field(default_factory=anyio.Event)
    waits_for: anyio.Event | None = None

    name = "claude"

    async def at_most(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Amount:  # noqa: ARG002
        return AT_MOST

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        self.asked.append(f"{task.text}, {len(candidates)} candidates, {reason}")
        self.begun.set()
        if self.waits_for:
            await self.waits_for.wait()
        if isinstance(self.answer, ProposalError):
            raise self.answer
        return self.answer


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    yield journal
    await journal.close()


async def ask(budgeted: BudgetedEscalator) -> Proposal:
    return await budgeted.propose(Task("t"), (), "unsure")


async def refused(budgeted: BudgetedEscalator) -> str:
    """Why nothing was sent."""
    with pytest.raises(ProposalError) as caught:
        await ask(budgeted)
    assert caught.value.kind == "budget"
    return caught.value.message


async def test_within_the_budget_a_task_is_passed_on_as_it_is(journal: Journal) -> None:
    claude = Claude()
    budgeted = BudgetedEscalator(claude, Budget(max_calls_per_day=1), journal)
    assert await ask(budgeted) is ANSWER
    assert claude.asked == ["t, 0 candidates, unsure"]
    assert budgeted.name == "claude"


LIMITS = {
    "requests": (Budget(max_calls_per_day=2), 2, "the budget of 2 requests a day does not allow it"),
    "dollars": (
        Budget(max_dollars_per_day=0.9),
        2,
        "0.5 are spent or set aside, the next request may take 0.5",
    ),
    "tokens": (Budget(max_tokens_per_day=1350), 4, "the budget of 1,350 tokens a day"),
    "a task's dollars": (Budget(max_dollars_per_task=0.75), 2, "the budget of 0.75 dollars for a task"),
    "a task's tokens": (Budget(max_tokens_per_task=1100), 2, "the budget of 1,100 tokens for a task"),
    "nothing": (Budget(max_calls_per_day=0), 0, "the budget of 0 requests a day"),
    "no money": (Budget(max_dollars_per_day=0), 0, "the budget of 0 dollars a day"),
}


@pytest.mark.parametrize("case", LIMITS)
async def test_a_request_is_sent_as_long_as_the_most_it_can_take_is_left(case: str, journal: Journal) -> None:
    budget, allowed, why = LIMITS[case]
    claude = Claude()
    budgeted = BudgetedEscalator(claude, budget, journal).for_task("task-1")
    for _ in range(allowed):
        await ask(budgeted)
    assert why in await refused(budgeted)
    assert len(claude.asked) == allowed


async def test_another_task_has_its_own_share(journal: Journal) -> None:
    budgeted = BudgetedEscalator(Claude(), Budget(max_dollars_per_task=0.5), journal)
    await ask(budgeted.for_task("one"))
    assert "for a task" in await refused(budgeted.for_task("one"))
    assert await ask(budgeted.for_task("two")) is ANSWER


async def test_a_profile_has_its_own_budget_within_that_of_all(journal: Journal) -> None:
    whole = BudgetedEscalator(Claude(), Budget(max_calls_per_day=3), journal)
    reader, writer = (whole.for_profile(name, Budget(max_calls_per_day=2)) for name in ("reader", "writer"))
    await ask(reader)
    await ask(reader)
    assert "2 requests a day" in (why := await refused(reader))
    assert "(profile reader)" in why
    await ask(writer)
    assert "3 requests a day" in await refused(writer)


async def test_fifty_tasks_at_once_keep_to_the_budget(journal: Journal) -> None:
    claude, refusals = Claude(waits_for=anyio.Event()), 0
    budgeted = BudgetedEscalator(claude, Budget(max_dollars_per_day=2.2), journal)
    over = anyio.Event()

    async def one(number: int) -> None:
        nonlocal refusals
        try:
            await ask(budgeted.for_task(str(number)))
        except ProposalError:
            refusals += 1
            if refusals == 46:
                over.set()

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
        await over.wait()
        assert len(claude.asked) == 4  # of which each may take 0.5
        assert claude.waits_for
        claude.waits_for.set()
    assert await ask(budgeted) is ANSWER  # they took half of it
    assert len(claude.asked) == 5


async def test_fifty_requests_over_http_keep_to_the_budget_too(journal: Journal) -> None:
    with AnthropicServer(says("none of these")) as server:
        prices = {"input": 1, "output": 5, "cache_write": 1.25, "cache_read": 0.1}
        fields = {"model": "m", "api_key": "key", "base_url": server.url, "prices": prices, "timeout": 60}
        claude = ClaudeEscalator(ClaudeSettings.model_validate(fields))
        tool = Candidate(ToolEntry("files", "read", "files__read", {"inputSchema": {}}), 1.0)
        bound = await claude.at_most(Task("t"), [tool], "unsure")
        budgeted = BudgetedEscalator(claude, Budget(max_tokens_per_day=bound.tokens * 3), journal)

        async def one() -> None:
            with suppress(ProposalError):
                await budgeted.propose(Task("t"), [tool], "unsure")

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(one)
        await claude.aclose()
    assert 3 <= len(server.requests) <= bound.tokens * 3 // 1620  # what each of them took
    sent = max(len(json.dumps(request.body)) for request in server.requests)
    assert bound.tokens > sent / 4 + 1024
    assert bound.dollars == pytest.approx(((bound.tokens - 1024) * 1.25 + 1024 * 5) / 1e6)


def test_several_processes_share_one_budget(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    code = f"""
import anyio
from datetime import UTC, datetime
from pathlib import Path
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.escalation_settings import Amount, Budget, ClaudeSettings
from mcp_proxy.journal import Journal
from mcp_proxy.spending import Limit, Reservation

async def main():
    journal = await Journal.open(Path({str(path)!r}), busy_timeout=30)
    limits = [Limit(Budget(max_tokens_per_day=25_000))]
    said = [
        await journal.reserve(Reservation("claude", Amount(1, 1000, 0.5)), limits, datetime.now(UTC)) for _ in range(20)
    ]
    await journal.close()
    print(said.count(""), len(said) - said.count(""))

anyio.run(main)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    counts = [[int(word) for word in process.communicate()[0].split()] for process in processes]
    assert [sum(column) for column in zip(*counts, strict=True)] == [25, 35]


async def test_what_a_killed_process_had_set_aside_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    code = f"""
import os, anyio
from datetime import UTC, datetime
from pathlib import Path
from mcp_proxy.escalation_settings import Amount
from mcp_proxy.journal import Journal
from mcp_proxy.spending import Reservation

async def main():
    journal = await Journal.open(Path({str(path)!r}))
    await journal.reserve(Reservation("claude", Amount(1, 1000, 0.5)), [], datetime.now(UTC))
    os.kill(os.getpid(), 9)

anyio.run(main)
"""
    process = await anyio.run_process([sys.executable, "-c", code], check=False)
    assert process.returncode == -9
    journal = await Journal.open(path)
    assert "0.5 are spent" in await refused(
        BudgetedEscalator(Claude(), Budget(max_dollars_per_day=0.9), journal)
    )
    await journal.close()


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    for allowed in (True, True, False):
        journal = await Journal.open(tmp_path / "journal.sqlite")
        budgeted = BudgetedEscalator(Claude(), Budget(max_calls_per_day=2), journal)
        if allowed:
            await ask(budgeted)
        else:
            await refused(budgeted)
        await journal.close()


@pytest.mark.parametrize(("may_be_billed", "left"), [(False, True), (True, False)])
async def test_a_failed_request_counts_if_it_may_be_billed(
    journal: Journal, *, may_be_billed: bool, left: bool
) -> None:
    error = ProposalError("timeout", "no answer", may_be_billed=may_be_billed)
    budget = Budget(max_dollars_per_day=0.9)
    with pytest.raises(ProposalError) as caught:
        await ask(BudgetedEscalator(Claude(error), budget, journal))
    assert caught.value is error
    if left:
        assert await ask(BudgetedEscalator(Claude(), budget, journal)) is ANSWER
    else:
        await refused(BudgetedEscalator(Claude(), budget, journal))


async def test_a_cancelled_request_counts_what_was_set_aside(journal: Journal) -> None:
    claude = Claude(waits_for=anyio.Event())
    budgeted = BudgetedEscalator(claude, Budget(max_dollars_per_day=0.9), journal)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, budgeted)
        await claude.begun.wait()
        tasks.cancel_scope.cancel()
    assert "0.5 are spent" in await refused(budgeted)


async def test_the_spending_of_yesterday_and_of_others_does_not_count(journal: Journal) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await journal.reserve(spending.Reservation("claude", AT_MOST), [], yesterday)
    await journal.reserve(spending.Reservation("another", AT_MOST), [], datetime.now(UTC))
    budget = Budget(max_calls_per_day=1, max_dollars_per_day=0.5, max_tokens_per_day=1000)
    assert await ask(BudgetedEscalator(Claude(), budget, journal)) is ANSWER


async def test_an_answer_of_unknown_cost_counts_its_tokens(journal: Journal) -> None:
    claude = Claude(Proposal(NoPlan("claude", "no"), Usage(70, 30)))
    budgeted = BudgetedEscalator(claude, Budget(max_tokens_per_day=1099), journal)
    await ask(budgeted)
    assert "100 are spent" in await refused(budgeted)


async def test_what_is_no_request_takes_nothing(journal: Journal) -> None:
    @dataclass
    class Free(Claude):
        async def at_most(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Amount:  # noqa: ARG002
            return Amount()

    assert await ask(BudgetedEscalator(Free(), Budget(max_calls_per_day=0), journal)) is ANSWER


async def test_without_a_budget_no_journal_is_needed(tmp_path: Path) -> None:
    assert await ask(BudgetedEscalator(Claude(), Budget(), None)) is ANSWER
    broken = await Journal.open(tmp_path)  # a folder, where the file should be
    assert await ask(BudgetedEscalator(Claude(), Budget(), broken)) is ANSWER
    await broken.close()


async def test_a_budget_nobody_can_count_is_not_spent(tmp_path: Path) -> None:
    broken = await Journal.open(tmp_path)
    for journal in (None, broken):
        why = await refused(BudgetedEscalator(Claude(), Budget(max_calls_per_day=9), journal))
        assert "the journal that counts what is spent is off or cannot be written" in why
    await broken.close()


async def test_what_is_spent_is_counted_from_before_there_was_a_budget(journal: Journal) -> None:
    await ask(BudgetedEscalator(Claude(), Budget(), journal))
    await refused(BudgetedEscalator(Claude(), Budget(max_calls_per_day=1), journal))


async def test_accounts_are_kept_for_a_week(journal: Journal, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for days in (30, 9, 6, 0):
        await journal.reserve(spending.Reservation("claude", AT_MOST), [], now - timedelta(days=days))
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM spending").fetchone() == (2,)


amounts = st.builds(Amount, st.integers(0, 50), st.integers(0, 5000), st.integers(0, 40).map(lambda n: n / 8))


@given(day=amounts, task=amounts, bound=amounts, limit=amounts)
def test_what_is_allowed_never_leads_beyond_a_limit(
    day: Amount, task: Amount, bound: Amount, limit: Amount
) -> None:
    budget = Budget(
        max_calls_per_day=limit.calls,
        max_tokens_per_day=limit.tokens,
        max_dollars_per_day=limit.dollars,
        max_tokens_per_task=limit.tokens,
        max_dollars_per_task=limit.dollars,
    )
    fits = (
        day.calls + bound.calls <= limit.calls
        and max(day.tokens, task.tokens) + bound.tokens <= limit.tokens
        and max(day.dollars, task.dollars) + bound.dollars <= limit.dollars
    )
    assert (budget.refusal(day, task, bound) is None) == fits


def test_a_budget_is_described_by_its_limits() -> None:
    budget = Budget(max_calls_per_day=1000, max_dollars_per_task=0.25)
    assert budget.described == "1,000 requests a day, 0.25 dollars for a task"
    assert Budget().described == ""
    assert json.loads(budget.model_dump_json(exclude_none=True)) == {
        "max_calls_per_day": 1000,
        "max_dollars_per_task": 0.25,
    }
