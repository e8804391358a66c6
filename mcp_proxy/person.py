"""The user behind an MCP client, asked through elicitation in either protocol era.

A stateful client is asked while the call waits. A stateless one gets `input_required` and calls again
with the answers: then `InputNeeded` unwinds the call, which starts over and finds its answers here.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import anyio
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.gate import Ask, Question
from mcp_proxy.pipeline import Answers, CannotAsk, Declined
from tool_registry.repair import read_text

_PATIENCE = 600.0
"""Seconds a stateful client's user has to answer."""

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


class InputNeeded(Exception):  # noqa: N818  control flow of the stateless era, not an error
    """The call cannot go on before the client has answered; it answers by calling again."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("input required")
        self.result = result


class ClientPerson:
    """The user of the client that made one `tools/call`."""

    def __init__(self, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> None:
        self._ctx = ctx
        self._given = _earlier_answers(params)

    async def ask(self, ask: Ask) -> Answers | Declined | CannotAsk:
        """The user's answer. A question is remembered by the very call it is about.

        Raises:
            InputNeeded: a stateless client has to be asked first.
        """
        if not _takes_forms(self._ctx.session.client_capabilities):
            return CannotAsk(_how_to_go_on(ask))
        if self._ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._ask_now(ask)
        key = _key(ask)
        if key not in self._given:
            state = json.dumps({name: result.model_dump(mode="json") for name, result in self._given.items()})
            raise InputNeeded(InputRequiredResult(input_requests={key: _request(ask)}, request_state=state))
        return _understood(ask, self._given[key])

    async def _ask_now(self, ask: Ask) -> Answers | Declined | CannotAsk:
        form = _request(ask).params
        schema = form.requested_schema if isinstance(form, ElicitRequestFormParams) else {}
        try:
            with anyio.fail_after(_PATIENCE):
                result = await self._ctx.session.elicit_form(
                    form.message, schema, related_request_id=self._ctx.request_id
                )
        except TimeoutError:
            return CannotAsk(f"nobody answered within {_PATIENCE:g} s")
        except MCPError as error:
            return CannotAsk(f"the client could not ask ({error.message}); {_how_to_go_on(ask)}")
        return _understood(ask, result)


def _takes_forms(client: ClientCapabilities | None) -> bool:
    """Whether the client can show a form; one that names no kind of elicitation means forms."""
    elicitation = client.elicitation if client else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _earlier_answers(params: CallToolRequestParams) -> dict[str, ElicitResult]:
    """The answers this call carries: those of its last round, and those of rounds before in its state."""
    try:
        state = cast("dict[str, Any]", json.loads(params.request_state or "{}"))
        given = {key: ElicitResult.model_validate(value) for key, value in state.items()}
    except (ValueError, AttributeError):
        given = {}
    responses = params.input_responses or {}
    return given | {key: result for key, result in responses.items() if isinstance(result, ElicitResult)}


def _key(ask: Ask) -> str:
    asked = [question.parameter for question in ask.questions]
    text = json.dumps([ask.call.tool.qualified, ask.call.arguments, asked], sort_keys=True, default=str)
    return f"{'missing' if asked else 'approval'}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _request(ask: Ask) -> ElicitRequest:
    properties = {question.parameter: _form_field(question) for question in ask.questions}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    given = json.dumps(ask.call.arguments, ensure_ascii=False)
    question = "Please fill it in." if ask.questions else f"Arguments: {given}. Go ahead?"
    return ElicitRequest(
        params=ElicitRequestFormParams(message=f"{ask.reason}. {question}", requested_schema=schema)
    )


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
