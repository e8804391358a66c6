"""Values in a text, over the table `tests/cases/pocket_spans.json`."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_llm.pocket.spans import find_spans

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "cases" / "pocket_spans.json").read_text("utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_values_are_found_with_their_kind_and_reading(case: dict[str, Any]) -> None:
    assert [[span.kind, span.text, span.value] for span in find_spans(case["text"])] == case["spans"]


@given(st.text(max_size=200) | st.text(alphabet="a1./:-'\"@ ,%~*#$km", max_size=80))
def test_spans_stand_where_they_say_in_order_and_apart(text: str) -> None:
    end = 0
    for span in find_spans(text):
        assert end <= span.start < span.end <= len(text)
        assert span.text in text[span.start : span.end]
        end = span.end
