"""What `do` costs over the very call it leads to; recorded in results/do.json.

    python -m benchmarks.do

One client, `switchboard serve` with the demonstration's clock behind it: the same conversion by its own name and as a
task in plain words, by turns. What stages of `do` take (finding tools, planning, the call itself) it says of itself. The
journal is on, as it is by default: `do` waits for its entries, a direct call does not.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.raw_client import RawClient, require_success, started
from benchmarks.records import Records

RECORD = Path(__file__).parent / "results" / "do.json"
_TURNS = 300
_FIRST = 20
"""Turns that are not counted: imports and caches."""
_TASK = "convert 26.2 miles to kilometers"
_CALL = {
    "name": "clock__convert_units",
    "arguments": {"value": 26.2, "from_unit": "mile", "to_unit": "kilometer"},
}


@dataclass(frozen=True, slots=True)
class Run:
    """Milliseconds, medians of all turns."""

    date: str
    python: str
    turns: int
    direct: float
    do: float
    stages: dict[str, float]
    """Of `do`, by its own account."""


RECORDS = Records(Run, RECORD)


async def measure() -> Run:
    """Call by turns, directly and as a task."""
    direct: list[float] = []
    whole: list[float] = []
    stages: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="switchboard-do-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "mcp_proxy", "serve", "-c", str(_configured(folder))]
        async with started(command, dict(os.environ), folder) as client:
            await client.initialize()
            await client.tools()
            for turn in range(_FIRST + _TURNS):
                called, _ = await _timed(client, _CALL)
                done, result = await _timed(client, {"name": "do", "arguments": {"task": _TASK}})
                if turn < _FIRST:
                    continue
                direct.append(called)
                whole.append(done)
                for stage, spent in result["structuredContent"]["milliseconds"].items():
                    stages[stage].append(spent)
    return Run(
        datetime.now(UTC).date().isoformat(),
        platform.python_version(),
        _TURNS,
        _median(direct),
        _median(whole),
        {stage: _median(spent) for stage, spent in stages.items()},
    )


def _configured(folder: Path) -> Path:
    tables = [
        f'[upstreams.clock]\ncommand = {json.dumps(sys.executable)}\nargs = ["-m", "mcp_proxy.demo.clock"]',
        *(f"[{table}]\npath = {json.dumps(str(folder / table))}" for table in ("journal", "catalog", "pins")),
        "[search]\nmeaning = false",
        "[planner]\nthreshold = 0.5",
    ]
    path = folder / "switchboard.toml"
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


async def _timed(client: RawClient, params: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    result = await client.request("tools/call", params)
    spent = (time.perf_counter() - began) * 1e3
    require_success(result)
    return spent, result


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 2)


def said(run: Run) -> str:
    """What `do` costs, in a sentence."""
    planning = run.stages["retrieve"] + run.stages["plan"]
    return (
        f"{run.do:g} ms where the direct call takes {run.direct:g} ms (medians): {planning:.2g} ms to find and plan, "
        f"{run.stages['call']:g} ms for the call with its entry in the journal, and the rest for the task's own entries and result"
    )


def main() -> None:
    run = asyncio.run(measure())
    RECORDS.save(run, RECORD)
    print(said(run))


if __name__ == "__main__":
    main()
