"""Lists tools whose inputSchema is invalid, dangling or lacking, two of one name, and one that is fine.

A call of any of them answers with the arguments as they arrived.
"""

import json

from lines import Served, properties, tool

TOOLS = [
    tool("invalid_schema", inputSchema=properties(n={"type": "numberish"})),
    # 192.0.2.0/24 is reserved for documentation: whoever fetches this waits in vain.
    tool("remote_ref", inputSchema=properties(n={"$ref": "https://192.0.2.1/number.json"})),
    tool("no_type", inputSchema={"properties": {"n": {"type": "integer"}}}),
    tool("twice", description="The first of two tools of one name."),
    tool("twice", description="The second of two tools of one name."),
    tool("fine", inputSchema=properties(n={"type": "integer"})),
]

Served("bad-schema", lambda _: {"tools": TOOLS}, lambda _, arguments: json.dumps(arguments)).serve()
