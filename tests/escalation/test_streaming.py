"""Claude's answer as it comes in: slow, in drops, stalled, cut off, malformed. Each time there is an end by the deadline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import anyio
import anyio.to_thread
import pytest

from local_llm import Call, Finished, NoPlan, Plan, Step, Task
from mcp_proxy.escalation import ClaudeEscalator
from mcp_proxy.escalation_settings import ClaudeSettings, Prices
from mcp_proxy.proposals import Proposal, ProposalError, Usage
from tests.escalation.anthropic_server import (
    MODEL,
    AnthropicServer,
    Received,
    Reply,
    Scripted,
    Stream,
    call,
    error,
    events_of,
    message,
    says,
    text,
    tool_use,
)
from tool_registry import Candidate, ToolEntry

SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "mode": {"type": "object"}},
    "required": ["path"],
}
READ = Candidate(ToolEntry("files", "read", "files__read", {"inputSchema": SCHEMA}), 1.0)
TASK = Task("read the file")
READING = events_of(tool_use("files__read", {"path": "a.txt"}))
"""Seven events up to the end of the call; then the counts, then the end."""
CALL_IS_WHOLE = 7
DONE = Step(Call(READ.tool, {"path": "a.txt"}), "its text")


async def proposed(*script: Scripted, task: Task = TASK, **changes: Any) -> Proposal:
    with AnthropicServer(*script) as server:
        fields = {"model": MODEL, "api_key": "key", "base_url": server.url, "max_retries": 0, "timeout": 10}
        prices = Prices(input=1, output=5, cache_write=1.25, cache_read=0.1)
        settings = ClaudeSettings.model_validate({**fields, "prices": prices, **changes})
        escalator = ClaudeEscalator(settings)
        try:
            with anyio.fail_after(20):
                return await escalator.propose(task, [READ], "unsure")
        finally:
            await escalator.aclose()


async def failure(*script: Scripted, **changes: Any) -> ProposalError:
    with pytest.raises(ProposalError) as caught:
        await proposed(*script, **changes)
    return caught.value


def calls(proposal: Proposal) -> Mapping[str, Any]:
    assert isinstance(proposal.outcome, Plan)
    return proposal.outcome.call.arguments


async def test_a_streamed_call_comes_with_the_counts_of_its_end() -> None:
    proposal = await proposed(Stream(READING))
    assert calls(proposal) == {"path": "a.txt"}
    assert proposal.usage == Usage(100, 20, 1000, 500, cost=0.0015)


async def test_an_answer_in_drops_is_put_together() -> None:
    whole = b"".join(
        f"event: {event['type']}\r\ndata: {json.dumps(event)}\r\n\r\n".encode() for event in READING
    )
    drops = [whole[place : place + 7] for place in range(0, len(whole), 7)]
    assert calls(await proposed(Stream(drops, pause=0.001))) == {"path": "a.txt"}


async def test_totals_that_come_last_take_the_place_of_those_that_came_first() -> None:
    *events, counts, end = READING
    corrected = {**counts, "usage": {"output_tokens": 7, "input_tokens": 3, "cache_read_input_tokens": None}}
    proposal = await proposed(Stream([*events, corrected, end]))
    assert proposal.usage == Usage(3, 7, 1000, 500, cost=0.001338)


@pytest.mark.parametrize("ending", ["complete", "cut", "hangs"])
async def test_a_call_that_is_whole_counts_whatever_comes_of_the_stream(ending: Any) -> None:
    proposal = await proposed(Stream(READING[:CALL_IS_WHOLE], ending=ending))
    assert calls(proposal) == {"path": "a.txt"}
    assert proposal.usage
    assert proposal.usage.input_tokens == 100
    assert proposal.usage.output_tokens > 1  # estimated: the one token it began with is not all


async def test_a_gateway_that_does_not_stream_is_understood() -> None:
    assert calls(await proposed(replace(tool_use("files__read", {"path": "b"}), never_streams=True))) == {
        "path": "b"
    }


async def test_a_stall_is_noticed_before_the_whole_time_is_over() -> None:
    caught = await failure(Stream(READING[:4], ending="hangs"), stall_timeout=0.2)
    assert (caught.kind, caught.may_be_billed) == ("timeout", True)
    assert "nothing came for 0.2 s" in caught.message


async def test_signs_of_life_alone_do_not_outlast_the_deadline() -> None:
    pings = [{"type": "ping"}] * 200
    caught = await failure(Stream([*READING[:2], *pings], pause=0.05), timeout=0.5, stall_timeout=5)
    assert (caught.kind, caught.may_be_billed) == ("timeout", True)
    assert "within 0.5 s" in caught.message


START, PING, BLOCK, *_ = READING

BROKEN: dict[str, tuple[Sequence[Mapping[str, Any] | bytes], str, str]] = {
    "a connection that breaks": (READING[:4], "unavailable", "broke off"),
    "no event at all": ([], "reply", "ended in the middle"),
    "an event that is not JSON": ([b"event: message_start\ndata: {oops\n\n"], "reply", "check base_url"),
    "an event that is no object": ([b"event: message_start\ndata: 7\n\n"], "reply", "check base_url"),
    "a block before the beginning": ([BLOCK, *READING[3:]], "reply", "check base_url"),
    "a part of no block": ([START, {**READING[4], "index": 9}], "reply", "check base_url"),
    "a beginning without counts": (
        [{"type": "message_start", "message": {"type": "message", "model": "m", "content": []}}],
        "reply",
        "check base_url",
    ),
    "counts below nothing": (
        [START, {**READING[-2], "usage": {"output_tokens": -5}}],
        "reply",
        "check base_url",
    ),
    "bytes that are no text": ([b"event: message_start\ndata: \xff\xfe\n\n"], "reply", "check base_url"),
    "more than anybody reads": (
        [
            START,
            BLOCK,
            *[{**READING[4], "delta": {"type": "input_json_delta", "partial_json": "x" * 70_000}}] * 20,
        ],
        "reply",
        "check base_url",
    ),
    "an overload in the middle": (
        [START, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}],
        "overloaded",
        "It said: Overloaded",
    ),
    "an error nobody knows": ([START, {"type": "error"}], "unavailable", "try again later"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_is_told_and_may_have_to_be_paid_for(case: str) -> None:
    events, kind, says_ = BROKEN[case]
    caught = await failure(Stream(events, ending="cut" if "breaks" in case else "complete"))
    assert (caught.kind, caught.may_be_billed) == (kind, True)
    assert says_ in caught.message


async def test_a_call_cut_off_in_its_arguments_is_no_call() -> None:
    cut = [*READING[:4], READING[6], {**READING[-2], "delta": {"stop_reason": "max_tokens"}}, READING[-1]]
    proposal = await proposed(Stream(cut))
    assert isinstance(proposal.outcome, NoPlan)
    assert "raise [escalation] max_tokens" in proposal.outcome.reason
    assert proposal.usage


async def test_arguments_nested_without_end_are_no_call() -> None:
    deep = {**READING[4], "delta": {"type": "input_json_delta", "partial_json": '{"path":' + "[" * 50_000}}
    proposal = await proposed(Stream([*READING[:3], deep, *READING[6:]]))
    assert isinstance(proposal.outcome, NoPlan)


@pytest.mark.parametrize(
    ("reply", "billed"),
    [
        (error(429, "rate_limit_error", "slow down"), False),
        (error(500, "api_error", "oops"), False),
        (Reply(raw=b"<html>", headers={"content-type": "text/html"}), True),
        (Reply(hangs=True), True),
    ],
)
async def test_what_was_refused_at_once_is_not_billed(reply: Reply, *, billed: bool) -> None:
    assert (await failure(reply, timeout=1)).may_be_billed is billed


async def test_nothing_that_never_arrived_is_billed() -> None:
    caught = await failure(says("x"), base_url="http://127.0.0.1:1")
    assert (caught.kind, caught.may_be_billed) == ("unavailable", False)


async def test_a_stream_that_is_cancelled_leaves_the_connections_usable() -> None:
    begun = Event()

    def hang(_: Received) -> Stream:
        begun.set()
        return Stream(READING[:4], ending="hangs")

    with AnthropicServer(hang, tool_use("files__read", {"path": "b"})) as server:
        settings = ClaudeSettings.model_validate({"model": MODEL, "api_key": "key", "base_url": server.url})
        escalator = ClaudeEscalator(settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(escalator.propose, TASK, [READ], "unsure")
            await anyio.to_thread.run_sync(begun.wait)
            tasks.cancel_scope.cancel()
        assert calls(await escalator.propose(TASK, [READ], "unsure")) == {"path": "b"}
        await escalator.aclose()


async def test_a_call_marked_as_the_last_is_the_last_and_no_other_is() -> None:
    arguments = {"path": "a"}
    marked = message(text("DONE AFTER THIS"), call("files__read", arguments), stop_reason="tool_use")
    twice = message(text("DONE AFTER THIS"), *[call("files__read", arguments)] * 2, stop_reason="tool_use")
    outcomes = [
        (await proposed(reply)).outcome for reply in (marked, twice, tool_use("files__read", arguments))
    ]
    assert [isinstance(outcome, Plan) and outcome.last for outcome in outcomes] == [True, False, False]
    assert all("DONE AFTER" not in outcome.reason for outcome in outcomes)


@pytest.mark.parametrize(
    ("task", "words", "expected"),
    [
        (replace(TASK, steps=(DONE,)), "It says hello.", Finished("claude", "It says hello.")),
        (replace(TASK, steps=(DONE,)), "", Finished("claude", "nothing is left to be called")),
        (replace(TASK, steps=(DONE,)), "NOT DONE: nothing here sends mail", "nothing here sends mail"),
        (replace(TASK, steps=(replace(DONE, failed=True),)), "I give up.", "I give up."),
        (TASK, "There is nothing to do.", "There is nothing to do."),
    ],
)
async def test_words_alone_end_a_task_that_has_come_somewhere(task: Task, words: str, expected: Any) -> None:
    outcome = (await proposed(says(words), task=task)).outcome
    if isinstance(expected, str):
        expected = NoPlan("claude", expected, (READ,))
    assert outcome == expected


ASKED: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "a required one": (
        {"tool": "files__read", "parameters": ["path"], "question": "Which file?"},
        ("path",),
        {},
    ),
    "one beside what is known": (
        {"tool": "files__read", "parameters": ["mode"], "arguments": {"path": "a", "mode": {}}},
        ("mode",),
        {"path": "a"},
    ),
    "a part of one": ({"tool": "files__read", "parameters": ["mode.deep", "mode.flat"]}, ("mode",), {}),
    "one, not in a list": ({"tool": "files__read", "parameters": "path", "arguments": 7}, ("path",), {}),
}


@pytest.mark.parametrize("case", ASKED)
async def test_what_claude_would_ask_the_user_is_missing_from_its_plan(case: str) -> None:
    asked, missing, known = ASKED[case]
    outcome = (await proposed(tool_use("ask_user", asked))).outcome
    assert isinstance(outcome, Plan)
    assert (outcome.missing, outcome.call.arguments, outcome.call.tool) == (missing, known, READ.tool)


@pytest.mark.parametrize(
    "asked",
    [{}, {"tool": "files__read", "parameters": []}, {"tool": "no", "parameters": ["path"]}, {"tool": 7}],
)
async def test_a_question_about_no_parameter_is_no_plan_but_is_told(asked: dict[str, Any]) -> None:
    outcome = (await proposed(tool_use("ask_user", {**asked, "question": "Which one?"}))).outcome
    assert isinstance(outcome, NoPlan)
    assert outcome.reason == f"{MODEL} asks: Which one?"
