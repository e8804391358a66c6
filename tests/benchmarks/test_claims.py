"""The documentation quotes what was measured."""

from pathlib import Path

import pytest

from benchmarks.claims import CLAIMS, ROOT, BadClaimError, pages, renewed

MADE_UP = {"speed:table": lambda: "| a |\n| --- |", "speed:call": lambda: "1 ms"}


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_quotes_what_the_records_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == renewed(text), "run `python -m benchmarks.claims --write`"


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_can_be_made_from_the_records(name: str) -> None:
    block = f"<!-- {name} -->old<!-- /{name} -->"
    assert renewed(renewed(block)) == renewed(block) != block


def test_an_outdated_number_is_replaced_and_nothing_else() -> None:
    page = "It takes <!-- speed:call -->9 ms<!-- /speed:call --> or <!-- a note --> so.\n"
    assert renewed(page, MADE_UP) == page.replace("9 ms", "1 ms")


def test_a_table_stands_on_lines_of_its_own() -> None:
    page = "<!-- speed:table --><!-- /speed:table -->"
    assert renewed(page, MADE_UP) == "<!-- speed:table -->\n| a |\n| --- |\n<!-- /speed:table -->"


def test_an_unknown_claim_is_an_error_that_lists_the_known_ones() -> None:
    page = "<!-- speed:cal -->1 ms<!-- /speed:cal -->"
    with pytest.raises(BadClaimError, match=r"no claim 'speed:cal': it is one of speed:call, speed:table"):
        renewed(page, MADE_UP)


def test_a_quotation_without_an_end_is_an_error() -> None:
    with pytest.raises(BadClaimError, match="end it with <!-- /speed:call -->"):
        renewed("<!-- speed:call -->1 ms", MADE_UP)
