"""The account of what escalation spends: what is set aside before a request, and what it came to. Rows of the journal's file.

Kept apart from what the journal tells of tasks, and written before anything is sent: so it holds for tasks at once, for
several processes on one file, and for one that was killed while it waited for an answer.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mcp_proxy.escalation_settings import Amount, Budget
from mcp_proxy.journal_records import new_id

_TABLE = """
CREATE TABLE IF NOT EXISTS spending (
    id TEXT PRIMARY KEY, at TEXT NOT NULL, proposer TEXT NOT NULL, profile TEXT NOT NULL, task_id TEXT NOT NULL,
    tokens INTEGER NOT NULL, dollars REAL NOT NULL, settled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""

_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request may take at most, set aside before it is sent."""

    proposer: str
    bound: Amount
    profile: str = ""
    task_id: str = ""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget for all tasks, or for those of one profile."""

    budget: Budget
    profile: str | None = None


def reserve(
    connection: sqlite3.Connection, wanted: Reservation, limits: Sequence[Limit], now: datetime
) -> str:
    """Set `wanted` aside if every limit allows it; else why not, and nothing is. The day is that of UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    connection.execute(_TABLE)
    # The lock is taken before the sums: what others set aside meanwhile is in them.
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for limit in limits:
            day = _sum(connection, wanted.proposer, "at >= ?", _stamp(midnight), limit.profile)
            task = _sum(connection, wanted.proposer, "task_id = ?", wanted.task_id, None)
            if why := limit.budget.refusal(day, task if wanted.task_id else Amount(), wanted.bound):
                return why if limit.profile is None else f"{why} (profile {limit.profile})"
        connection.execute("DELETE FROM spending WHERE at < ?", (_stamp(midnight - _KEPT),))
        connection.execute(
            "INSERT INTO spending (id, at, proposer, profile, task_id, tokens, dollars) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                wanted.id,
                _stamp(now),
                wanted.proposer,
                wanted.profile,
                wanted.task_id,
                wanted.bound.tokens,
                wanted.bound.dollars,
            ),
        )
    return ""


def settle(connection: sqlite3.Connection, reservation_id: str, spent: Amount) -> None:
    """Put what a request came to in the place of what was set aside for it; one that took nothing is taken out."""
    connection.execute(_TABLE)
    if spent == Amount():
        connection.execute("DELETE FROM spending WHERE id = ?", (reservation_id,))
        return
    connection.execute(
        "UPDATE spending SET tokens = ?, dollars = ?, settled = 1 WHERE id = ?",
        (spent.tokens, spent.dollars, reservation_id),
    )


def _sum(
    connection: sqlite3.Connection, proposer: str, which: str, value: str, profile: str | None
) -> Amount:
    """What was spent or set aside for a proposer, of all profiles or of one."""
    query = (
        "SELECT count(*), coalesce(sum(tokens), 0), total(dollars) FROM spending "  # noqa: S608  `which` is ours
        f"WHERE proposer = ? AND {which} AND profile = coalesce(?, profile)"
    )
    return Amount(*connection.execute(query, (proposer, value, profile)).fetchone())


def _stamp(moment: datetime) -> str:
    """In UTC and of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
