"""The command line. Results go to stdout, everything else to stderr; `--json` makes results machine-readable."""

import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import anyio
import click
from mcp import MCPError
from rich.markup import escape

from mcp_proxy import __version__, cli_calls, cli_eval, cli_journal, cli_pins, cli_setup, logs
from mcp_proxy.cli_options import Exit, Refusal, configured, json_flag, loaded, profiled, running_loop
from mcp_proxy.config import find, load
from mcp_proxy.greeting import fingerprint
from mcp_proxy.one_shot import started
from mcp_proxy.render import print_json, print_rows, stderr
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.telling import describe
from mcp_proxy.upstreams import NESTING, State, Status, UpstreamUnavailableError

__all__ = ["Exit", "main"]

_PING = 5.0
"""Seconds that `upstreams` waits for the answer to a ping."""

_DEEPEST = 3
"""How many switchboards may stand in front of one another; one that starts itself would go on for ever."""


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
@profiled
@configured
@running_loop
async def serve(config: Path | None, profile: str | None, **overrides: str | int | None) -> None:
    """Serve MCP to clients, over stdio unless configured otherwise."""
    if int(os.environ.get(NESTING, "0")) >= _DEEPEST:
        raise Refusal(
            f"Switchboard stands behind {_DEEPEST} others: it probably starts itself. "
            "Take its own entry out of the configuration it reads."
        )
    file = find(config)
    as_of = fingerprint(str(file))
    settings = loaded(file, profile)
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
@json_flag
@configured
@running_loop
async def upstreams(config: Path | None, *, as_json: bool) -> None:
    """Start every upstream and say how it went.

    In a pipe, a line for each without a heading, its fields separated by tabs: name, state, tools, server, protocol,
    started in, latency, restarts, reason. The exit code is 1 unless all are ready.
    """
    async with started(load(config), wait_for_all=True) as board:
        statuses = [upstream.status for upstream in board.upstreams.values()]
        held = Counter(tool.upstream for tool in board.snapshot.catalog.tools.values() if tool.quarantine)
        latencies = {status.upstream: await _latency_ms(board, status) for status in statuses}
    if as_json:
        print_json(
            [
                {
                    **status.as_dict(),
                    "quarantined": held[status.upstream],
                    "latency_ms": latencies[status.upstream],
                }
                for status in statuses
            ]
        )
    else:
        heads = (
            "name",
            "state",
            "tools",
            "server",
            "protocol",
            "started in",
            "latency",
            "restarts",
            "reason",
        )
        rows = [_status_row(status, held[status.upstream], latencies[status.upstream]) for status in statuses]
        print_rows("Upstreams", heads, rows)
        for name, count in held.items():
            stderr.print(
                f"[yellow]{count} of the tools of {escape(name)} may not be called before you accept them[/]: "
                f"switchboard pins diff {escape(name)}, then switchboard pins accept {escape(name)}"
            )
        for status in statuses:
            for each in status.left_out:
                stderr.print(
                    f"[yellow]{escape(status.upstream)} lists what the protocol does not allow[/]: {escape(str(each))}"
                )
    if any(status.state is not State.READY for status in statuses):
        raise SystemExit(Exit.FAILED)


async def _latency_ms(board: Switchboard, status: Status) -> float | None:
    """How long a ping takes there and back; None when none comes back.

    A server that knows no ping says so, which takes as long.
    """
    if status.state is not State.READY:
        return None
    began = time.perf_counter()
    with anyio.move_on_after(_PING), suppress(UpstreamUnavailableError):
        with suppress(MCPError):
            await board.request(status.upstream, "ping", {})
        return round((time.perf_counter() - began) * 1000, 1)
    return None


def _status_row(status: Status, held: int, latency_ms: float | None) -> tuple[object, ...]:
    started = f"{status.start_ms:,.0f} ms" if status.connects else ""
    latency = "" if latency_ms is None else f"{latency_ms:,.1f} ms"
    restarts = max(status.connects - 1, 0)
    tools = f"{status.tools} ({held} quarantined)" if held else status.tools
    about = (status.upstream, status.state.value, tools, status.server, status.protocol)
    return (*about, started, latency, restarts, status.reason)


@main.command()
@click.option(
    "--flow",
    is_flag=True,
    help="With claude-flow, flow-nexus, agentic-payments and ruv-swarm from npm (needs Node).",
)
@json_flag
@running_loop
async def demo(*, flow: bool, as_json: bool) -> None:
    """Start demonstration servers and carry out tasks given in plain words."""
    from mcp_proxy.demo.tour import tour  # noqa: PLC0415  only this command needs it

    outcomes = await tour(flow=flow, show=not as_json)
    if as_json:
        print_json([describe(outcome) for outcome in outcomes])


for _command in (
    *cli_calls.COMMANDS,
    *cli_journal.COMMANDS,
    *cli_setup.COMMANDS,
    *cli_eval.COMMANDS,
    cli_pins.pins,
):
    main.add_command(_command)
