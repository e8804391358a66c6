"""The command line as people and scripts use it: a real process, its output, and its exit code."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from mcp import Client

from mcp_proxy import __version__
from mcp_proxy.cli import Exit, main
from mcp_proxy.telling import OUTCOME_SCHEMA
from tests.serving import command, configured, demo, script
from tool_registry.schema import argument_problems, compile_schema

PROMISED = compile_schema(OUTCOME_SCHEMA)
CONVERT = "convert 26.2 miles to kilometers"
UNTITLED = "add a note saying call the plumber"

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook, shared by the tests of this module."""
    folder = tmp_path_factory.mktemp("notes")
    servers = {"notes": demo("notes", "--database", str(folder / "notes.sqlite"))}
    return configured(folder, servers, planner={"threshold": 0.6})


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configured(tmp_path_factory.mktemp("clock"), {"clock": demo("clock")})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with nothing in it."""
    return tmp_path


def run(*args: str | Path, cwd: Path | None = None, stdin: int = subprocess.DEVNULL) -> Ran:
    """`switchboard` with these arguments, nobody at the terminal, and no configuration but what they name."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    env |= {"COLUMNS": "200", "XDG_CONFIG_HOME": str(cwd or "/nowhere"), "HOME": str(cwd or "/nowhere")}
    whole = [sys.executable, "-m", "mcp_proxy", *map(str, args)]
    return subprocess.run(
        whole, stdin=stdin, capture_output=True, text=True, cwd=cwd, env=env, check=False, timeout=60
    )


def typing(answers: str, *args: str | Path) -> Ran:
    """`switchboard` with somebody at the terminal who types `answers`."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answers.encode())
        return run(*args, stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)


def result(ran: Ran) -> Any:
    """What was printed for programs. Nothing else may be on stdout, and nothing at all on stderr."""
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_tools_are_listed_as_the_protocol_lists_them(notes: Path) -> None:
    ran = run("tools", "--json", "-c", notes)
    assert ran.returncode == Exit.DONE
    tools = result(ran)
    assert [tool["name"] for tool in tools] == [
        f"notes__{name}" for name in ("add_note", "search_notes", "list_notes", "read_note", "delete_note")
    ]
    assert all(tool["inputSchema"]["type"] == "object" and tool["description"] for tool in tools)


def test_tools_that_match_are_listed_best_first_a_line_each(clock: Path) -> None:
    ran = run("--config", clock, "tools", "convert units of length")
    assert ran.returncode == Exit.DONE
    name, description = ran.stdout.splitlines()[0].split("\t")
    assert name == "clock__convert_units"
    assert description


def test_a_call_reads_values_as_the_schema_wants_them_and_prints_the_answer_alone(clock: Path) -> None:
    ran = run("-c", clock, "call", "clock__convert_units", "value=1", "from_unit=mile", "to_unit=kilometer")
    assert ran.returncode == Exit.DONE
    assert result(ran) == {"value": 1.609344, "unit": "kilometer"}


def test_pairs_are_added_to_the_json_of_args_and_stand_above_it(notes: Path) -> None:
    given = json.dumps({"title": "of --args", "text": "t", "tags": ["a"]})
    ran = run(
        "call", "notes__add_note", "--args", given, "title=12", 'tags=["b", "c"]', "--json", "-c", notes
    )
    note = result(ran)["structuredContent"]
    assert (note["title"], note["text"], note["tags"]) == ("12", "t", ["b", "c"])


def test_a_tools_own_error_is_its_answer_and_a_failure(notes: Path) -> None:
    ran = run("call", "notes__read_note", "id=999", "-c", notes)
    assert ran.returncode == Exit.FAILED
    assert "No note has the id 999" in ran.stdout
    assert ran.stderr == ""


def test_an_upstream_that_dies_is_told_of_on_stderr(folder: Path) -> None:
    ran = run("call", "echo__crash", "-c", configured(folder, {"echo": script("echo")}))
    assert ran.returncode == Exit.FAILED
    assert ran.stdout == ""
    assert "upstream 'echo' stopped before it answered" in ran.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["notes__read"], "there is no tool 'notes__read'; near: notes__read_note"),
        (["notes__read_note", "id=seven"], '/id: expected integer, got "seven"'),
        (["notes__read_note", "id"], "'id' is not KEY=VALUE"),
        (["notes__read_note", "--args", "{"], "--args is not JSON"),
    ],
)
def test_a_call_that_cannot_be_made_says_what_is_wrong_with_it(
    notes: Path, args: list[str], told: str
) -> None:
    ran = run("-c", notes, "call", *args)
    assert ran.returncode == Exit.USAGE
    assert ran.stdout == ""
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_task_prints_the_answer_on_stdout_and_how_it_came_about_on_stderr(clock: Path) -> None:
    ran = run("do", CONVERT, "-c", clock)
    assert ran.returncode == Exit.DONE
    assert json.loads(ran.stdout) == {"value": 42.1648128, "unit": "kilometer"}
    assert "clock__convert_units" in ran.stderr
    assert "confidence 0." in ran.stderr


def test_a_task_is_told_to_programs_as_the_schema_promises_with_the_tools_content(clock: Path) -> None:
    outcome = result(run("do", CONVERT, "--json", "-c", clock))
    assert argument_problems(PROMISED, outcome) == ()
    assert outcome["call"]["arguments"] == {"value": 26.2, "from_unit": "mile", "to_unit": "kilometer"}
    assert json.loads(outcome["content"][0]["text"]) == outcome["result"]


def test_what_would_be_called_is_told_and_not_called(notes: Path) -> None:
    task = "add a note titled Never saying not yet"
    for ran in (
        run("do", "--dry-run", task, "--json", "-c", notes),
        run("plan", task, "--json", "-c", notes),
    ):
        assert ran.returncode == Exit.DONE
        outcome = result(ran)
        assert argument_problems(PROMISED, outcome) == ()
        assert (outcome["ending"], outcome["content"]) == ("planned", [])
        assert outcome["call"]["arguments"] == {"title": "Never", "text": "not yet"}
    listed = result(run("call", "notes__list_notes", "limit=100", "--json", "-c", notes))
    assert "Never" not in [note["title"] for note in listed["structuredContent"]["notes"]]


def test_what_is_missing_is_named_with_the_option_that_gives_it(notes: Path) -> None:
    ran = run("do", UNTITLED, "-c", notes)
    assert ran.returncode == Exit.NEEDS_INPUT
    assert ran.stdout == ""
    assert "needs title, which the task does not give; add --answer title=…" in ran.stderr
    answered = result(run("do", UNTITLED, "--answer", "title=House", "--json", "-c", notes))
    assert answered["call"]["arguments"] == {"title": "House", "text": "call the plumber"}
    assert run("do", UNTITLED, "--answer", "title", "-c", notes).returncode == Exit.USAGE


def test_a_destructive_task_wants_a_yes(notes: Path) -> None:
    note = result(run("call", "notes__add_note", "title=Old", "text=x", "--json", "-c", notes))
    delete = ("do", f"delete note {note['structuredContent']['id']}", "-c", notes)
    ran = run(*delete)
    assert ran.returncode == Exit.NEEDS_INPUT
    assert "needs a person's approval; add --yes" in ran.stderr
    assert typing("n\n", *delete).returncode == Exit.NOT_SURE
    ran = run(*delete, "--yes")
    assert ran.returncode == Exit.DONE
    assert json.loads(ran.stdout)["title"] == "Old"


def test_who_sits_at_the_terminal_is_asked_for_what_is_missing(notes: Path) -> None:
    ran = typing("Typed\n", "do", UNTITLED, "-c", notes)
    assert ran.returncode == Exit.DONE
    assert json.loads(ran.stdout)["title"] == "Typed"
    assert "title (A short title for the note):" in ran.stderr


def test_a_task_that_nothing_fits_is_left_alone(notes: Path) -> None:
    ran = run("do", "order a pizza with extra cheese", "-c", notes)
    assert ran.returncode == Exit.NOT_SURE
    assert ran.stdout == ""
    assert "[escalation]" in ran.stderr


def test_upstreams_are_told_with_what_became_of_them(notes: Path, folder: Path) -> None:
    ran = run("upstreams", "-c", notes)
    assert ran.returncode == Exit.DONE
    assert ran.stdout.split("\t")[:3] == ["notes", "ready", "5"]
    bad = configured(folder, {"echo": script("echo"), "bad": {"command": "no-such-command-anywhere"}})
    ran = run("upstreams", "--json", "-c", bad)
    assert ran.returncode == Exit.FAILED
    echo, missing = json.loads(ran.stdout)
    assert (echo["upstream"], echo["state"], echo["tools"], echo["connects"]) == ("echo", "ready", 6, 1)
    assert echo["latency_ms"] > 0
    assert (missing["state"], missing["tools"], missing["latency_ms"]) == ("down", 0, None)
    assert "'no-such-command-anywhere' was not found" in missing["reason"]
    assert "bad is down: 'no-such-command-anywhere' was not found" in ran.stderr


def test_without_a_usable_configuration_it_says_what_to_write_where(folder: Path) -> None:
    ran = run("tools", cwd=folder)
    assert ran.returncode == Exit.USAGE
    assert str(folder / "switchboard.toml") in ran.stderr
    assert "or give a file with --config" in ran.stderr

    (folder / "switchboard.toml").write_text("[upstream.notes]\ncommand = 'x'\n", encoding="utf-8")
    ran = run("tools", cwd=folder)
    assert ran.returncode == Exit.USAGE
    assert 'did you mean "upstreams"?' in ran.stderr

    ran = run("tools", "-c", "elsewhere.toml", cwd=folder)
    assert ran.returncode == Exit.USAGE
    assert "elsewhere.toml" in ran.stderr
    assert (ran.stdout, "Traceback" in ran.stderr) == ("", False)


async def test_serve_speaks_the_protocol_on_stdout_wherever_the_configuration_is_named(notes: Path) -> None:
    start = command(notes).model_copy(update={"args": ["-m", "mcp_proxy", "serve", "-c", str(notes)]})
    async with Client(start) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert names[:4] == ["do", "plan", "read_result", "notes__add_note"]


def test_help_says_what_every_command_takes() -> None:
    # One process for all of them: starting each takes longer than all of this.
    asking = [["--version"], ["--help"], *([name, "--help"] for name in main.commands)]
    code = f"from mcp_proxy.cli import main\nfor args in {asking}: main(args, standalone_mode=False)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.startswith(f"switchboard, version {__version__}\n")
    for name, named in main.commands.items():
        assert f"\n  {name} " in ran.stdout
        _, _, page = ran.stdout.partition(f" {name} [OPTIONS]")
        page, _, _ = page.partition("Usage: ")
        options = [parameter for parameter in named.params if isinstance(parameter, click.Option)]
        assert all(option in page for parameter in options for option in parameter.opts)
        assert all(parameter.help for parameter in options)


def test_the_demo_carries_out_its_tasks_and_leaves_nothing_behind(folder: Path) -> None:
    ran = run("demo", cwd=folder)
    assert ran.returncode == Exit.DONE
    assert [number for number in range(1, 9) if f"\n{number}. “" in ran.stderr] == [1, 2, 3, 4, 5, 6]
    assert "42.1648128" in ran.stdout
    assert "You are reading this through Switchboard." in ran.stdout
    assert list(folder.iterdir()) == []

    outcomes = result(run("demo", "--json", cwd=folder))
    assert [outcome["ending"] for outcome in outcomes] == [
        "done",
        "done",
        "done",
        "needs",
        "refused",
        "unsure",
    ]
    assert all(argument_problems(PROMISED, outcome) == () for outcome in outcomes)
