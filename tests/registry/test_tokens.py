"""The estimate of tokens, against what real tokenizers counted."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import tokens as record
from tool_registry.tokens import CLASSES, counts, estimate_tokens


def test_the_estimate_is_near_real_tokenizers_on_every_kind_of_text() -> None:
    errors = record.errors(record.load())
    assert {kind: error for kind, error in errors.items() if abs(error) > 0.4} == {}
    assert sorted(map(abs, errors.values()))[len(errors) // 2] < 0.15


def test_every_byte_that_begins_a_printable_character_is_of_one_class() -> None:
    leads = b"".join(leads for leads, _ in CLASSES.values())
    assert len(leads) == len(set(leads))
    assert set(range(0x20, 0x7F)) | set(range(0xC2, 0xF5)) <= set(leads)


@given(st.text(max_size=500))
def test_a_text_has_at_most_about_as_many_tokens_as_bytes(text: str) -> None:
    """But for line ends, of which ordinary texts have few."""
    lines = sum(map(text.count, "\n\r\t"))
    assert estimate_tokens(text) <= len(text.encode("utf-8", "replace")) + 2 * lines + 1


@given(st.text(st.characters(categories=("L", "N", "P")), max_size=200))
def test_every_character_is_counted_once(text: str) -> None:
    assert sum(counts(text).values()) == len(text)


def test_a_long_text_is_estimated_from_parts_of_it() -> None:
    page = "The quick brown fox jumps over the lazy dog, 7 times.\n"
    few, many = estimate_tokens(page * 1000), estimate_tokens(page * 400_000)
    assert abs(many / 400 - few) < few * 0.02
