"""What being shown a search instead of every tool saves a model, and how surely it finds the right tool.

    python -m benchmarks.exposure

The catalog is benchmarks/catalogs: the tools of twelve real servers. The questions in data/catalog_questions.json were
written by hand, with every tool that answers them, apart from the making of the search. Tokens are estimated.
"""

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from benchmarks.scan import catalogs
from local_llm.encoder.minilm import MiniLm
from mcp_proxy.read_result import READ_RESULT
from mcp_proxy.search_tools import CALL_TOOL, FIND_TOOLS, found
from mcp_proxy.task_tools import DO, PLAN
from tool_registry import Catalog, ToolIndex
from tool_registry.exposure import definition_tokens
from tool_registry.tokens import estimate_tokens

HERE = Path(__file__).parent
RECORD = HERE / "results" / "exposure.json"
QUESTIONS = HERE / "data" / "catalog_questions.json"

_DEPTHS = (1, 3, 5, 10)
_SHOWN = 8
"""Tools that find_tools returns unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was found."""

    tools: int
    all_tokens: int
    search_tokens: int
    found_tokens: int
    """Of an answer of find_tools, on average."""
    questions: int
    within: dict[int, int]
    """By depth: for how many questions a right tool is among so many."""
    date: str
    python: str


def measure() -> Record:
    """Measure all of it."""
    tools = list(Catalog(tuple(catalogs())).tools.values())
    encoder = MiniLm()
    index = ToolIndex(tools)
    index = index.with_vectors(
        {text: encoder.embed(text).astype(np.float16) for text in dict.fromkeys(index.passages)}
    )
    ranks: list[int] = []
    answers: list[int] = []
    questions = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    for question in questions:
        text = question["question"]
        candidates = index.search(text, max(_DEPTHS), encoder.embed(text))
        names = [f"{candidate.tool.upstream}:{candidate.tool.name}" for candidate in candidates]
        ranks.append(next((rank for rank, name in enumerate(names) if name in question["tools"]), len(tools)))
        answer = found(candidates[:_SHOWN], len(tools), schemas=False)
        answers.append(estimate_tokens(answer["content"][0]["text"]))
    own = (DO, PLAN, READ_RESULT)
    return Record(
        tools=len(tools),
        all_tokens=definition_tokens([*own, *(tool.listed() for tool in tools)]),
        search_tokens=definition_tokens([*own, FIND_TOOLS, CALL_TOOL]),
        found_tokens=round(sum(answers) / len(answers)),
        questions=len(questions),
        within={depth: sum(rank < depth for rank in ranks) for depth in _DEPTHS},
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
    )


def load() -> Record:
    """The recorded run."""
    return TypeAdapter(Record).validate_json(RECORD.read_bytes())


def tokens(record: Record) -> str:
    """The claim about tokens."""
    saved = 1 - record.search_tokens / record.all_tokens
    return (
        f"{record.search_tokens:,} tokens of definitions instead of {record.all_tokens:,} for {record.tools} tools, "
        f"{saved:.0%} less; an answer of `find_tools` takes about {record.found_tokens:,}"
    )


def found_within(record: Record) -> str:
    """The claim about questions."""
    shares = ", ".join(
        f"{number / record.questions:.0%} (first {depth})" for depth, number in record.within.items()
    )
    return f"a right tool is found for {shares} of {record.questions} questions"


def main() -> None:
    record = measure()
    RECORD.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    print(tokens(record))
    print(found_within(record))


if __name__ == "__main__":
    main()
