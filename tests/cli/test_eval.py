"""`switchboard eval` as people and scripts use it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.calls_sample import SAMPLE
from tests.escalation.anthropic_server import MODEL, AnthropicServer, tool_use
from tests.serving import configured

Ran = subprocess.CompletedProcess[str]

NO_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from mcp_proxy.entry import main
main()
"""


def run(*args: str | Path, code: str = "", cwd: Path) -> Ran:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    env |= {"COLUMNS": "200", "XDG_CONFIG_HOME": str(cwd), "HOME": str(cwd)}
    whole = [sys.executable, *(("-c", code) if code else ("-m", "mcp_proxy")), "eval", *map(str, args)]
    return subprocess.run(whole, capture_output=True, text=True, cwd=cwd, env=env, check=False, timeout=120)


def test_figures_come_as_a_table_as_json_and_as_a_picture(tmp_path: Path) -> None:
    out = ("--json", "out.json", "--plot", "curves.svg")
    ran = run(SAMPLE, "--limit", "120", "--seed", "3", "--by", "kind", *out, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    head, *rows = [line.split("\t") for line in ran.stdout.splitlines()]
    assert head[:3] == ["figure", "pocket", "pocket, abstain"]
    assert rows[0][:2] == ["records", "120"]
    whole: dict[str, Any] = json.loads((tmp_path / "out.json").read_text("utf-8"))
    (pocket,) = whole["planners"]
    assert len(pocket["answers"]) == pocket["figures"]["all"]["records"] == whole["records"] == 120
    assert sum(part["records"] for name, part in pocket["figures"].items() if name != "all") == 120
    assert 0 <= pocket["figures"]["all"]["reliability"]["ece"] <= 1
    assert "Reliability" in (tmp_path / "curves.svg").read_text("utf-8")


def test_the_same_seed_draws_and_draws_up_the_same(tmp_path: Path) -> None:
    def drawn(seed: int) -> tuple[list[str], bytes]:
        ran = run(
            SAMPLE, "--limit", "15", "--seed", str(seed), "--json", "-", "--plot", f"{seed}.svg", cwd=tmp_path
        )
        answers: list[dict[str, Any]] = json.loads(ran.stdout)["planners"][0]["answers"]
        return [answer["id"] for answer in answers], (tmp_path / f"{seed}.svg").read_bytes()

    first = drawn(1)
    assert first == drawn(1)
    assert first[0] != drawn(2)[0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["bad.jsonl"], "bad.jsonl, line 1: not JSON"),
        (["empty.jsonl"], "empty.jsonl: no records"),
        (["absent.jsonl"], "absent.jsonl"),
        ([str(SAMPLE), "--planner", "oracle"], "there is no planner 'oracle'; there are: pocket, claude"),
        ([str(SAMPLE), "--plot", "curves.gif"], "a picture's name ends in .svg or .png"),
        ([str(SAMPLE), "--json", "no/where.json"], "there is no folder"),
        ([str(SAMPLE), "--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(args: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("x\n", encoding="utf-8")
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    ran = run(*args, cwd=tmp_path)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stdout == ""


def test_a_plot_without_matplotlib_says_what_to_install_and_figures_need_none(tmp_path: Path) -> None:
    refused = run(SAMPLE, "--plot", "a.png", code=NO_MATPLOTLIB, cwd=tmp_path)
    assert refused.returncode == 2
    assert "pip install 'mcp-switchboard[eval]'" in refused.stderr
    assert run(SAMPLE, "--limit", "3", code=NO_MATPLOTLIB, cwd=tmp_path).returncode == 0


NEVER_STARTED = {"none": {"command": "no-such-program"}}
PRICES = {"input": 1.0, "output": 5.0, "cache_write": 1.25, "cache_read": 0.1}
COST = (100 * 1 + 20 * 5 + 1000 * 1.25 + 500 * 0.1) / 1e6
ADD_NOTE = {
    "name": "add_note",
    "description": "Add a note",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def notes(folder: Path, *texts: str) -> Path:
    """Records that each want one note."""
    file = folder / "notes.jsonl"
    lines = (
        {
            "id": text,
            "source": "notes",
            "query": f"add a note saying {text}",
            "tools": [ADD_NOTE],
            "kind": "single",
            "calls": [{"name": "add_note", "arguments": {"text": text}}],
        }
        for text in texts
    )
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def with_claude(folder: Path, server: AnthropicServer, **budget: int) -> Path:
    table = {"model": MODEL, "api_key": "sk-ant-test-0123456789abcdef", "base_url": server.url}
    return configured(
        folder, NEVER_STARTED, escalation={**table, "prices": PRICES, "budget": budget, "max_retries": 0}
    )


BOTH = ("--planner", "pocket", "--planner", "claude", "--json", "out.json")


def test_claude_stands_beside_pocket_with_what_it_cost(tmp_path: Path) -> None:
    records = notes(tmp_path, "milk", "tea")
    with AnthropicServer(
        tool_use("add_note", {"text": "milk"}, last=True), tool_use("add_note", {"text": "beer"}, last=True)
    ) as server:
        ran = run(records, *BOTH, "-c", with_claude(tmp_path, server), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in ran.stdout.splitlines())}
    assert rows["figure"] == ["pocket", "claude"]
    assert rows["exact call"] == ["100.0%", "50.0%"]
    assert rows["cost"] == ["–", f"${2 * COST:.4f}"]
    assert rows["ECE"][1] == "–", "its confidence is not measured"


def test_a_used_up_budget_stops_claude_and_keeps_what_was_answered(tmp_path: Path) -> None:
    records = notes(tmp_path, "milk", "tea")
    with AnthropicServer(tool_use("add_note", {"text": "milk"}, last=True)) as server:
        ran = run(records, *BOTH, "-c", with_claude(tmp_path, server, max_calls_per_day=1), cwd=tmp_path)
    assert ran.returncode == 1
    assert (
        "claude stopped after 1 of 2 records: the budget of 1 requests a day does not allow it" in ran.stderr
    )
    entries = json.loads((tmp_path / "out.json").read_text("utf-8"))["planners"]
    assert [len(entry["answers"]) for entry in entries] == [2, 1]


def test_claude_without_an_escalation_says_what_to_configure(tmp_path: Path) -> None:
    ran = run(
        notes(tmp_path, "milk"),
        "--planner",
        "claude",
        "-c",
        configured(tmp_path, NEVER_STARTED),
        cwd=tmp_path,
    )
    assert ran.returncode == 2
    assert "an [escalation] table says which model" in ran.stderr
