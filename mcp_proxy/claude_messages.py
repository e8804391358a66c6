"""The Messages API as values: a task and its tools become a request body, a reply is read. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from local_llm import Task
from mcp_proxy.model_answers import HOW_TO_ANSWER, Answer, Called
from mcp_proxy.offered import Offered, as_json, question_of, result_of

_CACHED: Mapping[str, Any] = {"type": "ephemeral"}


def request_body(model: str, max_tokens: int, task: Task, offered: Offered, reason: str) -> dict[str, Any]:
    """What `POST /v1/messages` is sent: strict JSON that encodes as UTF-8.

    The tools and the instructions are marked for the prompt cache, and the steps once there are any.
    """
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
        for tool in offered.definitions
    ]
    question = as_json(question_of(task, reason))
    body = {
        "model": model,
        "max_tokens": max_tokens,
        # The cache goes by prefixes, in the order tools, system, messages: this mark covers the tools too.
        "system": [{"type": "text", "text": offered.rules + HOW_TO_ANSWER, "cache_control": _CACHED}],
        "tools": tools,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [_said("user", {"type": "text", "text": question}), *_turns(task, offered)],
    }
    # Through JSON, which leaves nothing in it that the SDK could not send.
    return json.loads(as_json(body))


def _turns(task: Task, offered: Offered) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for number, step in enumerate(task.steps, 1):
        name, given = offered.of(step.call.tool).name, offered.of(step.call.tool).told(step.call.arguments)
        made = {"type": "tool_use", "id": f"step_{number}", "name": name, "input": given}
        result: dict[str, Any] = {
            "type": "tool_result",
            "tool_use_id": f"step_{number}",
            "content": result_of(step),
        }
        if step.failed:
            result["is_error"] = True
        if number == len(task.steps):
            result["cache_control"] = _CACHED
        turns += [_said("assistant", made), _said("user", result)]
    return turns


def _said(role: str, block: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": [block]}


class Block(BaseModel):
    """One content block of a reply; of the many types, `text` and `tool_use` matter here."""

    model_config = ConfigDict(frozen=True)

    type: str
    text: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict[str, Any])


class TokenCounts(BaseModel):
    """A reply's `usage`."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cache_creation_input_tokens: int | None = Field(default=None, ge=0)
    cache_read_input_tokens: int | None = Field(default=None, ge=0)


class Reply(BaseModel):
    """A message of the assistant, as far as it is read here. Unknown fields are allowed: the API grows."""

    model_config = ConfigDict(frozen=True)

    type: Literal["message"]
    model: str
    content: tuple[Block, ...]
    stop_reason: str | None = None
    usage: TokenCounts

    @property
    def answer(self) -> Answer:
        text = " ".join(block.text for block in self.content if block.type == "text")
        calls = tuple(Called(block.name, block.input) for block in self.content if block.type == "tool_use")
        return Answer(self.model, text, calls, self.stop_reason)
