"""Cannot list: each way to go wrong is the argument it is started with.

bad_list.py endless | same_cursor | many | huge MIB | not_a_list | null | unclaimed | overclaimed | silent
"""

import sys

from lines import Message, Served, requests, send, tool

way, *more = sys.argv[1:]
FINE = tool("fine")


def listed(params: Message) -> Message:
    match way:
        case "endless":
            page = int(params.get("cursor", 0))
            return {"tools": [tool(f"tool_{page}")], "nextCursor": str(page + 1)}
        case "same_cursor":
            return {"tools": [FINE], "nextCursor": "again"}
        case "many":
            return {"tools": [tool(f"tool_{number}") for number in range(20_000)]}
        case "huge":
            return {"tools": [FINE, tool("huge", description="x" * (int(more[0]) << 20))]}
        case "not_a_list":
            return {"tools": {"fine": FINE}}
        case _:
            return {"tools": [FINE]}


def claimed() -> Message:
    """The capabilities it says it has."""
    match way:
        case "unclaimed":
            return {}
        case "overclaimed":
            return {key: {} for key in ("tools", "prompts", "resources", "logging", "completions", "tasks")}
        case _:
            return {"tools": {}}


bad = Served("bad-list", listed, lambda name, _: f"{name} was called")

for request in requests():
    match request["method"]:
        case "initialize":
            about = {"name": "bad-list", "version": "1"}
            version = request["params"]["protocolVersion"]
            send(
                {
                    "id": request["id"],
                    "result": {"protocolVersion": version, "capabilities": claimed(), "serverInfo": about},
                }
            )
        case "tools/list" if way == "null":
            send({"id": request["id"], "result": None})
        case "tools/list" if way == "silent":
            pass
        case _:
            bad.answer(request)
