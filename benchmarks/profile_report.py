"""Where the time of one call goes: the record of the profile, and the table made of it."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Records

RECORD = Path(__file__).parent / "results" / "profile.json"

STEPS = {
    "lines": "split what was read into lines",
    "parse": "parse the call and the answer",
    "decide": "is it plain? look up tool and server",
    "validate": "check the arguments against the inputSchema",
    "send": "the server's name, id and envelope for it",
    "answer": "match the answer, restore the client's id",
    "serialize": "serialize the call and the answer",
    "write": "write both to their pipes",
    "journal": "note it for the journal",
}
"""What is timed, in the order it happens in, and what it is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Medians over calls made one by one, in microseconds."""

    date: str
    python: str
    system: str
    load: float
    """The machine's load average at the end."""
    calls: int
    direct_us: float
    """A call of the upstream without Switchboard, as its client sees it."""
    through_us: float
    """The same through Switchboard."""
    cpu_us: float
    """What Switchboard's process spent on a call, all threads together; the mean."""
    steps_us: dict[str, float]


_RECORDS = Records(Profile, RECORD)
save, load = _RECORDS.save, _RECORDS.load


def table(profile: Profile) -> str:
    """The steps as a markdown table, with what they leave of the CPU time, and of the time that passes."""
    steps = sum(profile.steps_us.values())
    rows = [(what, profile.steps_us.get(step, 0.0)) for step, what in STEPS.items()]
    rows += [
        ("the event loop, and reading from the pipes", max(profile.cpu_us - steps, 0.0)),
        ("**Switchboard's process, altogether**", max(profile.cpu_us, steps)),
        ("the server's own time, and its pipes", profile.direct_us),
        ("**as the client sees it**", profile.through_us),
    ]
    return "\n".join(("| | µs |", "| --- | --- |", *(f"| {what} | {took:.0f} |" for what, took in rows)))


def conditions(profile: Profile) -> str:
    """One sentence: what ran, when and where."""
    return (
        f"{profile.calls:,} calls on {profile.date}, load {profile.load:.1f}, "
        f"{profile.system}, Python {profile.python}."
    )
