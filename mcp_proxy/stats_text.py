"""`switchboard stats` for people and for programs: shares, savings, and what these assume."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mcp_proxy.escalation import Prices
from mcp_proxy.journal_stats import ESTIMATED, Latency, Period, Stats
from mcp_proxy.proposals import Usage
from mcp_proxy.render import print_rows


@dataclass(frozen=True, slots=True)
class Savings:
    """What it would have taken to pass on to Claude the tasks that were done without it."""

    tasks: int
    tokens: int
    dollars: float | None
    """None where no prices are configured."""
    assumption: str


def savings(stats: Stats, prices: Prices | None) -> Savings:
    """What was saved, against passing every task on.

    Args:
        stats: of which time.
        prices: those configured for escalation.
    """
    measured = stats.per_escalated_task
    each = measured or ESTIMATED
    tokens = each.input_tokens + each.output_tokens + each.cache_write_tokens + each.cache_read_tokens
    tasks = stats.total.local
    source = f"the mean of {stats.paid_tasks:,} here" if measured else "an estimate: none was escalated here"
    priced = "at the prices of [escalation]" if prices else "no prices are configured: [escalation] prices"
    assumption = f"a task passed on takes {tokens:,} tokens ({source}), {priced}"
    return Savings(tasks, tasks * tokens, tasks * prices.cost(each) if prices else None, assumption)


def described(stats: Stats, prices: Prices | None, *, daily: bool) -> dict[str, Any]:
    """Everything as JSON. Shares are in [0, 1], null where there is nothing to be a share of."""
    return {
        "total": _period(stats.total),
        **({"days": [{"day": day.day, **_period(day)} for day in stats.days]} if daily else {}),
        "providers": [asdict(provider) for provider in stats.providers],
        "milliseconds": {"calls": asdict(stats.calls), "tasks": asdict(stats.tasks)},
        "feedback": {"good": stats.good, "bad": stats.bad},
        "savings": asdict(savings(stats, prices)),
    }


def tell(stats: Stats, prices: Prices | None, *, daily: bool) -> None:
    """Everything as tables."""
    print_rows("Requests", ("what", "value"), _summary(stats, prices))
    if stats.providers:
        rows = [
            (p.name, p.requests, p.tasks, f"{_tokens(p.usage):,}", _dollars(p.cost), p.unpriced)
            for p in stats.providers
        ]
        print_rows("Paid", ("provider", "requests", "tasks", "tokens", "cost", "of unknown cost"), rows)
    if daily:
        heads = ("day (UTC)", "calls", "tasks", "done", "local", "escalated", "asked", "cost")
        print_rows("By day", heads, map(_day, stats.days))


def _period(period: Period) -> dict[str, Any]:
    counts = asdict(period)
    del counts["day"]
    return {**counts, "shares": _shares(period)}


def _shares(period: Period) -> dict[str, float | None]:
    ended = period.tasks - period.running
    return {
        "calls_ok": _share(period.calls_ok, period.calls),
        "done": _share(period.done, ended),
        "local": _share(period.local, period.done),
        "escalated": _share(period.escalated, ended),
        "asked": _share(period.asked, ended),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _summary(stats: Stats, prices: Prices | None) -> Iterator[tuple[str, str]]:
    total, shares = stats.total, _shares(stats.total)
    yield "direct calls", f"{total.calls:,}"
    yield "direct calls answered, without an error", _percent(shares["calls_ok"])
    yield "direct calls took, p50 / p95 / p99", _times(stats.calls)
    yield "tasks", f"{total.tasks:,}"
    yield "tasks not at an end", f"{total.running:,}"
    yield "dry runs, not counted", f"{total.dry_runs:,}"
    yield "tasks done, without an error", _percent(shares["done"])
    yield "of these, done without paying anybody", _percent(shares["local"])
    yield "tasks escalated", _percent(shares["escalated"])
    yield "tasks that asked a person", _percent(shares["asked"])
    yield "tasks took, p50 / p95 / p99", _times(stats.tasks)
    yield "feedback, good / bad", f"{stats.good:,} / {stats.bad:,}"
    yield "cost", _dollars(total.cost)
    saved = savings(stats, prices)
    in_dollars = "" if saved.dollars is None else f", {_dollars(saved.dollars)}"
    yield "saved against passing every task on", f"{saved.tokens:,} tokens{in_dollars}"
    yield "assuming", saved.assumption


def _day(day: Period) -> tuple[object, ...]:
    counts = (day.calls, day.tasks, day.done, day.local, day.escalated, day.asked)
    return (day.day, *counts, _dollars(day.cost))


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens + usage.cache_write_tokens + usage.cache_read_tokens


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _times(latency: Latency) -> str:
    times = (latency.p50, latency.p95, latency.p99)
    return " / ".join("-" if each is None else f"{each:,.1f}" for each in times) + " ms"


def _dollars(amount: float) -> str:
    return f"${amount:,.4f}"
