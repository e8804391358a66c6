"""What Claude is told of the tools, whatever their schemas look like."""

import json
from typing import Any

from local_llm import Plan, Task
from mcp_proxy.claude_messages import Reply, offer, outcome_of, request_body
from tests.escalation.anthropic_server import tool_use
from tool_registry import Candidate, ToolEntry


def candidate(name: str, schema: dict[str, Any] | None = None, description: str = "Does it.") -> Candidate:
    definition = {"name": name, "description": description, "inputSchema": schema or {"type": "object"}}
    return Candidate(ToolEntry("files", name, f"files__{name}", definition), 1.0)


def test_a_property_name_the_api_rejects_is_renamed_on_the_way_out_and_back() -> None:
    schema = {"type": "object", "properties": {"größe in m": {"type": "number"}}, "required": ["größe in m"]}
    offered = offer(candidate("measure", schema))
    (sent,) = offered.definition["input_schema"]["properties"]
    assert sent.isascii()
    assert " " not in sent
    assert offered.definition["input_schema"]["required"] == [sent]

    reply = Reply.model_validate(tool_use("files__measure", {sent: 3}).body)
    plan = outcome_of(reply, [offered], "claude")
    assert isinstance(plan, Plan)
    assert plan.call.arguments == {"größe in m": 3}


def test_a_long_description_is_cut_and_a_missing_one_is_the_name() -> None:
    assert len(offer(candidate("long", description="x" * 5000)).definition["description"]) == 2000
    assert offer(candidate("terse", description="")).definition["description"] == "terse"


def test_the_same_candidates_make_the_same_prefix_in_any_order() -> None:
    a, b = offer(candidate("a")), offer(candidate("b"))
    one = request_body("m", 10, Task("x"), [a, b], "unsure")
    other = request_body("m", 10, Task("y"), [b, a], "unsure")
    assert one["tools"] == other["tools"]
    assert [tool.get("cache_control") for tool in one["tools"]] == [None, {"type": "ephemeral"}]


def test_text_that_is_no_utf_8_can_still_be_sent() -> None:
    body = request_body("m", 10, Task("\ud800 go"), [offer(candidate("a", description="\udfff"))], "unsure")
    assert json.dumps(body, ensure_ascii=False).encode()
