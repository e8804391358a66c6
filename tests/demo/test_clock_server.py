"""The clock server, through the protocol."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.demo.demo_serving import answer, cases, refusal, started


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with Client(started("clock")) as client:
        yield client


async def test_the_current_time_is_the_time_now_in_that_zone(client: Client) -> None:
    told = await answer(client, "current_time", timezone="Asia/Kathmandu")
    moment = datetime.fromisoformat(told["time"])
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)
    assert moment.utcoffset() == timedelta(hours=5, minutes=45)
    assert (told["weekday"], told["timezone"]) == (f"{moment:%A}", "Asia/Kathmandu")


@pytest.mark.parametrize(
    "case", cases("times"), ids=lambda case: f"{case['time']} {case['from']} {case['to']}"
)
async def test_times_convert_with_summer_time(client: Client, case: dict[str, str]) -> None:
    told = await answer(
        client, "convert_time", time=case["time"], source_timezone=case["from"], target_timezone=case["to"]
    )
    assert (told["source"]["time"], told["target"]["time"]) == (case["source"], case["target"])


async def test_a_time_without_a_date_is_today_in_the_source_zone(client: Client) -> None:
    before = datetime.now(UTC).date()
    told = await answer(
        client, "convert_time", time="09:30", source_timezone="UTC", target_timezone="Asia/Tokyo"
    )
    source = datetime.fromisoformat(told["source"]["time"])
    assert before <= source.date() <= datetime.now(UTC).date()
    assert told["target"]["time"][10:] == "T18:30:00+09:00"


@pytest.mark.parametrize("case", cases("units"), ids=lambda case: f"{case['value']} {case['from_unit']}")
async def test_units_convert_exactly(client: Client, case: dict[str, Any]) -> None:
    arguments = {name: value for name, value in case.items() if name != "gives"}
    expected = {"value": case["gives"], "unit": case["to_unit"]}
    assert await answer(client, "convert_units", **arguments) == expected


async def test_every_unit_on_offer_converts_to_itself(client: Client) -> None:
    (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "convert_units"]
    units = tool.input_schema["properties"]["from_unit"]["enum"]
    assert len(units) == 39
    assert tool.input_schema["properties"]["to_unit"]["enum"] == units
    for unit in units:
        converted = await answer(client, "convert_units", value=12.3, from_unit=unit, to_unit=unit)
        assert converted == {"value": 12.3, "unit": unit}


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [("2026-01-01", "2026-12-31", 364), ("2024-02-28", "2024-03-01", 2), ("2026-05-02", "2026-05-01", -1)],
)
async def test_days_are_counted_from_start_to_end(client: Client, start: str, end: str, days: int) -> None:
    assert await answer(client, "days_between", start=start, end=end) == {"result": days}


@pytest.mark.parametrize(
    "case", cases("clock_refusals"), ids=lambda case: f"{case['tool']} {case['arguments']}"
)
async def test_bad_input_is_a_tool_error_that_names_it(client: Client, case: dict[str, Any]) -> None:
    message = await refusal(client, case["tool"], **case["arguments"])
    assert [words for words in case["says"] if words not in message] == []


async def test_without_time_zone_data_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "tzdata").mkdir()
    (tmp_path / "tzdata" / "__init__.py").touch()  # an empty package stands before the installed one
    bare = {"PYTHONTZPATH": "", "PYTHONPATH": str(tmp_path)}
    async with Client(started("clock", env=bare)) as client:
        assert "pip install tzdata" in await refusal(client, "current_time", timezone="Europe/Berlin")
        assert await answer(client, "days_between", start="2026-01-01", end="2026-01-02") == {"result": 1}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_countdown_reports_its_progress(mode: str) -> None:
    reports: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))

    async with Client(started("clock"), mode=mode) as client:
        result = await client.call_tool("countdown", {"seconds": 0.2, "steps": 2}, progress_callback=note)
    assert reports == [(1, 2, "0.1 seconds left"), (2, 2, "0 seconds left")]
    assert result.structured_content == {"result": "0.2 seconds are up"}
