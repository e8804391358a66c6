"""A server that asks its client back, logs, and has resources that change; of either protocol era.

`--http PORT` serves streamable HTTP, else stdio; `--roots` logs the client's roots whenever they change. What it asks travels unparsed, unknown fields and all.
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
import uvicorn
from mcp import MCPError
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
    NotificationParams,
    PaginatedRequestParams,
    Request,
    RequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from mcp_types import Result as AnyResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]

PAGE = "asker://page"
COMPLETE: Result = {"resultType": "complete"}
LEVELS: list[str] = []
WATCHED: set[str] = set()

bus = InMemorySubscriptionBus()
calls: list[Any] = []
cancelled: list[Any] = []
gates: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)


class Raw(AnyResult):
    model_config = ConfigDict(extra="allow")


async def ask(ctx: Context, arguments: Result) -> Result:
    """Ask the client `times` times, once gate `after` is open, and return the last answer."""
    await ctx.session.report_progress(0, 1, "begun")
    if "after" in arguments:
        await gates[arguments["after"]].wait()
    method, params = arguments["method"], arguments.get("params", {})
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return ask_for_retry(ctx, method, params, arguments.get("times", 1))
    answer: Result = {}
    for _ in range(arguments.get("times", 1)):
        answer = await ask_now(ctx, method, params)
    await ctx.session.report_progress(1, 1, "answered")
    if "then_logs" in arguments:
        await note(ctx, {"level": "error", "data": arguments["then_logs"]})
    return said("answered", {"answer": answer})


async def ask_both(ctx: Context, arguments: Result) -> Result:
    """Ask the client two things at once."""
    answers: dict[str, Result] = {}

    async def ask_one(message: str) -> None:
        answers[message] = await ask_now(
            ctx, arguments["method"], {**arguments["params"], "message": message}
        )

    async with anyio.create_task_group() as tasks:
        for message in ("one", "two"):
            tasks.start_soon(ask_one, message)
    return said("answered", answers)


async def ask_counted(ctx: Context, arguments: Result) -> Result:
    """Ask the client, `hold` the answer if told to, and say what `counts` says: this tool's calls, by id."""
    calls.append(ctx.request_id)
    try:
        if arguments:
            await ask_now(ctx, arguments["method"], arguments["params"])
        await ctx.session.report_progress(1, 1, "answered")
        if arguments.get("hold"):
            await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        cancelled.append(ctx.request_id)
        raise
    return await counts(ctx, {})


async def counts(_: Context, __: Result) -> Result:
    return said("counted", {"calls": calls, "cancelled": cancelled})


async def ask_now(ctx: Context, method: str, params: Result) -> Result:
    request = Request[dict[str, Any], str](method=method, params=params)
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(cast("Any", request), Raw, metadata=metadata)
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


def ask_for_retry(ctx: Context, method: str, params: Result, times: int) -> Result:
    given = ctx.params or {}
    asked = int(given.get("requestState", "0"))
    if asked == times:
        return said("answered", {"answer": given["inputResponses"]["it"]})
    return {
        "resultType": "input_required",
        "inputRequests": {"it": {"method": method, "params": params}},
        "requestState": str(asked + 1),
    }


async def book_table(ctx: Context, arguments: Result) -> Result:
    how_many: Result = {"type": "object", "properties": {"name": {"type": "string"}}}
    message = f"For how many at {arguments['restaurant']}?"
    params = {"message": message, "requestedSchema": how_many}
    return await ask(ctx, {"method": "elicitation/create", "params": params})


async def hold(ctx: Context, arguments: Result) -> Result:
    await ctx.session.report_progress(0, 1, "begun")
    await gates[arguments["gate"]].wait()
    return said("let go")


async def let_go(_: Context, arguments: Result) -> Result:
    gates[arguments["gate"]].set()
    return said("open")


async def note(ctx: Context, arguments: Result) -> Result:
    await ctx.session.send_log_message(**arguments, related_request_id=ctx.request_id)  # pyright: ignore[reportDeprecated]
    return said("noted", {"levels": LEVELS})


async def change_page(ctx: Context, _: Result) -> Result:
    if PAGE in WATCHED:
        await ctx.session.send_resource_updated(PAGE)
    await bus.publish(ResourceUpdated(PAGE))
    return said("changed", {"watched": sorted(WATCHED)})


async def session(ctx: Context, _: Result) -> Result:
    return said("this one", {"id": ctx.request and ctx.request.headers["mcp-session-id"]})


async def crash(_: Context, __: Result) -> Result:
    os._exit(1)


TOOLS: dict[str, Callable[[Context, Result], Awaitable[Result]]] = {
    "ask": ask,
    "ask_both": ask_both,
    "ask_counted": ask_counted,
    "counts": counts,
    "hold": hold,
    "let_go": let_go,
    "note": note,
    "change_page": change_page,
    "crash": crash,
    "do": let_go,
    "book_table": book_table,
    "session": session,
}

RESTAURANT: Result = {"type": "string", "description": "Name of the restaurant"}
DEFINITIONS: dict[str, Result] = {
    "book_table": {
        "name": "book_table",
        "description": "Book a table at a restaurant.",
        "inputSchema": {
            "type": "object",
            "properties": {"restaurant": RESTAURANT},
            "required": ["restaurant"],
        },
    }
}


def said(text: str, structured: Result | None = None) -> Result:
    return {"content": [{"type": "text", "text": text}], "structuredContent": structured or {}}


async def list_tools(_: Context, __: PaginatedRequestParams) -> Result:
    tools = [DEFINITIONS.get(name, {"name": name, "inputSchema": {"type": "object"}}) for name in TOOLS]
    return {**COMPLETE, "tools": tools}


async def call_tool(ctx: Context, params: CallToolRequestParams) -> Result:
    return {**COMPLETE, **await TOOLS[params.name](ctx, params.arguments or {})}


async def list_prompts(_: Context, __: PaginatedRequestParams) -> Result:
    return {**COMPLETE, "prompts": [{"name": "greet", "arguments": [{"name": "name"}]}]}


async def list_resources(_: Context, __: PaginatedRequestParams) -> Result:
    return {**COMPLETE, "resources": [{"uri": PAGE, "name": "page"}]}


async def list_templates(_: Context, __: PaginatedRequestParams) -> Result:
    return {**COMPLETE, "resourceTemplates": [{"uriTemplate": "asker://chapter/{title}", "name": "chapter"}]}


async def complete(_: Context, params: CompleteRequestParams) -> Result:
    about = params.ref.name if params.ref.type == "ref/prompt" else params.ref.uri
    return {**COMPLETE, "completion": {"values": [f"{about}: {params.argument.value}…"]}}


async def subscribe(_: Context, params: SubscribeRequestParams) -> Result:
    if params.uri != PAGE:
        raise MCPError(INVALID_PARAMS, f"{params.uri} does not change")
    WATCHED.add(params.uri)
    return {}


async def unsubscribe(_: Context, params: UnsubscribeRequestParams) -> Result:
    WATCHED.discard(params.uri)
    return {}


async def set_level(_: Context, params: SetLevelRequestParams) -> Result:
    LEVELS.append(params.level)
    return {}


async def look_at_roots(ctx: Context, _: NotificationParams) -> None:
    """Asks for the roots and logs them, outside of any call."""
    roots = await ask_now(ctx, "roots/list", {})
    entry = LoggingMessageNotificationParams(level="notice", data=roots["roots"])
    await ctx.session.send_notification(LoggingMessageNotification(params=entry))


UNCACHED: Mapping[Any, CacheHint] = dict.fromkeys(CACHEABLE_METHODS, CacheHint(ttl_ms=0, scope="private"))

server = Server[Any]("asker", version="1", on_subscriptions_listen=ListenHandler(bus), cache_hints=UNCACHED)

HANDLERS: dict[str, tuple[type[RequestParams], Any]] = {
    "tools/list": (PaginatedRequestParams, list_tools),
    "tools/call": (CallToolRequestParams, call_tool),
    "prompts/list": (PaginatedRequestParams, list_prompts),
    "resources/list": (PaginatedRequestParams, list_resources),
    "resources/templates/list": (PaginatedRequestParams, list_templates),
    "resources/subscribe": (SubscribeRequestParams, subscribe),
    "resources/unsubscribe": (UnsubscribeRequestParams, unsubscribe),
    "completion/complete": (CompleteRequestParams, complete),
    "logging/setLevel": (SetLevelRequestParams, set_level),
}
for method, (params_type, handler) in HANDLERS.items():
    server.add_request_handler(method, params_type, handler)


async def serve_stdio() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options(NotificationOptions()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, metavar="PORT")
    parser.add_argument("--roots", action="store_true")
    options = parser.parse_args()
    if options.roots:
        for occasion in ("notifications/initialized", "notifications/roots/list_changed"):
            server.add_notification_handler(occasion, NotificationParams, look_at_roots)
    if (port := options.http) is None:
        anyio.run(serve_stdio)
    else:
        uvicorn.run(server.streamable_http_app(), port=port, log_level="warning")
