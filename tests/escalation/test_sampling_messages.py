"""What a client's model is told, and what its words are taken for."""

import json
from typing import Any

import pytest
from mcp_types import CreateMessageRequestParams
from pydantic import ValidationError

from local_llm import Call, Finished, NoPlan, Plan, Step, Task
from mcp_proxy.model_answers import outcome_of
from mcp_proxy.offered import offer
from mcp_proxy.sampling_messages import Sampled, request_in_text, request_with_tools
from tool_registry import Candidate, ToolEntry

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ = Candidate(ToolEntry("files", "read", "files__read", {"inputSchema": SCHEMA}), 1.0)
STEPS = (
    Step(Call(READ.tool, {"path": "a"}), "no such file", failed=True),
    Step(Call(READ.tool, {"path": "b"}), "text"),
)


def in_text(words: str, task: Task = Task("t")) -> Plan | NoPlan | Finished:  # noqa: B008  a frozen value
    sampled = Sampled.model_validate(
        {"role": "assistant", "model": "own", "content": {"type": "text", "text": words}}
    )
    return outcome_of(sampled.answer_in_text, offer(task, [READ]), task, "client")


CALLS = {
    "bare": '{"call": "files__read", "arguments": {"path": "a"}}',
    "fenced": '```json\n{"call": "files__read", "arguments": {"path": "a"}}\n```',
    "after words with braces": 'I {think} {"a": 1} so: {"call": "files__read", "arguments": {"path": "a"}} {"call": "x"}',
    "after one that breaks off": '{"call": "files__read", "arguments": {"path": {"call": "files__read", "arguments": {"path": "a"}}',
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_is_found_among_words(case: str) -> None:
    outcome = in_text(CALLS[case])
    assert isinstance(outcome, Plan)
    assert (outcome.call.tool, outcome.call.arguments, outcome.last) == (READ.tool, {"path": "a"}, False)


def test_a_last_call_is_the_last() -> None:
    outcome = in_text('{"call": "files__read", "arguments": {"path": "a"}, "last": true}')
    assert isinstance(outcome, Plan)
    assert outcome.last


def test_a_question_for_the_user_is_what_is_missing() -> None:
    outcome = in_text(
        '{"call": "ask_user", "arguments": {"tool": "files__read", "parameters": ["path"], "question": "Which?"}}'
    )
    assert isinstance(outcome, Plan)
    assert outcome.missing == ("path",)
    assert "Which?" in outcome.reason


def test_an_end_is_an_end_once_something_was_done() -> None:
    task = Task("t", steps=STEPS)
    assert in_text('{"finished": "all read"}', task) == Finished("client", "all read")
    assert in_text('{"not_done": "no tool"}', task) == NoPlan("client", "no tool", (READ,))
    assert in_text('{"finished": "all read"}') == NoPlan("client", "all read", (READ,))


@pytest.mark.parametrize(
    "words",
    [
        "",
        "no",
        "{",
        "{" * 5000,
        '{"call": 7}',
        '{"call": "files__read"',
        "[" * 100_000,
        '{"a":' * 50_000,
        "\ud800",
    ],
)
def test_words_that_are_no_answer_are_no_plan(words: str) -> None:
    assert isinstance(in_text(words), NoPlan)


@pytest.mark.parametrize(
    "result",
    [{}, {"content": 7}, {"content": [7]}, {"content": {"text": "x"}}, [], None, {"content": {"type": 7}}],
)
def test_what_is_no_result_is_refused(result: Any) -> None:
    with pytest.raises(ValidationError):
        Sampled.model_validate(result)


def test_an_answer_cut_off_says_so() -> None:
    cut = Sampled.model_validate({"content": [{"type": "text", "text": "so…"}], "stopReason": "maxTokens"})
    outcome = outcome_of(cut.answer, offer(Task("t"), [READ]), Task("t"), "client")
    assert outcome == NoPlan(
        "client", "the model was cut off at the limit for its answer; raise [escalation] max_tokens", (READ,)
    )


def test_steps_are_told_as_turns_or_in_the_text() -> None:
    task = Task("t", steps=STEPS)
    offered = offer(task, [READ])
    turns = request_with_tools(task, offered, "unsure", 9)
    texts = request_in_text(task, offered, "unsure", 9)
    for params in (turns, texts):
        CreateMessageRequestParams.model_validate(params)
    assert turns["messages"][2]["content"][0] == {
        "type": "tool_result",
        "toolUseId": "step_1",
        "content": [{"type": "text", "text": "no such file"}],
        "isError": True,
    }
    assert json.loads(texts["messages"][0]["content"]["text"])["steps"] == [
        {"call": "files__read", "arguments": {"path": "a"}, "error": "no such file"},
        {"call": "files__read", "arguments": {"path": "b"}, "result": "text"},
    ]
