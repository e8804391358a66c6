"""The command `eval`: how good planners are, on records of requests with the calls they want. Registered by `cli`."""

from pathlib import Path
from typing import Literal

import click

from mcp_proxy.cli_options import Exit, configured, running_loop

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("eval")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--planner", "planners", multiple=True, help="Who is asked; may be given again.  [default: pocket]"
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="How many records, drawn at random.  [default: all]"
)
@click.option("--seed", default=0, show_default=True, help="What the draw depends on.")
@click.option("--by", type=click.Choice(["source", "kind"]), help="Show each part by itself too.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    help="Write all figures and answers to this file; - for stdout.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw reliability and coverage into this .svg or .png file (needs the extra eval).",
)
@configured
@running_loop
async def evaluate(
    config: Path | None,
    files: tuple[Path, ...],
    *,
    planners: tuple[str, ...],
    limit: int | None,
    seed: int,
    by: Literal["source", "kind"] | None,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Say how good planners are on FILES: records of requests with the calls they want (.jsonl, .jsonl.gz).

    No tool is called. docs/evaluation.md explains the records and the figures.
    """
    from mcp_proxy import evaluating  # noqa: PLC0415  only this command needs it

    targets = evaluating.Targets(json_file, plot)
    targets.check()
    records = evaluating.sample(evaluating.read(files), limit, seed)
    names = dict.fromkeys(planners or ("pocket",))
    entries = [await evaluating.entry(name, config, records, by) for name in names]
    about = {"files": [*map(str, files)], "records": len(records), "seed": seed}
    evaluating.report(entries, targets, about)
    if any(entry.stopped for entry in entries):
        raise SystemExit(Exit.FAILED)


COMMANDS = (evaluate,)
