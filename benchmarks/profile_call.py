"""Where the time of one call goes: a real `switchboard serve`, with a clock around each of its steps.

    python -m benchmarks.profile_call [--calls N] [--json PATH]

Steps are timed exclusively of one another, and the median of each over all calls is taken, so that a busy
machine counts little. What the steps leave of the process's CPU time is the event loop and the kernel.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import orjson

from benchmarks.contestants import contestants, end_left_behind, environment, upstreams
from benchmarks.profile_report import RECORD, Profile, save, table
from benchmarks.raw_client import RawClient, started

UPSTREAM = "everything"
WARMING = 200
"""Calls that are made first, so that everything is loaded, compiled and in the caches."""

_TIMES = "PROFILE_CALL_TIMES"
"""The variable that names the file the measured process writes its times to, and makes it measure."""


class Clocks:
    """Nanoseconds by step, of every time it was taken."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        self._inside: list[int] = []

    def around(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed without what is timed inside it."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0)
            began = perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                took = perf_counter_ns() - began
                self.times[step].append(took - self._inside.pop())
                if self._inside:
                    self._inside[-1] += took

        return timed


def serve_timed(arguments: list[str], times: Path) -> None:
    """Be `switchboard` with these arguments, and write at the end how long the steps took."""
    from mcp_proxy import (  # noqa: PLC0415  the measured process only
        cli,
        connection,
        flights,
        lane,
        pipes,
        raw_calls,
        reading,
        relay,
        upstreams,
    )

    clocks = Clocks()

    def clock(step: str, owner: Any, name: str) -> None:
        setattr(owner, name, clocks.around(step, getattr(owner, name)))

    timed = {"loads": clocks.around("parse", orjson.loads), "dumps": clocks.around("serialize", orjson.dumps)}
    for module in (pipes, reading, lane):
        setattr(module, "orjson", SimpleNamespace(**{**vars(orjson), **timed}))  # noqa: B010  typed as a module
    clock("lines", pipes.Pipe, "received")
    clock("write", pipes.Pipe, "write_line")
    clock("decide", lane.FastLane, "_call")
    clock("validate", lane, "_fits")
    clock("send", upstreams.Upstream, "try_send")
    clock("send", raw_calls.RawCalls, "send")
    clock("send", relay.Relay, "on_behalf_now")
    clock("send", connection, "stamped")
    clock("answer", raw_calls.RawCalls, "_take")
    clock("answer", lane.FastLane, "_answered")
    clock("journal", flights.Flight, "record")
    clock("journal", lane.FastLane, "_note")
    sys.argv = ["switchboard", *arguments]
    try:
        cli.main()
    finally:
        times.write_text(json.dumps(clocks.times), encoding="utf-8")


async def measure(calls: int) -> Profile:
    """A call of the reference server's `echo`, direct and through Switchboard."""
    direct, _ = await _calls(contestants()[0].command, "echo", calls, {})
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times.json"
        took, cpu = await _calls(_timed_switchboard, f"{UPSTREAM}__echo", calls, {_TIMES: str(times)})
        steps: Mapping[str, list[int]] = json.loads(times.read_text(encoding="utf-8"))
    made = calls + WARMING
    return Profile(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        load=os.getloadavg()[0],
        calls=calls,
        direct_us=median(direct) * 1e6,
        through_us=median(took) * 1e6,
        cpu_us=cpu * 1e6,
        steps_us={step: median(each) * round(len(each) / made) / 1000 for step, each in steps.items()},
    )


def _timed_switchboard(folder: Path, launches: Mapping[str, Any]) -> list[str]:
    _, *arguments = contestants()[1].command(folder, launches)
    return [sys.executable, "-m", "benchmarks.profile_call", *arguments]


async def _calls(
    command: Callable[..., list[str]], tool: str, calls: int, variables: Mapping[str, str]
) -> tuple[list[float], float]:
    """Seconds that each call took, and CPU seconds that the server spent on one."""
    call = {"name": tool, "arguments": {"message": "hello"}}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        env = {**environment(folder), "PYTHONPATH": str(Path(__file__).parent.parent), **variables}
        async with started(command(folder, upstreams((UPSTREAM,), folder)), env, folder) as client:
            await client.initialize()
            await client.tools()
            await client.call_repeatedly(call, WARMING, in_flight=1, seconds=60)
            before = _cpu_seconds(client)
            took = await client.call_repeatedly(call, calls, in_flight=1, seconds=600)
            spent = _cpu_seconds(client) - before
        await end_left_behind(folder)
    return took, spent / calls


def _cpu_seconds(client: RawClient) -> float:
    """What all threads of a server have run, by the scheduler; 0 where it cannot be known."""
    tasks = Path(f"/proc/{client.process.pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.glob("*")) / 1e9


def main() -> None:
    if times := os.environ.get(_TIMES):
        serve_timed(sys.argv[1:], Path(times))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_call", description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="how many calls are timed (default 5000)")
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    profile = asyncio.run(measure(arguments.calls))
    save(profile, arguments.json)
    print(table(profile))


if __name__ == "__main__":
    main()
