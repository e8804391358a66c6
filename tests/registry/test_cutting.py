"""Where a text is cut: at a line, a sentence or a word, and never inside what is read as one character."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_registry.cutting import character_start, excerpt
from tool_registry.tokens import estimate_tokens

CASES = json.loads((Path(__file__).parent / "cutting_cases.json").read_text())

PIECES = st.sampled_from(
    [
        "word ",
        "a sentence. ",
        "line\n",
        "```\n",
        "\x1b[31m",
        "\x1b[0m",
        "é",
        "e\u0301",
        "👩‍👩‍👧",
        "🇩🇪",
        "\r\n",
        "再见。",
        "x" * 40,
        "7",
    ]
)
TEXTS = st.text(max_size=200) | st.lists(PIECES, max_size=120).map("".join)


@pytest.mark.parametrize("case", CASES["excerpts"], ids=lambda case: case["what"])
def test_a_text_is_cut_where_a_reader_would(case: dict[str, Any]) -> None:
    text = case["text"] * case.get("times", 1)
    cut = excerpt(text, case["tokens"])
    assert cut.end < len(text)
    assert cut.text.endswith(case["ends"])


@pytest.mark.parametrize("whole", CASES["characters"])
def test_one_character_is_never_parted(whole: str) -> None:
    text = f"ab{whole}cd"
    for position in range(3, 2 + len(whole)):
        assert character_start(text, position) == 2


@given(TEXTS, st.integers(1, 60))
def test_excerpts_one_after_another_make_the_whole_text(text: str, tokens: int) -> None:
    rest, pieces = text, list[str]()
    while rest:
        cut = excerpt(rest, tokens)
        assert cut.end > 0
        assert cut.text.startswith(rest[: cut.end])
        pieces.append(rest[: cut.end])
        rest = rest[cut.end :]
    assert "".join(pieces) == text


@given(TEXTS, st.integers(20, 200))
def test_an_excerpt_keeps_to_its_tokens_but_for_what_it_closes(text: str, tokens: int) -> None:
    cut = excerpt(text, tokens)
    assert estimate_tokens(text[: cut.end]) <= tokens + 1


@given(TEXTS)
def test_a_text_that_fits_is_left_alone(text: str) -> None:
    assert excerpt(text, 10_000).text == text
