"""What a proxy costs: the same calls direct, through Switchboard, and through FastMCP.

    python -m benchmarks.overhead [--rounds N] [--only TEXT] [--json PATH]

Every round measures every setup once, so that the machine's moods meet all alike. Needs the `bench`
extra and `make test-deps`; leaves no process running.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contestants import Contestant, contestants, end_left_behind, environment, upstreams
from benchmarks.overhead_report import (
    RECORD,
    Client,
    Measured,
    Record,
    Sample,
    conditions,
    save,
    table,
    verdicts,
)
from benchmarks.raw_client import RawClient, ServerFailedError, started
from benchmarks.raw_http_client import RawHttpClient, serving_http
from tests import npm_upstreams

IN_FLIGHT = 16

SECONDS = 6.0
"""The most that one series of calls or listings may take; a slow setup makes fewer."""

CLAUDE_FLOW_TOOLS = 353

Figures = dict[str, Any]
"""Fields of a `Sample`."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How often things are done in one sample."""

    sequential: int = 300
    concurrent: int = 2000
    listings: int = 30
    rounds: int | None = None
    """The rounds it takes part in; None for all."""


HOPELESS = Effort(sequential=2, concurrent=0, listings=1, rounds=1)
"""For a setup in which every call starts ten servers anew: sixteen at once would be 160 processes."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A contestant, how it is spoken to, and the upstreams behind it while calls and while listings are timed."""

    contestant: Contestant
    client: Client
    for_calls: tuple[str, ...]
    for_listings: tuple[str, ...]
    """Empty where claude-flow's catalog cannot be listed in the same way."""
    effort: Effort = Effort()

    @property
    def name(self) -> str:
        return f"{self.contestant.name}, {len(self.for_calls)}, {self.client}"


def setups() -> list[Setup]:
    """Everyone with one upstream, then the proxies with three and ten. The direct one comes first."""
    direct, switchboard, fastmcp = contestants()
    one, catalog = ("everything",), ("claude-flow",)
    three = ("everything", "again", "claude-flow")
    ten = ("everything", *(f"again{number}" for number in range(8)), "claude-flow")
    return [
        Setup(direct, "stdio", one, catalog),
        Setup(switchboard, "stdio", one, catalog),
        Setup(switchboard, "stateless", one, catalog),
        Setup(fastmcp, "stdio", one, catalog),
        Setup(switchboard, "stdio", three, three),
        Setup(fastmcp, "stdio", three, three),
        Setup(switchboard, "stdio", ten, ten),
        Setup(fastmcp, "stdio", ten, ten, HOPELESS),
        Setup(direct, "http", one, ()),
        Setup(switchboard, "http", one, ()),
    ]


async def measure(setup: Setup) -> Sample:
    """One setup, once: fresh processes for the calls and for the listings."""
    load = os.getloadavg()[0]
    calls, left = await _in_fresh_folder(lambda folder: _time_calls(setup, folder))
    listings: Figures = {}
    if setup.for_listings:
        listings, left_too = await _in_fresh_folder(lambda folder: _time_listings(setup, folder))
        left += left_too
    return Sample(**calls, **listings, left_behind=left, load=load)


async def _time_calls(setup: Setup, folder: Path) -> Figures:
    """From the start of the process to its first tools/list; `echo`, one by one and sixteen at once; a second start."""
    names, effort = setup.for_calls, setup.effort
    echo = setup.contestant.tool(names[0], "echo", len(names))
    call = {"name": echo, "arguments": {"message": "hello"}}
    serve = _server(setup, names, folder)
    began = time.perf_counter()
    async with serve() as client:
        first_list = await _time_to_list(client, echo, began)
        one_by_one = await client.call_repeatedly(call, effort.sequential, in_flight=1, seconds=SECONDS)
        began = time.perf_counter()
        at_once = await client.call_repeatedly(call, effort.concurrent, in_flight=IN_FLIGHT, seconds=SECONDS)
        took = time.perf_counter() - began
    began = time.perf_counter()
    async with serve() as client:
        again_list = await _time_to_list(client, echo, began)
        await client.call(call)
        again_call = time.perf_counter() - began
    return {
        "first_list_s": first_list,
        "again_list_s": again_list,
        "again_call_s": again_call,
        "call_p50_ms": median(one_by_one) * 1000,
        "call_p95_ms": sorted(one_by_one)[ceil(0.95 * len(one_by_one)) - 1] * 1000,
        "calls_per_s": len(at_once) / took if at_once else None,
    }


async def _time_to_list(client: RawClient | RawHttpClient, tool: str, began: float) -> float:
    """Seconds from `began` to the first list of tools, which has to have `tool` in it."""
    await client.initialize()
    tools = await client.tools()
    took = time.perf_counter() - began
    if tool not in tools:
        raise ServerFailedError(f"{tool} is not listed, but {tools}")
    return took


async def _time_listings(setup: Setup, folder: Path) -> Figures:
    """A catalog with claude-flow's tools in it, listed again and again."""
    async with _server(setup, setup.for_listings, folder)() as client:
        await client.initialize()
        tools = await client.tools()
        if len(tools) < CLAUDE_FLOW_TOOLS:
            raise ServerFailedError(f"{setup.contestant.name} lists {len(tools)} tools only")
        took: list[float] = []
        while len(took) < setup.effort.listings and sum(took) < SECONDS:
            began = time.perf_counter()
            await client.tools()
            took.append(time.perf_counter() - began)
    return {"listing_p50_ms": median(took) * 1000, "tools_listed": len(tools)}


def _server(
    setup: Setup, names: tuple[str, ...], folder: Path
) -> Callable[[], contextlib.AbstractAsyncContextManager[RawClient | RawHttpClient]]:
    """Starts the server of a setup, every time in the same folder, with the same file of servers."""
    contestant, launches = setup.contestant, upstreams(names, folder)
    if setup.client == "http":
        assert contestant.http_command
        port = _free_port()
        command = contestant.http_command(folder, launches, port)
        return lambda: serving_http(command, environment(folder, port), folder, port)
    command, is_stateless = contestant.command(folder, launches), setup.client == "stateless"

    @contextlib.asynccontextmanager
    async def over_stdio() -> AsyncGenerator[RawClient]:
        async with started(command, environment(folder), folder, is_stateless=is_stateless) as client:
            yield client

    return over_stdio


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _in_fresh_folder(work: Callable[[Path], Awaitable[Figures]]) -> tuple[Figures, int]:
    """What `work` measures, and how many processes it left behind, which are ended here."""
    # A killed process may still be writing there.
    with tempfile.TemporaryDirectory(prefix="overhead-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            figures = await work(folder)
        finally:
            left = await end_left_behind(folder)
    return figures, left


async def run(rounds: int, chosen: list[Setup]) -> Record:
    """The chosen setups, `rounds` times over.

    Raises:
        ServerFailedError: a setup failed in every round.
    """
    samples: list[list[Sample]] = [[] for _ in chosen]
    failures: list[str] = []
    load = os.getloadavg()[0]
    for number in range(rounds):
        for setup, taken in zip(chosen, samples, strict=True):
            if setup.effort.rounds is None or number < setup.effort.rounds:
                try:
                    taken.append(await measure(setup))
                    said = str(taken[-1])
                except* ServerFailedError as group:
                    failures.append(f"round {number + 1}: {setup.name}: {group.exceptions[0]}")
                    said = failures[-1]
                print(f"round {number + 1}: {setup.name}: {said}", file=sys.stderr)
    if missing := [setup.name for setup, taken in zip(chosen, samples, strict=True) if not taken]:
        raise ServerFailedError(f"never measured: {missing}; {failures}")
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        load=load,
        versions=_versions(),
        failures=tuple(failures),
        setups=tuple(
            Measured(setup.contestant.name, len(setup.for_calls), setup.client, tuple(taken))
            for setup, taken in zip(chosen, samples, strict=True)
        ),
    )


def _versions() -> dict[str, str]:
    packages = ("mcp-switchboard", "fastmcp", "mcp")
    wanted = json.loads((npm_upstreams.FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    servers = ("@modelcontextprotocol/server-everything", "claude-flow", "node")
    return {**{name: version(name) for name in packages}, **{name: wanted[name] for name in servers}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each setup is measured (default 5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="measure only direct, and what this is in")
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    if arguments.only and arguments.json == RECORD:
        parser.error("the record in the repository is of all setups: give --json a path of your own")
    first, *others = setups()
    chosen = [first, *(setup for setup in others if arguments.only.lower() in setup.name.lower())]
    record = asyncio.run(run(arguments.rounds, chosen))
    save(record, arguments.json)
    print(f"\n{table(record)}\n\n{conditions(record)}\n\n{verdicts(record)}")


if __name__ == "__main__":
    main()
