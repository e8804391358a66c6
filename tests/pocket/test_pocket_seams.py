"""The two parts a learned model replaces, and the mention of a server."""

from collections.abc import Sequence

import pytest

from local_llm import NoPlan, Plan, Task
from local_llm.pocket import PocketPlanner
from local_llm.pocket.choose import Fit
from local_llm.pocket.evidence import NAMED, Claim
from local_llm.pocket.fill import Filling
from local_llm.pocket.mention import Stretch, named_server
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading
from tool_registry import Candidate, ToolEntry

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "required": ["a", "b"],
}
TOOLS = tuple(
    Candidate(ToolEntry("s", name, name, {"name": name, "inputSchema": SCHEMA}), 1.0)
    for name in ("join", "split")
)
SERVERS = ["claude-flow", "ruv-swarm", "time", "mcp-server-time"]


def first_word_for_all(task: TaskReading, tools: Sequence[ToolReading]) -> Sequence[Sequence[Claim]]:
    first = task.tokens[0]
    return [
        [Claim(slot, first.start, first.end, first.text, NAMED, "first") for slot in tool.slots]
        for tool in tools
    ]


def only_split(_: TaskReading, fillings: Sequence[Filling], taken: Sequence[Stretch]) -> Sequence[Fit]:
    assert taken
    return [
        Fit(filling, 0.9 if filling.tool.tool.name == "split" else 0.1, 1.0, (), ()) for filling in fillings
    ]


async def test_claims_may_come_from_elsewhere_and_still_share_no_text() -> None:
    plan = await PocketPlanner(find=first_word_for_all).plan(Task("join words"), TOOLS)
    assert isinstance(plan, Plan)
    assert dict(plan.call.arguments) == {"a": "join"}
    assert plan.missing == ("b",)


async def test_tools_may_be_judged_elsewhere() -> None:
    plan = await PocketPlanner(judge=only_split).plan(Task("join words"), TOOLS)
    assert isinstance(plan, Plan)
    assert plan.call.tool.name == "split"


async def test_no_candidates_make_no_plan() -> None:
    assert isinstance(await PocketPlanner().plan(Task("join words"), ()), NoPlan)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("with claude-flow list the agents", "claude-flow"),
        ("list the agents using Claude Flow", "claude-flow"),
        ("use ruv_swarm to list the agents", "ruv-swarm"),
        ("ruv-swarm: list the agents", "ruv-swarm"),
        ("list the agents on the ruv-swarm server", "ruv-swarm"),
        ("use the time server to convert 10:00", "time"),
        ("time: convert 10:00", "time"),
        ("with mcp-server-time convert 10:00", "mcp-server-time"),
        ("what is the time in UTC", None),
        ("on time: be there", None),
        ("search the web for claude-flow", None),
        ("with claude-flowers list the agents", None),
        ("list the agents", None),
    ],
)
def test_a_task_may_name_its_server(text: str, server: str | None) -> None:
    named, (start, end) = named_server(text, SERVERS)
    assert named == server
    assert bool(text[start:end]) == (server is not None)


def test_a_server_without_any_letters_is_never_named() -> None:
    assert named_server("use -- to list", ["--", ""]) == (None, (0, 0))
