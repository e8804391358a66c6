"""Three small, real MCP servers: something to put behind the switchboard on the first day.

Each is one module, started over stdio and ended by closing its stdin:

    python -m mcp_proxy.demo.notes --database PATH
    python -m mcp_proxy.demo.files --root DIR
    python -m mcp_proxy.demo.clock

They know nothing of the proxy. This file imports none of them, so that each loads only what it needs.
"""
