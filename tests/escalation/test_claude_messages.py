"""What Claude is told of a task, its tools and its steps, whatever their schemas look like."""

import json
from typing import Any

import pytest

from local_llm import Call, Plan, Step, Task
from mcp_proxy.claude_messages import Reply, request_body
from mcp_proxy.model_answers import outcome_of
from mcp_proxy.offered import offer
from tests.escalation.anthropic_server import tool_use
from tool_registry import Candidate, ToolEntry

CACHED = {"type": "ephemeral"}


def candidate(name: str, schema: dict[str, Any] | None = None, description: str = "Does it.") -> Candidate:
    definition = {"name": name, "description": description, "inputSchema": schema or {"type": "object"}}
    return Candidate(ToolEntry("files", name, f"files__{name}", definition), 1.0)


def body(task: Task, *candidates: Candidate) -> dict[str, Any]:
    return request_body("m", 10, task, offer(task, candidates), "unsure")


A, B = candidate("a"), candidate("b")


def step(of: Candidate, result: str | None = "done", *, failed: bool = False, **arguments: Any) -> Step:
    return Step(Call(of.tool, arguments), result, failed)


def test_a_property_name_the_api_rejects_is_renamed_on_the_way_out_and_back() -> None:
    schema = {"type": "object", "properties": {"größe in m": {"type": "number"}}, "required": ["größe in m"]}
    offered = offer(Task("t"), [candidate("measure", schema)])
    told = offered.definitions[0].schema
    (sent,) = told["properties"]
    assert sent.isascii()
    assert " " not in sent
    assert told["required"] == [sent]

    reply = Reply.model_validate(tool_use("files__measure", {sent: 3}).body)
    plan = outcome_of(reply.answer, offered, Task("t"), "claude")
    assert isinstance(plan, Plan)
    assert plan.call.arguments == {"größe in m": 3}


def test_a_tool_name_the_api_rejects_is_renamed_on_the_way_out_and_back() -> None:
    odd = Candidate(ToolEntry("shop", "report", "report a fault / ü", {"inputSchema": {}}), 1.0)
    task = Task("t", steps=(Step(Call(odd.tool, {}), "ok"),))
    sent = body(task, odd)
    name = sent["tools"][0]["name"]
    assert name.replace("_", "").isalnum()
    assert name.isascii()
    assert sent["messages"][1]["content"][0]["name"] == name
    reply = Reply.model_validate(tool_use(name, {}).body)
    plan = outcome_of(reply.answer, offer(task, [odd]), task, "claude")
    assert isinstance(plan, Plan)
    assert plan.call.tool is odd.tool


def test_a_tool_called_ask_user_keeps_its_name() -> None:
    own = Candidate(ToolEntry("x", "ask_user", "ask_user", {"inputSchema": {}}), 1.0)
    sent = body(Task("t"), own)
    assert [tool["name"] for tool in sent["tools"]] == ["ask_user", "switchboard_ask_user"]
    assert "with switchboard_ask_user" in sent["system"][0]["text"]


def test_a_long_description_is_cut_and_a_missing_one_is_the_name() -> None:
    tools = body(Task("t"), candidate("a", description="x" * 5000), candidate("terse", description=""))[
        "tools"
    ]
    assert len(tools[0]["description"]) == 2000
    assert tools[1]["description"] == "terse"


def test_the_same_candidates_make_the_same_prefix_in_any_order() -> None:
    one, other = body(Task("x"), A, B), body(Task("y"), B, A)
    assert (one["tools"], one["system"]) == (other["tools"], other["system"])
    assert one["system"][-1]["cache_control"] == CACHED


def test_text_that_is_no_utf_8_can_still_be_sent() -> None:
    task = Task("\ud800 go", steps=(step(A, "\udfff", x="\udfff"),))
    assert json.dumps(body(task, candidate("a", description="\udfff")), ensure_ascii=False).encode()


def test_steps_are_turns_of_which_the_last_ends_what_is_cached() -> None:
    task = Task("t", steps=(step(A, "one", x=1), step(B, "no such thing", failed=True)))
    _, *turns = body(task, A, B)["messages"]
    assert turns == [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "step_1", "name": "files__a", "input": {"x": 1}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "step_1", "content": "one"}],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "step_2", "name": "files__b", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "step_2",
                    "content": "no such thing",
                    "is_error": True,
                    "cache_control": CACHED,
                }
            ],
        },
    ]


def test_what_stands_before_the_newest_step_stays_as_it_was() -> None:
    steps = (step(A, "one"), step(B, "two"))
    before, after = (body(Task("t", steps=steps[:n]), A, B)["messages"] for n in (1, 2))
    before[-1]["content"][0].pop("cache_control")
    assert after[: len(before)] == before


@pytest.mark.parametrize(("result", "told"), [(None, "(not called: this is a dry run)"), ("", "(no output)")])
def test_a_step_without_output_says_why(result: str | None, told: str) -> None:
    last = body(Task("t", steps=(step(A, result),)), A)["messages"][-1]
    assert last["content"][0]["content"] == told


def test_tools_that_were_called_are_offered_though_they_are_no_candidates_now() -> None:
    many = [candidate(f"t{n:02}") for n in range(30)]
    sent = body(Task("t", steps=(step(A), step(A), step(B))), *many)
    names = [tool["name"] for tool in sent["tools"]]
    assert names == ["files__a", "files__b", *(f"files__t{n:02}" for n in range(18)), "ask_user"]
