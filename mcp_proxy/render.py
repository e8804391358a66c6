"""What the command line shows: results on stdout; tables, traces and progress, which are for people, on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import anyio
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_llm import Plan
from mcp_proxy.outcome import Ending, Outcome
from mcp_proxy.retrieval import Retrieval

_BAR_WIDTH = 20
_SHOWN_CANDIDATES = 4
_ENDING_STYLES = {
    Ending.DONE: "green",
    Ending.PLANNED: "cyan",
    Ending.FAILED: "red",
    Ending.STOPPED: "yellow",
    Ending.NEEDS: "yellow",
    Ending.UNSURE: "yellow",
    Ending.DECLINED: "yellow",
    Ending.REFUSED: "red",
}

_REDRAWN = 0.1
"""Seconds between two looks at how far something has come."""

stderr = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """A value for programs, on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # noqa: T201


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows for people as a table, or, when stdout goes into a pipe or a file, as its lines, tab-separated."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(" ".join(str(cell).split()) for cell in row))  # noqa: T201
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    stderr.print(table)


def print_content(result: Mapping[str, Any]) -> None:
    """A tool's answer on stdout: its text as it is, other content by kind and size."""
    for block in result.get("content", []):
        if block.get("type") == "text":
            print(block.get("text", ""))  # noqa: T201
        else:
            print(f"[{block.get('type', '?')} {block.get('mimeType', '')} {block.get('uri', '')}]".strip())  # noqa: T201


async def show_progress(retrieval: Retrieval) -> NoReturn:
    """Show how far the embedding of tools has come. Ends only by cancellation."""
    with stderr.status("looking for new tools…") as status:
        while True:
            at = retrieval.progress
            if at.done < at.total:
                status.update(f"indexing tools for search, once: {at.done:,} of {at.total:,}")
            await anyio.sleep(_REDRAWN)


def print_outcome(outcome: Outcome) -> None:
    """How a task went: the tools' answers on stdout, the rest on stderr."""
    for number, made in enumerate(outcome.steps, 1):
        _print_plan(made.plan, f"{number}. " if len(outcome.steps) > 1 or outcome.pending else "")
        for repair in made.repairs:
            stderr.print(f"  [dim]put right: {escape(str(repair))}[/]")
        if made.result is not None:
            print_content(made.result)
    if isinstance(outcome.pending, Plan):
        _print_plan(outcome.pending, "[yellow]not called:[/] ")
        for problem in outcome.problems:
            stderr.print(f"  [red]{escape(str(problem))}[/]")
    style = _ENDING_STYLES[outcome.ending]
    stderr.print(f"[bold {style}]{outcome.ending.value}[/]  {escape(outcome.reason)}")
    others = [f"{each.tool.qualified} {each.score:.2f}" for each in outcome.candidates[:_SHOWN_CANDIDATES]]
    if others:
        stderr.print(f"  [dim]candidates: {escape(', '.join(others))}[/]")
    for line in outcome.route:
        stderr.print(f"  [dim]{escape(line)}[/]")
    stages = ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in outcome.milliseconds.items())
    stderr.print(f"  [dim]{stages}{_cost(outcome)}[/]")


def _print_plan(plan: Plan, before: str) -> None:
    arguments = json.dumps(plan.call.arguments, ensure_ascii=False)
    stderr.print(f"{before}[bold]{escape(plan.call.tool.qualified)}[/] {escape(arguments)}", overflow="fold")
    stderr.print(f"  {_bar(plan.confidence)} {plan.planner}, confidence {plan.confidence:.2f}")


def _cost(outcome: Outcome) -> str:
    if outcome.usage is None:
        return ""
    cost = "" if outcome.usage.cost is None else f" (${outcome.usage.cost:.4f})"
    tokens = outcome.usage.input_tokens + outcome.usage.output_tokens
    return f"; {tokens:,} tokens{cost}"


def _bar(share: float) -> str:
    filled = round(share * _BAR_WIDTH)
    return f"[green]{'█' * filled}[/][dim]{'░' * (_BAR_WIDTH - filled)}[/]"
