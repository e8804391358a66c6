"""How the conformance upstream asks its client: in either era, and with the tools that only the stateless one has."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    INVALID_PARAMS,
    CreateMessageRequest,
    CreateMessageResult,
    ElicitRequest,
    ElicitResult,
    ServerRequest,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

INPUTS = json.loads((Path(__file__).parent / "fixed.json").read_text(encoding="utf-8"))["inputs"]
KEY = secrets.token_bytes(32)

TYPES: dict[str, tuple[type[ServerRequest], type[BaseModel]]] = {
    "sampling/createMessage": (CreateMessageRequest, CreateMessageResult),
    "elicitation/create": (ElicitRequest, ElicitResult),
}

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]


class InputNeeded(Exception):  # noqa: N818  not an error: a stateless client has to be asked first
    def __init__(self, result: Result) -> None:
        super().__init__("input needed")
        self.result = result


async def answer_to(ctx: Context, method: str, params: Result) -> Result:
    """What the client answers, asked while the call waits, or by having it call again.

    Raises:
        InputNeeded: the client of this stateless request has not been asked yet.
    """
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        given = (ctx.params or {}).get("inputResponses")
        if not isinstance(given, dict):
            asking = {"answer": {"method": method, "params": params}}
            raise InputNeeded({"resultType": "input_required", "inputRequests": asking})
        return cast("Result", given)["answer"]
    request, answer = TYPES[method]
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    asked = request.model_validate({"method": method, "params": params})
    said = await ctx.session.send_request(asked, answer, metadata=metadata)
    return said.model_dump(by_alias=True, mode="json", exclude_none=True)


def asked_for(ctx: Context, *keys: str, state: str | None = None) -> Result:
    """The answers to these inputs, by key, or the result that asks for them."""
    given = (ctx.params or {}).get("inputResponses")
    answers = cast("Result", given) if isinstance(given, dict) else {}
    if all(isinstance(answers.get(key), dict) for key in keys):
        return {key: answers[key] for key in keys}
    asking: Result = {"resultType": "input_required", "inputRequests": {key: INPUTS[key] for key in keys}}
    return {**asking, "requestState": sealed(state)} if state else asking


def asking(*keys: str, state: str | None = None) -> Callable[[Context, Result], Awaitable[Result]]:
    """A tool that asks once, and then says what it was told."""

    async def call(ctx: Context, _: Result) -> Result:
        asked = asked_for(ctx, *keys, state=state)
        if "inputRequests" in asked:
            return asked
        if state:
            unsealed(ctx)
        return said(f"{'state-ok ' if state else ''}{json.dumps(asked)}")

    return call


async def multi_round(ctx: Context, _: Result) -> Result:
    if not (ctx.params or {}).get("requestState"):
        return asked_for(ctx, "step1", state="1")
    if unsealed(ctx) == "1" and "inputRequests" not in asked_for(ctx, "step1"):
        return {
            "resultType": "input_required",
            "inputRequests": {"step2": INPUTS["step2"]},
            "requestState": sealed("2"),
        }
    asked = asked_for(ctx, "step2", state="2")
    return asked if "inputRequests" in asked else said(json.dumps(asked))


async def capabilities(ctx: Context, _: Result) -> Result:
    """Asks only for what the client of this very request declares."""
    declared = ctx.session.client_capabilities
    ways = {"user_name": "elicitation", "greeting": "sampling", "client_roots": "roots"}
    keys = [key for key, way in ways.items() if declared and getattr(declared, way) is not None]
    asked = asked_for(ctx, *keys)
    return asked if "inputRequests" in asked else said(json.dumps(asked))


def sealed(state: str) -> str:
    return f"{state}.{hmac.new(KEY, state.encode(), hashlib.sha256).hexdigest()}"


def unsealed(ctx: Context) -> str:
    given = str((ctx.params or {}).get("requestState"))
    state = given.partition(".")[0]
    if not hmac.compare_digest(given.encode(), sealed(state).encode()):
        raise MCPError(INVALID_PARAMS, "requestState has been tampered with")
    return state


def said(text: str) -> Result:
    return {"content": [{"type": "text", "text": text}]}


TOOLS = {
    "test_streaming_elicitation": asking("user_name"),
    "test_input_required_result_elicitation": asking("user_name"),
    "test_input_required_result_sampling": asking("capital_question"),
    "test_input_required_result_list_roots": asking("client_roots"),
    "test_input_required_result_request_state": asking("confirm", state="asked"),
    "test_input_required_result_multiple_inputs": asking(
        "user_name", "greeting", "client_roots", state="asked"
    ),
    "test_input_required_result_tampered_state": asking("confirm", state="asked"),
    "test_input_required_result_multi_round": multi_round,
    "test_input_required_result_capabilities": capabilities,
}
