"""What checking costs, over the schemas of published MCP tools; recorded in results/schemas.json.

    python -m benchmarks.schemas

Compiles one in four of the schemas of tests/registry/real_schemas.jsonl.gz, makes arguments that fit it, and checks those.
Then the schemas of tests/e2e/schema_bombs.py: how long each holds up other calls before it is left to a thread.
"""

import gzip
import json
import platform
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tests.e2e.schema_bombs import BOMBS
from tool_registry import ToolEntry
from tool_registry.repair import check
from tool_registry.schema import CompiledSchema, UnusableSchemaError, compile_schema

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "tests" / "registry" / "real_schemas.jsonl.gz"
RECORD = Path(__file__).parent / "results" / "schemas.json"
_ROUNDS = 5
_EVERY = 4
"""One schema of so many is taken."""

_VALUES: Mapping[str, Any] = {
    "string": "hello world",
    "integer": 5,
    "number": 5.5,
    "boolean": True,
    "null": None,
    "array": [],
    "object": {},
}


def arguments_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that give every parameter a value of its type, or its first option."""
    made: dict[str, Any] = {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name, about in properties.items():
        if isinstance(about, dict):
            member = cast("dict[str, Any]", about)
            kinds: Any = member.get("type")
            kind = str(cast("list[object]", kinds)[0]) if isinstance(kinds, list) else str(kinds)
            made[name] = member["enum"][0] if member.get("enum") else _VALUES.get(kind)
    return made


def measure() -> dict[str, Any]:
    """Compile and check everything; times in microseconds of processor time."""
    with gzip.open(SCHEMAS, "rt", encoding="utf-8") as lines:
        schemas: list[dict[str, Any]] = [json.loads(line) for line in list(lines)[::_EVERY]]
    compiling: list[float] = []
    checking: list[float] = []
    slowly: list[float] = []
    unusable: list[str] = []
    quick = fitting = 0
    for schema in schemas:
        began = time.process_time()
        try:
            compiled = compile_schema(schema)
        except UnusableSchemaError as error:
            unusable.append(str(error))
            continue
        compiling.append((time.process_time() - began) * 1e6)
        quick += compiled.is_surely_valid is not None
        made = arguments_for(schema)
        if compiled.faults(made):
            continue
        fitting += 1
        checking.append(_checked(compiled, made))
        slowly.append(_slowly(compiled, made))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "schemas": len(schemas),
        "unusable": unusable,
        "with_quick_check": quick,
        "with_arguments_that_fit": fitting,
        "compile_us": _spread(compiling),
        "check_us": _spread(checking),
        "check_by_jsonschema_us": _spread(slowly),
        "held_up_ms": {name: _held_up(*bomb) for name, bomb in BOMBS.items()},
    }


def _held_up(schema: dict[str, Any], arguments: dict[str, Any]) -> float:
    """Milliseconds of processor time that a call of a hostile tool takes where others wait; the least of some tries."""
    took: list[float] = []
    for number in range(_ROUNDS):
        # Compiled anew each time: no two of these are equal.
        tool = ToolEntry("bad", "t", "t", {"name": "t", "inputSchema": {**schema, "$comment": str(number)}})
        began = time.process_time()
        with suppress(UnusableSchemaError):
            tool.checked_at_once(arguments)
        took.append((time.process_time() - began) * 1e3)
    return round(min(took), 1)


def _checked(compiled: CompiledSchema, arguments: dict[str, Any]) -> float:
    began = time.process_time()
    for _ in range(_ROUNDS):
        check(compiled, arguments)
    return (time.process_time() - began) / _ROUNDS * 1e6


def _slowly(compiled: CompiledSchema, arguments: dict[str, Any]) -> float:
    began = time.process_time()
    for _ in range(_ROUNDS):
        compiled.faults(arguments)
    return (time.process_time() - began) / _ROUNDS * 1e6


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


def load() -> dict[str, Any]:
    """The recorded results."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def said(record: Mapping[str, Any]) -> str:
    """What a check costs, in a sentence."""
    check_us, slow_us = record["check_us"], record["check_by_jsonschema_us"]
    return (
        f"{check_us['p50']:g} µs p50 and {check_us['p95']:g} µs p95, against {slow_us['p50']:g} and "
        f"{slow_us['p95']:g} µs without the fast test, over {record['with_arguments_that_fit']:,} published tools"
    )


def said_of_bombs(record: Mapping[str, Any]) -> str:
    """How long a hostile schema holds up other calls, in a sentence."""
    held: Mapping[str, float] = record["held_up_ms"]
    return f"at most {max(held.values()):.0f} ms, over {len(held)} kinds of them"


def main() -> None:
    record = measure()
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
