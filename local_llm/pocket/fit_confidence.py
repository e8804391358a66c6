"""Fits the pocket planner's confidence to corpora of requests with known calls: weights, calibration, thresholds.

    python -m local_llm.pocket.fit_confidence --data FOLDER [--out FOLDER]

FOLDER holds `<source>.train.jsonl.gz` files of records (see `local_llm.evaluation.records`). By a hash of the tool a
record wants, weights are fitted to one part of the tools and the calibration to the others. Every source counts the
same, but for those with few records, and every kind as often as it occurs; the same folder gives the same files.
"""

import argparse
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import anyio
import numpy as np
from pydantic import TypeAdapter

from local_llm import calibration
from local_llm.calibration import Calibration, Sample
from local_llm.evaluation import Record, judge, read_records
from local_llm.evaluation.answering import MOST_STEPS, candidates
from local_llm.evaluation.metrics import ece
from local_llm.evaluation.records import NamedCall
from local_llm.evaluation.verdicts import Prediction
from local_llm.plan import Plan, Step, Task
from local_llm.pocket.choose import Fit
from local_llm.pocket.confidence import FEATURES, FOLDER, WEIGHTS_FORMAT, Weights, features
from local_llm.pocket.planner import PocketPlanner

REPORT = "confidence_report.json"

_FOR_WEIGHTS = 0.5
"""The share of tools that weights are fitted to."""
_LEFT_OUT = frozenset({"sgd"})
"""Sources that nothing is fitted to: their licence is share-alike, and little is lost without them."""
_FULL = 600
"""Records from which on a source counts in full; one of fewer counts in proportion."""
_RIDGE = 1e-3
"""What squared weights cost against the mean log loss; chosen by coverage on the calibration's part of the tools."""
_ROUNDS = 50
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a record, or of one of its steps."""

    source: str
    kind: str
    for_weights: bool
    """Which part it is in."""
    features: Mapping[str, float] | None
    """None where nothing was proposed, or with reservations, for which there is a rule of its own."""
    right: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a fit rests on and how it turned out, by the records the calibration was fitted to."""

    version: str
    """SHA-256 of the planner's modules, the first digits."""
    records: int
    proposed: int
    right: float
    """Share of what was proposed that is right, by weight."""
    ece: float
    """Of the confidences on the very records that they were calibrated with: the least it can be."""
    by_source: Mapping[str, int]


class Watching:
    """A confidence that keeps what it was asked about instead of having an opinion."""

    def __init__(self) -> None:
        self.seen: dict[str, float] | None = None

    def __call__(self, best: Fit, rival: Fit | None) -> float:
        self.seen = None if best.reservations else features(best, rival)
        return 0.0


async def observe(records: Iterable[Record]) -> list[Observation]:
    """What the planner makes of every record."""
    watching = Watching()
    planner = PocketPlanner(confidence=watching)
    every: list[Observation] = []
    for number, record in enumerate(records, start=1):
        every += [each async for each in _observed(planner, watching, record)]
        if number % 2000 == 0:
            print(f"{number:,} records", file=sys.stderr)  # noqa: T201
    return every


async def _observed(planner: PocketPlanner, watching: Watching, record: Record) -> AsyncIterator[Observation]:
    """The first plan for a record, and, where it is not the last, those for the steps that follow."""
    offered, plans = candidates(record), list[Plan]()
    known = record.source, record.kind, is_for_weights(record)
    while len(plans) < MOST_STEPS:
        steps = tuple(Step(plan.call, "ok") for plan in plans)
        plan = await planner.plan(Task(record.query, steps=steps), offered)
        if not isinstance(plan, Plan):
            if not plans:
                yield Observation(*known, None, right=False)
            return
        plans.append(plan)
        yield Observation(*known, watching.seen, right=_is_right(record, plans))
        if plan.last or plan.missing:
            return


def _is_right(record: Record, plans: Sequence[Plan]) -> bool:
    """Whether the last of the plans is: as one of several calls if more are to come, else as the end of all."""
    last = plans[-1]
    made = tuple(NamedCall(plan.call.tool.name, plan.call.arguments) for plan in plans)
    if last.last or last.missing:
        return judge(record, Prediction(made, missing=last.missing)).sound
    one = Prediction(made[-1:])
    wanted = record.calls if record.kind == "parallel" else ()
    return any(judge(replace(record, kind="single", calls=(call,), accept=()), one).exact for call in wanted)


def is_for_weights(record: Record) -> bool:
    """Which part a record is in: by the first tool it wants, or, where it wants none, the first it could choose."""
    names = [call.name for call in record.calls] or sorted(str(tool["name"]) for tool in record.tools) or [""]
    digest = sha256(names[0].lower().encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) / 2**32 < _FOR_WEIGHTS


def weighed(observations: Sequence[Observation]) -> list[float]:
    """What each observation counts: sources alike, then kinds as often as they occur. Together, as many as there are."""
    sources = Counter(each.source for each in observations)
    kinds = Counter(each.kind for each in observations)
    by_source = [min(sources[each.source], _FULL) / sources[each.source] for each in observations]
    counted = dict.fromkeys(kinds, 0.0)
    for each, weight in zip(observations, by_source, strict=True):
        counted[each.kind] += weight
    return [
        weight * kinds[each.kind] / counted[each.kind]
        for each, weight in zip(observations, by_source, strict=True)
    ]


def fit_weights(
    rows: Sequence[Mapping[str, float]], right: Sequence[bool], counts: Sequence[float]
) -> Weights:
    """Ridge logistic regression, by Newton's method."""
    table: Any = np.array([[1.0, *(row[name] for name in FEATURES)] for row in rows], np.float64)
    wanted: Any = np.array(right, np.float64)
    share: Any = np.array(counts, np.float64) / sum(counts)
    ridge: Any = np.diag([0.0, *[_RIDGE] * len(FEATURES)])
    weights: Any = np.zeros(table.shape[1], np.float64)
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-(table @ weights)))
        slope = table.T @ (share * (chance - wanted)) + ridge @ weights
        curvature = (table.T * (share * chance * (1 - chance))) @ table + ridge
        step = cast("Any", np.linalg).solve(curvature, slope)
        weights -= step
        if float(np.abs(step).max()) < 10.0 ** -(_DIGITS + 4):
            break
    fitted: list[float] = weights.tolist()
    bias, *rest = (round(weight, _DIGITS) for weight in fitted)
    return Weights(bias, dict(zip(FEATURES, rest, strict=True)))


def fit(observations: Sequence[Observation], version: str) -> tuple[Weights, Calibration, Report]:
    """Weights from one part of the tools, the calibration from the other.

    Raises:
        SystemExit: a part holds nothing that was proposed.
    """
    for_calibration = [each for each in observations if not each.for_weights]
    first = list(_proposed([each for each in observations if each.for_weights]))
    second = list(_proposed(for_calibration))
    if not first or not second:
        raise SystemExit("too few records to fit to: the planner proposed nothing for a part of them")
    rows, right, counts = zip(*first, strict=True)
    weights = fit_weights(rows, right, counts)
    samples = [Sample(weights.score(row), hit, count) for row, hit, count in second]
    fitted = calibration.fit("pocket", version, samples, sum(weighed(for_calibration)))
    pairs = [(fitted.probability(sample.score), sample.right) for sample in samples]
    report = Report(
        version=version,
        records=len(observations),
        proposed=sum(each.features is not None for each in observations),
        right=round(sum(s.right * s.weight for s in samples) / sum(s.weight for s in samples), _DIGITS),
        ece=round(ece(pairs), _DIGITS),
        by_source=dict(sorted(Counter(each.source for each in observations).items())),
    )
    return weights, fitted, report


def _proposed(observations: Sequence[Observation]) -> Iterator[tuple[Mapping[str, float], bool, float]]:
    for each, count in zip(observations, weighed(observations), strict=True):
        if each.features is not None:
            yield each.features, each.right, count


def version_of_planner() -> str:
    """The planner's version as its modules have it: what a calibration is for."""
    files = sorted(file for file in FOLDER.glob("*.py") if file.stem not in {"fit_confidence", "__init__"})
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_llm.pocket.fit_confidence", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with <source>.train.jsonl.gz files")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the files go (default: the package)")
    arguments = parser.parse_args()
    files = sorted(
        file for file in arguments.data.glob("*.train.jsonl*") if file.name.partition(".")[0] not in _LEFT_OUT
    )
    if not files:
        raise SystemExit(f"{arguments.data} holds no <source>.train.jsonl.gz: name the folder of the corpora")
    observations = anyio.run(observe, read_records(files))
    weights, fitted, report = fit(observations, version_of_planner())
    write(arguments.out, weights, fitted, report)


def write(folder: Path, weights: Weights, fitted: Calibration, report: Report) -> None:
    """Put what was fitted into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "confidence.json").write_bytes(WEIGHTS_FORMAT.dump_json(weights, indent=1) + b"\n")
    calibration.save(fitted, folder / "calibration.json")
    (folder / REPORT).write_bytes(TypeAdapter(Report).dump_json(report, indent=1) + b"\n")
    print(TypeAdapter(Report).dump_json(report, indent=1).decode())  # noqa: T201
    for target in fitted.targets:
        print(f"precision {target.precision}: from {target.confidence} on, {target.coverage:.1%} of all")  # noqa: T201


if __name__ == "__main__":
    main()
