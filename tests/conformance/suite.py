"""Running the official conformance suite against a server, and what it says of each requirement."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

import anyio

from tests.npm_upstreams import installed

_PACKAGES = Path(__file__).parent / "npm" / "node_modules"
_TIMESTAMP = re.compile(r"-\d{4}-\d\d-\d\dT.*$")
_LIMIT = 180

Verdicts = Mapping[tuple[str, str], frozenset[str]]
"""The statuses of a check, by scenario and check; the suite may make one check several times."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One version of the suite, and what to run of it."""

    package: str
    selection: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.package} {self.selection[-1]}"


HANDSHAKE = (
    Suite("conformance-0.1", ("--suite", "all")),
    Suite("conformance-0.2", ("--requirements", "2025-11-25")),
)
STATELESS = (Suite("conformance-0.2", ("--requirements", "2026-07-28")),)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    conforms: bool
    """Whether everything that is required passed, with no failure expected."""
    verdicts: Verdicts
    output: str


async def judge(suite: Suite, url: str, folder: Path) -> Report:
    """Run a suite against the server at `url`, leaving its files in `folder`."""
    program = installed("dist/index.js", _PACKAGES / suite.package)
    command = [installed("node"), program, "server", "--url", url, *suite.selection, "-o", str(folder)]
    with anyio.fail_after(_LIMIT):
        ended = await anyio.run_process(command, stdout=PIPE, stderr=STDOUT, check=False)
    return Report(ended.returncode == 0, _verdicts(folder), ended.stdout.decode())


def _verdicts(folder: Path) -> Verdicts:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for path in folder.glob("*/checks.json"):
        scenario = _TIMESTAMP.sub("", path.parent.name)
        for check in json.loads(path.read_text(encoding="utf-8")):
            key = (scenario, check["id"])
            found[key] = found.get(key, frozenset()) | {check["status"]}
    return found
