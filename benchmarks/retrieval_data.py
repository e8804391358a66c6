"""What retrieval is measured on: pools of tools, and requests with the tools they want. Reads files, scores nothing.

A folder of data holds

    pools/pool-<name>.jsonl.gz       one tool a line: {"server", "name", "description", "inputSchema"}
    requests/<name>.dev.jsonl[.gz]   one request a line: {"query", "pool", "gold": [names of the wanted tools]}

A tool of the pool `catalogs`, the definitions in `benchmarks/catalogs`, goes by `server/name`; all others by name alone.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tool_registry import Catalog, Offer, ToolEntry

HERE = Path(__file__).parent
FOLDER = HERE / "retrieval_data"
CATALOGS = HERE / "catalogs"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants, and the names of the tools that are right."""

    query: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Task:
    """Requests, and the tools they are to be found among."""

    name: str
    catalog: Catalog
    requests: tuple[Request, ...]

    @property
    def tools(self) -> Sequence[ToolEntry]:
        return tuple(self.catalog.tools.values())

    def name_of(self, tool: ToolEntry) -> str:
        """What requests call a tool."""
        return (f"{tool.upstream}/{tool.name}" if self.name == "catalogs" else tool.name).lower()


def tasks(folder: Path = FOLDER) -> Iterator[Task]:
    """Every file of requests with its pool; then those of the largest pool among the tools of all pools together."""
    everything: list[dict[str, Any]] = [*catalog_tools()]
    largest = Task("", Catalog(), ())
    for file in sorted((folder / "requests").glob("*.dev.jsonl*")):
        name = file.name.partition(".")[0]
        tools = list(
            catalog_tools() if name == "catalogs" else _lines(folder / "pools" / f"pool-{name}.jsonl.gz")
        )
        task = Task(name, catalog(tools), tuple(_requests(file)))
        largest = max(largest, task, key=lambda each: len(each.tools))
        yield task
    for file in sorted((folder / "pools").glob("*.jsonl.gz")):
        everything += _lines(file)
    yield Task(f"{largest.name}, among all", catalog(everything), largest.requests)


def catalog_tools() -> Iterator[dict[str, Any]]:
    """The tools of the real servers."""
    for file in sorted(CATALOGS.glob("*.json")):
        listed = json.loads(file.read_text(encoding="utf-8"))
        yield from ({**tool, "server": listed["server"]} for tool in listed["tools"])


def catalog(tools: Sequence[dict[str, Any]]) -> Catalog:
    """The tools as a catalog; of two with one name and server, the first."""
    by_server: dict[str, list[dict[str, Any]]] = {}
    for tool in tools:
        definition = {key: value for key, value in tool.items() if key != "server"}
        by_server.setdefault(tool["server"], []).append(definition)
    return Catalog(tuple(Offer(server, server, tuple(offered)) for server, offered in by_server.items()))


def _requests(file: Path) -> Iterator[Request]:
    """The requests that want a tool."""
    for record in _lines(file):
        if record["gold"]:
            yield Request(record["query"], frozenset(name.lower() for name in record["gold"]))


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    packed = file.read_bytes()
    text = (gzip.decompress(packed) if file.suffix == ".gz" else packed).decode()
    # Not splitlines: a JSON string may hold what it takes for the end of a line.
    yield from (json.loads(line) for line in text.split("\n") if line)
