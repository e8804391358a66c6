"""Reading a long result in pieces: nothing is lost, and nothing comes twice."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_registry.json_excerpt import NoSuchPlaceError, at_pointer, escaped, json_excerpt, json_text
from tool_registry.reading import Passage, by_line, by_offset, by_pointer, by_search, line_count
from tool_registry.tokens import estimate_tokens

PLAIN = st.text(st.characters(exclude_characters="`~\x1b", exclude_categories=("Cs",)), max_size=300)
"""Texts in which nothing is open at the end of a piece."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**6) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(PLAIN, st.integers(1, 40))
def test_pieces_by_offset_make_the_whole_text(text: str, tokens: int) -> None:
    buffer, offset, pieces = text.encode(), 0, list[str]()
    while True:
        passage = by_offset(buffer, offset, None, tokens)
        pieces.append(passage.text)
        if not passage.onward:
            break
        assert passage.onward["offset"] > offset
        offset = passage.onward["offset"]
    assert "".join(pieces) == text


@given(PLAIN.filter(bool), st.integers(1, 5), st.integers(1, 40))
def test_pieces_by_line_make_the_whole_text(text: str, lines: int, tokens: int) -> None:
    buffer, pieces = text.encode(), list[str]()
    onward: dict[str, Any] = {"line": 1}
    while onward:
        if "line" in onward:
            passage = by_line(buffer, onward["line"], lines, tokens)
        else:
            passage = by_offset(buffer, onward["offset"], None, tokens)
        pieces.append(passage.text)
        onward = dict(passage.onward)
    assert "".join(pieces) == text


@given(st.lists(st.text(max_size=80) | st.integers() | st.none(), min_size=1, max_size=30))
def test_items_page_by_page_make_the_whole_list(items: list[Any]) -> None:
    largest = max(estimate_tokens(json_text(item, indented=False)) for item in items)
    found: list[Any] = []
    onward: dict[str, Any] = {"pointer": "/a~1b", "offset": 0}
    while onward:
        passage = by_pointer({"a/b": items}, onward["pointer"], onward["offset"], None, largest)
        found += json.loads(passage.text)
        onward = dict(passage.onward)
    assert found == items


@settings(deadline=None)
@given(JSON, st.integers(20, 400))
def test_a_shortened_value_fits_is_json_and_says_where_it_is_shortened(value: Any, tokens: int) -> None:
    shortened = json_excerpt(value, tokens)
    if shortened is None:
        return
    assert estimate_tokens(json_text(shortened.value, indented=False)) <= tokens
    assert (shortened.value == value) == (not shortened.shortened)
    for place in shortened.shortened:
        whole = at_pointer(value, place.pointer)
        assert len(whole) == place.total > place.shown


@given(JSON)
def test_a_value_that_fits_is_left_alone(value: Any) -> None:
    shortened = json_excerpt(value, 10**6)
    assert shortened
    assert shortened.value == value


@given(JSON)
def test_every_place_in_a_value_is_found_by_its_pointer(value: Any) -> None:
    def walk(inner: Any, pointer: str) -> None:
        assert at_pointer(value, pointer) is inner
        if isinstance(inner, dict):
            for name, member in inner.items():  # pyright: ignore[reportUnknownVariableType]
                walk(member, f"{pointer}/{escaped(name)}")  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(inner, list):
            for number, item in enumerate(inner):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                walk(item, f"{pointer}/{number}")

    walk(value, "")


@pytest.mark.parametrize(
    "pointer", ["a", "/b", "/a/2", "/a/-", "/a/01", "/a/0/x", "/a/" + "9" * 5000, "/a/٠", "/~2"]
)
def test_a_pointer_that_leads_nowhere_is_told_what_is_there(pointer: str) -> None:
    with pytest.raises(NoSuchPlaceError):
        at_pointer({"a": [1, 2]}, pointer)


def test_a_search_finds_in_any_case_and_goes_on_where_it_stopped() -> None:
    text = "\n".join(
        f"{number}: GRÖSSE und größe" if number % 100 == 0 else "nothing" for number in range(1000)
    ).encode()
    first = by_search(text, "grö", 0, 3, 1000)
    assert first.shown == "matches 1 to 3 of 10"
    assert "line 101, offset" in first.text
    last = by_search(text, "grö", 9, 3, 1000)
    assert not last.onward
    assert "900: GRÖSSE" in last.text
    with pytest.raises(NoSuchPlaceError):
        by_search(text, "grö", 10, 3, 1000)


def test_what_looks_like_a_pattern_is_only_text() -> None:
    assert by_search(b"a.c abc", "a.c", 0, None, 100).shown == "matches 1 to 1 of 1"


@pytest.mark.parametrize(("text", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_lines_are_counted_as_an_editor_does(text: bytes, lines: int) -> None:
    assert line_count(text) == lines


def test_an_item_too_long_for_one_answer_is_shortened_and_says_where_to_read_it() -> None:
    passage: Passage = by_pointer([{"body": "word " * 5000}, 1], "", 0, None, 300)
    assert "read it at /0" in passage.shown
    assert passage.onward == {"pointer": "", "offset": 1}
    assert by_pointer([{"body": "word " * 5000}], "/0/body", 100, 50, 300).text == "word " * 10


@pytest.mark.parametrize("offset", [8, 100])
def test_an_offset_past_the_end_is_said_to_be(offset: int) -> None:
    with pytest.raises(NoSuchPlaceError, match="past the end"):
        by_offset(b"12345678", offset, None, 100)


def test_an_offset_inside_a_character_begins_with_that_character() -> None:
    assert by_offset("aé再".encode(), 2, None, 100).text == "é再"
    assert by_offset("aé再".encode(), 4, 1, 100).text == "再"
