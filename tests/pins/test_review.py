"""Fingerprints, reviews and diffs: values in, values out."""

import json
import random
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pins.served import tool
from tool_registry import Offer
from tool_registry.pins import Pin, Review, Rules, Standing, TooDeepError, diff, fingerprint, review

CATALOGS = Path(__file__).parents[2] / "benchmarks" / "catalogs"
TEXT = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
DEFINITIONS = st.fixed_dictionaries({"name": TEXT}, optional={"description": TEXT, "inputSchema": JSON})


def shuffled(value: Any) -> Any:
    """The same JSON with its keys in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(inner)) for key, inner in cast("dict[str, Any]", value).items()]
        random.shuffle(items)
        return dict(items)
    return [shuffled(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value


@given(DEFINITIONS)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys_or_on_what_is_not_pinned(
    definition: dict[str, Any],
) -> None:
    unpinned: dict[str, Any] = {"_meta": {"at": "12:00"}, "icons": [], "execution": {}, "annotations": None}
    assert fingerprint(shuffled(definition) | unpinned) == fingerprint(json.loads(json.dumps(definition)))


def test_a_fingerprint_is_the_same_in_every_run_and_version() -> None:
    # Written down once: a change here makes every former fingerprint worthless, and needs a new version of it.
    definition = tool("add", "Adds – two.", inputSchema={"required": ["b", "a"], "maximum": 1.0})
    assert fingerprint(definition) == ("1:f65858caabf0dab22c4b044a4d7eda095e1cb7291eb7c0cf4248fb84a3219992")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"required": ["a", "b"]}, {"required": ["b", "a"]}, True),
        ({"enum": [{"x": 1, "y": 2}, 1]}, {"enum": [1, {"y": 2, "x": 1}]}, True),
        ({"type": ["string", "null"]}, {"type": ["null", "string"]}, True),
        ({"maximum": 10}, {"maximum": 10.0}, True),
        ({"default": [1, 2]}, {"default": [2, 1]}, False),
        ({"default": True}, {"default": 1}, False),
        ({"default": "1"}, {"default": 1}, False),
        ({"description": "a"}, {"description": "a "}, False),
        ({"description": "a"}, {"description": "a\u200b"}, False),
        ({"properties": {"a": {}}}, {"properties": {}}, False),
    ],
)
def test_what_means_the_same_to_a_schema_is_the_same(
    one: dict[str, Any], other: dict[str, Any], *, same: bool
) -> None:
    marks = [fingerprint({"name": "t", "inputSchema": schema}) for schema in (one, other)]
    assert (marks[0] == marks[1]) == same


def test_a_definition_without_bottom_cannot_be_compared() -> None:
    bottomless: Any = {}
    for _ in range(5000):
        bottomless = {"items": bottomless}
    with pytest.raises(TooDeepError):
        fingerprint({"name": "t", "inputSchema": bottomless})
    found = reviewed({}, {"name": "t", "inputSchema": bottomless})
    assert "nested" in found.offer.quarantined["t"]


def reviewed(pins: dict[str, Pin], *tools: dict[str, Any], flagged: bool = False, **rules: Any) -> Review:
    return review(Offer("x", "x", tools), pins, Rules(**rules), lambda _: flagged)


def after(pins: dict[str, Pin], found: Review) -> dict[str, Pin]:
    return {**pins, **{pin.name: pin for pin in found.updates}}


def test_every_real_catalog_is_trusted_at_first_sight_and_not_looked_at_twice() -> None:
    for path in CATALOGS.glob("*.json"):
        tools = json.loads(path.read_text(encoding="utf-8"))["tools"]
        first = reviewed({}, *tools)
        assert not first.offer.quarantined
        assert len(first.updates) == len(tools)
        again = reviewed(after({}, first), *map(shuffled, reversed(tools)))
        assert (again.updates, dict(again.offer.quarantined)) == ((), {})


@given(DEFINITIONS, DEFINITIONS)
def test_no_word_of_a_change_is_shown_until_it_is_accepted(old: dict[str, Any], new: dict[str, Any]) -> None:
    old["name"] = new["name"] = "t"
    pins = after({}, reviewed({}, old))
    found = reviewed(pins, new)
    pins = after(pins, found)
    if fingerprint(old) == fingerprint(new):
        assert not found.updates
        return
    assert found.offer.tools == (pins["t"].trusted,)
    assert pins["t"].standing is Standing.CHANGED
    accepted = {"t": pins["t"].accepted()}
    assert reviewed(accepted, new).offer.tools == (new,)
    assert not reviewed(accepted, old).offer.quarantined, "a session that began before still offers it"


def test_the_rules_decide_about_newcomers() -> None:
    known = after({}, reviewed({}, tool("a")))
    both = tool("a"), tool("b")
    assert not reviewed(known, *both).offer.quarantined
    assert "is new" in reviewed(known, *both, on_new="ask").offer.quarantined["b"]
    assert not reviewed({}, *both, on_new="ask").offer.quarantined
    assert "looks like an attack" in reviewed({}, *both, flagged=True).offer.quarantined["a"]
    assert set(reviewed(known, *both, flagged=True).offer.quarantined) == {"b"}
    assert not reviewed({}, *both, flagged=True, on_flagged="allow").offer.quarantined


def test_a_quarantined_newcomer_stays_so_until_it_is_accepted_or_the_rules_change() -> None:
    pins = after({}, reviewed({}, tool("a"), flagged=True))
    assert reviewed(pins, tool("a"), flagged=True).updates == ()
    assert reviewed(pins, tool("a"), flagged=True).offer.tools[0].get("description") is None
    assert not reviewed({"a": pins["a"].accepted()}, tool("a"), flagged=True).offer.quarantined
    assert not reviewed(pins, tool("a"), flagged=True, on_flagged="allow").offer.quarantined


def test_what_is_no_tool_is_left_to_be_complained_of() -> None:
    odd: list[dict[str, Any]] = [{}, {"name": 7}, tool("a"), tool("a", "Again.")]
    found = reviewed({}, *odd)
    assert list(found.offer.tools) == odd
    assert [pin.name for pin in found.updates] == ["a"]


def test_a_diff_goes_sentence_by_sentence_and_field_by_field() -> None:
    old = tool("t", "Reads a file. Nothing else.", inputSchema={"type": "object", "properties": {}})
    new = tool("t", "Reads a file. No\u200bthing else.", inputSchema={"type": "object"}, title="T")
    assert list(diff(old, new)) == [
        "title:",
        "  +T",
        "description:",
        "   Reads a file. ",
        "  -Nothing else.",
        r"  +No\u200bthing else.",
        "inputSchema:",
        "   {",
        '  -  "properties": {},',
        '     "type": "object"',
        "   }",
    ]
    assert list(diff(None, tool("t", "Says hello."))) == [
        "description:",
        "  +Says hello.",
        "inputSchema:",
        "  +{",
        '  +  "type": "object"',
        "  +}",
    ]


@given(DEFINITIONS, DEFINITIONS)
def test_there_is_a_diff_exactly_when_there_is_a_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    one["name"] = other["name"]
    assert bool(list(diff(one, other))) == (fingerprint(one) != fingerprint(other))
