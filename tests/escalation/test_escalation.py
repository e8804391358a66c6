"""Escalation to Claude, over real HTTP to a local server that speaks the Messages API."""

import json
import logging
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from pydantic import SecretStr, ValidationError

from local_llm import Finished, NoPlan, Plan, Task
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.escalation_settings import ClaudeSettings, Prices
from mcp_proxy.proposals import ProposalError, Usage
from tests.escalation.anthropic_server import (
    MODEL,
    AnthropicServer,
    Received,
    Reply,
    call,
    error,
    message,
    says,
    text,
    tool_use,
)
from tool_registry import Candidate, ToolEntry

KEY = "sk-ant-made-up-0123456789abcdef"
PRICES = Prices(input=1, output=5, cache_write=1.25, cache_read=0.1)
TASK = Task("read /tmp/a.txt", answers={"encoding": "utf-8"})


def candidate(name: str) -> Candidate:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    definition = {"name": name, "description": f"The {name} tool.", "inputSchema": schema}
    return Candidate(ToolEntry("files", name, f"files__{name}", definition), 1.0)


READ, WRITE = candidate("read"), candidate("write")


def settings(url: str, **changes: Any) -> ClaudeSettings:
    fields = {
        "model": MODEL,
        "api_key": KEY,
        "base_url": url,
        "max_retries": 0,
        "timeout": 10,
        "prices": PRICES,
    }
    return ClaudeSettings.model_validate({**fields, **changes})


@asynccontextmanager
async def claude(url: str, **changes: Any) -> AsyncGenerator[ClaudeEscalator]:
    escalator = ClaudeEscalator(settings(url, **changes))
    try:
        yield escalator
    finally:
        await escalator.aclose()


async def resolved(*script: Reply, **changes: Any) -> tuple[Plan | NoPlan | Finished, Usage, list[Received]]:
    with AnthropicServer(*script) as server:
        async with claude(server.url, **changes) as escalator:
            escalated = await escalator.propose(TASK, [READ, WRITE], "confidence 0.41 is below 0.60")
    assert escalated.usage
    return escalated.outcome, escalated.usage, server.requests


async def failure(*script: Reply, **changes: Any) -> tuple[ProposalError, list[Received]]:
    with AnthropicServer(*script) as server:
        async with claude(server.url, **changes) as escalator:
            with pytest.raises(ProposalError) as caught:
                await escalator.propose(TASK, [READ, WRITE], "unsure")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(vars(caught.value))
    return caught.value, server.requests


async def test_a_tool_call_becomes_a_plan_nobody_has_validated() -> None:
    outcome, usage, _ = await resolved(tool_use("files__read", {"path": "/tmp/a.txt", "extra": 1}))  # noqa: S108
    assert isinstance(outcome, Plan)
    assert outcome.call.tool is READ.tool
    assert outcome.call.arguments == {"path": "/tmp/a.txt", "extra": 1}  # noqa: S108
    assert (outcome.planner, outcome.confidence, outcome.alternatives) == ("claude", 1.0, (WRITE,))
    assert usage == Usage(100, 20, 1000, 500, cost=0.0015)


async def test_the_request_offers_the_tools_and_leaves_the_choice() -> None:
    _, _, (request,) = await resolved(says("no"), max_tokens=77)
    body = request.body
    assert (request.path, body["model"], body["max_tokens"]) == ("/v1/messages", MODEL, 77)
    assert [tool["name"] for tool in body["tools"]] == ["files__read", "files__write", "ask_user"]
    assert body["tools"][0]["input_schema"]["required"] == ["path"]
    assert body["stream"] is True
    assert body["tool_choice"]["type"] == "auto"
    assert json.loads(body["messages"][0]["content"][0]["text"]) == {
        "task": TASK.text,
        "answers": {"encoding": "utf-8"},
        "why_it_was_passed_to_you": "confidence 0.41 is below 0.60",
    }


async def test_the_key_travels_in_its_header_and_nowhere_else() -> None:
    _, _, (request,) = await resolved(says("no"))
    (header,) = (name for name, value in request.headers.items() if KEY in value)
    assert header in {"authorization", "x-api-key"}
    assert KEY not in request.path + json.dumps(request.body)


async def test_nothing_is_sent_before_the_first_task_nor_without_candidates() -> None:
    with AnthropicServer(says("no")) as server:
        async with claude(server.url) as escalator:
            escalated = await escalator.propose(TASK, [], "unsure")
    assert isinstance(escalated.outcome, NoPlan)
    assert escalated.usage == Usage(cost=0.0)
    assert server.requests == []


async def test_at_most_twenty_candidates_are_offered() -> None:
    with AnthropicServer(says("no")) as server:
        async with claude(server.url) as escalator:
            await escalator.propose(TASK, [candidate(f"tool_{n}") for n in range(30)], "unsure")
    assert len(server.requests[0].body["tools"]) == 20 + 1  # ask_user


NO_PLANS = {
    "no tool": (says("None of these\nreads mail."), "None of these reads mail."),
    "silence": (message(), "called no tool"),
    "a tool it was not offered": (tool_use("files__erase", {}), "'files__erase', which it was not offered"),
    "a refusal": (message(text("I can't help."), stop_reason="refusal"), "declined the task. I can't help."),
    "an answer cut off in a call": (
        message(call("files__read", {}), stop_reason="max_tokens"),
        "cut off at the limit for its answer",
    ),
    "a stop nobody knows": (message(stop_reason="pause_turn"), "pause_turn"),
}


@pytest.mark.parametrize("case", NO_PLANS)
async def test_a_reply_without_a_usable_call_is_no_plan_and_is_paid_for(case: str) -> None:
    reply, reason = NO_PLANS[case]
    outcome, usage, _ = await resolved(reply)
    assert isinstance(outcome, NoPlan)
    assert reason in outcome.reason
    assert usage.output_tokens == 20


async def test_of_several_calls_the_first_is_taken_and_the_reason_says_so() -> None:
    calls = (call("files__write", {"path": "a"}), call("files__read", {"path": "b"}))
    outcome, _, _ = await resolved(message(text("First write."), *calls, stop_reason="tool_use"))
    assert isinstance(outcome, Plan)
    assert outcome.call.tool is WRITE.tool
    assert "First write. It made 2 calls, of which this is the first." in outcome.reason


async def test_blocks_of_other_kinds_are_passed_over() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    outcome, _, _ = await resolved(
        message(thinking, {"type": "of tomorrow"}, call("files__read", {"path": "a"}))
    )
    assert isinstance(outcome, Plan)


async def test_without_prices_the_cost_is_unknown() -> None:
    _, usage, _ = await resolved(says("no"), prices=None)
    assert usage == Usage(100, 20, 1000, 500, cost=None)


FAILURES = {
    "a wrong key": (
        error(401, "authentication_error", f"invalid x-api-key {KEY}"),
        "authentication",
        "check api_key",
    ),
    "no credit": (error(402, "billing_error", "no credit"), "billing", "check its billing"),
    "a forbidden model": (error(403, "permission_error", "no"), "authentication", "permissions"),
    "an unknown model": (
        error(404, "not_found_error", f"model: {MODEL}"),
        "model",
        "check model and base_url",
    ),
    "a bad request": (
        error(400, "invalid_request_error", "tools.0: bad"),
        "request",
        "It said: tools.0: bad",
    ),
    "too many requests": (error(429, "rate_limit_error", "slow down"), "rate_limit", "try again later"),
    "an overloaded API": (error(529, "overloaded_error", "busy"), "overloaded", "try again later"),
    "an API that fails": (error(500, "api_error", "oops"), "unavailable", "HTTP 500"),
    "an error page": (Reply(502, raw=b"<html>bad gateway</html>"), "unavailable", "HTTP 502"),
    "a body that is not JSON": (Reply(raw=b'{"type": "mess'), "reply", "check base_url"),
    "JSON of another kind": (Reply(body={"ok": True}), "reply", "check base_url"),
    "a login page": (Reply(raw=b"<html>", headers={"content-type": "text/html"}), "reply", "check base_url"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_a_failure_names_its_kind_and_a_remedy_but_never_the_key(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply, kind, remedy = FAILURES[case]
    caught, _ = await failure(reply)
    assert caught.kind == kind
    assert remedy in caught.message
    assert KEY not in caplog.text


async def test_a_busy_api_is_asked_again() -> None:
    busy = error(529, "overloaded_error", "busy", retry_after_ms="1")
    outcome, _, requests = await resolved(busy, busy, tool_use("files__read", {"path": "a"}), max_retries=2)
    assert isinstance(outcome, Plan)
    assert len(requests) == 3


async def test_retries_end() -> None:
    caught, requests = await failure(error(500, "api_error", "oops", retry_after_ms="1"), max_retries=2)
    assert caught.kind == "unavailable"
    assert len(requests) == 3


async def test_a_wait_beyond_the_deadline_is_not_waited_for() -> None:
    start = anyio.current_time()
    caught, requests = await failure(
        error(429, "rate_limit_error", "slow", retry_after="3600"), max_retries=2
    )
    assert (caught.kind, caught.retry_after) == ("rate_limit", 3600)
    assert "wait 3600 s" in caught.message
    assert len(requests) == 1
    assert anyio.current_time() - start < 5


async def test_a_silent_api_is_given_up_on_at_the_timeout() -> None:
    caught, requests = await failure(Reply(hangs=True), timeout=0.3, max_retries=2)
    assert caught.kind == "timeout"
    assert "within 0.3 s" in caught.message
    assert len(requests) == 1


async def test_an_api_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with claude(f"http://127.0.0.1:{closed.getsockname()[1]}") as escalator:
            with pytest.raises(ProposalError, match="check the network") as caught:
                await escalator.propose(TASK, [READ], "unsure")
    assert caught.value.kind == "unavailable"


async def test_a_task_is_for_the_configured_host_and_follows_no_redirect() -> None:
    with AnthropicServer(says("x")) as elsewhere:
        caught, _ = await failure(Reply(307, raw=b"", headers={"location": f"{elsewhere.url}/v1/messages"}))
    assert (caught.kind, elsewhere.requests) == ("request", [])
    assert "HTTP 307" in caught.message


async def test_tasks_are_resolved_side_by_side_over_one_client() -> None:
    def answer(received: Received) -> Reply:
        return says(json.loads(received.body["messages"][0]["content"][0]["text"])["task"])

    reasons: dict[int, str] = {}
    with AnthropicServer(answer) as server:
        async with claude(server.url) as escalator, anyio.create_task_group() as group:

            async def ask(n: int) -> None:
                escalated = await escalator.propose(Task(f"task {n}"), [READ], "unsure")
                assert isinstance(escalated.outcome, NoPlan)
                reasons[n] = escalated.outcome.reason

            for n in range(8):
                group.start_soon(ask, n)
    assert reasons == {n: f"task {n}" for n in range(8)}


async def test_a_closed_escalator_opens_again() -> None:
    with AnthropicServer(says("no")) as server:
        async with claude(server.url) as escalator:
            await escalator.propose(TASK, [READ], "unsure")
            await escalator.aclose()
            await escalator.propose(TASK, [READ], "unsure")
    assert len(server.requests) == 2


def test_the_sdk_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from mcp_proxy.escalation import *; "
        "ClaudeEscalator(ClaudeSettings(model='m', api_key='k')); print('anthropic' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


BAD_SETTINGS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a key with a line break": (lambda: {"api_key": f"{KEY}\n"}, "no key has"),
    "an empty key": (lambda: {"api_key": ""}, "no key has"),
    "an address that is none": (lambda: {"base_url": "not an address"}, "not an HTTP address"),
    "a name nobody knows": (lambda: {"tokens": 1}, "tokens"),
    "a budget without prices": (
        lambda: {"prices": None, "budget": {"max_dollars_per_day": 1}},
        "without prices no cost is known",
    ),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings_are_rejected_without_showing_the_key(case: str) -> None:
    changes, reason = BAD_SETTINGS[case]
    with pytest.raises(ValidationError, match=reason) as caught:
        settings("http://127.0.0.1:1", **changes())
    assert KEY not in str(caught.value)


def test_settings_do_not_show_the_key() -> None:
    shown = settings("http://127.0.0.1:1")
    assert isinstance(shown.api_key, SecretStr)
    assert KEY not in repr(shown) + shown.model_dump_json()
