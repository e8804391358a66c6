"""The catalogs and the tables of cases that the planner's tests share: `tests/cases/pocket_*.json`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tool_registry import Catalog, Offer, ToolIndex

CASES = Path(__file__).parent.parent / "cases"
CATALOGS: dict[str, list[dict[str, Any]]] = json.loads((CASES / "pocket_catalogs.json").read_text("utf-8"))


def cases(name: str) -> list[dict[str, Any]]:
    """The table of cases `pocket_<name>.json`."""
    return json.loads((CASES / f"pocket_{name}.json").read_text("utf-8"))


@cache
def index_of(*servers: str) -> ToolIndex:
    """The tools of `servers`, or of all of them for "*"."""
    names = CATALOGS if servers == ("*",) else servers
    return ToolIndex(
        Catalog(tuple(Offer(name, name, tuple(CATALOGS[name])) for name in names)).tools.values()
    )


def about(case: dict[str, Any]) -> str:
    return case["about"]
