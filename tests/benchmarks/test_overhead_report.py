"""The table says what the record holds."""

from pathlib import Path

from benchmarks.overhead_report import (
    Measured,
    Record,
    Sample,
    added,
    conditions,
    load,
    save,
    table,
    verdicts,
)


def sample(call_ms: float, calls_per_s: float | None, again: float | None = None) -> Sample:
    return Sample(
        first_list_s=call_ms,
        again_list_s=again,
        again_call_s=again,
        call_p50_ms=call_ms,
        call_p95_ms=2 * call_ms,
        calls_per_s=calls_per_s,
        listing_p50_ms=10 * call_ms,
        tools_listed=353,
        left_behind=0,
    )


RECORD = Record(
    date="2026-11-21",
    python="3.11.7",
    cores=2,
    system="Linux x86_64",
    load=0.14,
    versions={"mcp": "2.3.0"},
    failures=(),
    setups=(
        Measured("direct", 1, "stdio", (sample(0.25, 16000), sample(0.2, 17000), sample(9.0, 90))),
        Measured("Switchboard", 1, "stdio", (sample(0.5, 8000, 0.03),)),
        Measured("Switchboard", 10, "stdio", (sample(0.75, 8000),)),
        Measured("FastMCP", 3, "stdio", (sample(628.4, 2.6),)),
        Measured("FastMCP", 10, "stdio", (sample(9000, None),)),
        Measured("direct", 1, "http", (sample(2, 500),)),
        Measured("Switchboard", 1, "http", (sample(4, 250),)),
    ),
)


def test_table_gives_medians_and_how_many_times_direct_they_are() -> None:
    direct, switchboard, _, fastmcp, *_ = (row.split(" | ") for row in table(RECORD).splitlines()[2:])
    assert direct == ["| direct", "0.25 s", "", "0.25 / 0.5 ms", "16,000", "2.5 ms |"]
    assert switchboard[1:3] == ["0.5 s (×2)", "0.03 / 0.03 s"]
    assert switchboard[3:] == ["0.5 / 1 ms (×2)", "8,000 (÷2)", "5 ms (×2) |"]
    assert fastmcp[0] == "| FastMCP, 3 upstreams"
    assert fastmcp[3:] == ["630 / 1,300 ms (×2,500)", "2.6 (÷6,200)", "6,300 ms (×2,500) |"]


def test_http_is_compared_to_direct_http() -> None:
    *_, direct, switchboard = (row.split(" | ") for row in table(RECORD).splitlines())
    assert (direct[0], direct[3]) == ("| direct, HTTP", "2 / 4 ms")
    assert (switchboard[0], switchboard[3]) == ("| Switchboard, 1 upstream, HTTP", "4 / 8 ms (×2)")


def test_what_was_not_measured_is_left_empty() -> None:
    [row] = [row for row in table(RECORD).splitlines() if "FastMCP, 10" in row]
    assert row.split(" | ")[4] == ""


def test_verdicts_say_which_targets_are_met() -> None:
    met = [line.partition(":")[0] for line in verdicts(RECORD).splitlines()]
    assert met == ["met", "met", "met", "met", "MISSED"]


def test_added_is_the_difference_of_the_medians() -> None:
    assert added(RECORD) == "0.25 ms"


def test_conditions_name_the_machine_and_the_versions() -> None:
    said = "Medians of 3 rounds on 2026-11-21: 2 cores, load 0.1 before it, Linux x86_64, Python 3.11.7; mcp 2.3.0."
    assert conditions(RECORD) == said


def test_a_saved_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    save(RECORD, tmp_path / "results" / "overhead.json")
    assert load(tmp_path / "results" / "overhead.json") == RECORD
