"""The client's own model is asked, through sampling, by a real server, in both protocol eras."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ErrorData,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
    ToolUseContent,
)

from mcp_proxy.model_answers import LAST_CALL
from tests.serving import ERAS, configured, demo, outcome_of, serving, text_of

VAGUE = "put down a note to remember that the plumber comes on Friday"
NOTE = {"title": "Plumber", "text": "comes on Friday"}
WITH_TOOLS = SamplingCapability(tools=SamplingToolsCapability())

Sampled = CreateMessageResult | CreateMessageResultWithTools | ErrorData


def config(folder: Path, **escalation: Any) -> Path:
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    table = {"order": ["client"], **escalation}
    return configured(folder, {"notes": notes}, escalation=table, planner={"threshold": 1.0})


class Model:
    """A client's model that gives its answers one after the other; None takes for ever. Remembers what it was asked."""

    def __init__(self, *answers: Sampled | None) -> None:
        self.asked: list[CreateMessageRequestParams] = []
        self._answers = list(answers)

    async def __call__(self, _: Any, params: CreateMessageRequestParams) -> Sampled:
        self.asked.append(params)
        answer = self._answers.pop(0)
        if answer is None:
            await anyio.sleep_forever()
            raise AssertionError
        return answer

    @property
    def questions(self) -> list[dict[str, Any]]:
        blocks = [asked.messages[0].content for asked in self.asked]
        return [json.loads(block.text) for block in blocks if isinstance(block, TextContent)]


def says(words: str) -> CreateMessageResult:
    return CreateMessageResult(
        role="assistant", content=TextContent(text=words), model="own-model", stop_reason="endTurn"
    )


def calls(name: str, arguments: dict[str, Any]) -> CreateMessageResultWithTools:
    use = ToolUseContent(id="1", name=name, input=arguments)
    said = TextContent(text=LAST_CALL)
    return CreateMessageResultWithTools(
        role="assistant", content=[said, use], model="own-model", stop_reason="toolUse"
    )


async def done(client: Client) -> tuple[dict[str, Any], str]:
    result = await client.call_tool("do", {"task": VAGUE})
    return outcome_of(result), text_of(result)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_model_that_takes_tools_calls_one(tmp_path: Path, mode: str) -> None:
    model = Model(calls("notes__add_note", NOTE))
    path = config(tmp_path, max_tokens=99)
    async with serving(path, mode=mode, sampling_callback=model, sampling_capabilities=WITH_TOOLS) as client:
        outcome, _ = await done(client)
    assert (outcome["ending"], outcome["planner"]) == ("done", "client")
    assert outcome["call"]["arguments"] == NOTE
    assert outcome["usage"]["cost"] == 0
    (asked,) = model.asked
    assert asked.max_tokens == 99
    assert asked.tools
    assert {"notes__add_note", "ask_user"} <= {tool.name for tool in asked.tools}
    assert [question["task"] for question in model.questions] == [VAGUE]


USELESS: list[tuple[Sampled | None, str]] = [
    (says('{"call": "notes__burn"}'), "which it was not offered"),
    (
        says('{"call": "notes__add_note", "arguments": {"title": 7, "text": "x"}}'),
        "/title: expected string, got 7",
    ),
    (says("I am only a poet."), "I am only a poet."),
]
WITHOUT_AN_ANSWER: list[tuple[Sampled | None, str]] = [
    (ErrorData(code=-1, message="User rejected"), "the client did not ask its model: User rejected"),
    (None, "gave no answer within 1 s; raise client_timeout"),
]
"""What ends the call at the client in the stateless era, where the client repeats a call once it has an answer."""


@pytest.mark.parametrize("mode", ERAS)
async def test_a_model_that_takes_no_tools_answers_in_words(tmp_path: Path, mode: str) -> None:
    useless = USELESS if mode == ERAS[1] else USELESS + WITHOUT_AN_ANSWER
    call = json.dumps({"call": "notes__add_note", "arguments": NOTE, "last": True})
    good = says(f"Sure! Here {{you}} go:\n```json\n{call}\n```\nAnything else?")
    model = Model(*(answer for answer, _ in useless), good)
    async with serving(config(tmp_path, client_timeout=1), mode=mode, sampling_callback=model) as client:
        for _, why in useless:
            outcome, told = await done(client)
            assert outcome["ending"] == "unsure"
            assert why in told
        outcome, _ = await done(client)
    assert (outcome["ending"], outcome["planner"]) == ("done", "client")
    assert outcome["result"]["title"] == "Plumber"
    assert all(asked.tools is None for asked in model.asked)
    shown = model.questions[0]["tools"]
    assert any(tool.startswith("notes__add_note(title: string, text: string") for tool in shown)


async def test_a_client_that_offers_no_model_is_not_asked(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        outcome, told = await done(client)
    assert outcome["ending"] == "unsure"
    assert "the client offers no model of its own (sampling)" in told
