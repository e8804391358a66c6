"""Does it lose answers, leak, or leave anything behind? A long run of mixed calls, while upstreams are killed.

    python -m benchmarks.soak [--transport stdio|http] [--calls N] [--seconds S] [--json PATH]

Exits 1 if a single answer was lost, doubled or wrong, if memory grew, or if anything was left. Linux only.
When memory counts as grown is written in `soak_memory`.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import IO

from benchmarks.contestants import end_left_behind, environment, running
from benchmarks.soak_links import Link, linked
from benchmarks.soak_memory import Sample
from benchmarks.soak_report import RECORD, Held, Record, Run, save, table
from benchmarks.soak_traffic import EVERYTHING_LISTED, UPSTREAMS, Ledger, Mix
from tests.serving import configured

TRANSPORTS = ("stdio", "http")
CALLS = 100_000
"""Requests over each transport: some three minutes over stdio and ten over HTTP, on two cores."""
SECONDS = 3600.0
FIRST_CALLS = 300
"""Asked before anything is counted or killed, so that what is made once is there at the start."""

LEAST_IN_FLIGHT, MOST_IN_FLIGHT = 16, 64
CANCELLED = 0.05
"""The part of the requests that the client cancels: at once, or a few requests later."""

RECONNECT_EVERY = 500
"""Requests of one client before the next one comes, where the transport knows of clients."""

FIRST_KILL, KILL_EVERY = 0.5, 4.0
"""Seconds until one upstream is killed, and between that and the next."""

SAMPLE_EVERY = 1.0
"""Seconds between one look at the memory and the next."""

CALL_TIMEOUT = 20.0
"""Seconds; so long only takes what was lost on the way."""

SESSION_IDLE = 30.0
"""Seconds after which a session whose client has vanished ends. With the default, half an hour, a soak would only
ever see such sessions gather, and never see one freed."""

PATIENCE = 60.0
"""Seconds without any answer after which the run is over."""

SETTLING = 60.0
"""Seconds that upstreams have to be back at the end."""

LOG_SHOWN = 5000
"""Characters."""


@dataclass(slots=True)
class Soak:
    """One proxy under load."""

    link: Link
    folder: Path
    mix: Mix
    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list[Sample])
    kills: int = 0
    _doomed: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Requests to cancel, by the number of the request after which that is due."""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, calls: int, deadline: float) -> None:
        """Ask so many requests, with fewer and more in flight by turns, then wait for the last answer."""
        first = self.ledger.last_id + 1
        for number in range(first, first + calls):
            if time.monotonic() > deadline:
                break
            await self._until_waiting_below(_in_flight(number))
            if number % RECONNECT_EVERY == 0:
                await self.link.reconnect()
            await self.link.send(self.ledger.ask(self.mix.request()))
            await self._cancel_some(number)
        await self._until_waiting_below(1)

    async def _cancel_some(self, number: int) -> None:
        """Cancel what is due after request `number`, which may be that very one."""
        if self.mix.random.random() < CANCELLED:
            due = number + self.mix.random.choice((0, 0, 1, 3, 10, 30))
            self._doomed.setdefault(due, []).append(number)
        for doomed in self._doomed.pop(number, ()):
            if message := self.ledger.cancel(doomed):
                await self.link.send(message)

    async def _until_waiting_below(self, limit: int) -> None:
        """Wait for answers.

        Raises:
            TimeoutError: none comes any more.
        """
        while self.ledger.waiting >= limit:
            self._answered.clear()
            await asyncio.wait_for(self._answered.wait(), PATIENCE)

    async def read(self) -> None:
        """Note everything the proxy says. Ends only by cancellation."""
        while True:
            self.ledger.take(await self.link.receive())
            self._answered.set()

    async def kill(self) -> None:
        """Kill one upstream after the other. Ends only by cancellation."""
        pause = FIRST_KILL
        while True:
            await asyncio.sleep(pause)
            pause = KILL_EVERY
            if upstreams := [pid for pid in running(self.folder) if _is_upstream(pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.mix.random.choice(upstreams), signal.SIGKILL)
                    self.kills += 1

    async def watch(self) -> None:
        """Measure the proxy's memory, again and again. Ends only by cancellation."""
        while True:
            self.samples.append(sample(self.link.client.process.pid, self.ledger.last_id))
            await asyncio.sleep(SAMPLE_EVERY)

    def held(self) -> Held:
        """What the proxy holds at this moment."""
        descriptors = Path(f"/proc/{self.link.client.process.pid}/fd").iterdir()
        return Held(sum(1 for _ in descriptors), len(running(self.folder)))


def sample(pid: int, requests: int) -> Sample:
    """The memory a process holds once it has been asked so many requests."""
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount, _ = line.split()
        kib[name] = int(amount)
    private = kib["Private_Clean:"] + kib["Private_Dirty:"]
    return Sample(requests, round(kib["Rss:"] / 1024, 1), round(private / 1024, 1))


async def soak(transport: str, calls: int, seconds: float, seed: int = 0) -> Run:
    """One proxy, from its start to its end."""
    # A killed process may still be writing there.
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            async with linked(transport, _configuration(folder), folder) as link:
                run = await _measure(Soak(link, folder, Mix(seed)), transport, calls, seconds)
                logged = _logged(link.client.log)
        finally:
            left = await end_left_behind(folder)
    return replace(run, logged=logged, exit_code=link.client.process.returncode or 0, left_behind=left)


async def _measure(soaked: Soak, transport: str, calls: int, seconds: float) -> Run:
    """Everything but what shows when the proxy has ended."""
    began, ledger = time.monotonic(), soaked.ledger
    deadline = began + seconds
    async with _meanwhile(soaked.read):
        await soaked.link.send(ledger.ask(EVERYTHING_LISTED))
        await soaked.ask(FIRST_CALLS, deadline)
        before = soaked.held()
        with contextlib.suppress(TimeoutError):
            async with _meanwhile(soaked.watch, soaked.kill):
                await soaked.ask(calls, deadline)
        took = time.monotonic() - began
        after = await _settled(soaked.held, before)
    ledger.close()
    percentiles = quantiles(ledger.echo_seconds, n=100)
    return Run(
        transport=transport,
        asked=dict(ledger.asked),
        seconds=round(took, 1),
        answers=ledger.answers,
        echo_p50_ms=round(percentiles[49] * 1000, 1),
        echo_p99_ms=round(percentiles[98] * 1000, 1),
        kills=soaked.kills,
        connections=soaked.link.connections,
        samples=tuple(soaked.samples),
        before=before,
        after=after,
        examples=tuple(ledger.examples),
    )


def _configuration(folder: Path) -> Path:
    """Every upstream, marked as the proxy is, so that those left behind can be found."""
    marks = {key: value for key, value in environment(folder).items() if value == str(folder)}
    upstreams = {
        name: {**upstream, "env": marks, "call_timeout": CALL_TIMEOUT} for name, upstream in UPSTREAMS.items()
    }
    return configured(
        folder,
        upstreams,
        server={"startup_wait": SETTLING, "session_idle": SESSION_IDLE},
        results={"budget": 0},
    )


def _in_flight(number: int) -> int:
    """How many requests may be in flight while request `number` is: up and down, in steps of fifty requests."""
    span = MOST_IN_FLIGHT - LEAST_IN_FLIGHT
    return LEAST_IN_FLIGHT + abs(number // 50 % (2 * span) - span)


def _is_upstream(pid: int) -> bool:
    try:
        return b"tests/upstreams" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def _logged(log: IO[bytes]) -> str:
    """The end of what the proxy logged, which logs errors only."""
    log.seek(0)
    return log.read().decode(errors="replace")[-LOG_SHOWN:]


@contextlib.asynccontextmanager
async def _meanwhile(*works: Callable[[], Coroutine[None, None, None]]) -> AsyncGenerator[None]:
    """Have endless work done until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(work()) for work in works]
        yield
        for task in working:
            task.cancel()


async def _settled(held: Callable[[], Held], before: Held) -> Held:
    """What is held once everything is as it was before, or when that takes too long."""
    deadline = time.monotonic() + SETTLING
    # There is no event to wait for, here and below: the processes are not our children.
    while not (now := held()).is_back_to(before) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return now


async def _record(transports: Sequence[str], calls: int, seconds: float) -> Record:
    runs: list[Run] = []
    for transport in transports:
        runs.append(run := await soak(transport, calls, seconds))
        print(
            f"{transport}: {', '.join([*run.faults()]) or 'no fault'}", *run.examples, run.logged, sep="\n  "
        )
        print(f"  {run.answers}")
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        runs=tuple(runs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--transport", choices=TRANSPORTS, help="this one only")
    parser.add_argument("--calls", type=int, default=CALLS, help="requests over each transport")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the most that either one may take")
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    transports = (arguments.transport,) if arguments.transport else TRANSPORTS
    record = asyncio.run(_record(transports, arguments.calls, arguments.seconds))
    save(record, arguments.json)
    print(f"\n{table(record)}")
    sys.exit(any([*run.faults()] for run in record.runs))


if __name__ == "__main__":
    main()
