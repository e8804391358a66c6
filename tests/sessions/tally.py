"""Keeps a tally for whoever is connected, and asks them back: `tally.py [STARTS]` notes its starts in a file.

With a file `STARTS.more` beside it, it has one more tool.

A stand-in for every server with state in its process. It starts in no time, so that there can be many.
"""

import json
import os
import sys
from collections import deque
from pathlib import Path

from tests.upstreams.lines import Message, Served, properties, send, tool

PAGE = "tally://page"
TEXT = {"type": "string"}
TOOLS = [
    tool("count"),
    tool("pid"),
    tool("interview", inputSchema=properties(text=TEXT)),
    tool("late", inputSchema=properties(text=TEXT)),
    tool("change_page"),
]

if len(sys.argv) > 1:
    with Path(sys.argv[1]).open("a", encoding="utf-8") as starts:
        starts.write(f"{os.getpid()}\n")
    if Path(f"{sys.argv[1]}.more").exists():
        TOOLS.append(tool("more"))

count = 0
asked = 0
kept: deque[Message] = deque()
watched: set[str] = set()


def call(name: str, arguments: Message, token: object = None) -> str:
    global count  # noqa: PLW0603  a process that remembers is the point
    match name:
        case "count":
            count += 1
            return str(count)
        case "interview":
            return interview(arguments["text"], token)
        case "change_page":
            for uri in watched:
                notify("resources/updated", uri=uri)
            return "changed"
        case _:
            return str(os.getpid())


def interview(text: str, token: object) -> str:
    """Logs, reports progress, elicits and samples, all about `text`; returns the two answers."""
    notify("message", level="error", data=f"log of {text}")
    if token is not None:
        notify("progress", progressToken=token, progress=1, message=f"progress of {text}")
    schema = {"type": "object", "properties": {"name": TEXT}}
    form = ask("elicitation/create", message=f"form of {text}", requestedSchema=schema)
    content = {"type": "text", "text": f"sample of {text}"}
    sample = ask("sampling/createMessage", messages=[{"role": "user", "content": content}], maxTokens=9)
    return json.dumps([form.get("content", {}).get("name"), sample.get("content", {}).get("text")])


def notify(kind: str, **params: object) -> None:
    send({"method": f"notifications/{kind}", "params": params})


def ask(method: str, **params: object) -> Message:
    """The client's answer; an error counts as an empty one. What else comes meanwhile is kept for later."""
    global asked  # noqa: PLW0603
    asked += 1
    number = f"asked-{asked}"
    send({"id": number, "method": method, "params": params})
    while (message := json.loads(sys.stdin.readline())).get("id") != number:
        kept.append(message)
    return message.get("result", {})


def answer(request: Message) -> None:
    params = request.get("params", {})
    match request["method"]:
        case "tools/call" if params["name"] == "late":
            # The answer comes first, the question after it.
            send({"id": request["id"], "result": {"content": [{"type": "text", "text": "later"}]}})
            interview(params["arguments"]["text"], None)
        case "tools/call":
            text = call(
                params["name"], params.get("arguments", {}), params.get("_meta", {}).get("progressToken")
            )
            send({"id": request["id"], "result": {"content": [{"type": "text", "text": text}]}})
        case "initialize":
            able = {"tools": {}, "resources": {"subscribe": True}, "logging": {}}
            about = {"name": "tally", "version": "1"}
            version = params["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": able, "serverInfo": about}
            send({"id": request["id"], "result": result})
        case "resources/list":
            send({"id": request["id"], "result": {"resources": [{"uri": PAGE, "name": "page"}]}})
        case "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel":
            if "uri" in params:
                watched.symmetric_difference_update({params["uri"]})
            send({"id": request["id"], "result": {}})
        case _:
            Served("tally", lambda _: {"tools": TOOLS}, call).answer(request)


def next_message() -> Message | None:
    if kept:
        return kept.popleft()
    line = sys.stdin.readline()
    return json.loads(line) if line else None


while message := next_message():
    if "id" in message and "method" in message:
        answer(message)
