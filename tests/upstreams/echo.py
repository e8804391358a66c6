"""An ordinary, well-behaved server on the SDK, of either protocol era: the one most tests stand on."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

Arguments = dict[str, Any]
Context = ServerRequestContext[Any]

VENDOR = {"example.com/origin": {"kept": True}}
STEPS = 10


async def echo(_: Context, arguments: Arguments) -> types.CallToolResult:
    return said(str(arguments["text"]))


async def add(_: Context, arguments: Arguments) -> types.CallToolResult:
    total = arguments["a"] + arguments["b"]
    return said(str(total), structured={"sum": total})


async def slow(ctx: Context, arguments: Arguments) -> types.CallToolResult:
    """Reports progress 0 of 10 at once, so that a caller knows it has begun without waiting."""
    try:
        for step in range(STEPS):
            await ctx.session.report_progress(step, STEPS, f"step {step}")
            await anyio.sleep(arguments["seconds"] / STEPS)
    except anyio.get_cancelled_exc_class():
        leave_marker(arguments.get("marker"))
        raise
    return said("done")


async def fail(_: Context, __: Arguments) -> types.CallToolResult:
    return said("it failed, as it always does", is_error=True)


async def crash(_: Context, __: Arguments) -> types.CallToolResult:
    """Ends the process in the middle of the call."""
    sys.stderr.write("echo: crashing as told\n")
    sys.stderr.flush()
    os._exit(1)


async def env(_: Context, __: Arguments) -> types.CallToolResult:
    return said("", structured={"pid": os.getpid(), "cwd": str(Path.cwd()), "variables": dict(os.environ)})


def said(text: str, *, structured: Arguments | None = None, is_error: bool = False) -> types.CallToolResult:
    content = types.TextContent(type="text", text=text)
    return types.CallToolResult(
        content=[content], structured_content=structured, is_error=is_error, _meta=VENDOR
    )


def leave_marker(path: str | None) -> None:
    if path:
        Path(path).write_text("cancelled", encoding="utf-8")


def tool(name: str, description: str, output: Arguments | None = None, **parameters: str) -> types.Tool:
    """A tool whose `parameters` are names and JSON types; those ending in `?` are optional."""
    schema = {
        "type": "object",
        "properties": {key: {"type": kind.rstrip("?")} for key, kind in parameters.items()},
        "required": [key for key, kind in parameters.items() if not kind.endswith("?")],
    }
    return types.Tool(
        name=name, description=description, input_schema=schema, output_schema=output, _meta=VENDOR
    )


SUM = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}

TOOLS: dict[str, Callable[[Context, Arguments], Awaitable[types.CallToolResult]]] = {
    "echo": echo,
    "add": add,
    "slow": slow,
    "fail": fail,
    "crash": crash,
    "env": env,
}

DEFINITIONS = [
    tool("echo", "Say the text back.", text="string"),
    tool("add", "Add two numbers.", output=SUM, a="number", b="number"),
    tool(
        "slow",
        "Take some seconds, reporting progress; write the file `marker` when cancelled.",
        seconds="number",
        marker="string?",
    ),
    tool("fail", "Fail, as a result with isError."),
    tool("crash", "End the process before answering."),
    tool("env", "This process: pid, working directory, environment variables."),
]


async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    return types.ListToolsResult(tools=DEFINITIONS, ttl_ms=0, cache_scope="private")


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name not in TOOLS:
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name}")
    return await TOOLS[params.name](ctx, params.arguments or {})


async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    name = types.PromptArgument(name="name", description="Who to greet.", required=True)
    prompt = types.Prompt(name="greet", description="A greeting.", arguments=[name], _meta=VENDOR)
    return types.ListPromptsResult(prompts=[prompt], ttl_ms=0, cache_scope="private")


async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    greeting = types.TextContent(type="text", text=f"Hello, {(params.arguments or {})['name']}!")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=greeting)])


async def list_resources(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    readme = types.Resource(uri="echo://readme", name="readme", mime_type="text/plain", _meta=VENDOR)
    return types.ListResourcesResult(resources=[readme], ttl_ms=0, cache_scope="private")


async def list_templates(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    saying = types.ResourceTemplate(uri_template="echo://said/{text}", name="said", _meta=VENDOR)
    return types.ListResourceTemplatesResult(resource_templates=[saying], ttl_ms=0, cache_scope="private")


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = str(params.uri)
    text = "What you send comes back." if uri == "echo://readme" else uri.removeprefix("echo://said/")
    contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    return types.ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")


server = Server[Any](
    "echo",
    version="1",
    instructions="What you send comes back.",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_list_resources=list_resources,
    on_list_resource_templates=list_templates,
    on_read_resource=read_resource,
)


async def main() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
