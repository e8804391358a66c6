"""The soak sees every fault it looks for, and a short one finds none."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, floats, integers

from benchmarks.soak import soak
from benchmarks.soak_memory import DRIFT_LIMIT, Sample, drift
from benchmarks.soak_report import Answers, Held, Record, Run, load, save, table
from benchmarks.soak_traffic import Ledger, Mix, Request

CALM = Run(
    transport="stdio",
    asked={"echo": 1900, "list": 100},
    seconds=12.5,
    answers=Answers(expected=1900, cancelled=100),
    echo_p50_ms=3.2,
    echo_p99_ms=41.7,
    kills=3,
    connections=1,
    samples=tuple(Sample(20 * i, 100 + i % 3 * 10, 80 + i % 3 * 10) for i in range(100)),
    before=Held(36, 9),
    after=Held(35, 9),
    examples=(),
)

HELLO = Request("echo", "tools/call", {"name": "echo"}, lambda answer: answer.get("result") == "hello")
STEP = {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}


def answer(number: int | str, result: Any = "hello") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def told(text: str) -> dict[str, Any]:
    return answer(1, {"content": [{"type": "text", "text": text}], "isError": True})


@pytest.mark.parametrize(
    ("came", "counted"),
    [
        pytest.param([answer(1)], {"expected": 1}, id="the answer"),
        pytest.param([STEP, answer(1)], {"expected": 1}, id="progress, then the answer"),
        pytest.param([told("goodbye")], {"wrong": 1}, id="another answer"),
        pytest.param([answer(1), answer(1)], {"expected": 1, "doubled": 1}, id="the answer twice"),
        pytest.param([answer(2), answer("1")], {"unasked": 2, "unanswered": 1}, id="answers to nothing"),
        pytest.param([answer(1), STEP], {"expected": 1, "unasked": 1}, id="progress after the answer"),
        pytest.param([told("one is not available: …")], {"unavailable": 1}, id="an upstream that is gone"),
        pytest.param(
            [told("stopped before it answered: … (call_timeout)")], {"timed_out": 1}, id="a timeout"
        ),
        pytest.param([], {"unanswered": 1}, id="nothing"),
    ],
)
def test_everything_that_can_come_of_a_request_is_counted(
    came: list[dict[str, Any]], counted: dict[str, int]
) -> None:
    ledger = Ledger()
    ledger.ask(HELLO)
    for message in came:
        ledger.take(message)
    ledger.close()
    assert ledger.answers == Answers(**counted)


@pytest.mark.parametrize(("answers", "counted"), [(0, 0), (1, 0), (2, 1)])
def test_a_cancelled_request_may_be_answered_once_or_not_at_all(answers: int, counted: int) -> None:
    ledger = Ledger()
    ledger.ask(HELLO)
    cancelling = ledger.cancel(1)
    assert cancelling
    assert cancelling["params"]["requestId"] == 1
    for _ in range(answers):
        ledger.take(answer(1))
    ledger.close()
    assert (ledger.answers.unanswered, ledger.answers.doubled) == (0, counted)


def test_a_request_that_is_over_is_not_cancelled() -> None:
    ledger = Ledger()
    ledger.ask(HELLO)
    ledger.take(answer(1))
    assert ledger.cancel(1) is None


def test_the_mix_is_the_same_for_a_seed_and_holds_every_kind() -> None:
    one, same = (
        [(r.kind, r.params) for r in (mix.request() for _ in range(2000))] for mix in (Mix(1), Mix(1))
    )
    assert one == same
    assert len({kind for kind, _ in one}) == Mix(1).kinds


FAULTS = [
    ("unanswered", "1 requests without an answer"),
    ("doubled", "1 answers that came twice"),
    ("unasked", "1 answers or progress to what nobody asked"),
    ("wrong", "1 wrong answers"),
    ("timed_out", "1 calls that timed out"),
]


@pytest.mark.parametrize(("counter", "said"), FAULTS)
def test_an_answer_that_is_lost_doubled_or_wrong_is_a_fault(counter: str, said: str) -> None:
    answers = Answers(**{**asdict(CALM.answers), counter: 1})
    assert list(replace(CALM, answers=answers).faults()) == [said]


def test_what_is_left_over_is_a_fault() -> None:
    run = replace(CALM, after=Held(38, 8), left_behind=1, exit_code=-11, logged="a traceback")
    assert list(run.faults()) == [
        "2 descriptors more than at the start",
        "1 processes more or fewer than at the start",
        "1 processes left behind",
        "errors in the proxy's log",
        "the proxy ended with exit code -11",
    ]


def test_large_results_that_come_and_go_are_no_growth() -> None:
    found = drift(CALM.samples, "resident")
    assert found.median_mib == 110
    assert found.part == pytest.approx(0, abs=0.005)
    assert drift(CALM.samples, "private").median_mib == 90


def test_what_is_made_in_the_warm_up_is_no_growth() -> None:
    samples = tuple(Sample(i, *(100 if i < 200 else 150,) * 2) for i in range(1000))
    assert drift(samples, "resident").part == 0


@given(slope=floats(-1, 1), wild=dictionaries(integers(20, 99), floats(-1000, 1000), max_size=22))
def test_a_quarter_of_the_samples_may_say_anything_and_the_drift_stays(
    slope: float, wild: dict[int, float]
) -> None:
    samples = [Sample(i, 100 + slope * i + wild.get(i, 0), 0) for i in range(100)]
    assert drift(samples, "resident").mib == pytest.approx(slope * 79, abs=1e-6)


def test_what_stays_is_a_fault_in_either_memory() -> None:
    leaking = tuple(
        replace(
            s, resident_mib=s.resident_mib + s.requests / 100, private_mib=s.private_mib + s.requests / 100
        )
        for s in CALM.samples
    )
    assert list(replace(CALM, samples=leaking).faults()) == [
        "resident memory grew by 13.0%",
        "private memory grew by 15.5%",
    ]
    assert replace(CALM, samples=leaking).drift("resident") > DRIFT_LIMIT


def test_nothing_can_be_said_of_a_stretch_without_requests() -> None:
    assert drift([Sample(10, 100, 80), Sample(10, 120, 90)], "resident").part == 0


def test_the_table_puts_the_runs_side_by_side() -> None:
    record = Record("2026-11-21", "3.11.7", 2, "Linux x86_64", (CALM, replace(CALM, transport="http")))
    rows = [row.strip("| ").split(" | ") for row in table(record).splitlines()]
    assert rows[0] == ["stdio", "http"]
    assert ["requests", "2,000 in 12 s", "2,000 in 12 s"] in rows
    assert ["resident memory, median and drift", *["110 MiB, +0.0%"] * 2] in rows
    assert ["descriptors, start → end", "36 → 35", "36 → 35"] in rows


def test_a_saved_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    record = Record("2026-11-21", "3.11.7", 2, "Linux x86_64", (CALM,))
    save(record, tmp_path / "results" / "soak.json")
    assert load(tmp_path / "results" / "soak.json") == record


@pytest.mark.skipif(sys.platform != "linux", reason="the soak looks into /proc")
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_short_soak_finds_no_fault(transport: str) -> None:
    run = await soak(transport, calls=5000, seconds=8)
    # So short a run is all warm-up: of memory it says nothing.
    faults = [fault for fault in run.faults() if " memory grew by " not in fault]
    assert (faults, run.examples, run.logged) == ([], (), "")
    # Enough of every kind to mean something, however slow the machine.
    assert run.requests > 100
    assert run.kills > 0
