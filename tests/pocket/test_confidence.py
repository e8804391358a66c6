"""How sure a plan is: what was fitted is shipped whole, and says what it should of clear and of doubtful tasks."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calls_sample import SAMPLE
from local_llm import Plan
from local_llm.calibration import PRECISIONS, Calibration, Knot
from local_llm.evaluation import read_records
from local_llm.pocket import thresholds
from local_llm.pocket.choose import Fit
from local_llm.pocket.confidence import FEATURES, FittedConfidence, Weights, features, shipped
from local_llm.pocket.fill import Filling
from local_llm.pocket.fit_confidence import (
    Observation,
    fit,
    fit_weights,
    is_for_weights,
    observe,
    weighed,
    write,
)
from local_llm.pocket.tool_reading import read_tool
from mcp_proxy.gate import EXECUTE_FROM
from tests.pocket.test_pocket_plans import PLANS, case_id, planned
from tool_registry import ToolEntry

SHARES = st.floats(0, 1)


def made(score: float, covered: float = 1.0, *reservations: str) -> Fit:
    tool = read_tool(ToolEntry("s", "t", "s__t", {"name": "t", "inputSchema": {"type": "object"}}))
    return Fit(Filling(tool, (), ()), score, covered, (), reservations)


def test_there_is_a_threshold_for_every_precision_and_more_precision_takes_more_confidence() -> None:
    levels = [thresholds()[precision] for precision in PRECISIONS]
    assert levels == sorted(levels)
    assert levels[0] <= 1


@given(score=SHARES, covered=SHARES, rival=SHARES | st.none())
def test_features_are_all_there_and_about_in_one(score: float, covered: float, rival: float | None) -> None:
    seen = features(made(score, covered), None if rival is None else made(rival))
    assert seen.keys() == FEATURES.keys() == shipped().weights.features.keys()
    assert all(0 <= value <= 1.0001 for value in seen.values())


@given(score=SHARES, covered=SHARES, rival=SHARES)
def test_reservations_halve_the_confidence(score: float, covered: float, rival: float) -> None:
    plain = shipped()(made(score, covered), made(rival))
    reserved = shipped()(made(score, covered, "“don't” forbids something"), made(rival))
    assert reserved == pytest.approx(plain / 2, abs=0.001)


async def test_clear_tasks_are_surer_than_doubtful_ones() -> None:
    sure: dict[bool, list[float]] = {True: [], False: []}
    for case in PLANS:
        plan = await planned(case["task"], *case["servers"])
        if case["tool"] and isinstance(plan, Plan) and not case["missing"]:
            sure[case["confident"]].append(plan.confidence)
    pairs = list(product(sure[True], sure[False]))
    ordered = sum((clear > doubtful) + 0.5 * (clear == doubtful) for clear, doubtful in pairs)
    assert ordered / len(pairs) > 0.8


DOUBTS = (
    "a second step",
    "a refusal",
    "a question about doing it",
    "a word that points at something outside",
)


@pytest.mark.parametrize("case", [case for case in PLANS if case["about"] in DOUBTS], ids=case_id)
async def test_what_is_no_plain_request_stays_below_the_gate(case: dict[str, Any]) -> None:
    plan = await planned(case["task"], *case["servers"])
    assert not isinstance(plan, Plan) or plan.confidence < EXECUTE_FROM, plan


def test_weights_find_what_tells_right_from_wrong() -> None:
    rows = [{**dict.fromkeys(FEATURES, 0.0), "covered": place % 2} for place in range(400)]
    weights = fit_weights(rows, [place % 2 == 1 for place in range(400)], [1.0] * 400)
    assert weights.features["covered"] > 3
    assert all(abs(weight) < 0.01 for name, weight in weights.features.items() if name != "covered")


def test_sources_count_alike_and_kinds_as_often_as_they_occur() -> None:
    def of(source: str, kind: str, count: int) -> list[Observation]:
        return [Observation(source, kind, for_weights=True, features=None, right=False)] * count

    observations = [
        *of("large", "single", 6000),
        *of("middling", "single", 1200),
        *of("middling", "abstain", 800),
    ]
    counts = weighed(observations)
    assert sum(counts) == pytest.approx(8000)
    assert sum(counts[7200:]) == pytest.approx(800)
    assert sum(counts[:6000]) == pytest.approx(sum(counts[6000:7200]) / 0.6)


async def test_fitting_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    records = read_records([SAMPLE])
    assert 0.3 < sum(map(is_for_weights, records)) / len(records) < 0.7
    for name in ("one", "two"):
        write(tmp_path / name, *fit(await observe(records), "1"))
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == ["calibration.json", "confidence.json", "confidence_report.json"]
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files
    )


async def test_nothing_to_fit_to_is_said() -> None:
    with pytest.raises(SystemExit, match="too few records"):
        fit(await observe(()), "1")


@settings(max_examples=30)
@given(bias=st.floats(-5, 5))
def test_a_confidence_is_a_probability_whatever_the_weights(bias: float) -> None:
    weights = Weights(bias, dict.fromkeys(FEATURES, 1.0))
    calibration = Calibration("some", "1", 1, (Knot(-1, 0.1), Knot(1, 0.9)))
    assert 0.1 <= FittedConfidence(weights, calibration)(made(1.0), None) <= 0.9


_PLANS_OF_THE_SAMPLE = """
import anyio, json, sys
from pathlib import Path
from local_llm.evaluation import PlannerContestant, read_records
from local_llm.evaluation.answering import predict
from local_llm.pocket import PocketPlanner

async def main():
    for record in read_records([Path(sys.argv[1])])[:250]:
        found = await predict(PlannerContestant(PocketPlanner()), record)
        print(json.dumps([record.id, [[c.name, dict(c.arguments)] for c in found.calls], found.confidence, found.reason]))

anyio.run(main)
"""


def test_every_process_plans_the_same() -> None:
    """Sets are walked in another order in every process, unless somebody minds."""

    def plans(seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", _PLANS_OF_THE_SAMPLE, str(SAMPLE)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    one = plans(1)
    assert len(one.splitlines()) == 250
    assert [json.loads(line) for line in one.splitlines()] == [
        json.loads(line) for line in plans(2).splitlines()
    ]
