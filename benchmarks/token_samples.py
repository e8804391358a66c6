"""Texts as tools return them, of many kinds, for `tokens.py` to count."""

import base64
import json
import random
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from tests.npm_upstreams import FOLDER, everything_stdio, flow_nexus

ROOT = Path(__file__).parent.parent
_MODULES = FOLDER / "node_modules"
_LOCALES = _MODULES / "zod" / "src" / "v4" / "locales"
_LANGUAGES = "ar bn cs de el es fa fi fr he hi hu hy ja ka ko pl pt ru ta th tr uk ur vi zh-CN zh-TW".split()
_SIZE = 6_000
"""Characters of a sample."""

_LEAST = 500

_SENTENCE = re.compile(r"[^\x00-\x7f].{2}|\w \w")
"""What tells a message from a key: a language's own letters, or several words."""


def samples() -> Iterator[tuple[str, str]]:
    """Kind and text of each sample; the same on every run, but for the versions of what is installed."""
    for kind, text in _whole():
        for start in range(0, min(len(text), 6 * _SIZE), _SIZE):
            if len(piece := text[start : start + _SIZE]) >= _LEAST:
                yield kind, piece


def _whole() -> Iterator[tuple[str, str]]:
    definitions = anyio.run(_definitions)
    yield "JSON, compact", json.dumps(definitions, separators=(",", ":"), ensure_ascii=False)
    yield "JSON, indented", json.dumps(definitions, indent=2, ensure_ascii=False)
    yield "JSON, compact", json.dumps(_records(400), separators=(",", ":"))
    yield "JSON, indented", json.dumps(_records(400), indent=2)
    yield "JSON, indented", (FOLDER / "package-lock.json").read_text()
    yield "Markdown", "\n".join(path.read_text() for path in sorted(ROOT.glob("**/README.md"))[:3])
    yield "Markdown", "\n".join(path.read_text() for path in sorted(_MODULES.glob("z*/README.md")))
    yield "Python", "\n".join(path.read_text() for path in sorted((ROOT / "mcp_proxy").glob("s*.py")))
    yield (
        "TypeScript",
        "\n".join(path.read_text() for path in sorted((_MODULES / "zod/src/v4/core").glob("*.ts"))),
    )
    yield (
        "file listing",
        "\n".join(str(path.relative_to(_MODULES)) for path in sorted((_MODULES / "zod").rglob("*"))),
    )
    yield "log lines", "\n".join(_log_lines(400))
    yield "CSV", "\n".join(_rows(800))
    yield "hashes", "\n".join(_hashes(300))
    for language in _LANGUAGES:
        path = _LOCALES / f"{language}.ts"
        if path.exists():
            yield f"prose, {language}", _prose(path.read_text())


async def _definitions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for launch in (everything_stdio(), flow_nexus()):
        parameters = StdioServerParameters(
            command=launch.command, args=list(launch.args), env=dict(launch.env)
        )
        async with Client(parameters, mode="legacy") as client:
            listed = await client.list_tools()
            found += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in listed.tools]
    return found


def _prose(source: str) -> str:
    """The sentences in a language's messages: string literals with a space, less what is code in them."""
    literals = re.findall(r'"([^"\n]+)"|`([^`\n]+)`', source)
    lines = (re.sub(r"\$\{[^}]*\}+", "", first or second).strip() for first, second in literals)
    return "\n".join(line for line in lines if _SENTENCE.search(line)) * 2


def _records(count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)  # noqa: S311
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        {
            "id": number * 17 + 100_000,
            "uuid": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "createdAt": (start + timedelta(seconds=chance.randrange(10**7))).isoformat(),
            "amount": round(chance.uniform(0, 10_000), 2),
            "status": chance.choice(["open", "closed", "in_progress"]),
            "labels": chance.sample(["bug", "feature", "documentation", "help wanted", "P1"], 2),
            "assignee": None,
            "url": f"https://api.example.com/v2/projects/{number}/issues/{number * 3}",
        }
        for number in range(count)
    ]


def _log_lines(count: int) -> Iterator[str]:
    for record in _records(count):
        yield f"{record['createdAt']} INFO  [worker-{record['id'] % 8}] GET {record['url']} 200 {record['amount']}ms request_id={record['uuid']}"


def _rows(count: int) -> Iterator[str]:
    chance = random.Random(3)  # noqa: S311
    for number in range(count):
        yield f"{number},{chance.random():.6f},{chance.randrange(10**6)},{chance.gauss(0, 40):.3f},2026-03-{number % 28 + 1:02}"


def _hashes(count: int) -> Iterator[str]:
    chance = random.Random(5)  # noqa: S311
    for number in range(count):
        raw = chance.randbytes(32)
        yield raw.hex() if number % 2 else base64.b64encode(raw).decode()


if __name__ == "__main__":
    json.dump([{"kind": kind, "text": text} for kind, text in samples()], sys.stdout)
