"""Records: a request, the tools on offer, and the calls that are right. Reads files; asks nobody and judges nothing.

A file holds one JSON object a line; `docs/evaluation.md` explains the keys. A name that ends in `.gz` is compressed.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

Kind = Literal["single", "parallel", "abstain", "missing"]
"""One call is right; several, in any order; none; or one that lacks what the request does not say."""

_MOST_TOLD = 10
"""Bad lines that one error tells of."""
_SHOWN = 60
"""Characters of a bad value that are shown."""


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A tool by its name, and arguments for it."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Record:
    """A request, the tools to choose from, and what is right."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: str
    source: str
    """The corpus it is from."""
    query: str
    tools: tuple[Mapping[str, Any], ...]
    """Definitions as in `tools/list`."""
    kind: Kind
    calls: tuple[NamedCall, ...] = ()
    """The right calls; of kind "missing", with the arguments that the request does give."""
    accept: tuple[Mapping[str, Mapping[str, Any]], ...] = ()
    """The right calls as {tool: {parameter: [allowed values]}}, which then decide; "" means it may be left out."""
    alt_tools: tuple[str, ...] = ()
    """Tools that are as right as the one of the only call."""
    missing: tuple[str, ...] = ()
    """Required parameters that the request does not give."""
    partial_args_known: bool = True
    """Whether the arguments of a call of kind "missing" are known; if not, only what is absent is judged."""
    relevance: bool = False
    """Whether any call is right: nothing is known but that some tool fits."""
    ungrounded: tuple[str, ...] = ()
    """Arguments whose value does not stand in the request."""
    tags: tuple[str, ...] = ()
    origin: str = ""
    reason: str = ""
    derived: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no record, and what to do about it."""

    path: Path
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}: {self.problem}"


class BadRecordError(Exception):
    """Files of records that cannot be used as they are."""

    def __init__(self, problems: tuple[BadLine, ...]) -> None:
        self.problems = problems
        told = "\n".join(map(str, problems[:_MOST_TOLD]))
        more = f"\nand {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        super().__init__(f"{told}{more}\nCorrect these lines or take them out; nothing was evaluated.")


_FORMAT = TypeAdapter(Record)


def read_records(paths: Iterable[Path]) -> tuple[Record, ...]:
    """Every record of the files, in order.

    Raises:
        BadRecordError: lines are no records, a record stands there twice, or a file cannot be read.
    """
    records: dict[str, Record] = {}
    places: dict[str, str] = {}
    problems: list[BadLine] = []
    for path in paths:
        for number, line in _lines(path, problems):
            record = _record(line)
            if isinstance(record, str):
                problems.append(BadLine(path, number, record))
            elif record.id in records:
                problems.append(BadLine(path, number, f"id {record.id!r} stands at {places[record.id]} too"))
            else:
                records[record.id] = record
                places[record.id] = f"{path}, line {number}"
    if problems:
        raise BadRecordError(tuple(problems))
    return tuple(records.values())


def _lines(path: Path, problems: list[BadLine]) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers; a file that breaks off ends there."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except gzip.BadGzipFile:
        problems.append(BadLine(path, number + 1, "not compressed with gzip; take .gz off its name"))
    except (EOFError, zlib.error):
        problems.append(BadLine(path, number + 1, "the compressed file is damaged or cut off; copy it again"))
    except UnicodeDecodeError as error:
        problems.append(BadLine(path, number, f"not UTF-8 at byte {error.start}; save the file as UTF-8"))
    except OSError as error:
        problems.append(BadLine(path, number + 1, f"cannot be read: {error.strerror or error}"))


def _record(line: str) -> Record | str:
    """The record in a line, or what is wrong with it."""
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error}); each line holds one record"
    try:
        record = _FORMAT.validate_python(given)
    except ValidationError as error:
        return "; ".join(_explained(cast("Mapping[str, Any]", each)) for each in error.errors()[:3])
    return _contradiction(record) or record


def _explained(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"])) or "the record"
    if error["type"] == "unexpected_keyword_argument":
        return f"{place}: no key of a record; the keys are {', '.join(Record.__slots__)}"
    if error["type"] == "missing":
        return f"{place}: this key is required"
    shown = repr(error["input"])
    shown = f"{shown[:_SHOWN]}…" if len(shown) > _SHOWN else shown
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}, not {shown}"


def _contradiction(record: Record) -> str:
    """What makes the record impossible to judge; empty when nothing does."""
    for place, tool in enumerate(record.tools):
        if not isinstance(tool.get("name"), str) or not tool["name"]:
            return f"tools.{place}: a tool needs a name, as in tools/list"
    if any(len(spec) != 1 for spec in record.accept):
        return "accept: each item names one tool: {tool: {parameter: [allowed values]}}"
    return "" if record.relevance else _unlike_its_kind(record)


def _unlike_its_kind(record: Record) -> str:
    """How the calls that are right do not go with the kind of the record, or with its tools."""
    wanted = [next(iter(spec)) for spec in record.accept] or [call.name for call in record.calls]
    if record.kind == "abstain" and wanted:
        return f"kind is abstain, yet {wanted[0]} is called; leave calls empty"
    if record.kind != "abstain" and not wanted:
        return f"kind is {record.kind}, yet calls is empty; give the right call, or make it abstain"
    if record.kind == "single" and len(wanted) != 1:
        return f"kind is single, yet {len(wanted)} calls are given; make it parallel"
    names = {same_name(tool["name"]) for tool in record.tools}
    strange = next((name for name in wanted if same_name(name) not in names), None)
    return f"{strange} is called but not among tools; add its definition" if strange else ""


def same_name(name: str) -> str:
    """A tool's name as it is compared: some corpora write "." where others write "_"."""
    return name.strip().replace(".", "_")
