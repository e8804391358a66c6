"""How well and how fast tools are found: by their words, by their meaning, and by both.

    python -m benchmarks.retrieval [--data FOLDER] [--float FOLDER | --cost] [--json PATH]

`--float` names a folder that `python -m local_llm.encoder.build --float --out FOLDER` has made: the same is then
measured with the encoder's original weights too. `retrieval_data.py` says what a folder of data holds.
"""

import argparse
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import mean as average
from statistics import median

import numpy as np

from benchmarks import retrieval_score
from benchmarks.retrieval_data import FOLDER, Task, tasks
from benchmarks.retrieval_report import RECORD, Cost, Found, Record, conditions, costs, load, save, table
from local_llm.encoder import Embedder, fingerprint
from local_llm.encoder.minilm import MiniLm
from tool_registry import Catalog, ToolIndex
from tool_registry.meaning import Meanings, Vector

_TRIES = 5
"""How often each query is timed; the fastest counts. Times are processor time of the one thread that searches: what
else the machine does is not the query's."""
_DEPTH = 50
"""How many tools a ranking names: more than are scored, as several may share a name."""
_TIMED = 100
"""Queries that are timed."""
_EVERY = 200
"""One in so many tools is embedded to see how long that takes."""


class Remembering:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.vectors: dict[str, Vector] = {}

    def embed(self, text: str) -> Vector:
        if text not in self.vectors:
            self.vectors[text] = self._embedder.embed(text)
        return self.vectors[text]


Ranking = Callable[[str], Sequence[str]]


def rankings(task: Task, embedder: Embedder, note: str = "") -> Iterator[tuple[str, Ranking]]:
    """The ways to find the tools of `task`, and what ranks them each way: names, best first."""
    index = ToolIndex(task.tools)
    passages = list(index.passages)
    vectors = {text: embedder.embed(text).astype(np.float16) for text in passages}
    fused = index.with_vectors(vectors)
    meanings = Meanings([[vectors[text]] for text in passages])
    names = [task.name_of(tool) for tool in task.tools]

    def by_words(query: str) -> Sequence[str]:
        return [task.name_of(candidate.tool) for candidate in index.search(query, _DEPTH)]

    def by_meaning(query: str) -> Sequence[str]:
        nearest: list[int] = (
            (-meanings.cosines(embedder.embed(query))).argsort(kind="stable")[:_DEPTH].tolist()
        )
        return [names[place] for place in nearest]

    def by_both(query: str) -> Sequence[str]:
        return [task.name_of(one.tool) for one in fused.search(query, _DEPTH, embedder.embed(query))]

    if not note:
        yield "words", by_words
    yield f"meaning{note}", by_meaning
    yield f"both{note}", by_both


def find(task: Task, embedder: Embedder, note: str = "") -> Iterator[Found]:
    """How well the task's tools are found, each way."""
    for way, rank in rankings(task, embedder, note):
        scores = (retrieval_score.score(rank(request.query), request.gold) for request in task.requests)
        found = Found(task.name, len(task.tools), len(task.requests), way, retrieval_score.mean(scores))
        print(found, file=sys.stderr)
        yield found


def cost(task: Task, queries: Sequence[str]) -> Cost:
    """What searching the tools of `task` takes."""
    encoder = MiniLm()
    encoder.embed("warm")
    passages = list(ToolIndex(task.tools).passages)
    embedded, embedding = zip(*(_timed_embedding(encoder, text) for text in passages[::_EVERY]), strict=True)
    # Which vectors they are makes no difference to the time, so that not all need be worked out.
    vectors = {
        text: np.array(embedded[place % len(embedded)], np.float16) for place, text in enumerate(passages)
    }
    before = _resident()
    began = time.thread_time()
    index = ToolIndex(task.tools)
    index.prepare()
    reading = time.thread_time() - began
    # The vectors above are what a search keeps in memory too.
    fused = index.with_vectors(vectors)
    fused.prepare()
    kept = sum(vector.nbytes + sys.getsizeof(vector) for vector in vectors.values()) / 2**20
    memory = _resident() - before + kept
    changed = tuple(_changed(task.catalog).tools.values())
    both = [_fastest(lambda query=query: fused.search(query, 20, encoder.embed(query))) for query in queries]
    words = [_fastest(lambda query=query: index.search(query, 20)) for query in queries]
    return Cost(
        tools=len(task.tools),
        query_p50_ms=median(both) * 1000,
        query_p95_ms=_p95(both) * 1000,
        words_p95_ms=_p95(words) * 1000,
        reading_s=reading,
        change_ms=_fastest(lambda: fused.with_tools(changed).prepare()) * 1000,
        embedding_ms=average(embedding) * 1000,
        index_mib=memory,
    )


def _timed_embedding(encoder: MiniLm, text: str) -> tuple[Vector, float]:
    began = time.thread_time()
    return encoder.embed(text), time.thread_time() - began


def _changed(catalog: Catalog) -> Catalog:
    """The catalog, after one server has listed its tools with other descriptions."""
    offer = catalog.offers[0]
    tools = tuple({**tool, "description": "something else"} for tool in offer.tools)
    return catalog.with_offer(replace(offer, tools=tools))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of processor time."""

    def timed() -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    return min(timed() for _ in range(_TRIES))


def _p95(figures: Sequence[float]) -> float:
    return sorted(figures)[ceil(0.95 * len(figures)) - 1]


def _resident() -> float:
    """MiB this process holds. Linux only."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(folder: Path, original: Path | None) -> Record:
    """Every task, every way."""
    every = list(tasks(folder))
    embedder = Remembering(MiniLm())
    found = [found for task in every for found in find(task, embedder)]
    measured = cost(every[-1], _timed(every))
    if original:
        precise = Remembering(MiniLm(original))
        found += (found for task in every[:-1] for found in find(task, precise, ", fp32"))
    return _recorded(tuple(found), measured)


def run_again(folder: Path, before: Record) -> Record:
    """What searching takes, anew; how well it finds, as it was: that is the same on every machine."""
    every = list(tasks(folder))
    return _recorded(before.found, cost(every[-1], _timed(every)))


def _timed(every: Sequence[Task]) -> Sequence[str]:
    """The queries that are timed: some of every task."""
    queries = [request.query for task in every[:-1] for request in task.requests[:_TIMED]]
    return queries[:: max(1, len(queries) // _TIMED)]


def _recorded(found: tuple[Found, ...], measured: Cost) -> Record:
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        encoder=fingerprint()[:12],
        found=found,
        cost=measured,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER, help="where pools and requests are")
    parser.add_argument("--float", type=Path, help="an encoder with its original weights, to compare with")
    parser.add_argument("--cost", action="store_true", help="measure anew only what searching takes")
    parser.add_argument("--json", type=Path, default=RECORD, help="where the record is written")
    arguments = parser.parse_args()
    if arguments.cost:
        record = run_again(arguments.data, load(arguments.json))
    else:
        record = run(arguments.data, arguments.float)
    save(record, arguments.json)
    print(f"\n{table(record)}\n\n{costs(record)}\n\n{conditions(record)}")


if __name__ == "__main__":
    main()
