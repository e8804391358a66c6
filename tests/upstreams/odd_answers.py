"""Answers calls in every odd way: each tool is one, named for what it does."""

from typing import Any

from lines import Message, Served, requests, send, tool

HELLO = {"content": [{"type": "text", "text": "hello"}]}

RESULTS: dict[str, Message] = {
    "plain": HELLO,
    "unknown_fields": {**HELLO, "vendorField": {"kept": True}, "_meta": {"example.com/x": 1}},
    "own_error": {**HELLO, "isError": True},
    "structured": {**HELLO, "structuredContent": {"deep": [1, {"er": None}]}},
    "no_content": {"structuredContent": {}},
    "content_is_text": {"content": "hello"},
    "empty": {},
}

ERRORS: dict[str, Any] = {
    "error": {"code": -32603, "message": "arguments wrong, says the server", "data": {"why": "it likes to"}},
    "error_without_data": {"code": -1, "message": "no"},
    "error_is_text": "no",
}

OTHERS = ("twice", "another_id_first", "progress_for_nobody", "null_result")

NAMES = (*RESULTS, *ERRORS, *OTHERS)

odd = Served("odd", lambda _: {"tools": [tool(name) for name in NAMES]}, lambda _, __: "")


def answer(number: int | str, name: str) -> None:
    """Answer a call of the tool `name` in its odd way."""
    if name in RESULTS:
        send({"id": number, "result": RESULTS[name]})
    elif name in ERRORS:
        send({"id": number, "error": ERRORS[name]})
    elif name == "null_result":
        send({"id": number, "result": None})
    else:
        if name == "another_id_first":
            send({"id": 1_999_999_999, "result": HELLO})
            send({"id": "no such request", "result": HELLO})
        if name == "progress_for_nobody":
            params = {"progressToken": 1_999_999_999, "progress": 1}
            send({"method": "notifications/progress", "params": params})
        send({"id": number, "result": HELLO})
        if name == "twice":
            send({"id": number, "result": HELLO})


for request in requests():
    if request["method"] == "tools/call":
        answer(request["id"], request["params"]["name"])
    else:
        odd.answer(request)
