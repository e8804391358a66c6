"""Signatures: a schema in the few characters that a caller needs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tool_registry.signature import signature

CASES = json.loads(Path(__file__).with_name("signature_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["signature"])
def test_a_schema_reads_as_its_signature(case: dict[str, Any]) -> None:
    assert signature("t", case["schema"]) == case["signature"]
