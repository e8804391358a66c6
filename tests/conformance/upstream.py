"""A server with everything the conformance suite asks for, in either era; run directly, or behind Switchboard.

What does not depend on the request stands in fixed.json. `--http PORT` serves streamable HTTP, else stdio.
"""

import argparse
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp import MCPError
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    RequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from tests.conformance.asking import TOOLS as ASKING
from tests.conformance.asking import InputNeeded, answer_to, asked_for

FIXED = json.loads((Path(__file__).parent / "fixed.json").read_text(encoding="utf-8"))
PAUSE = 0.05

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]

bus = InMemorySubscriptionBus()
results = {tool["definition"]["name"]: tool["result"] for tool in FIXED["tools"] if "result" in tool}
tools = {tool["definition"]["name"]: tool["definition"] for tool in FIXED["tools"]}
prompts = {prompt["definition"]["name"]: prompt for prompt in FIXED["prompts"]}
resources = {resource["definition"]["uri"]: resource for resource in FIXED["resources"]}


def said(text: str) -> Result:
    return {"content": [{"type": "text", "text": text}]}


async def log_thrice(ctx: Context, _: Result) -> Result:
    for entry in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await log(ctx, entry)
        await anyio.sleep(PAUSE)
    return said("logged")


async def log(ctx: Context, entry: str) -> None:
    await ctx.session.send_log_message("info", entry, related_request_id=ctx.request_id)  # pyright: ignore[reportDeprecated]


async def progress(ctx: Context, _: Result) -> Result:
    for step in (0, 50, 100):
        await ctx.session.report_progress(step, 100)
        await anyio.sleep(PAUSE)
    return said("done")


async def reconnection(ctx: Context, _: Result) -> Result:
    if ctx.close_sse_stream:
        await ctx.close_sse_stream()
    await anyio.sleep(PAUSE)
    return said("Reconnection test completed")


async def sampling(ctx: Context, arguments: Result) -> Result:
    message = {"role": "user", "content": {"type": "text", "text": arguments["prompt"]}}
    answer = await answer_to(ctx, "sampling/createMessage", {"messages": [message], "maxTokens": 100})
    return said(f"LLM response: {answer['content']['text']}")


async def elicitation(ctx: Context, arguments: Result) -> Result:
    form = FIXED["forms"][(ctx.params or {})["name"]]
    message = arguments.get("message", "Please choose")
    answer = await answer_to(ctx, "elicitation/create", {"message": message, "requestedSchema": form})
    return said(f"Elicitation completed: {json.dumps(answer)}")


async def missing_capability(ctx: Context, _: Result) -> Result:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        needed: Result = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool samples", needed)
    return said("sampling would be possible")


async def change_tools(ctx: Context, _: Result) -> Result:
    if tools.pop("test_extra_tool", None) is None:
        extra = {
            "name": "test_extra_tool",
            "description": "Comes and goes.",
            "inputSchema": {"type": "object"},
        }
        tools["test_extra_tool"] = extra
    await ctx.session.send_tool_list_changed()
    await bus.publish(ToolsListChanged())
    return said("changed")


async def change_prompts(ctx: Context, _: Result) -> Result:
    if prompts.pop("test_extra_prompt", None) is None:
        definition = {"name": "test_extra_prompt", "description": "Comes and goes."}
        prompts["test_extra_prompt"] = {"definition": definition, "messages": []}
    await ctx.session.send_prompt_list_changed()
    await bus.publish(PromptsListChanged())
    return said("changed")


TOOLS: dict[str, Callable[[Context, Result], Awaitable[Result]]] = {
    "test_tool_with_logging": log_thrice,
    "test_logging_tool": log_thrice,
    "test_tool_with_progress": progress,
    "test_reconnection": reconnection,
    "test_sampling": sampling,
    "test_elicitation": elicitation,
    "test_elicitation_sep1034_defaults": elicitation,
    "test_elicitation_sep1330_enums": elicitation,
    "test_missing_capability": missing_capability,
    "test_trigger_tool_change": change_tools,
    "test_trigger_prompt_change": change_prompts,
    **ASKING,
}


async def list_tools(_: Context, __: PaginatedRequestParams) -> Result:
    return {"tools": list(tools.values())}


async def call_tool(ctx: Context, params: CallToolRequestParams) -> Result:
    if params.name in results:
        return results[params.name]
    if params.name not in TOOLS:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        return await TOOLS[params.name](ctx, params.arguments or {})
    except InputNeeded as needed:
        return needed.result


async def list_prompts(_: Context, __: PaginatedRequestParams) -> Result:
    return {"prompts": [prompt["definition"] for prompt in prompts.values()]}


async def get_prompt(ctx: Context, params: GetPromptRequestParams) -> Result:
    if params.name not in prompts:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
    given = dict(params.arguments or {})
    if params.name == "test_input_required_result_prompt":
        asked = asked_for(ctx, "user_context")
        if "inputRequests" in asked:
            return asked
        given["context"] = str(asked["user_context"])
    contents = json.dumps(prompts[params.name]["messages"])
    for name, value in given.items():
        contents = contents.replace(f"{{{name}}}", json.dumps(value)[1:-1])
    messages = [{"role": "user", "content": content} for content in json.loads(contents)]
    return {"messages": messages}


async def list_resources(_: Context, __: PaginatedRequestParams) -> Result:
    return {"resources": [resource["definition"] for resource in resources.values()]}


async def list_templates(_: Context, __: PaginatedRequestParams) -> Result:
    return {"resourceTemplates": FIXED["templates"]}


async def read_resource(_: Context, params: ReadResourceRequestParams) -> Result:
    uri = params.uri
    if uri in resources:
        about, contents = resources[uri]["definition"], resources[uri]["contents"]
        return {"contents": [{"uri": uri, "mimeType": about["mimeType"], **contents}]}
    start, end = "test://template/", "/data"
    if not (uri.startswith(start) and uri.endswith(end)):
        raise MCPError(INVALID_PARAMS, f"Resource not found: {uri}", {"uri": uri})
    number = uri.removeprefix(start).removesuffix(end)
    data = {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}]}


async def complete(_: Context, params: CompleteRequestParams) -> Result:
    words = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    return {"completion": {"values": words, "total": len(words), "hasMore": False}}


async def acknowledge(_: Context, __: RequestParams) -> Result:
    return {}


def serves(method: str, params_type: type[Any], handler: Callable[[Context, Any], Awaitable[Result]]) -> None:
    async def complete_unless_told(ctx: Context, params: Any) -> Result:
        return {"resultType": "complete", **await handler(ctx, params)}

    server.add_request_handler(method, params_type, complete_unless_told)


UNCACHED: Mapping[Any, CacheHint] = dict.fromkeys(CACHEABLE_METHODS, CacheHint(ttl_ms=0, scope="private"))

server = Server[Any](
    "conformance",
    version="1",
    on_subscriptions_listen=ListenHandler(bus),
    cache_hints=UNCACHED,
)
serves("tools/list", PaginatedRequestParams, list_tools)
serves("tools/call", CallToolRequestParams, call_tool)
serves("prompts/list", PaginatedRequestParams, list_prompts)
serves("prompts/get", GetPromptRequestParams, get_prompt)
serves("resources/list", PaginatedRequestParams, list_resources)
serves("resources/templates/list", PaginatedRequestParams, list_templates)
serves("resources/read", ReadResourceRequestParams, read_resource)
serves("completion/complete", CompleteRequestParams, complete)
server.add_request_handler("resources/subscribe", SubscribeRequestParams, acknowledge)
server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, acknowledge)
server.add_request_handler("logging/setLevel", SetLevelRequestParams, acknowledge)


async def serve_stdio() -> None:
    changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options(changes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, metavar="PORT")
    if (port := parser.parse_args().http) is None:
        anyio.run(serve_stdio)
    else:
        uvicorn.run(server.streamable_http_app(), port=port, log_level="warning")
