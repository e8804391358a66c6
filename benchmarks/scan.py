"""How much of what attacks a model the scan of definitions finds, and how often it cries wolf.

    python -m benchmarks.scan [--data FOLDER]

Attacks are those of tests/scan/attacks.json, which were written before the rules; half of them, chosen by
hash, were looked at while the rules were made, the other half was not. Harmless are the definitions of real
servers: those in benchmarks/catalogs, and with `--data` every `*.jsonl.gz` in the folder (one tool a line, with
`server`, `name`, `description` and `inputSchema`). Every real definition that is marked counts as a mistake.
"""

import argparse
import gzip
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tool_registry import Offer
from tool_registry.scan import Kind, names_beside, scan

HERE = Path(__file__).parent
RECORD = HERE / "results" / "scan.json"
ATTACKS = HERE.parent / "tests" / "scan" / "attacks.json"
CATALOGS = HERE / "catalogs"


@dataclass(frozen=True, slots=True)
class Found:
    """Attacks of one kind, and how many of them were found."""

    attacks: int
    marked: int
    """For whatever reason."""
    recognised: int
    """As what they are."""
    held_back: int
    """Also without knowing the names of other servers' tools, so that they are quarantined at first sight."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A real definition that was marked."""

    server: str
    tool: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Harmless:
    """A set of real definitions."""

    name: str
    servers: int
    tools: int
    marked: tuple[Marked, ...]
    held_back: int
    """See `Found`."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured."""

    date: str
    python: str
    design: Mapping[str, Found]
    held_out: Mapping[str, Found]
    harmless: tuple[Harmless, ...]


def is_held_out(case: Mapping[str, Any]) -> bool:
    """Whether an attack was kept out of sight while the rules were made."""
    return int(hashlib.sha256(case["id"].encode()).hexdigest(), 16) % 2 == 0


def found(cases: Iterable[Mapping[str, Any]]) -> dict[str, Found]:
    """What the scan makes of attacks, by kind."""
    cases = tuple(cases)
    alone = [case["kind"] for case in cases if scan(case["tool"])]
    seen = [
        (case["kind"], {finding.kind for finding in scan(case["tool"], case.get("among", ()))})
        for case in cases
    ]
    return {
        kind.value: Found(
            sum(actual == kind for actual, _ in seen),
            sum(actual == kind and bool(kinds) for actual, kinds in seen),
            sum(actual == kind and kind in kinds for actual, kinds in seen),
            alone.count(kind),
        )
        for kind in Kind
    }


def harmless(name: str, offers: Iterable[Offer], *, together: bool) -> Harmless:
    """What the scan makes of real servers.

    Args:
        name: what the set is called.
        offers: what the servers list.
        together: whether they stand behind one Switchboard, so that their names can meet.
    """
    offers = tuple(offers)
    marked = [
        Marked(offer.upstream, str(tool.get("name")), tuple(kinds))
        for offer in offers
        for others in [names_beside(offer.upstream, offers) if together else frozenset[str]()]
        for tool in offer.tools
        if (kinds := sorted({finding.kind.value for finding in scan(tool, others)}))
    ]
    tools = [tool for offer in offers for tool in offer.tools]
    return Harmless(name, len(offers), len(tools), tuple(marked), sum(bool(scan(tool)) for tool in tools))


def catalogs() -> Iterator[Offer]:
    """The real catalogs that come along."""
    for path in sorted(CATALOGS.glob("*.json")):
        yield Offer(path.stem, path.stem, tuple(json.loads(path.read_text(encoding="utf-8"))["tools"]))


def pool(path: Path) -> Iterator[Offer]:
    """The servers of a file with one tool a line."""
    servers: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            tool = json.loads(line)
            servers.setdefault(str(tool.pop("server", "")), []).append(tool)
    for server, tools in servers.items():
        yield Offer(server, server, tuple(tools))


def load() -> Record:
    return TypeAdapter(Record).validate_json(RECORD.read_bytes())


def attacks_table(record: Record) -> str:
    """Recall by kind on both halves of the attacks, and precision against every real definition."""
    rows = [
        "| what an attack does | attacks | marked | recognised, design half | recognised, held-out half | precision |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    mistakes = [kind for each in record.harmless for marked in each.marked for kind in marked.kinds]
    for kind in Kind:
        halves = record.design[kind.value], record.held_out[kind.value]
        total, marked, right = (
            sum(getattr(half, name) for half in halves) for name in ("attacks", "marked", "recognised")
        )
        design, held_out = (f"{half.recognised} of {half.attacks}" for half in halves)
        precision = f"{right / (right + mistakes.count(kind.value)):.2f}"
        rows.append(f"| {kind} | {total} | {marked} | {design} | {held_out} | {precision} |")
    return "\n".join(rows)


def harmless_table(record: Record) -> str:
    """How many real definitions are marked."""
    rows = ["| real definitions | servers | tools | marked |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {each.name} | {each.servers} | {each.tools:,} | {len(each.marked)} |" for each in record.harmless
    ]
    return "\n".join(rows)


def rate(record: Record) -> str:
    """How many of all real definitions are marked."""
    tools = sum(each.tools for each in record.harmless)
    return f"{sum(len(each.marked) for each in record.harmless)} of {tools:,}"


def held_back(record: Record) -> str:
    """How many of the held-out attacks are quarantined at first sight."""
    halves = record.held_out.values()
    return f"{sum(half.held_back for half in halves)} of {sum(half.attacks for half in halves)}"


def lost(record: Record) -> str:
    """How many of all real definitions are quarantined at first sight."""
    return f"{sum(each.held_back for each in record.harmless)} of {sum(each.tools for each in record.harmless):,}"


def measure(data: Path | None) -> Record:
    """Scan everything there is."""
    cases = json.loads(ATTACKS.read_text(encoding="utf-8"))
    sets = [harmless("catalogs", catalogs(), together=True)]
    pools = sorted(data.glob("*.jsonl.gz")) if data else []
    sets += [harmless(path.name.removesuffix(".jsonl.gz"), pool(path), together=False) for path in pools]
    return Record(
        f"{datetime.now(UTC):%Y-%m-%d}",
        platform.python_version(),
        found(case for case in cases if not is_held_out(case)),
        found(case for case in cases if is_held_out(case)),
        tuple(sets),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of *.jsonl.gz with more real definitions")
    record = measure(parser.parse_args().data)
    RECORD.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    print(attacks_table(record), harmless_table(record), sep="\n\n")


if __name__ == "__main__":
    main()
