"""Evaluating planners on files of records, side by side: reads, asks, shows, writes. What `switchboard eval` does."""

import json
import random
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import click
from rich.markup import escape

from local_llm.evaluation import (
    BadRecordError,
    Judged,
    NoAnswerError,
    Record,
    Summary,
    read_records,
    summarise,
)
from local_llm.evaluation.answering import answers
from local_llm.evaluation.plot import PICTURES, PlottingUnavailableError, draw, plotting
from local_llm.evaluation.report import FIGURES, answers_as_json, as_json
from mcp_proxy.cli_options import Refusal
from mcp_proxy.contestants import contestant
from mcp_proxy.render import print_json, print_rows, stderr

Part = Literal["source", "kind"]

_EVERYTHING = "all"
_STDOUT = Path("-")
_REDRAWN = 0.1
"""Seconds between two looks at how far it has come."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one planner made of the records."""

    planner: str
    judged: Sequence[Judged]
    summaries: Mapping[str, Summary]
    """Over all records, and over each part they were split into, by its name."""
    stopped: str = ""
    """Why not all records were put to it; empty if they were."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Where figures go besides the terminal."""

    json: Path | None
    """A file; "-" for stdout."""
    plot: Path | None

    def check(self) -> None:
        """Whether what is found can be written at all; asked before minutes are spent.

        Raises:
            click.UsageError: it cannot.
        """
        for file in (self.json, self.plot):
            if file and file != _STDOUT and not file.absolute().parent.is_dir():
                raise click.UsageError(
                    f"there is no folder {file.absolute().parent} to write {file.name} into"
                )
        if self.plot and self.plot.suffix.lower() not in PICTURES:
            raise click.UsageError(f"{self.plot.name}: a picture's name ends in {' or '.join(PICTURES)}")
        if self.plot:
            try:
                plotting()
            except PlottingUnavailableError as error:
                raise Refusal(str(error)) from error


def read(files: Sequence[Path]) -> Sequence[Record]:
    """The records of the files.

    Raises:
        click.UsageError: they hold none, or what is none.
    """
    try:
        records = read_records(files)
    except BadRecordError as error:
        raise Refusal(str(error)) from error
    if not records:
        raise Refusal(f"{', '.join(map(str, files))}: no records")
    return records


def sample(records: Sequence[Record], limit: int | None, seed: int) -> Sequence[Record]:
    """`limit` of the records, drawn by `seed`, in their order."""
    if limit is None or limit >= len(records):
        return records
    places = sorted(random.Random(seed).sample(range(len(records)), limit))  # noqa: S311  nothing secret
    return [records[place] for place in places]


async def entry(name: str, config: Path | None, records: Sequence[Record], by: Part | None) -> Entry:
    """What a planner makes of the records, as far as it can be asked.

    Raises:
        click.UsageError: there is no such planner, or it is not configured.
    """
    judged: list[Judged] = []
    stopped = ""
    async with contestant(name, config) as asked, _progress(name, judged, len(records)):
        try:
            async for one in answers(asked, records):
                judged.append(one)
                await (
                    anyio.lowlevel.checkpoint()
                )  # A planner that never waits would not let progress be shown.
        except NoAnswerError as error:
            stopped = f"stopped after {len(judged):,} of {len(records):,} records: {error.message}"
    return Entry(name, judged, _summaries(judged, by), stopped)


@asynccontextmanager
async def _progress(name: str, judged: Sequence[Judged], total: int) -> AsyncGenerator[None]:
    """Shows on stderr how many records have been answered, while the block lasts."""

    async def show() -> None:
        with stderr.status(name) as status:
            while True:
                status.update(f"{escape(name)}: {len(judged):,} of {total:,} records")
                await anyio.sleep(_REDRAWN)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show)
        yield
        tasks.cancel_scope.cancel()


def _summaries(judged: Sequence[Judged], by: Part | None) -> dict[str, Summary]:
    parts = {_EVERYTHING: judged}
    if by:
        for name in sorted({getattr(one.record, by) for one in judged}):
            parts[name] = [one for one in judged if getattr(one.record, by) == name]
    return {name: summarise(part) for name, part in parts.items()}


def report(entries: Sequence[Entry], targets: Targets, about: Mapping[str, Any]) -> None:
    """Show the figures, and write them where they are wanted.

    Raises:
        click.ClickException: a file cannot be written.
    """
    for each in entries:
        if each.stopped:
            stderr.print(f"[yellow]{escape(each.planner)} {escape(each.stopped)}[/]")
    if targets.json == _STDOUT:
        print_json(_as_json(entries, about))
    else:
        _show(entries)
    try:
        if targets.json and targets.json != _STDOUT:
            text = json.dumps(_as_json(entries, about), ensure_ascii=False, indent=1, default=str)
            targets.json.write_bytes(f"{text}\n".encode("utf-8", "replace"))
        if targets.plot:
            draw(targets.plot, {each.planner: each.summaries[_EVERYTHING].reliability for each in entries})
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}") from error


def _show(entries: Sequence[Entry]) -> None:
    """The figures side by side, a column for each planner and part."""
    columns = {
        each.planner if part == _EVERYTHING else f"{each.planner}, {part}": summary
        for each in entries
        for part, summary in each.summaries.items()
    }
    rows = [(label, *(figure(summary) for summary in columns.values())) for label, figure in FIGURES.items()]
    heads = ("figure", *columns)
    print_rows("Planners", heads, rows if sys.stdout.isatty() else [heads, *rows])


def _as_json(entries: Sequence[Entry], about: Mapping[str, Any]) -> dict[str, Any]:
    """All figures and answers."""
    return {
        **about,
        "planners": [
            {
                "planner": each.planner,
                "stopped": each.stopped,
                "figures": {part: as_json(summary) for part, summary in each.summaries.items()},
                "answers": answers_as_json(each.judged),
            }
            for each in entries
        ],
    }
