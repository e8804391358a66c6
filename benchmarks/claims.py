"""Numbers quoted in the documentation come from recorded results, never from memory.

    python -m benchmarks.claims [--write]

A page quotes a claim between two comments, in one line or over several:

    Each call takes <!-- overhead:added -->…<!-- /overhead:added --> longer.

Without `--write` it only says which pages are out of date, and exits 1 if any is.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import (
    do,
    exposure,
    overhead_report,
    plan,
    planner,
    profile_report,
    retrieval_report,
    scan,
    schemas,
    soak_report,
    tokens,
)

ROOT = Path(__file__).parent.parent

CLAIMS: Mapping[str, Callable[[], str]] = {
    "overhead:table": lambda: overhead_report.table(overhead_report.load()),
    "overhead:conditions": lambda: overhead_report.conditions(overhead_report.load()),
    "overhead:added": lambda: overhead_report.added(overhead_report.load()),
    "profile:table": lambda: profile_report.table(profile_report.load()),
    "profile:conditions": lambda: profile_report.conditions(profile_report.load()),
    "schemas:check": lambda: schemas.said(schemas.load()),
    "schemas:held-up": lambda: schemas.said_of_bombs(schemas.load()),
    "plan:cost": lambda: plan.said(plan.load()),
    "plan:tools": lambda: plan.tools_taken(plan.load()),
    "do:cost": lambda: do.said(do.RECORDS.load()),
    "scan:attacks": lambda: scan.attacks_table(scan.load()),
    "scan:harmless": lambda: scan.harmless_table(scan.load()),
    "scan:rate": lambda: scan.rate(scan.load()),
    "scan:held-back": lambda: scan.held_back(scan.load()),
    "scan:lost": lambda: scan.lost(scan.load()),
    "exposure:tokens": lambda: exposure.tokens(exposure.load()),
    "exposure:found": lambda: exposure.found_within(exposure.load()),
    "tokens:error": lambda: tokens.claim(tokens.load()),
    "retrieval:table": lambda: retrieval_report.table(retrieval_report.load()),
    "retrieval:eight-bits": lambda: retrieval_report.eight_bits(retrieval_report.load()),
    "retrieval:costs": lambda: retrieval_report.costs(retrieval_report.load()),
    "retrieval:conditions": lambda: retrieval_report.conditions(retrieval_report.load()),
    "planner:table": lambda: planner.table(planner.load()),
    "planner:confidence": lambda: planner.confidence(planner.load()),
    "planner:reliability": lambda: planner.reliability(planner.load()),
    "planner:thresholds": lambda: planner.thresholds(planner.load()),
    "planner:speed": lambda: planner.speed(planner.load()),
    "planner:conditions": lambda: planner.conditions(planner.load()),
    "soak:table": lambda: soak_report.table(soak_report.load()),
}
"""What each claim says, by the recorded results."""

_OPENING = re.compile(r"<!-- (?P<name>[a-z]+:[a-z-]+) -->")
_BLOCK = re.compile(rf"{_OPENING.pattern}.*?<!-- /(?P=name) -->", re.DOTALL)


class BadClaimError(Exception):
    """A page quotes a claim that does not exist, or never says where the quotation ends."""


def pages() -> Iterator[Path]:
    """Every page that may quote a number."""
    yield from sorted(ROOT.glob("*.md"))
    for folder in ("benchmarks", "configs", "docs"):
        yield from sorted((ROOT / folder).rglob("*.md"))


def renewed(page: str, claims: Mapping[str, Callable[[], str]] = CLAIMS) -> str:
    """The page with every quoted claim as the recorded results have it.

    Raises:
        BadClaimError: it quotes an unknown claim, or leaves one open.
    """
    if opened := _OPENING.search(_BLOCK.sub("", page)):
        name = opened["name"]
        raise BadClaimError(f"{opened[0]} is left open: end it with <!-- /{name} -->")
    return _BLOCK.sub(lambda block: _quoted(block["name"], claims), page)


def _quoted(name: str, claims: Mapping[str, Callable[[], str]]) -> str:
    if name not in claims:
        raise BadClaimError(f"there is no claim {name!r}: it is one of {', '.join(sorted(claims))}")
    said = claims[name]()
    margin = "\n" if "\n" in said else ""
    return f"<!-- {name} -->{margin}{said}{margin}<!-- /{name} -->"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("--write", action="store_true", help="bring the pages up to date")
    write = parser.parse_args().write
    outdated = [page for page in pages() if renewed(text := page.read_text(encoding="utf-8")) != text]
    for page in outdated:
        print(f"{page.relative_to(ROOT)}: {'rewritten' if write else 'out of date'}")
        if write:
            page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(bool(outdated) and not write)


if __name__ == "__main__":
    main()
