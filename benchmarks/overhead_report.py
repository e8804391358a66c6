"""What the overhead benchmark found: the record it writes, and the table made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

RECORD = Path(__file__).parent / "results" / "overhead.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One setup, measured once."""

    first_list_s: float
    """From starting the process to its first answered tools/list, in seconds."""
    call_p50_ms: float
    call_p95_ms: float
    calls_per_s: float
    """With sixteen calls in flight."""
    listing_p50_ms: float
    """A repeated tools/list of a catalog that holds claude-flow's."""
    tools_listed: float
    """How many tools that catalog holds."""
    left_behind: float
    """Processes still running after the server was closed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of one contestant in front of so many upstreams."""

    contestant: str
    upstreams: int
    samples: tuple[Sample, ...]

    @property
    def typical(self) -> Sample:
        """The median of every figure over the rounds."""
        names = (field.name for field in fields(Sample))
        return Sample(**{name: median(getattr(sample, name) for sample in self.samples) for name in names})


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run: when, where, with what, and every sample. The first setup is the direct one."""

    date: str
    python: str
    cores: int
    system: str
    versions: dict[str, str]
    setups: tuple[Measured, ...]


_FORMAT = TypeAdapter(Record)


def save(record: Record, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_FORMAT.dump_json(record, indent=2) + b"\n")


def load(path: Path = RECORD) -> Record:
    return _FORMAT.validate_json(path.read_bytes())


def table(record: Record) -> str:
    """The medians as a markdown table; in brackets, how many times the direct figure."""
    heads = (
        "",
        "first `tools/list`",
        "call, p50 / p95",
        "calls per second, 16 in flight",
        "`tools/list` with claude-flow, p50",
        "processes left behind",
    )
    direct, *proxied = record.setups
    rows = (
        (direct.contestant, *_figures(direct.typical)),
        *((_name(setup), *_figures(setup.typical, direct.typical)) for setup in proxied),
    )
    return "\n".join(_markdown((heads, ["---"] * len(heads), *rows)))


def conditions(record: Record) -> str:
    """One sentence: what ran, when and where."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"Medians of {len(record.setups[0].samples)} rounds on {record.date}: {record.cores} cores, "
        f"{record.system}, Python {record.python}; {versions}."
    )


def _name(setup: Measured) -> str:
    return f"{setup.contestant}, {setup.upstreams} upstream{'s' * (setup.upstreams > 1)}"


def _figures(typical: Sample, direct: Sample | None = None) -> tuple[str, ...]:
    def times(name: str) -> str:
        if direct is None:
            return ""
        return f" (×{_digits(getattr(typical, name) / getattr(direct, name))})"

    return (
        f"{_digits(typical.first_list_s)} s{times('first_list_s')}",
        f"{_digits(typical.call_p50_ms)} / {_digits(typical.call_p95_ms)} ms{times('call_p50_ms')}",
        f"{_digits(typical.calls_per_s)}{times('calls_per_s')}",
        f"{_digits(typical.listing_p50_ms)} ms{times('listing_p50_ms')}",
        f"{typical.left_behind:.0f}",
    )


def _digits(figure: float) -> str:
    """Two significant digits, never an exponent."""
    return f"{float(f'{figure:.2g}'):,.10g}"


def _markdown(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    return (f"| {' | '.join(cells)} |" for cells in rows)
