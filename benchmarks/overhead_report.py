"""What the overhead benchmark found: the record it writes, and the table made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.records import Records

RECORD = Path(__file__).parent / "results" / "overhead.json"

Client = Literal["stdio", "stateless", "http"]
"""How the server is spoken to: over stdio in either protocol era, or over streamable HTTP."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One setup, measured once. What was not measured is None."""

    first_list_s: float
    """From starting the process to its first answered tools/list, in seconds."""
    call_p50_ms: float
    call_p95_ms: float
    calls_per_s: float | None
    """With sixteen calls in flight."""
    left_behind: float
    """Processes still running after the server was closed."""
    again_list_s: float | None = None
    """As `first_list_s`, when it is started for the second time."""
    again_call_s: float | None = None
    """From that start to the first answered call."""
    load: float | None = None
    """The machine's load average over the minute before; the benchmark's own part is in it."""
    listing_p50_ms: float | None = None
    """A repeated tools/list of a catalog that holds claude-flow's."""
    tools_listed: float | None = None
    """How many tools that catalog holds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of one contestant in front of so many upstreams."""

    contestant: str
    upstreams: int
    client: Client
    samples: tuple[Sample, ...]

    @property
    def typical(self) -> Sample:
        """The median of every figure over the rounds."""
        taken: dict[str, list[float]] = {
            field.name: [
                figure for sample in self.samples if (figure := getattr(sample, field.name)) is not None
            ]
            for field in fields(Sample)
        }
        medians: dict[str, Any] = {
            name: median(figures) if figures else None for name, figures in taken.items()
        }
        return Sample(**medians)


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run: when, where, with what, and every sample. The first setup is the direct one."""

    date: str
    python: str
    cores: int
    system: str
    load: float | None
    """The load average before it began: what else the machine was doing."""
    versions: dict[str, str]
    failures: tuple[str, ...]
    """Samples that came to nothing, and why."""
    setups: tuple[Measured, ...]


_RECORDS = Records(Record, RECORD)
save, load = _RECORDS.save, _RECORDS.load


def table(record: Record) -> str:
    """The medians as a markdown table; in brackets, how many times (×) or what fraction (÷) of direct."""
    heads = (
        "",
        "first `tools/list`",
        "second start: `tools/list` / call",
        "call, p50 / p95",
        "calls per second, 16 in flight",
        "`tools/list` with claude-flow, p50",
    )
    rows = ((_name(setup), *_figures(setup.typical, _direct(record, setup))) for setup in record.setups)
    return "\n".join(_markdown((heads, ["---"] * len(heads), *rows)))


def added(record: Record) -> str:
    """What one upstream behind Switchboard adds to a call, at the median."""
    return f"{_digits(_added(record, 1, 'call_p50_ms'))} ms"


def conditions(record: Record) -> str:
    """One sentence: what ran, when and where."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    load = "" if record.load is None else f"load {record.load:.1f} before it, "
    return (
        f"Medians of {len(record.setups[0].samples)} rounds on {record.date}: {record.cores} cores, "
        f"{load}{record.system}, Python {record.python}; {versions}."
    )


def verdicts(record: Record) -> str:
    """The targets Switchboard has, and whether it meets them, a line each; of what was measured."""
    by_upstreams = {s.upstreams: s.typical for s in record.setups if (s.contestant, s.client) == _OURS}
    if 1 not in by_upstreams:
        return "Switchboard with one upstream was not measured."
    one = by_upstreams[1]
    lines = [
        _verdict("added to a call, p50, ms", _added(record, 1, "call_p50_ms"), at_most=0.35),
        _verdict("added to a call, p95, ms", _added(record, 1, "call_p95_ms"), at_most=0.8),
        _verdict("seconds per call, 16 in flight", 1 / (one.calls_per_s or 1), at_most=1 / 4000),
    ]
    if one.again_list_s is not None:
        lines.append(_verdict("second start to tools/list, s", one.again_list_s, at_most=0.6))
    if 10 in by_upstreams:  # noqa: PLR2004  the most that are measured
        slower = by_upstreams[10].call_p50_ms / one.call_p50_ms
        # Two medians of the same thing are rarely the same; a tenth is more than they differ by.
        lines.append(_verdict("a call with ten upstreams, in calls with one", slower, at_most=1.1))
    return "\n".join(lines)


_OURS = ("Switchboard", "stdio")


def _verdict(what: str, figure: float, *, at_most: float) -> str:
    return f"{'met' if figure <= at_most else 'MISSED'}: {what}: {figure:.3g} (at most {at_most:.3g})"


def _added(record: Record, upstreams: int, figure: str) -> float:
    ours = next(
        setup
        for setup in record.setups
        if (setup.contestant, setup.client) == _OURS and setup.upstreams == upstreams
    )
    return getattr(ours.typical, figure) - getattr(record.setups[0].typical, figure)


def _direct(record: Record, setup: Measured) -> Sample | None:
    """What a setup compares to: the direct one over the same transport; None for itself."""
    over_http = setup.client == "http"
    found = next(
        (
            each
            for each in record.setups
            if each.contestant == "direct" and (each.client == "http") == over_http
        ),
        None,
    )
    return None if found is None or found is setup else found.typical


def _name(setup: Measured) -> str:
    way = {"stdio": "", "stateless": ", stateless client", "http": ", HTTP"}[setup.client]
    count = (
        "" if setup.contestant == "direct" else f", {setup.upstreams} upstream{'s' * (setup.upstreams > 1)}"
    )
    return f"{setup.contestant}{count}{way}"


def _figures(typical: Sample, direct: Sample | None) -> tuple[str, ...]:
    def against(name: str) -> str:
        ours = getattr(typical, name)
        if direct is None or not (theirs := getattr(direct, name)):
            return ""
        ratio = ours / theirs
        return f" (×{_digits(ratio)})" if ratio >= 1 else f" (÷{_digits(1 / ratio)})"

    def cell(name: str, unit: str) -> str:
        figure = getattr(typical, name)
        return "" if figure is None else f"{_digits(figure)}{unit}{against(name)}"

    return (
        cell("first_list_s", " s"),
        ""
        if typical.again_list_s is None or typical.again_call_s is None
        else f"{_digits(typical.again_list_s)} / {_digits(typical.again_call_s)} s",
        f"{_digits(typical.call_p50_ms)} / {_digits(typical.call_p95_ms)} ms{against('call_p50_ms')}",
        cell("calls_per_s", ""),
        cell("listing_p50_ms", " ms"),
    )


def _digits(figure: float) -> str:
    """Two significant digits, never an exponent."""
    return f"{float(f'{figure:.2g}'):,.10g}"


def _markdown(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    return (f"| {' | '.join(cells)} |" for cells in rows)
