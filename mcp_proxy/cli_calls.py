"""The commands that find, plan and call: tools, call, do, plan. Registered by `cli`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import anyio
import click
from mcp import MCPError

from local_llm import Task
from mcp_proxy import __version__
from mcp_proxy.absences import why_missing
from mcp_proxy.cli_options import Exit, configured, json_flag, loaded, profiled, running_loop
from mcp_proxy.config import Settings
from mcp_proxy.desk import Desk, InvalidArgumentsError, QuarantinedError
from mcp_proxy.one_shot import owners, started
from mcp_proxy.outcome import Ending, Outcome
from mcp_proxy.render import print_content, print_json, print_outcome, print_rows, show_progress
from mcp_proxy.strategy import Strategy
from mcp_proxy.task_runner import TaskRunner
from mcp_proxy.task_tools import MOST_STEPS_ASKED, Wishes
from mcp_proxy.telling import describe
from mcp_proxy.terminal import TerminalPerson, json_object, read_pairs, split_pairs
from mcp_proxy.token_costs import show_token_costs, token_costs
from mcp_proxy.tools import Tools
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Catalog, ToolEntry, UnusableSchemaError
from tool_registry.scan import names_beside, scan

_INDEXING = 30.0
"""Seconds that a command waits for new tools to be embedded."""

_CLIENT = f"switchboard-cli {__version__}"

T = TypeVar("T")

_EXITS = {
    Ending.DONE: Exit.DONE,
    Ending.PLANNED: Exit.DONE,
    Ending.FAILED: Exit.FAILED,
    Ending.STOPPED: Exit.NOT_SURE,
    Ending.NEEDS: Exit.NEEDS_INPUT,
    Ending.DECLINED: Exit.NOT_SURE,
    Ending.UNSURE: Exit.NOT_SURE,
    Ending.REFUSED: Exit.NOT_SURE,
}


@click.command()
@click.argument("query", required=False)
@click.option("--tokens", is_flag=True, help="Say what the definitions cost a model, by server and exposure.")
@click.option(
    "--refresh", is_flag=True, help="Start every upstream and ask it, also where its tools are known."
)
@json_flag
@profiled
@configured
@running_loop
async def tools(
    config: Path | None, query: str | None, profile: str | None, *, refresh: bool, tokens: bool, as_json: bool
) -> None:
    """List the tools of all upstreams, or those that match QUERY, best first.

    Only upstreams of which nothing is known yet are started for it.
    """
    settings = loaded(config, profile)
    async with started(settings, wait_for_all=refresh) as board:
        desk = Desk(board, settings.server.profile)
        if query:
            await _indexed(desk)
            found = [candidate.tool for candidate in await desk.retrieval.search(query)]
        else:
            found = list(desk.seen.catalog.tools.values())
    if tokens:
        show_token_costs(token_costs(found, Tools(desk)), as_json=as_json)
    elif as_json:
        print_json([_with_findings(tool, board.snapshot.catalog) for tool in found])
    else:
        rows = ((tool.qualified, _said(tool)) for tool in found)
        print_rows(f"{len(found)} tools", ("tool", "description"), rows)


def _said(tool: ToolEntry) -> str:
    """What a tool says of itself in one line; of a quarantined one, why it is and what to do about it."""
    return tool.quarantine or tool.description.partition("\n")[0]


def _with_findings(tool: ToolEntry, catalog: Catalog) -> dict[str, Any]:
    """A tool as clients see it, and beside it what the scan says of its definition."""
    findings = scan(tool.definition, names_beside(tool.upstream, catalog.offers))
    marks: dict[str, Any] = {"quarantined": True} if tool.quarantine else {}
    return {
        **tool.listed(),
        **marks,
        **({"findings": [str(finding) for finding in findings]} if findings else {}),
    }


@click.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--args", "args_json", help="The arguments as a JSON object; KEY=VALUE pairs are added to it.")
@json_flag
@profiled
@configured
@running_loop
async def call(
    config: Path | None,
    name: str,
    arguments: tuple[str, ...],
    args_json: str | None,
    profile: str | None,
    *,
    as_json: bool,
) -> None:
    """Call the tool NAME directly. Values are read as the tool's schema wants them."""
    given = json_object(args_json or "{}")
    settings = loaded(config, profile)
    may_have = owners(name, settings)
    # A profile may have it that a name says nothing of whose tool it is.
    is_known = bool(may_have.upstreams) and not settings.server.profile
    async with started(may_have if is_known else settings, wait_for_all=is_known) as board:
        desk = Desk(board, settings.server.profile)
        tool = desk.seen.catalog.tools.get(name)
        if tool is None:
            raise await _no_tool(name, desk)
        result = await _reported(
            desk.call_tool(tool, {"arguments": {**given, **read_pairs(tool, arguments)}}, client=_CLIENT)
        )
    if as_json:
        print_json(result)
    else:
        print_content(result)
    if result.get("isError"):
        raise SystemExit(Exit.FAILED)


async def _no_tool(name: str, desk: Desk) -> click.ClickException:
    """Why there is no such tool: because the upstream it would belong to is down, or at all."""
    if unavailable := why_missing(name, desk):
        return click.ClickException(str(unavailable))
    near = ", ".join(candidate.tool.qualified for candidate in await desk.retrieval.search(name, 3))
    return click.UsageError(f"there is no tool {name!r}; near: {near or 'none'}")


F = TypeVar("F", bound=Callable[..., Any])


def _wishing(command: F) -> F:
    """The options of a task that `do` and `plan` share."""
    options = (
        click.option(
            "--answer",
            "answers",
            multiple=True,
            metavar="KEY=VALUE",
            help="A value for a parameter the task leaves out.",
        ),
        click.option(
            "--tool",
            "tools",
            multiple=True,
            metavar="PATTERN",
            help="Only these tools may be called: names, or patterns such as files__*.",
        ),
        click.option(
            "--max-steps", type=click.IntRange(1, MOST_STEPS_ASKED), help="Calls it may take at most."
        ),
        click.option(
            "--privacy",
            type=click.Choice(["normal", "high"]),
            default="normal",
            help="high: no model outside this machine is told of it.",
        ),
        click.option(
            "--strategy",
            type=click.Choice(get_args(Strategy)),
            help="What counts when it is not clear which call is meant.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("task")
@click.option("--yes", is_flag=True, help="Approve calls that may destroy data, and those that are not sure.")
@click.option("--dry-run", is_flag=True, help="Only say what would be called.")
@_wishing
@json_flag
@profiled
@configured
@running_loop
async def do(
    config: Path | None,
    task: str,
    profile: str | None,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **wished: Any,
) -> None:
    """Carry out TASK, given in plain words, in one step or several."""
    person = TerminalPerson(approve=yes, silent=as_json)
    await _do(loaded(config, profile), task, person, dry_run=dry_run, as_json=as_json, **wished)


@click.command()
@click.argument("task")
@_wishing
@json_flag
@profiled
@configured
@running_loop
async def plan(config: Path | None, task: str, profile: str | None, *, as_json: bool, **wished: Any) -> None:
    """Say what `do` would call for TASK, without calling it."""
    person = TerminalPerson(approve=False, silent=True)
    await _do(loaded(config, profile), task, person, dry_run=True, as_json=as_json, **wished)


async def _do(
    settings: Settings,
    task: str,
    person: TerminalPerson,
    *,
    dry_run: bool,
    as_json: bool,
    answers: tuple[str, ...],
    tools: tuple[str, ...],
    max_steps: int | None,
    privacy: str,
    strategy: Strategy | None,
) -> None:
    wishes = Wishes(
        dry_run=dry_run,
        tools=tools or None,
        max_steps=max_steps,
        private=privacy == "high",
        strategy=strategy,
    )
    async with started(settings) as board:
        desk = Desk(board, settings.server.profile)
        await _indexed(desk)
        runner = TaskRunner(desk)
        asked = Task(task, split_pairs(answers))
        outcome = await _reported(runner.do(asked, person, wishes, client=_CLIENT))
    show_outcome(outcome, as_json=as_json)


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome and leave with the exit code that belongs to it."""
    if as_json:
        content = [block for made in outcome.steps for block in (made.result or {}).get("content") or ()]
        print_json({**describe(outcome), "content": content})
    else:
        print_outcome(outcome)
    raise SystemExit(_EXITS[outcome.ending])


async def _reported(work: Awaitable[T]) -> T:
    """The result of a call, its errors as failures."""
    try:
        return await work
    except InvalidArgumentsError as error:
        listed = "\n".join(f"  {problem}" for problem in error.problems)
        raise click.UsageError(
            f"the arguments for {error.tool.qualified} do not fit its schema:\n{listed}"
        ) from error
    except (QuarantinedError, UpstreamUnavailableError, UnusableSchemaError, MCPError) as error:
        raise click.ClickException(str(error)) from error


async def _indexed(desk: Desk) -> None:
    """Wait for the tools to be embedded, but not for ever: what is done stays done, and words are searched meanwhile."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show_progress, desk.retrieval)
        with anyio.move_on_after(_INDEXING):
            await desk.retrieval.complete()
        tasks.cancel_scope.cancel()


COMMANDS = (tools, call, do, plan)
