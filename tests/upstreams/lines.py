"""MCP as bare JSON lines on stdio: for upstreams whose point is what an SDK would not let them do."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]

METHOD_NOT_FOUND = -32601


@dataclass(frozen=True, slots=True)
class Served:
    """A server of tools: what it lists and what a call of a tool says."""

    name: str
    tools: Callable[[Message], Message]
    """From the params of `tools/list` to its result."""
    call: Callable[[str, Message], str]
    """From a tool's name and arguments to the text it answers."""
    list_changed: bool = False

    def serve(self) -> None:
        """Answer requests until the client closes our stdin."""
        for request in requests():
            self.answer(request)

    def answer(self, request: Message) -> None:
        params = request.get("params", {})
        match request["method"]:
            case "initialize":
                result = self._initialized(params["protocolVersion"])
            case "tools/list":
                result = self.tools(params)
            case "tools/call":
                said = self.call(params["name"], params.get("arguments", {}))
                result = {"content": [{"type": "text", "text": said}]}
            case method:
                error = {"code": METHOD_NOT_FOUND, "message": f"no such method: {method}"}
                return send({"id": request["id"], "error": error})
        return send({"id": request["id"], "result": result})

    def _initialized(self, version: str) -> Message:
        return {
            "protocolVersion": version,
            "capabilities": {"tools": {"listChanged": self.list_changed}},
            "serverInfo": {"name": self.name, "version": "1"},
        }


def every_message() -> Iterator[Message]:
    """Everything the client says."""
    for line in sys.stdin:
        yield json.loads(line)


def requests() -> Iterator[Message]:
    """Every request of the client; its notifications are passed over."""
    return (message for message in every_message() if "id" in message)


def send(message: Message) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}))


def write(line: str) -> None:
    """Any line at all, a message or not."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tool(name: str, **fields: Any) -> Message:
    """A tool that takes anything, but for what `fields` say."""
    return {"name": name, "description": f"The tool {name}.", "inputSchema": {"type": "object"}, **fields}


def properties(**schemas: Any) -> Message:
    """An inputSchema that requires all of `schemas`."""
    return {"type": "object", "properties": schemas, "required": list(schemas)}
