"""What a proxy costs: the same calls direct, through Switchboard, and through FastMCP.

    python -m benchmarks.overhead [--rounds N] [--json PATH]

Every round measures every setup once, so that the machine's moods meet all alike. Needs the `bench`
extra and `make test-deps`; leaves no process running.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
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

from benchmarks.contestants import Contestant, contestants, end_left_behind, environment, upstreams
from benchmarks.overhead_report import RECORD, Measured, Record, Sample, conditions, save, table
from benchmarks.raw_client import RawClient, ServerFailedError, started
from tests import npm_upstreams

SEQUENTIAL, CONCURRENT, IN_FLIGHT, LISTINGS = 300, 2000, 16, 30

SECONDS = 6.0
"""The most that one series of calls or listings may take; a slow setup makes fewer."""

CLAUDE_FLOW_TOOLS = 353

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Setup:
    """A contestant, and the upstreams behind it: while calls are timed, and while listings are."""

    contestant: Contestant
    for_calls: tuple[str, ...]
    for_listings: tuple[str, ...]


def setups() -> list[Setup]:
    """Everyone with one upstream, then the proxies with three. The direct one comes first."""
    direct, *proxies = contestants()
    three = ("everything", "again", "claude-flow")
    return [
        *(Setup(each, ("everything",), ("claude-flow",)) for each in (direct, *proxies)),
        *(Setup(each, three, three) for each in proxies),
    ]


async def measure(setup: Setup) -> Sample:
    """One setup, once: a fresh process for the calls and another for the listings."""
    calls, left = await _in_fresh_folder(lambda folder: _time_calls(setup, folder))
    listings, left_too = await _in_fresh_folder(lambda folder: _time_listings(setup, folder))
    return Sample(**calls, **listings, left_behind=left + left_too)


async def _time_calls(setup: Setup, folder: Path) -> Figures:
    """From the start of the process to its first tools/list; then `echo`, one by one and sixteen at once."""
    names = setup.for_calls
    echo = setup.contestant.tool(names[0], "echo", len(names))
    call = {"name": echo, "arguments": {"message": "hello"}}
    began = time.perf_counter()
    async with _serving(setup.contestant, names, folder) as client:
        tools = await client.tools()
        first_list = time.perf_counter() - began
        if echo not in tools:
            raise ServerFailedError(f"{setup.contestant.name} does not list {echo}, but {tools}")
        one_by_one = await client.call_repeatedly(call, SEQUENTIAL, in_flight=1, seconds=SECONDS)
        began = time.perf_counter()
        at_once = await client.call_repeatedly(call, CONCURRENT, in_flight=IN_FLIGHT, seconds=SECONDS)
        took = time.perf_counter() - began
    return {
        "first_list_s": first_list,
        "call_p50_ms": median(one_by_one) * 1000,
        "call_p95_ms": sorted(one_by_one)[ceil(0.95 * len(one_by_one)) - 1] * 1000,
        "calls_per_s": len(at_once) / took,
    }


async def _time_listings(setup: Setup, folder: Path) -> Figures:
    """A catalog with claude-flow's tools in it, listed again and again."""
    async with _serving(setup.contestant, setup.for_listings, folder) as client:
        tools = await client.tools()
        if len(tools) < CLAUDE_FLOW_TOOLS:
            raise ServerFailedError(f"{setup.contestant.name} lists {len(tools)} tools only")
        took: list[float] = []
        while len(took) < LISTINGS and sum(took) < SECONDS:
            began = time.perf_counter()
            await client.tools()
            took.append(time.perf_counter() - began)
    return {"listing_p50_ms": median(took) * 1000, "tools_listed": len(tools)}


@contextlib.asynccontextmanager
async def _serving(contestant: Contestant, names: tuple[str, ...], folder: Path) -> AsyncGenerator[RawClient]:
    command = contestant.command(folder, upstreams(names, folder))
    async with started(command, environment(folder), folder) as client:
        await client.initialize()
        yield client


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


async def run(rounds: int) -> Record:
    """All setups, `rounds` times over."""
    everything = setups()
    samples: list[list[Sample]] = [[] for _ in everything]
    for number in range(rounds):
        for setup, taken in zip(everything, samples, strict=True):
            taken.append(await measure(setup))
            print(f"round {number + 1}: {setup.contestant.name}: {taken[-1]}", file=sys.stderr)
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        versions=_versions(),
        setups=tuple(
            Measured(setup.contestant.name, len(setup.for_calls), tuple(taken))
            for setup, taken in zip(everything, samples, strict=True)
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
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    record = asyncio.run(run(arguments.rounds))
    save(record, arguments.json)
    print(f"\n{table(record)}\n\n{conditions(record)}")


if __name__ == "__main__":
    main()
