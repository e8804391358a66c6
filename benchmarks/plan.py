"""What planning a task costs, and how often the planner takes a right tool; recorded in results/plan.json.

    python -m benchmarks.plan

Each of the questions in data/catalog_questions.json is planned among the 20 tools found for it, by words and by
meaning, in the catalog of twelve real servers. Times are processor time of the one thread that works; the first plan
of a tool, which reads its definition, is timed apart from later ones.
"""

import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from benchmarks.scan import catalogs
from local_llm import Plan, Task
from local_llm.encoder.minilm import MiniLm
from local_llm.pocket import PocketPlanner, next_request
from tool_registry import Candidate, Catalog, ToolIndex

HERE = Path(__file__).parent
RECORD = HERE / "results" / "plan.json"
QUESTIONS = HERE / "data" / "catalog_questions.json"
_CANDIDATES = 20
_ROUNDS = 5
"""How often each question is planned with tools that are known already; the fastest counts."""


async def measure() -> dict[str, Any]:
    """Retrieve for and plan every question; times in milliseconds of processor time."""
    tools = list(Catalog(tuple(catalogs())).tools.values())
    encoder = MiniLm()
    index = ToolIndex(tools)
    index = index.with_vectors(
        {text: encoder.embed(text).astype(np.float16) for text in dict.fromkeys(index.passages)}
    )
    questions: list[dict[str, Any]] = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    retrieving: list[float] = []
    first: list[float] = []
    later: list[float] = []
    planned = right = 0
    known = PocketPlanner()
    for question in questions:
        task = Task(question["question"])
        began = time.thread_time()
        found = index.search(request := next_request(task), _CANDIDATES, vector=encoder.embed(request))
        retrieving.append((time.thread_time() - began) * 1e3)
        first.append(await _timed(PocketPlanner(), task, found))
        later.append(min([await _timed(known, task, found) for _ in range(_ROUNDS)]))
        plan = await known.plan(task, found)
        if isinstance(plan, Plan):
            planned += 1
            right += f"{plan.call.tool.upstream}:{plan.call.tool.name}" in question["tools"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "tools": len(tools),
        "candidates": _CANDIDATES,
        "questions": len(questions),
        "planned": planned,
        "right_tool": right,
        "retrieve_ms": _spread(retrieving),
        "plan_ms": _spread(later),
        "plan_first_ms": _spread(first),
    }


async def _timed(planner: PocketPlanner, task: Task, candidates: Sequence[Candidate]) -> float:
    began = time.thread_time()
    await planner.plan(task, candidates)
    return (time.thread_time() - began) * 1e3


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1)}


def load() -> dict[str, Any]:
    """The recorded results."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def said(record: Mapping[str, Any]) -> str:
    """What planning costs, in a sentence."""
    plan, first, found = record["plan_ms"], record["plan_first_ms"], record["retrieve_ms"]
    return (
        f"{plan['p50']:g} ms p50 and {plan['p95']:g} ms p95 ({first['p50']:g} and {first['p95']:g} ms the first time its "
        f"tools are read), after {found['p50']:g} and {found['p95']:g} ms of finding {record['candidates']} candidates "
        f"among {record['tools']} tools"
    )


def tools_taken(record: Mapping[str, Any]) -> str:
    """How often a right tool was taken."""
    return (
        f"a plan for {record['planned']} of {record['questions']} questions, with a right tool for "
        f"{record['right_tool']} of them"
    )


def main() -> None:
    record = anyio.run(measure)
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
