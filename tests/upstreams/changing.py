"""Changes its tools when told to, and says so: `add`, `remove`, and `reword`, as a rug pull does.

`list_changed` is sent before the call that caused it is answered.
"""

from lines import Message, Served, properties, send, tool

TEXT = {"type": "string"}

tools = {
    "add": tool("add", inputSchema=properties(name=TEXT)),
    "remove": tool("remove", inputSchema=properties(name=TEXT)),
    "reword": tool("reword", inputSchema=properties(name=TEXT, description=TEXT)),
}


def call(name: str, arguments: Message) -> str:
    match name:
        case "add":
            tools[arguments["name"]] = tool(arguments["name"])
        case "remove":
            del tools[arguments["name"]]
        case "reword":
            tools[arguments["name"]]["description"] = arguments["description"]
        case _:
            return f"{name} was called"
    send({"method": "notifications/tools/list_changed"})
    return f"{name}: {arguments['name']}"


Served("changing", lambda _: {"tools": list(tools.values())}, call, list_changed=True).serve()
