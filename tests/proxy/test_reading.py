"""Lines from peers: JSON is read as it is, what is nearly JSON is mended, and the rest says whose it was."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_proxy.reading import Unreadable, read

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "reading_cases.json").read_text(encoding="utf-8")
)
"""Lines are given in Latin-1, byte for byte."""

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("case", CASES["mended"], ids=lambda case: case["line"][:40])
def test_what_is_nearly_json_is_mended(case: dict[str, Any]) -> None:
    assert read(case["line"].encode("latin-1")) == case["value"]


@pytest.mark.parametrize("case", CASES["unreadable"], ids=lambda case: case["line"][:40])
def test_of_what_cannot_be_read_only_what_is_sure_is_said(case: dict[str, Any]) -> None:
    found = read(case["line"].encode("latin-1"))
    assert isinstance(found, Unreadable)
    assert (found.number, found.is_request) == (case.get("id"), case.get("request", False))


@pytest.mark.parametrize("levels", [255, 1000, 1025, 100_000])
def test_nesting_that_could_not_be_written_again_is_not_read(levels: int) -> None:
    line = b'{"jsonrpc":"2.0","id":7,"result":%s%s}' % (b"[" * levels, b"]" * levels)
    found = read(line)
    assert isinstance(found, Unreadable)
    assert (found.number, found.is_request) == (7, False)


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert read(b"[%s]" % b",".join([b"{}"] * 1000)) == [{}] * 1000


@given(VALUES)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert read(orjson.dumps(value)) == value


@given(st.binary() | st.text().map(lambda text: ("{" + text).encode("utf-8", "surrogatepass")))
def test_nothing_raises_and_whatever_is_read_can_be_written(line: bytes) -> None:
    found = read(line)
    assert isinstance(found, Unreadable) or orjson.dumps(found)
