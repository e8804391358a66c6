"""What the soak found: the record it writes, what it counts as a fault, and the table made of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Records
from benchmarks.soak_memory import DRIFT_LIMIT, Memory, Sample, drift

RECORD = Path(__file__).parent / "results" / "soak.json"

_KINDS: Mapping[Memory, str] = {"resident": "resident memory", "private": "private memory"}


@dataclass(slots=True)
class Answers:
    """What came of the requests, counted."""

    expected: int = 0
    unavailable: int = 0
    """Answered with the news that the upstream has died, or is not back yet."""
    cancelled: int = 0
    answered_though_cancelled: int = 0
    """Once, as is allowed: the answer was under way."""
    wrong: int = 0
    timed_out: int = 0
    """Answered with the proxy's time limit, which only a lost answer reaches."""
    unanswered: int = 0
    doubled: int = 0
    unasked: int = 0
    """Answers to ids that were never asked, and progress of requests that were over."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the proxy holds while nothing is going on."""

    descriptors: int
    processes: int
    """Itself and all below it."""

    def is_back_to(self, before: "Held") -> bool:
        """Whether nothing was gained, and every upstream is there."""
        return self.descriptors <= before.descriptors and self.processes == before.processes


@dataclass(frozen=True, slots=True)
class Run:
    """One soak of one proxy process."""

    transport: str
    asked: Mapping[str, int]
    """Requests by kind."""
    seconds: float
    answers: Answers
    echo_p50_ms: float
    echo_p99_ms: float
    kills: int
    connections: int
    """Made by the client."""
    samples: tuple[Sample, ...]
    before: Held
    after: Held
    examples: tuple[str, ...]
    """The first of what was not as expected."""
    logged: str = ""
    """The errors in the proxy's log."""
    exit_code: int = 0
    left_behind: int = 0
    """Processes there still were after the proxy had ended."""

    @property
    def requests(self) -> int:
        return sum(self.asked.values())

    def drift(self, memory: Memory) -> float:
        """The part of itself by which memory grew after the warm-up; see `soak_memory`."""
        return drift(self.samples, memory).part

    def faults(self) -> Iterator[str]:
        """Everything that must not be, in words."""
        answers, before, after = self.answers, self.before, self.after
        for count, what in (
            (answers.unanswered, "requests without an answer"),
            (answers.doubled, "answers that came twice"),
            (answers.unasked, "answers or progress to what nobody asked"),
            (answers.wrong, "wrong answers"),
            (answers.timed_out, "calls that timed out"),
            (after.descriptors - before.descriptors, "descriptors more than at the start"),
            (abs(after.processes - before.processes), "processes more or fewer than at the start"),
            (self.left_behind, "processes left behind"),
        ):
            if count > 0:
                yield f"{count} {what}"
        for memory, what in _KINDS.items():
            if (grown := self.drift(memory)) > DRIFT_LIMIT:
                yield f"{what} grew by {grown:.1%}"
        if self.logged:
            yield "errors in the proxy's log"
        if self.exit_code:
            yield f"the proxy ended with exit code {self.exit_code}"


@dataclass(frozen=True, slots=True)
class Record:
    """When, where, and every run."""

    date: str
    python: str
    cores: int
    system: str
    runs: tuple[Run, ...]


_RECORDS = Records(Record, RECORD, indent=1)
save, load = _RECORDS.save, _RECORDS.load


def table(record: Record) -> str:
    """The runs side by side, as a markdown table."""
    runs = record.runs
    rows = (
        ("", *(run.transport for run in runs)),
        ("---",) * (len(runs) + 1),
        _row("requests", runs, lambda run: f"{run.requests:,} in {run.seconds:.0f} s"),
        _row("upstreams killed", runs, lambda run: f"{run.kills}"),
        _row("client connections", runs, lambda run: f"{run.connections}"),
        _row("cancelled", runs, lambda run: f"{run.answers.cancelled:,}"),
        _row("never answered", runs, lambda run: f"{run.answers.unanswered}"),
        _row("answered twice, or unasked", runs, lambda run: f"{run.answers.doubled + run.answers.unasked}"),
        _row("wrong answers", runs, lambda run: f"{run.answers.wrong + run.answers.timed_out}"),
        _row("echo under this load, p50 / p99", runs, _echo),
        *(_row(f"{what}, median and drift", runs, _drift_of(memory)) for memory, what in _KINDS.items()),
        _row("descriptors, start → end", runs, lambda run: _held(run, "descriptors")),
        _row("processes, start → end", runs, lambda run: _held(run, "processes")),
        _row("processes left behind", runs, lambda run: f"{run.left_behind}"),
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _row(head: str, runs: Sequence[Run], cell: Callable[[Run], str]) -> tuple[str, ...]:
    return (head, *map(cell, runs))


def _echo(run: Run) -> str:
    return f"{run.echo_p50_ms:.0f} / {run.echo_p99_ms:.0f} ms"


def _drift_of(memory: Memory) -> Callable[[Run], str]:
    def cell(run: Run) -> str:
        found = drift(run.samples, memory)
        return f"{found.median_mib:.0f} MiB, {found.part:+.1%}"

    return cell


def _held(run: Run, what: str) -> str:
    return f"{getattr(run.before, what)} → {getattr(run.after, what)}"
