"""Which requests a client has declared to answer, and which log entries are severe enough."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_proxy.callers import LEVELS, declares, is_at_least
from mcp_proxy.hops import relayed

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "declarations.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_client_answers_what_it_has_declared(case: dict[str, Any]) -> None:
    assert declares(case["capabilities"], case["method"], case["params"]) is case["answers"]


def test_levels_are_as_severe_as_themselves_and_all_before_them() -> None:
    severe = [[is_at_least(level, least) for level in LEVELS] for least in LEVELS]
    assert severe == [[at >= number for at in range(len(LEVELS))] for number in range(len(LEVELS))]
    assert not is_at_least("loud", "debug")


def test_an_upstream_may_use_no_capability_that_switchboard_would_not_pass_on() -> None:
    declared: dict[str, Any] = {
        "roots": {},
        "elicitation": {"url": {}},
        "extensions": {"vendor/x": {}},
        "experimental": {},
    }
    assert relayed(declared) == {"roots": {}, "elicitation": {"url": {}}}
