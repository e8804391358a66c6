"""A server of the Python SDK, of either protocol era, whose tools ask in the midst of a call: so in the older alone.

`confirm` lets the SDK tell of the failure, `careful` does it itself, as a result; `wait` answers once `file` exists.
"""

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

server = MCPServer("elicits")


class Name(BaseModel):
    name: str


@server.tool()
async def confirm(ctx: Context) -> str:
    """Ask the user for their name."""
    return (await ctx.elicit("Your name?", Name)).action


@server.tool(structured_output=False)
async def careful(ctx: Context) -> CallToolResult:
    """The same, with errors as results."""
    try:
        said, failed = (await ctx.elicit("Your name?", Name)).action, False
    except MCPError as error:
        said, failed = f"it went wrong: {error}", True
    return CallToolResult(content=[TextContent(type="text", text=said)], is_error=failed)


@server.tool()
async def wait(file: str) -> str:
    """Wait for a file to be there."""
    await anyio.Path(f"{file}.begun").touch()
    while not await anyio.Path(file).exists():  # noqa: ASYNC110
        await anyio.sleep(0.01)
    return "waited"


server.run("stdio")
