"""The commands that look at the journal: log, explain, stats; and feedback, which adds to it. Registered by `cli`.

They work on the file alone, while a server writes to it or without one.
"""

import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click

from mcp_proxy import __version__
from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.cli_options import Refusal, configured, json_flag
from mcp_proxy.config import ConfigError, Settings, load
from mcp_proxy.feedback import doubts, feedback_record, read_feedback
from mcp_proxy.journal_account import account, as_dict, local_time
from mcp_proxy.journal_queries import Wanted, calls_for, entries, with_id
from mcp_proxy.journal_reading import JournalUnreadableError, reading, writing
from mcp_proxy.journal_records import Ending, Record, TaskRecord
from mcp_proxy.journal_rows import feedback_on, insert_feedback
from mcp_proxy.journal_stats import stats as added_up
from mcp_proxy.redaction import hide_also
from mcp_proxy.render import print_json, print_rows
from mcp_proxy.stats_text import described, tell
from mcp_proxy.terminal import json_object
from tool_registry import Catalog, ToolEntry
from tool_registry.unseen import spelled_out

_CLIENT = f"switchboard-cli {__version__}"

_SHOWN_ID = 18
"""Characters of an id that a list shows: the time to a quarter of a microsecond, so two are seldom alike."""
_SHOWN_TEXT = 100

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Moment(click.ParamType[datetime]):
    """A time ago, such as 2d, or a date."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if ago := re.fullmatch(r"(\d+)([smhdw])", value):
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a time ago, such as 30m, 12h, 2d or 4w, nor a date", param, ctx)


_since = click.option(
    "--since", type=_Moment(), help="Only what began since then: 30m, 12h, 2d, 4w, or a date."
)


@click.command()
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many are shown at most."
)
@click.option("--tool", default="", metavar="GLOB", help="Only tasks and calls of such tools: 'notes__*'.")
@click.option("--client", default="", metavar="GLOB", help="Only those of such clients: 'claude*'.")
@click.option("--ending", type=click.Choice(get_args(Ending)), help="Only those that ended so.")
@_since
@json_flag
@configured
def log(config: Path | None, limit: int, *, as_json: bool, **wanted: Any) -> None:
    """The newest tasks and direct calls, the newest first.

    A task that is `running` and should not be was cut short with its process.
    """
    with _journal(_settings(config), reading) as connection:
        records = entries(connection, Wanted(**wanted), limit)
    if as_json:
        print_json([as_dict(record) for record in records])
        return
    heads = ("id", "began", "ending", "tool", "confidence", "took", "cost", "client", "task")
    print_rows(f"{len(records)} tasks and calls", heads, map(_row, records))
    if not records:
        click.echo("there is nothing of the kind in the journal", err=True)


@click.command()
@click.argument("which", metavar="ID|last")
@json_flag
@configured
def explain(config: Path | None, which: str, *, as_json: bool) -> None:
    """What was done for a task or call, and why. The beginning of its ID is enough; `last` is the newest."""
    with _journal(_settings(config), reading) as connection:
        record = _chosen(connection, which)
        feedback = feedback_on(connection, [record.id]).get(record.id)
        calls = calls_for(connection, record.id)
    if as_json:
        about = {"calls": [as_dict(call) for call in calls], "feedback": feedback and as_dict(feedback)}
        print_json({**as_dict(record), **about})
        return
    for line in account(record, calls, feedback):
        click.echo(line)


@click.command()
@click.option("--daily", is_flag=True, help="By day (UTC) too.")
@_since
@json_flag
@configured
def stats(config: Path | None, since: datetime | None, *, daily: bool, as_json: bool) -> None:
    """How tasks and calls went, how long they took, what was paid, and what was not."""
    settings = _settings(config)
    with _journal(settings, reading) as connection:
        found = added_up(connection, since)
    prices = settings.escalation.prices if settings.escalation else None
    if as_json:
        print_json(described(found, prices, daily=daily))
    else:
        tell(found, prices, daily=daily)


@click.command()
@click.argument("which", metavar="ID|last")
@click.argument("verdict", type=click.Choice(["good", "bad"]))
@click.option(
    "--correct", nargs=2, metavar="TOOL JSON", help="With bad: the call that would have been right."
)
@click.option("--note", default="", help="Anything else worth knowing.")
@json_flag
@configured
def feedback(
    config: Path | None,
    which: str,
    *,
    verdict: str,
    correct: tuple[str, str] | None,
    note: str,
    as_json: bool,
) -> None:
    """Say whether a task or call was what was wanted. Said again, it replaces what was said before."""
    settings = _settings(config)
    hide_also(settings.privacy.redact, settings.secrets)
    right = correct and {"tool": correct[0], "arguments": json_object(correct[1], "the correction")}
    with _journal(settings, writing) as connection:
        record = _chosen(connection, which)
        # A call that was made for a task is judged with it.
        about = record.id if isinstance(record, TaskRecord) else record.task_id or record.id
        given = read_feedback({"id": about, "verdict": verdict, "correct": right, "note": note})
        if isinstance(given, str):
            raise click.UsageError(given)
        if not insert_feedback(connection, feedback_record(given, _CLIENT)):
            raise click.ClickException(f"the journal holds {about} no more: it has outgrown its bounds")
    for doubt in doubts(given.correct, _known_tools(settings)):
        click.echo(doubt, err=True)
    if as_json:
        print_json({"id": about, "verdict": verdict})
    else:
        click.echo(f"{about}: {verdict}")


def _settings(config: Path | None) -> Settings:
    try:
        settings = load(config)
    except ConfigError as error:
        raise Refusal(str(error)) from error
    if not settings.journal.enabled:
        raise Refusal("[journal] is off in the configuration: nothing is recorded")
    return settings


@contextmanager
def _journal(
    settings: Settings, how: Callable[[Path], AbstractContextManager[sqlite3.Connection]]
) -> Generator[sqlite3.Connection]:
    try:
        with how(settings.journal.path) as connection:
            yield connection
    except JournalUnreadableError as error:
        raise click.ClickException(str(error)) from error


def _chosen(connection: sqlite3.Connection, which: str) -> Record:
    """The one task or call that is meant.

    Raises:
        Refusal: there is none, or there are several.
    """
    found = entries(connection, Wanted(), 1) if which == "last" else with_id(connection, which.lower())
    match found:
        case (record,):
            return record
        case ():
            remedy = "`switchboard log` lists what there is"
            raise Refusal(f"the journal holds no task or call {which!r}; {remedy}")
        case _:
            listed = "\n".join(f"  {record.id}" for record in found)
            raise Refusal(f"several begin with {which!r}, among them\n{listed}")


def _known_tools(settings: Settings) -> dict[str, ToolEntry]:
    """The tools that the upstreams had when they last ran."""
    cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
    catalog = Catalog()
    for name, upstream in settings.enabled_upstreams.items():
        if offer := cache.load(name, upstream):
            catalog = catalog.with_offer(offer)
    return dict(catalog.tools)


def _row(record: Record) -> tuple[str, ...]:
    took = "" if record.duration_ms is None else f"{record.duration_ms:,.1f} ms"
    if isinstance(record, TaskRecord):
        last = record.last
        sure = f"{last.planner} {last.confidence:.2f}" if last and last.confidence is not None else ""
        cost = "" if record.cost is None else f"${record.cost:.6f}"
        told = (
            record.ending,
            last.tool if last else "",
            sure,
            took,
            cost,
            record.client,
            record.text[:_SHOWN_TEXT],
        )
    else:
        told = (record.outcome, record.tool, "", took, "", record.client, "")
    return tuple(map(spelled_out, (record.id[:_SHOWN_ID], local_time(record.started_at), *told)))


COMMANDS = (log, explain, stats, feedback)
