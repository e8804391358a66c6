"""Verdicts and figures against those of an independent scorer, over 980 answers: 500 to real records, 480 to odd ones.

`scored.jsonl.gz` holds the answers (right ones, and ones made wrong in all the ways there are) with the expected verdict
on each; `scored.json` the expected figures; `odd_records.json` records that use what the sample does not.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.calls_sample import SAMPLE
from local_llm.evaluation import Judged, Record, judge, read_records, summarise
from local_llm.evaluation.metrics import coverage
from local_llm.evaluation.records import NamedCall
from local_llm.evaluation.verdicts import Prediction

HERE = Path(__file__).parent
FIGURES: dict[str, dict[str, Any]] = json.loads((HERE / "scored.json").read_text("utf-8"))


@cache
def odd_records(folder: Path) -> dict[str, Record]:
    tools = json.loads((HERE / "odd_tools.json").read_text("utf-8"))
    lines: list[dict[str, Any]] = json.loads((HERE / "odd_records.json").read_text("utf-8"))
    file = folder / "odd.jsonl"
    file.write_text("\n".join(json.dumps({**line, "tools": tools}) for line in lines), encoding="utf-8")
    return {record.id: record for record in read_records([file])}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Judged, dict[str, Any]]]]:
    """What we make of every answer, beside what is expected, for the sample and the odd records."""
    sample = {record.id: record for record in read_records([SAMPLE])}
    odd = odd_records(tmp_path_factory.mktemp("odd"))
    both: dict[str, list[tuple[Judged, dict[str, Any]]]] = {"sample": [], "odd": []}
    with gzip.open(HERE / "scored.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            name: str = line["record"]
            record = sample.get(name) or odd[name.rpartition("-")[0]]
            prediction = prediction_of(line["prediction"])
            judged = Judged(record, prediction, judge(record, prediction))
            both["sample" if name in sample else "odd"].append((judged, line["expected"]))
    return both


def prediction_of(given: dict[str, Any] | None) -> Prediction | None:
    if given is None:
        return None
    return Prediction(
        calls=tuple(NamedCall(**call) for call in given["calls"]),
        confidence=given["confidence"],
        abstained=given.get("abstain", False),
        milliseconds=given["ms"],
    )


Scored = dict[str, list[tuple[Judged, dict[str, Any]]]]


@pytest.mark.parametrize("part", ["sample", "odd"])
def test_every_answer_is_judged_as_the_other_scorer_judges_it(scored: Scored, part: str) -> None:
    assert len(scored[part]) == FIGURES[part]["records"]
    for judged, expected in scored[part]:
        verdict = judged.verdict
        ours = {key: getattr(verdict, key) for key in expected.keys() - {"known"}}
        assert ours == {key: value for key, value in expected.items() if key != "known"}, judged


@pytest.mark.parametrize("part", ["sample", "odd"])
def test_figures_are_those_of_the_other_scorer(scored: Scored, part: str) -> None:
    judged = [judged for judged, _ in scored[part]]
    expected = FIGURES[part]
    ours = summarise(judged)
    assert ours.reliability is not None
    figures = {
        "records": ours.records,
        "without prediction": ours.unanswered,
        "call records": ours.calls,
        "tool-selection accuracy": ours.tool,
        "exact-call accuracy": ours.exact,
        "argument accuracy": ours.arguments,
        "exact, all kinds": ours.exact_of_all,
        "abstain records": ours.abstain,
        "abstention precision": ours.abstention_precision,
        "abstention recall": ours.abstention_recall,
        "abstention F1": ours.abstention_f1,
        "missing records": ours.missing,
        "missing: tool right": ours.missing_tool,
        "missing: exact (nothing invented)": ours.missing_exact,
        "missing: argument invented": ours.missing_invented,
        "missing: abstained": ours.missing_abstained,
        "ECE (15 bins)": ours.reliability.ece_of_decisions,
        "latency ms p50": ours.p50_ms,
        "latency ms p95": ours.p95_ms,
    }
    assert figures == pytest.approx({key: expected[key] for key in figures})


@pytest.mark.parametrize("part", ["sample", "odd"])
def test_coverage_is_that_of_the_other_scorer(scored: Scored, part: str) -> None:
    known = [judged for judged, _ in scored[part] if not judged.record.relevance]
    every = [(one.prediction.confidence or 0.0 if one.prediction else 0.0, one.verdict) for one in known]
    decisions = [(confidence, verdict.exact) for confidence, verdict in every]
    calls = [(confidence, verdict.exact) for confidence, verdict in every if verdict.acted]
    name = "coverage@95%precision"
    expected = FIGURES[part]
    assert coverage(decisions, len(known), 0.95) == pytest.approx(expected["all decisions"][name])
    assert coverage(calls, len(known), 0.95) == pytest.approx(expected["calls only"][name])
