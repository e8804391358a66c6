"""log, explain, stats and feedback, as commands on real files: filled, absent, empty, old, newer, damaged, in use."""

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from mcp_proxy.cli_journal import COMMANDS
from mcp_proxy.journal import CallRecord, FeedbackRecord, Journal, SpendRecord, StepRecord, TaskRecord
from mcp_proxy.journal_records import CandidateRecord, Record
from mcp_proxy.redaction import hide_also
from tests.serving import command, configured, demo, outcome_of, serving

NAMED = {each.name: each for each in COMMANDS}
NOW = datetime.now(UTC)
PRICES = {"input": 1.0, "output": 5.0, "cache_write": 1.25, "cache_read": 0.1}
READ_ONLY = (("log",), ("explain", "last"), ("stats", "--daily"))
OLD = Path(__file__).parent / "old"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    escalation = {"model": "m", "api_key": "made-up", "prices": PRICES}
    return configured(tmp_path, {"clock": demo("clock")}, escalation=escalation)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture(autouse=True)
def _nothing_more_is_hidden() -> Generator[None]:
    """What the configuration of a test has hidden is not hidden in the next."""
    yield
    hide_also((), ())


def run(config: Path, name: str, *args: str) -> Result:
    """A command in this process, which leaves the log of the process as it is."""
    return CliRunner().invoke(NAMED[name], ["-c", str(config), *args])


def shown(config: Path, *args: str) -> Any:
    """What a command prints for programs."""
    ran = run(config, *args, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


async def recorded(path: Path, records: Iterable[Record], *feedback: FeedbackRecord) -> None:
    journal = await Journal.open(path)
    for record in records:
        await (journal.record_task(record) if isinstance(record, TaskRecord) else journal.record_call(record))
    for each in feedback:
        assert await journal.give_feedback(each) == "kept"
    await journal.close()


def task(tool: str = "notes__add_note", outcome: Any = "ok", **fields: Any) -> TaskRecord:
    steps = (
        StepRecord(tool=tool, planner="pocket", confidence=0.9, outcome=outcome, arguments={"title": "x"}),
    )
    whole: dict[str, Any] = {
        "client": "cursor 1.0",
        "text": "jot it down",
        "ending": "done",
        "steps": steps,
        **fields,
    }
    return TaskRecord(**whole)


def call(**fields: Any) -> CallRecord:
    whole: dict[str, Any] = {
        "client": "claude-code 2.1",
        "tool": "clock__now",
        "upstream": "clock",
        "outcome": "ok",
    }
    return CallRecord(**{**whole, **fields})


async def test_log_shows_what_is_asked_for_the_newest_first(config: Path, journal: Path) -> None:
    records = [
        task(), call(), task("files__read"), call(outcome="failed", error="gone"), task(ending="unsure", steps=()),
        task(started_at=NOW - timedelta(days=3)), call(task_id="some-task"), task(ending="running", steps=()),
    ]  # fmt: skip
    await recorded(journal, records)
    names = {record.id: n for n, record in enumerate(records)}

    def logged(*args: str) -> list[int]:
        return [names[entry["id"]] for entry in shown(config, "log", *args)]

    assert logged() == [7, 5, 4, 3, 2, 1, 0]
    assert logged("--limit", "2") == [7, 5]
    assert logged("--tool", "notes__*") == [5, 0]
    assert logged("--tool", "*__now") == [3, 1]
    assert logged("--client", "claude*") == [3, 1]
    assert logged("--since", "2d") == [7, 4, 3, 2, 1, 0]
    assert logged("--since", "2d", "--tool", "notes__*") == [0]
    assert logged("--ending", "done") == [5, 2, 1, 0]
    assert logged("--ending", "failed") == [3]
    assert logged("--ending", "running") == [7]
    assert logged("--tool", "' OR 1=1 --") == []
    assert logged("--client", "\udcff") == []
    lines = run(config, "log").stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == [
        "running",
        "done",
        "unsure",
        "failed",
        "done",
        "ok",
        "done",
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("--since", "soon"), ("--since", "99999999999d"), ("--since", "-1d"), ("--since", ""), ("--limit", "0"),
        ("--ending", "well"),
    ],
)  # fmt: skip
def test_log_refuses_what_it_cannot_read(config: Path, args: tuple[str, str]) -> None:
    ran = run(config, "log", *args)
    assert ran.exit_code == 2
    assert args[0] in ran.output


async def test_explain_tells_everything_about_a_task(config: Path, journal: Path) -> None:
    first = StepRecord(
        tool="notes__add_note", upstream="notes", planner="pocket", confidence=0.71, threshold=0.6, decision="execute",
        reason="it says note", arguments={"title": "x\x1b[2J", "api_key": "sk-ant-api03-abcdefghijklmnop"},
        repairs=("/title: 5 was read as x",), problems=("/n: expected integer",), missing=("text",),
        outcome="tool_error", error="full", result_size=1234, result_kind="text", duration_ms=2.5,
    )  # fmt: skip
    second = StepRecord(tool="notes__list_notes", planner="claude", confidence=1.0)
    whole = task(
        steps=(first, second), reason="as asked", route=("pocket: execute", "claude: refuse"),
        candidates=tuple(CandidateRecord(f"tool{n}", 10.0 - n) for n in range(10)), profile="clerk", strategy="adaptive",
        milliseconds={"retrieve": 1.0, "call": 2.5}, duration_ms=3.5, privacy="normal",
        spends=(SpendRecord(provider="claude", input_tokens=1000, output_tokens=20, cost=0.25),),
    )  # fmt: skip
    feedback = FeedbackRecord(
        about=whole.id, verdict="bad", tool="t__u", arguments={"a": 1}, note="wrong one", client="me"
    )
    await recorded(journal, [whole], feedback)
    told = run(config, "explain", whole.id[:20]).stdout
    for part in (
        f"task {whole.id}: done", "jot it down", "client cursor 1.0, profile clerk, strategy adaptive, privacy normal",
        "10.00  tool0", "and 2 more", r'notes__add_note {"title": "x\u001b[2J", "api_key": "[redacted]"}',
        "planned by pocket with confidence 0.71, 0.60 wanted", "because it says note", "put right: /title: 5 was read as x",
        "wrong: /n: expected integer", "missing: text", "execute: answered with an error of the tool's, 1,234 characters",
        "error: full", "step 2", "not called", "pocket: execute", "took 3.5 ms: retrieve 1.0 ms, call 2.5 ms",
        "paid claude $0.250000: 1,000 tokens in, 20 out", "feedback: bad by me", 'should have been t__u {"a": 1}', "wrong one",
    ):  # fmt: skip
        assert part in told, part
    assert "\x1b" not in told
    program = shown(config, "explain", "last")
    assert (program["id"], program["feedback"]["verdict"], program["cost"]) == (whole.id, "bad", 0.25)


async def test_explain_says_what_a_task_that_was_cut_short_had_called(config: Path, journal: Path) -> None:
    begun = task(ending="running", steps=())
    await recorded(journal, [begun, call(task_id=begun.id, arguments={"zone": "Mars"})])
    told = run(config, "explain", "last").stdout
    assert "its process died before it ended" in told
    assert 'clock__now {"zone": "Mars"}: ok' in told


async def test_the_beginning_of_an_id_is_enough_unless_several_have_it(config: Path, journal: Path) -> None:
    one, other = call(id="0199aaaa-0000"), call(id="0199aaaa-1111", error="gone")
    await recorded(journal, [one, other])
    assert "call 0199aaaa-1111" in run(config, "explain", "0199AAAA-1").stdout
    ran = run(config, "explain", "0199")
    assert ran.exit_code == 2
    assert one.id in ran.output
    assert other.id in ran.output


@pytest.mark.parametrize("which", ["ffff", "", "%", "_", "'", "\x00", "é", "\udcff", "x" * 5000])
def test_what_is_not_in_the_journal_cannot_be_explained_or_judged(config: Path, which: str) -> None:
    for args in (("explain", which), ("feedback", which, "good")):
        ran = run(config, *args)
        assert ran.exit_code == 2, ran.output
        assert "holds no task or call" in ran.output


async def test_stats_add_up(config: Path, journal: Path) -> None:
    def spend(cost: float | None = None) -> SpendRecord:
        return SpendRecord(provider="claude", input_tokens=900, output_tokens=100, cost=cost)

    records = [
        *(call(duration_ms=float(n)) for n in range(1, 101)), call(outcome="failed"), call(task_id="t", duration_ms=9e9),
        task(duration_ms=10.0), task(duration_ms=20.0, asked=True), task(duration_ms=30.0, outcome="tool_error"),
        task(duration_ms=40.0, spends=(spend(0.5), spend())), task(ending="unsure", steps=(), spends=(spend(0.25),)),
        task(ending="planned", outcome=None, duration_ms=9e9), task(ending="running", steps=()),
        task(started_at=NOW - timedelta(days=40), duration_ms=9e9),
    ]  # fmt: skip
    await recorded(journal, records, FeedbackRecord(about=records[-8].id, verdict="good"))
    found = shown(config, "stats", "--since", "4w", "--daily")
    total = found["total"]
    assert (total["calls"], total["tasks"], total["dry_runs"], total["running"]) == (101, 6, 1, 1)
    assert total["shares"] == {
        "calls_ok": 0.9901,
        "done": 0.6,
        "local": 0.6667,
        "escalated": 0.4,
        "asked": 0.2,
    }
    assert found["milliseconds"]["calls"] == {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert found["milliseconds"]["tasks"] == {"count": 4, "p50": 20.0, "p95": 40.0, "p99": 40.0}
    (claude,) = found["providers"]
    assert (claude["requests"], claude["tasks"], claude["unpriced"], claude["cost"]) == (3, 2, 1, 0.75)
    assert found["feedback"] == {"good": 1, "bad": 0}
    assert [day["tasks"] for day in found["days"]] == [6]
    saved = found["savings"]
    assert (saved["tasks"], saved["tokens"]) == (2, 2 * 1500)
    assert saved["dollars"] == pytest.approx(2 * (1350 * 1.0 + 150 * 5.0) / 1e6)
    assert "the mean of 2 here" in saved["assumption"]
    assert shown(config, "stats")["total"]["tasks"] == 7


async def test_savings_that_are_an_estimate_say_so(tmp_path: Path, journal: Path) -> None:
    config = configured(tmp_path, {"clock": demo("clock")})
    await recorded(journal, [task()])
    saved = shown(config, "stats")["savings"]
    assert saved["dollars"] is None
    assert "an estimate" in saved["assumption"]
    assert "no prices are configured" in saved["assumption"]
    assert "an estimate" in run(config, "stats").stdout


async def test_feedback_is_given_replaced_and_doubted_where_it_does_not_fit(
    config: Path, journal: Path
) -> None:
    await recorded(journal, [task()])
    assert run(config, "feedback", "last", "good").exit_code == 0
    start = command(config, "tools")  # from now on the tools of the clock are known
    assert (await anyio.run_process([start.command, *start.args], env=start.env)).returncode == 0
    right = ("clock__days_between", '{"start": 7}')
    ran = run(config, "feedback", "last", "bad", "--correct", *right, "--note", "password=hunter2hunter2")
    assert ran.exit_code == 0, ran.output
    assert "Warning: the arguments do not fit clock__days_between: /end" in ran.stderr
    kept = shown(config, "explain", "last")["feedback"]
    assert (kept["verdict"], kept["tool"], kept["arguments"]) == ("bad", right[0], {"start": 7})
    assert kept["note"] == "password=[redacted]"
    assert "is not known here" in run(config, "feedback", "last", "bad", "--correct", "x__y", "{}").stderr


async def test_feedback_hides_what_the_configuration_holds(tmp_path: Path, journal: Path) -> None:
    config = configured(
        tmp_path,
        {"clock": {**demo("clock"), "env": {"API_KEY": "plain-words-but-secret"}}},
        privacy={"redact": ["A-[0-9]"]},
    )
    await recorded(journal, [task()])
    assert run(config, "feedback", "last", "good", "--note", "plain-words-but-secret and A-1").exit_code == 0
    assert shown(config, "explain", "last")["feedback"]["note"] == "[redacted] and [redacted]"


async def test_feedback_on_a_call_whose_task_is_gone_is_refused(config: Path, journal: Path) -> None:
    made = call(task_id="0199-gone")
    await recorded(journal, [made])
    ran = run(config, "feedback", made.id, "bad")
    assert ran.exit_code == 1
    assert "0199-gone no more" in ran.output


async def test_feedback_on_a_call_made_for_a_task_is_the_tasks(config: Path, journal: Path) -> None:
    whole = task()
    made = call(task_id=whole.id)
    await recorded(journal, [whole, made])
    assert run(config, "feedback", made.id, "bad").stdout == f"{whole.id}: bad\n"
    assert shown(config, "explain", whole.id)["feedback"]["verdict"] == "bad"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("good", "--correct", "t", "{}"), "goes with the verdict bad"),
        (("bad", "--correct", "t", "[]"), "must be a JSON object"),
        (("bad", "--correct", "t", "{"), "is not JSON"),
        (("bad", "--correct", "t", "[" * 100_000), "is not JSON"),
        (("bad", "--correct", "", "{}"), "at least 1 character"),
        (("bad", "--note", "x" * 3000), "at most 2000 characters"),
        (("fine",), "'fine' is not one of"),
    ],
)
async def test_feedback_that_cannot_be_meant_is_refused(
    config: Path, journal: Path, args: tuple[str, ...], said: str
) -> None:
    await recorded(journal, [task()])
    ran = run(config, "feedback", "last", *args)
    assert ran.exit_code == 2
    assert said in ran.output
    assert shown(config, "explain", "last")["feedback"] is None


def test_commands_on_no_journal_create_nothing(config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert [run(config, *args).exit_code for args in READ_ONLY] == [0, 2, 0]
    assert run(config, "feedback", "last", "good").exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_an_empty_file_is_an_empty_journal(config: Path, journal: Path) -> None:
    journal.touch()
    assert [run(config, *args).exit_code for args in READ_ONLY] == [0, 2, 0]
    assert journal.read_bytes() == b""


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_a_file_of_an_earlier_version_is_read_and_not_touched(
    config: Path, journal: Path, version: str
) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.executescript((OLD / f"{version}.sql").read_text(encoding="utf-8"))
    before = journal.read_bytes()
    assert len(shown(config, "log")) == 8
    assert shown(config, "stats")["total"]["tasks"] == 6
    assert shown(config, "explain", "last")["kind"] == "call"
    assert journal.read_bytes() == before


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff" * 20_000)


def folder(path: Path) -> None:
    path.mkdir()


def half_damaged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((OLD / "version_2.sql").read_text(encoding="utf-8"))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("spoil", [newer, garbage, folder, half_damaged])
@pytest.mark.parametrize("args", [*READ_ONLY, ("feedback", "last", "good")], ids=lambda args: args[0])
def test_a_file_that_cannot_be_used_is_told_of_and_left_as_it_is(
    config: Path, journal: Path, spoil: Callable[[Path], None], args: tuple[str, ...]
) -> None:
    spoil(journal)
    before = sorted(journal.parent.iterdir()), journal.is_file() and journal.read_bytes()
    ran = run(config, *args)
    assert ran.exit_code == 1, ran.output
    assert "cannot be used" in ran.output
    assert (sorted(journal.parent.iterdir()), journal.is_file() and journal.read_bytes()) == before


def test_a_journal_that_is_off_is_said_to_be(tmp_path: Path) -> None:
    config = configured(tmp_path, {"clock": demo("clock")}, journal={"enabled": False})
    for args in (*READ_ONLY, ("feedback", "last", "good")):
        ran = run(config, *args)
        assert ran.exit_code == 2
        assert "[journal] is off" in ran.output


async def test_they_work_while_a_server_runs(config: Path) -> None:
    async with serving(config) as client:
        done = outcome_of(await client.call_tool("do", {"task": "convert 26.2 miles to kilometers"}))
        assert done["ending"] == "done"
        (entry,) = shown(config, "log")
        assert (entry["ending"], entry["steps"][0]["tool"]) == ("done", "clock__convert_units")
        assert entry["steps"][0]["result_kind"] == "text+structured"
        assert run(config, "feedback", "last", "good").exit_code == 0
        await client.call_tool("do", {"task": "order a pizza"})
        assert [each["ending"] for each in shown(config, "log")] == ["unsure", "done"]
    assert shown(config, "explain", entry["id"])["feedback"]["verdict"] == "good"
