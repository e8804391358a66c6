"""Sampling as values: a task and its tools become a `sampling/createMessage` request, what comes back becomes an answer. Pure.

A client that takes tools with a request is given them; any other is asked in text, and answers in JSON if its model
keeps to what it was told. It may not, so the JSON is looked for among whatever words there are.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from local_llm import Step, Task
from mcp_proxy.model_answers import HOW_TO_ANSWER, LAST_CALL, NOT_DONE, Answer, Called
from mcp_proxy.offered import Offered, as_json, question_of, result_of
from tool_registry.signature import signature

_LONGEST_TEXT = 100_000
_MOST_OBJECTS = 200
"""How many `{` are looked at in search of the answer."""

_STOP_REASONS = {
    "endTurn": "end_turn",
    "maxTokens": "max_tokens",
    "toolUse": "tool_use",
    "stopSequence": "stop_sequence",
}

_IN_TEXT = """

You cannot call tools yourself: answer with one JSON object and nothing else, which is one of
{"call": "<tool>", "arguments": {…}, "last": <true if the task is done once the call is made>}
{"call": "<ask_user>", "arguments": {"tool": "<tool>", "parameters": ["<name>", …], "question": "<one sentence>"}}
{"finished": "<nothing is left to be called: what came of the task>"}
{"not_done": "<why no tool can do what is left>"}"""

Message = dict[str, Any]


def request_with_tools(task: Task, offered: Offered, reason: str, max_tokens: int) -> Message:
    """The params of `sampling/createMessage` for a client that declares `sampling.tools`."""
    tools = [
        {"name": tool.name, "description": tool.description, "inputSchema": dict(tool.schema)}
        for tool in offered.definitions
    ]
    question = {"type": "text", "text": as_json(question_of(task, reason))}
    return {
        **_basis(offered.rules + HOW_TO_ANSWER, max_tokens),
        "messages": [{"role": "user", "content": question}, *_turns(task, offered)],
        "tools": tools,
        "toolChoice": {"mode": "auto"},
    }


def request_in_text(task: Task, offered: Offered, reason: str, max_tokens: int) -> Message:
    """The params of `sampling/createMessage` for any client that samples."""
    tools = [
        f"{signature(tool.name, tool.schema)}: {tool.description}"
        for tool in offered.definitions
        if tool.name != offered.ask_user
    ]
    whole = {**question_of(task, reason), "tools": tools}
    if task.steps:
        whole["steps"] = [_step(step, offered) for step in task.steps]
    system = offered.rules + _IN_TEXT.replace("<ask_user>", offered.ask_user)
    content = {"type": "text", "text": as_json(whole)}
    return {**_basis(system, max_tokens), "messages": [{"role": "user", "content": content}]}


def _basis(system: str, max_tokens: int) -> Message:
    return {"systemPrompt": system, "maxTokens": max_tokens, "includeContext": "none"}


def _turns(task: Task, offered: Offered) -> Iterator[Message]:
    for number, step in enumerate(task.steps, 1):
        tool, identity = offered.of(step.call.tool), f"step_{number}"
        made = {
            "type": "tool_use",
            "id": identity,
            "name": tool.name,
            "input": tool.told(step.call.arguments),
        }
        text = {"type": "text", "text": result_of(step)}
        result = {"type": "tool_result", "toolUseId": identity, "content": [text], "isError": step.failed}
        yield {"role": "assistant", "content": [made]}
        yield {"role": "user", "content": [result]}


def _step(step: Step, offered: Offered) -> Message:
    tool = offered.of(step.call.tool)
    made: Message = {"call": tool.name, "arguments": tool.told(step.call.arguments)}
    return {**made, ("error" if step.failed else "result"): result_of(step)}


class _Block(BaseModel):
    """One content block; of the many types, `text` and `tool_use` matter here."""

    model_config = ConfigDict(frozen=True)

    type: str
    text: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict[str, Any])


class Sampled(BaseModel):
    """A CreateMessageResult, as far as it is read here."""

    model_config = ConfigDict(frozen=True)

    model: str = ""
    content: tuple[_Block, ...]
    stop_reason: str | None = Field(default=None, alias="stopReason")

    @field_validator("content", mode="before")
    @classmethod
    def _as_list(cls, content: object) -> object:
        """A single block may stand for a list of one."""
        return cast("object", content) if isinstance(content, list) else [content]

    @property
    def answer(self) -> Answer:
        """The answer to a request with tools."""
        calls = tuple(Called(block.name, block.input) for block in self.content if block.type == "tool_use")
        return Answer(self.model, self._text, calls, self._stop)

    @property
    def answer_in_text(self) -> Answer:
        """The answer to a request in text: the first object in it that is one."""
        for found in _objects(self._text[:_LONGEST_TEXT]):
            if read := _read(found, self.model):
                return read
        return Answer(self.model, self._text, (), self._stop)

    @property
    def _text(self) -> str:
        return " ".join(block.text for block in self.content if block.type == "text")

    @property
    def _stop(self) -> str | None:
        return _STOP_REASONS.get(self.stop_reason or "", self.stop_reason)


def _read(found: Mapping[str, Any], model: str) -> Answer | None:
    match found:
        case {"call": str() as name, **rest}:
            arguments, last = rest.get("arguments"), rest.get("last") is True
            given = cast("Message", arguments) if isinstance(arguments, dict) else {}
            return Answer(model, LAST_CALL if last else "", (Called(name, given),), "tool_use")
        case {"finished": str() as what}:
            return Answer(model, what, (), "end_turn")
        case {"not_done": str() as why}:
            return Answer(model, f"{NOT_DONE} {why}", (), "end_turn")
        case _:
            return None


def _objects(text: str) -> Iterator[Message]:
    """Every JSON object in a text that is in no other one, in order."""
    decoder, place = json.JSONDecoder(), 0
    for _ in range(_MOST_OBJECTS):
        place = text.find("{", place)
        if place < 0:
            return
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        yield value
