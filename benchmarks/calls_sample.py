"""Draws the records that come along, `data/calls-sample.jsonl.gz`, from a folder of corpora.

    python -m benchmarks.calls_sample --data FOLDER

Records are drawn by the hash of their id, so that the same corpora give the same sample: as many of every source as it
has, up to an even share, and within a source of every kind in proportion.
"""

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent / "data" / "calls-sample.jsonl.gz"
_RECORDS = 500
_SHARED_ALIKE = frozenset({"sgd"})
"""Sources whose licence would bind what they are combined with."""

Line = dict[str, Any]


def corpora(folder: Path) -> dict[str, list[Line]]:
    """The held-out records of each source that may be passed on, in the order they are drawn."""
    by_source: dict[str, list[Line]] = {}
    for file in sorted(folder.glob("*.dev.jsonl.gz")):
        source = file.name.partition(".")[0]
        if source not in _SHARED_ALIKE:
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                by_source[source] = sorted(map(json.loads, lines), key=_drawn)
    return by_source


def shares(sizes: Iterable[int], total: int) -> list[int]:
    """How many to take of each: evenly, where the small give all they have and the large make up for it."""
    left, taken = total, dict[int, int]()
    ordered = sorted(enumerate(sizes), key=lambda each: each[1])
    for place, (index, size) in enumerate(ordered):
        taken[index] = min(size, left // (len(ordered) - place))
        left -= taken[index]
    return [taken[index] for index in sorted(taken)]


def stratified(lines: Sequence[Line], count: int) -> Iterator[Line]:
    """`count` of the lines, of each kind in proportion."""
    by_kind: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_kind[line["kind"]].append(line)
    ranked = [
        ((place + 0.5) / len(same), kind, line)
        for kind, same in by_kind.items()
        for place, line in enumerate(same)
    ]
    yield from (line for *_, line in sorted(ranked, key=lambda each: each[:2])[:count])


def _drawn(line: Line) -> str:
    return sha256(line["id"].encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls_sample", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with <source>.dev.jsonl.gz files")
    by_source = corpora(parser.parse_args().data)
    counts = shares(map(len, by_source.values()), _RECORDS)
    drawn = [
        line
        for lines, count in zip(by_source.values(), counts, strict=True)
        for line in sorted(stratified(lines, count), key=_drawn)
    ]
    text = "".join(f"{json.dumps(line, ensure_ascii=False, separators=(',', ':'))}\n" for line in drawn)
    SAMPLE.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(
        f"{len(drawn)} records: " + ", ".join(f"{n} of {s}" for s, n in zip(by_source, counts, strict=True))
    )


if __name__ == "__main__":
    main()
