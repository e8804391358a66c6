"""The user behind an MCP client, asked through elicitation in either protocol era."""

import json
from collections.abc import Mapping
from typing import Any

from mcp import MCPError
from mcp_types import ElicitResult
from pydantic import ValidationError

from mcp_proxy.callers import Caller, declares
from mcp_proxy.gate import Ask, Question
from mcp_proxy.ports import Answers, CannotAsk, Declined
from tool_registry.repair import read_text

_PRIMITIVE = {"string", "number", "integer", "boolean"}
_FORM_KEYWORDS = (
    "type",
    "title",
    "description",
    "enum",
    "default",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
)


class ClientPerson:
    """The user of the client behind a request."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def ask(self, ask: Ask) -> Answers | Declined | CannotAsk:
        """The user's answer, however the client brings it: at once, or with its next request."""
        if not declares(self._caller.capabilities, "elicitation/create", {}):
            return CannotAsk(_how_to_go_on(ask))
        try:
            result = ElicitResult.model_validate(await self._caller.ask("elicitation/create", _request(ask)))
        except MCPError as error:
            return CannotAsk(f"the client could not ask ({error.message}); {_how_to_go_on(ask)}")
        except ValidationError:
            return CannotAsk(f"what the client answered is no answer to a form; {_how_to_go_on(ask)}")
        return _understood(ask, result)


def _request(ask: Ask) -> dict[str, Any]:
    properties = {question.parameter: _form_field(question) for question in ask.questions}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    given = json.dumps(ask.call.arguments, ensure_ascii=False)
    question = "Please fill it in." if ask.questions else f"Call {ask.call.tool.qualified} with {given}?"
    return {"message": f"{ask.reason}. {question}", "requestedSchema": schema}


def _form_field(question: Question) -> dict[str, Any]:
    """A parameter's schema as a form field: forms know primitive values only; others are typed as JSON."""
    if question.schema.get("type") in _PRIMITIVE:
        return {key: question.schema[key] for key in _FORM_KEYWORDS if key in question.schema}
    about = question.schema.get("description", question.parameter)
    return {"type": "string", "description": f"{about} (as JSON, or several values separated by commas)"}


def _understood(ask: Ask, result: ElicitResult) -> Answers | Declined:
    if result.action != "accept":
        return Declined()
    content = result.content or {}
    return Answers(
        {
            question.parameter: _value(question, content)
            for question in ask.questions
            if question.parameter in content
        }
    )


def _value(question: Question, content: Mapping[str, Any]) -> Any:
    value = content[question.parameter]
    return read_text(question.schema, value) if isinstance(value, str) else value


def _how_to_go_on(ask: Ask) -> str:
    if ask.questions:
        names = ", ".join(f'"{question.parameter}": …' for question in ask.questions)
        return f"this client cannot ask the user: call again with answers {{{names}}}"
    return f"this client cannot ask the user: to go ahead, call {ask.call.tool.qualified} directly"
