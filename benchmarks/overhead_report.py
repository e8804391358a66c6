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
    """The medians as a markdown table; in brackets, how many times (×) or what fraction (÷) of direct."""
    heads = (
        "",
        "first `tools/list`",
        "call, p50 / p95",
        "calls per second, 16 in flight",
        "`tools/list` with claude-flow, p50",
    )
    direct, *proxied = record.setups
    rows = (
        (direct.contestant, *_figures(direct.typical)),
        *((_name(setup), *_figures(setup.typical, direct.typical)) for setup in proxied),
    )
    return "\n".join(_markdown((heads, ["---"] * len(heads), *rows)))


def added(record: Record) -> str:
    """What one upstream behind Switchboard adds to a call, at the median."""
    direct, proxied = record.setups[0].typical, _measured(record, "Switchboard", 1).typical
    return f"{_digits(proxied.call_p50_ms - direct.call_p50_ms)} ms"


def conditions(record: Record) -> str:
    """One sentence: what ran, when and where."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"Medians of {len(record.setups[0].samples)} rounds on {record.date}: {record.cores} cores, "
        f"{record.system}, Python {record.python}; {versions}."
    )


def _measured(record: Record, contestant: str, upstreams: int) -> Measured:
    return next(
        setup for setup in record.setups if (setup.contestant, setup.upstreams) == (contestant, upstreams)
    )


def _name(setup: Measured) -> str:
    return f"{setup.contestant}, {setup.upstreams} upstream{'s' * (setup.upstreams > 1)}"


def _figures(typical: Sample, direct: Sample | None = None) -> tuple[str, ...]:
    def against(name: str) -> str:
        if direct is None:
            return ""
        ratio = getattr(typical, name) / getattr(direct, name)
        return f" (×{_digits(ratio)})" if ratio >= 1 else f" (÷{_digits(1 / ratio)})"

    return (
        f"{_digits(typical.first_list_s)} s{against('first_list_s')}",
        f"{_digits(typical.call_p50_ms)} / {_digits(typical.call_p95_ms)} ms{against('call_p50_ms')}",
        f"{_digits(typical.calls_per_s)}{against('calls_per_s')}",
        f"{_digits(typical.listing_p50_ms)} ms{against('listing_p50_ms')}",
    )


def _digits(figure: float) -> str:
    """Two significant digits, never an exponent."""
    return f"{float(f'{figure:.2g}'):,.10g}"


def _markdown(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    return (f"| {' | '.join(cells)} |" for cells in rows)
