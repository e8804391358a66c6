"""Dates and times as people say them, over the table `tests/cases/pocket_dates.json`; and what parameters make of them."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_llm import Plan, Task
from local_llm.pocket import PocketPlanner
from local_llm.pocket.dates import find_dates, said_now
from tests.pocket.catalogs import about, cases
from tool_registry import Candidate, ToolEntry

SATURDAY = datetime.fromisoformat("2026-11-21T10:00:00")
FIRST, LAST = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31T23:59:59")
WORDS = st.sampled_from(
    "next friday in 2 weeks 99999 years ago the 31st of february 2024 half past 12 at noon 0 o'clock 24 may march 3rd "
    "day after tomorrow a month from now 13/13/2020 1/2/2020 evening".split(" ")
)


@pytest.mark.parametrize("case", cases("dates"), ids=about)
def test_dates_are_read_against_a_given_now(case: dict[str, Any]) -> None:
    spans = find_dates(case["text"], datetime.fromisoformat(case["now"]))
    assert [[span.kind, span.text, span.value] for span in spans] == case["spans"]


@pytest.mark.parametrize("text", ["tomorrow", "next friday", "in 2 hours", "the 14th", "March 3rd"])
def test_without_a_now_what_needs_one_stays_as_written(text: str) -> None:
    (span,) = find_dates(text, None)
    assert span.value == span.text


@pytest.mark.parametrize(("day", "doubtful"), [(21, False), (23, True)])
def test_next_friday_is_in_doubt_before_this_one_has_passed(day: int, doubtful: bool) -> None:
    (span,) = find_dates("next friday", SATURDAY.replace(day=day))
    assert span.doubtful is doubtful


@given(
    st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60),
    st.none() | st.datetimes() | st.sampled_from((FIRST, LAST)),
)
def test_whatever_is_said_whenever_is_read_or_left(text: str, now: datetime | None) -> None:
    end = 0
    for span in find_dates(text, now):
        assert end <= span.start < span.end <= len(text)
        assert span.text == text[span.start : span.end]
        end = span.end


def test_a_text_may_say_itself_what_day_it_is() -> None:
    text, now = said_now("Leave tomorrow. (Today is Friday, March 1, 2019.)", SATURDAY)
    assert now == datetime.fromisoformat("2019-03-01")
    assert text.rstrip() == "Leave tomorrow."
    assert said_now("Today is a good day.", SATURDAY) == ("Today is a good day.", SATURDAY)


@pytest.mark.parametrize(
    ("schema", "day"),
    [
        ({"type": "string", "format": "date"}, "2026-11-22"),
        ({"type": "string", "description": "Day (MM/DD/YYYY)"}, "11/22/2026"),
        ({"type": "string", "description": "The day"}, "tomorrow"),
        ({"type": "string", "format": "date-time"}, None),
    ],
    ids=["date", "American", "free", "a time that nobody said"],
)
async def test_a_date_takes_the_form_that_the_parameter_wants(
    schema: dict[str, Any], day: str | None
) -> None:
    definition = {
        "name": "book_table",
        "description": "Book a table",
        "inputSchema": {"type": "object", "properties": {"date": schema}, "required": ["date"]},
    }
    planner = PocketPlanner(clock=lambda: SATURDAY)
    candidate = Candidate(ToolEntry("s", "book_table", "s__book_table", definition), 1.0)
    plan = await planner.plan(Task("book a table for tomorrow"), [candidate])
    assert isinstance(plan, Plan)
    assert plan.call.arguments.get("date") == day
    assert plan.missing == (() if day else ("date",))


async def test_without_a_clock_a_day_that_must_be_a_date_is_asked_for() -> None:
    schema = {
        "type": "object",
        "properties": {"date": {"type": "string", "format": "date"}},
        "required": ["date"],
    }
    definition = {"name": "book_table", "description": "Book a table", "inputSchema": schema}
    candidate = Candidate(ToolEntry("s", "book_table", "s__book_table", definition), 1.0)
    plan = await PocketPlanner().plan(Task("book a table for tomorrow"), [candidate])
    assert isinstance(plan, Plan)
    assert plan.missing == ("date",)
