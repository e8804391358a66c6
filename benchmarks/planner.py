"""What the embedded planner gets right, and how well its confidence holds, on held-out records.

    python -m benchmarks.planner --data FOLDER... [--json PATH]

Each FOLDER holds `<source>.dev.jsonl.gz` files of records. Nothing is chosen by what comes out: the planner and its confidence
were made on other tools.
"""

import argparse
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
from pydantic import TypeAdapter

from local_llm.evaluation import Judged, PlannerContestant, Record, Summary, read_records, summarise
from local_llm.evaluation.answering import answers
from local_llm.evaluation.report import percent
from local_llm.pocket import PocketPlanner
from local_llm.pocket.confidence import shipped

RECORD = Path(__file__).parent / "results" / "planner.json"

_HEADS = (
    "corpus",
    "records",
    "right tool",
    "exact call",
    "arguments",
    "abstention F1",
    "missing: exact",
    "missing: invented",
    "ECE",
    "covered at 95% / 90%",
)


@dataclass(frozen=True, slots=True)
class Held:
    """A threshold, and what came of acting from it on."""

    wanted: float
    """The precision it is meant for."""
    confidence: float | None
    """None where no confidence was to reach it."""
    coverage: float
    """Share of all records that was acted on."""
    precision: float | None
    """Share of those that was right; None where there were none."""


@dataclass(frozen=True, slots=True)
class Run:
    """All figures of one run."""

    date: str
    python: str
    version: str
    """Which planner the confidence was fitted to."""
    fitted_to: int
    """Records that its calibration rests on."""
    whole: Summary
    by_source: dict[str, Summary]
    held: tuple[Held, ...]


_FORMAT = TypeAdapter(Run)


def save(run: Run, path: Path = RECORD) -> None:
    path.write_bytes(_FORMAT.dump_json(run, indent=1) + b"\n")


def load(path: Path = RECORD) -> Run:
    return _FORMAT.validate_json(path.read_bytes())


async def measure(records: Sequence[Record]) -> Run:
    """Ask the planner about every record."""
    judged: list[Judged] = []
    async for one in answers(PlannerContestant(PocketPlanner()), records):
        judged.append(one)
        if len(judged) % 1000 == 0:
            print(f"{len(judged):,} of {len(records):,}", file=sys.stderr)
    sources = sorted({record.source for record in records})
    by_source = {
        source: summarise([one for one in judged if one.record.source == source]) for source in sources
    }
    calibration = shipped().calibration
    return Run(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        version=calibration.version,
        fitted_to=calibration.records,
        whole=_without_curve(summarise(judged)),
        by_source={source: _without_curve(summary) for source, summary in by_source.items()},
        held=tuple(held(judged)),
    )


def _without_curve(summary: Summary) -> Summary:
    """A curve has a point for every confidence: too much to keep."""
    return replace(summary, reliability=summary.reliability and replace(summary.reliability, curve=()))


def held(judged: Sequence[Judged]) -> Iterable[Held]:
    """What came of the shipped thresholds."""
    for target in shipped().calibration.targets:
        least = target.confidence
        acted = [one for one in judged if least is not None and _confidence(one) >= least]
        right = sum(one.verdict.sound for one in acted)
        precision = right / len(acted) if acted else None
        yield Held(target.precision, least, len(acted) / len(judged), precision)


def _confidence(one: Judged) -> float:
    confidence = one.prediction.confidence if one.prediction else None
    return -1.0 if confidence is None else confidence


def table(run: Run) -> str:
    """What the planner gets right, corpus by corpus, and in the mean of them."""
    rows = [_row(source, summary) for source, summary in run.by_source.items()]
    return _markdown(_HEADS, (*rows, _means(run)))


def _row(name: str, summary: Summary) -> Sequence[str]:
    reliability = summary.reliability
    return (
        name,
        f"{summary.records:,}",
        percent(summary.tool),
        percent(summary.exact),
        percent(summary.arguments),
        percent(summary.abstention_f1 if summary.abstain else None),
        percent(summary.missing_exact),
        percent(summary.missing_invented),
        f"{reliability.ece:.3f}" if reliability else "–",
        f"{percent(reliability.coverage_95)} / {percent(reliability.coverage_90)}" if reliability else "–",
    )


def _means(run: Run) -> Sequence[str]:
    """The mean over the corpora that have a figure; ECE and coverage are not means but those of all records."""
    summaries = run.by_source.values()

    def mean(shares: Iterable[float | None]) -> str:
        known = [share for share in shares if share is not None]
        return percent(sum(known) / len(known)) if known else "–"

    *_, ece, covered = _row("", run.whole)
    return (
        "mean of the corpora",
        f"{run.whole.records:,}",
        mean(summary.tool for summary in summaries),
        mean(summary.exact for summary in summaries),
        mean(summary.arguments for summary in summaries),
        mean(summary.abstention_f1 if summary.abstain else None for summary in summaries),
        mean(summary.missing_exact for summary in summaries),
        mean(summary.missing_invented for summary in summaries),
        ece,
        covered,
    )


def reliability(run: Run) -> str:
    """Confidence and rightness, bin by bin."""
    bins = run.whole.reliability.bins if run.whole.reliability else ()
    rows = (
        (f"{one.lower:.2f}–{one.upper:.2f}", f"{one.count:,}", f"{one.confidence:.2f}", f"{one.right:.2f}")
        for one in bins
    )
    return _markdown(("confidence", "plans", "mean confidence", "share right"), rows)


def thresholds(run: Run) -> str:
    """What the thresholds promise, and what came of them."""
    rows = (
        (
            percent(one.wanted),
            "none" if one.confidence is None else f"{one.confidence:.3f}",
            percent(one.precision),
            percent(one.coverage),
        )
        for one in run.held
    )
    return _markdown(("precision wanted", "act from", "precision held out", "share of all acted on"), rows)


def confidence(run: Run) -> str:
    """How well confidences hold, in a sentence."""
    found = run.whole.reliability
    if found is None:
        return "no confidence was measured"
    return (
        f"an ECE of {found.ece:.3f} over {found.proposed:,} plans for {run.whole.records:,} held-out requests; "
        f"{percent(found.coverage_95)} of all requests can be acted on with 95% precision, "
        f"{percent(found.coverage_90)} with 90%"
    )


def speed(run: Run) -> str:
    """How long the planner takes."""
    return f"{run.whole.p50_ms:.1f} ms p50, {run.whole.p95_ms:.1f} ms p95"


def conditions(run: Run) -> str:
    """One sentence: what ran, and when."""
    return (
        f"Measured on {run.date}, Python {run.python}, planner {run.version}, "
        f"its confidence calibrated with {run.fitted_to:,} plans for other tools."
    )


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planner", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help="folders with <source>.dev.jsonl.gz files"
    )
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    run = anyio.run(
        measure,
        read_records(sorted(file for folder in arguments.data for file in folder.glob("*.dev.jsonl*"))),
    )
    save(run, arguments.json)
    print("\n\n".join((table(run), confidence(run), reliability(run), thresholds(run), conditions(run))))


if __name__ == "__main__":
    main()
