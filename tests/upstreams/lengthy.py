"""Answers at length: text, JSON and structured content of as many lines, items or characters as are asked for."""

import json
from collections.abc import Callable

from lines import Message, Served, properties, requests, send, tool

COUNT = properties(count={"type": "integer"})

ITEMS = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"type": "object"}}, "total": {"type": "integer"}},
    "required": ["items", "total"],
}

TOOLS = [
    tool("lines", inputSchema=COUNT),
    tool("records", inputSchema=COUNT),
    tool("promised", inputSchema=COUNT, outputSchema=ITEMS),
    tool("unpromised", inputSchema=COUNT),
    tool("only_structured", inputSchema=COUNT),
    tool("broken_promise", inputSchema=COUNT, outputSchema=ITEMS),
    tool("no_promise_kept", outputSchema=ITEMS),
    tool("wrapped", inputSchema=COUNT, outputSchema=properties(result={"type": "string"})),
    tool(
        "wrapped_whole",
        inputSchema=COUNT,
        outputSchema=properties(result={"type": "string", "pattern": "the end$"}),
    ),
    tool("failing", outputSchema=ITEMS),
    tool("blocks", inputSchema=COUNT),
    tool("allowed", inputSchema=COUNT, _meta={"anthropic/maxResultSizeChars": 400_000}),
    tool("bulk", inputSchema=COUNT),
]


def line(number: int) -> str:
    return f"line {number}: the quick brown fox jumps over the lazy dog; größer, 再见, 👩‍👩‍👧"


def records(count: int) -> Message:
    items = [{"id": number, "name": f"record {number}", "tags": ["a", "b"]} for number in range(count)]
    return {"items": items, "total": count}


def text(said: str) -> Message:
    return {"type": "text", "text": said}


PICTURE = {"type": "image", "data": "aGk=" * 1000, "mimeType": "image/png"}


def lines(count: int) -> Message:
    return {"content": [text("\n".join(line(number) for number in range(1, count + 1)))]}


def structured(count: int) -> Message:
    whole = records(count)
    return {"content": [text(json.dumps(whole))], "structuredContent": whole}


def wrapped(count: int) -> Message:
    said = lines(count)["content"][0]["text"] + "\nthe end"
    return {"content": [PICTURE, text(said)], "structuredContent": {"result": said}}


def blocks(count: int) -> Message:
    resource = {"uri": "test://it", "mimeType": "text/plain", "text": "resource text\n" * count}
    content = [text("first"), PICTURE, {"type": "resource", "resource": resource}, text("last"), PICTURE]
    return {"content": content, "_meta": {"example.com/x": 1}}


ANSWERS: dict[str, Callable[[int], Message]] = {
    "lines": lines,
    "allowed": lines,
    "records": lambda count: {"content": [text(json.dumps(records(count)))]},
    "promised": structured,
    "unpromised": structured,
    "only_structured": lambda count: {"content": [], "structuredContent": records(count)},
    "wrapped": wrapped,
    "wrapped_whole": wrapped,
    "broken_promise": lambda _: {
        "content": [text("said")],
        "structuredContent": {"items": "none", "total": 1},
    },
    "no_promise_kept": lambda _: {"content": [text("nothing structured")]},
    "failing": lambda _: {"content": [text("failed")], "isError": True},
    "blocks": blocks,
    "bulk": lambda count: {"content": [text(("x" * 99 + "\n") * (count // 100))]},
}


lengthy = Served("lengthy", lambda _: {"tools": TOOLS}, lambda _, __: "")

for request in requests():
    if request["method"] == "tools/call":
        called = request["params"]
        count = called.get("arguments", {}).get("count", 0)
        send({"id": request["id"], "result": ANSWERS[called["name"]](count)})
    else:
        lengthy.answer(request)
