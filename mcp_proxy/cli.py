"""The command line. Results go to stdout, everything else to stderr; `--json` makes results machine-readable."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import click
from mcp import MCPError
from rich.markup import escape

from local_llm import Task
from mcp_proxy import __version__, cli_pins, cli_setup, logs
from mcp_proxy.config import ConfigError, Settings, find, load
from mcp_proxy.desk import Desk, InvalidArgumentsError, QuarantinedError
from mcp_proxy.greeting import fingerprint
from mcp_proxy.one_shot import asleep, owners
from mcp_proxy.pipeline import Ending, Outcome
from mcp_proxy.render import print_content, print_json, print_outcome, print_rows, show_progress, stderr
from mcp_proxy.results import describe
from mcp_proxy.running import running
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.terminal import TerminalPerson, json_object, read_pairs, split_pairs
from mcp_proxy.token_costs import show_token_costs, token_costs
from mcp_proxy.tools import Tools
from mcp_proxy.upstreams import NESTING, State, Status, UpstreamUnavailableError
from tool_registry import Catalog, ToolEntry, UnusableSchemaError
from tool_registry.scan import names_beside, scan

_DEEPEST = 3
"""How many switchboards may stand in front of one another; one that starts itself would go on for ever."""

_INDEXING = 30.0
"""Seconds that a command waits for new tools to be embedded."""

_CLIENT = f"switchboard-cli {__version__}"


class Exit(IntEnum):
    """Exit codes; the shell's own meanings of 0 and 2 are kept."""

    DONE = 0
    FAILED = 1
    """The tool answered with an error, or its upstream could not be reached."""
    USAGE = 2
    """Wrong arguments or configuration."""
    NEEDS_INPUT = 3
    """Something is missing that only a person can give."""
    NOT_SURE = 4
    """No planner was sure enough, or a rule forbids the call; nothing was done."""


_EXITS = {
    Ending.DONE: Exit.DONE,
    Ending.PLANNED: Exit.DONE,
    Ending.NEEDS: Exit.NEEDS_INPUT,
    Ending.DECLINED: Exit.NOT_SURE,
    Ending.UNSURE: Exit.NOT_SURE,
    Ending.REFUSED: Exit.NOT_SURE,
}


T = TypeVar("T")

_json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

_CONFIG_HELP = "Configuration file (TOML, or mcpServers JSON)."


def _configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes the configuration file as its `config`, given before its name or after it."""

    @click.option("-c", "--config", "own_config", type=click.Path(path_type=Path), help=_CONFIG_HELP)
    @click.pass_obj
    @wraps(command)
    def run(group_config: Path | None, *args: Any, own_config: Path | None, **kwargs: Any) -> Any:
        return command(own_config or group_config, *args, **kwargs)

    return run


def _profiled(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes the name of a `profile`, None unless one was given."""
    described = "The [profiles.…] table to see and do as."
    return click.option("--profile", help=described)(command)


def _loaded(config: Path | None, profile: str | None) -> Settings:
    """The settings of the file, for clients of that profile, or of the one the file names."""
    settings = load(config)
    if profile is None:
        return settings
    if profile and profile not in settings.profiles:
        known = ", ".join(settings.profiles) or "none"
        raise click.UsageError(f"there is no profile {profile!r} in the configuration; there are: {known}")
    return settings.model_copy(update={"server": settings.server.model_copy(update={"profile": profile})})


def _running_loop(command: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A click command that runs in the event loop and turns expected errors into failures."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            anyio.run(lambda: command(*args, **kwargs))
        except ConfigError as error:
            raise click.UsageError(str(error)) from error
        except BaseExceptionGroup as group:
            raise _first(cast("BaseException", group)) from None

    return run


def _first(error: BaseException) -> BaseException:
    """The first of the errors that task groups have wrapped."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="switchboard")
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="Configuration file (TOML or mcpServers JSON)."
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much is logged on stderr.  [default: info for serve, else error]",
)
@click.pass_context
def main(context: click.Context, config: Path | None, log_level: str | None) -> None:
    """One MCP server in front of all the others, with a planner inside."""
    context.obj = config
    serving = context.invoked_subcommand == "serve"
    logs.configure(log_level or ("info" if serving else "error"))


@main.command()
@click.option("--transport", type=click.Choice(["stdio", "http"]), help="Overrides [server] transport.")
@click.option("--host", help="Overrides [server] host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Overrides [server] port.")
@_profiled
@_configured
@_running_loop
async def serve(config: Path | None, profile: str | None, **overrides: str | int | None) -> None:
    """Serve MCP to clients, over stdio unless configured otherwise."""
    if int(os.environ.get(NESTING, "0")) >= _DEEPEST:
        raise click.UsageError(
            f"Switchboard stands behind {_DEEPEST} others: it probably starts itself. "
            "Take its own entry out of the configuration it reads."
        )
    file = find(config)
    as_of = fingerprint(str(file))
    settings = _loaded(file, profile)
    given = {key: value for key, value in overrides.items() if value is not None}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=given)})
    # Each door is opened by itself: the other one's libraries would only cost time.
    if settings.server.transport == "stdio":
        from mcp_proxy.transports import serve_stdio  # noqa: PLC0415

        await serve_stdio(settings, file, as_of)
    else:
        from mcp_proxy.http_server import serve_http  # noqa: PLC0415

        await serve_http(settings, file)


@main.command()
@click.argument("query", required=False)
@click.option("--tokens", is_flag=True, help="Say what the definitions cost a model, by server and exposure.")
@click.option(
    "--refresh", is_flag=True, help="Start every upstream and ask it, also where its tools are known."
)
@_json_flag
@_profiled
@_configured
@_running_loop
async def tools(
    config: Path | None, query: str | None, profile: str | None, *, refresh: bool, tokens: bool, as_json: bool
) -> None:
    """List the tools of all upstreams, or those that match QUERY, best first.

    Only upstreams of which nothing is known yet are started for it.
    """
    settings = _loaded(config, profile)
    async with _started(settings, wait_for_all=refresh) as board:
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
        rows = ((tool.qualified, tool.description.partition("\n")[0]) for tool in found)
        print_rows(f"{len(found)} tools", ("tool", "description"), rows)


def _with_findings(tool: ToolEntry, catalog: Catalog) -> dict[str, Any]:
    """A tool as clients see it, and beside it what the scan says of its definition."""
    findings = scan(tool.definition, names_beside(tool.upstream, catalog.offers))
    return {**tool.listed(), **({"findings": [str(finding) for finding in findings]} if findings else {})}


@main.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--args", "args_json", help="The arguments as a JSON object; KEY=VALUE pairs are added to it.")
@_json_flag
@_profiled
@_configured
@_running_loop
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
    settings = _loaded(config, profile)
    may_have = owners(name, settings)
    # A profile may have it that a name says nothing of whose tool it is.
    is_known = bool(may_have.upstreams) and not settings.server.profile
    async with _started(may_have if is_known else settings, wait_for_all=is_known) as board:
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
    for owner in owners(name, desk.board.settings).upstreams:
        status = desk.board.upstreams[owner].status
        if status.state is State.DOWN:
            return click.ClickException(str(UpstreamUnavailableError(owner, status.reason)))
    near = ", ".join(candidate.tool.qualified for candidate in await desk.retrieval.search(name, 3))
    return click.UsageError(f"there is no tool {name!r}; near: {near or 'none'}")


@main.command()
@click.argument("task")
@click.option("--yes", is_flag=True, help="Approve a call that may destroy data.")
@click.option("--dry-run", is_flag=True, help="Only say what would be called.")
@click.option(
    "--answer",
    "answers",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value for a parameter the task leaves out.",
)
@_json_flag
@_profiled
@_configured
@_running_loop
async def do(
    config: Path | None,
    task: str,
    answers: tuple[str, ...],
    profile: str | None,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out TASK, given in plain words."""
    person = TerminalPerson(approve=yes, silent=as_json)
    await _do(
        _loaded(config, profile), Task(task, split_pairs(answers)), person, dry_run=dry_run, as_json=as_json
    )


@main.command()
@click.argument("task")
@_json_flag
@_profiled
@_configured
@_running_loop
async def plan(config: Path | None, task: str, profile: str | None, *, as_json: bool) -> None:
    """Say what `do` would call for TASK, without calling it."""
    person = TerminalPerson(approve=False, silent=True)
    await _do(_loaded(config, profile), Task(task), person, dry_run=True, as_json=as_json)


@main.command()
@_json_flag
@_configured
@_running_loop
async def upstreams(config: Path | None, *, as_json: bool) -> None:
    """Start every upstream and say how it went."""
    async with _started(load(config), wait_for_all=True) as board:
        statuses = [upstream.status for upstream in board.upstreams.values()]
    if as_json:
        print_json([{**status.as_dict()} for status in statuses])
    else:
        heads = ("name", "state", "tools", "server", "protocol", "started in", "restarts", "reason")
        rows = map(_status_row, statuses)
        print_rows("Upstreams", heads, rows)
        for status in statuses:
            for each in status.left_out:
                stderr.print(
                    f"[yellow]{escape(status.upstream)} lists what the protocol does not allow[/]: {escape(str(each))}"
                )
    if any(status.state is not State.READY for status in statuses):
        raise SystemExit(Exit.FAILED)


def _status_row(status: Status) -> tuple[object, ...]:
    started = f"{status.start_ms:,.0f} ms" if status.connects else ""
    restarts = max(status.connects - 1, 0)
    about = (status.upstream, status.state.value, status.tools, status.server, status.protocol)
    return (*about, started, restarts, status.reason)


@main.command()
@click.option(
    "--flow",
    is_flag=True,
    help="With claude-flow, flow-nexus, agentic-payments and ruv-swarm from npm (needs Node).",
)
@_json_flag
@_running_loop
async def demo(*, flow: bool, as_json: bool) -> None:
    """Start demonstration servers and carry out tasks given in plain words."""
    from mcp_proxy.demo.tour import tour  # noqa: PLC0415  only this command needs it

    outcomes = await tour(flow=flow, show=not as_json)
    if as_json:
        print_json([describe(outcome) for outcome in outcomes])


async def _do(
    settings: Settings, task: Task, person: TerminalPerson, *, dry_run: bool, as_json: bool
) -> None:
    async with _started(settings) as board:
        desk = Desk(board, settings.server.profile)
        await _indexed(desk)
        outcome = await _reported(desk.do(task, person, dry_run=dry_run, client=_CLIENT))
    show_outcome(outcome, as_json=as_json)


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome and leave with the exit code that belongs to it."""
    if as_json:
        print_json({**describe(outcome), "content": (outcome.result or {}).get("content", [])})
    else:
        print_outcome(outcome)
    failed = outcome.result is not None and outcome.result.get("isError")
    raise SystemExit(Exit.FAILED if failed else _EXITS[outcome.ending])


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


@asynccontextmanager
async def _started(settings: Settings, *, wait_for_all: bool = False) -> AsyncGenerator[Switchboard]:
    """A switchboard that knows what its upstreams offer; the ones that failed are named on stderr.

    Args:
        settings: what to start.
        wait_for_all: start every upstream and wait for it, however long it may take; else only those are started of
            which nothing is known from before, and waited for as long as a client would, and those that are called.
    """
    async with running(settings if wait_for_all else asleep(settings)) as board:
        with stderr.status(f"starting {len(board.upstreams)} upstreams…"):
            await (board.wait_started() if wait_for_all else board.wait_startup())
        for upstream in board.upstreams.values():
            status = upstream.status
            if status.state is State.DOWN:
                stderr.print(
                    f"[red]{escape(status.upstream)} is {status.state.value}[/]: {escape(status.reason)}"
                )
        yield board


async def _indexed(desk: Desk) -> None:
    """Wait for the tools to be embedded, but not for ever: what is done stays done, and words are searched meanwhile."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show_progress, desk.retrieval)
        with anyio.move_on_after(_INDEXING):
            await desk.retrieval.complete()
        tasks.cancel_scope.cancel()


for _command in (*cli_setup.COMMANDS, cli_pins.pins):
    main.add_command(_command)
