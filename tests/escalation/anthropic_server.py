"""A local HTTP server that speaks the Anthropic Messages API by script, for tests that must not reach the real one.

with AnthropicServer(tool_use("echo", {"text": "hi"})) as server:
    ClaudeSettings(base_url=server.url, …)
    …
server.requests[0].body["tools"]
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Literal, Self

from mcp_proxy.model_answers import LAST_CALL

MODEL = "claude-test"


@dataclass(frozen=True)
class Received:
    """A request the server got; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the server answers: JSON, or `raw` as it is. `hangs` answers nothing until the server stops.

    A message goes out in events if the request asks for a stream, unless it `never_streams`.
    """

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: bytes | None = None
    hangs: bool = False
    never_streams: bool = False

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


@dataclass(frozen=True)
class Stream:
    """A reply event by event: objects as server-sent events, bytes as they are."""

    events: Sequence[Mapping[str, Any] | bytes]
    pause: float = 0.0
    """Seconds before each event."""
    ending: Literal["complete", "cut", "hangs"] = "complete"
    """Whether the body then ends as it should, the connection breaks, or nothing more comes."""


Scripted = Reply | Stream | Callable[[Received], Reply | Stream]


def events_of(reply: Reply) -> list[Mapping[str, Any]]:
    """The events of a streamed message: the counts of the output, and why it stopped, come last."""
    body = {**reply.body}
    content, usage = body["content"], body["usage"]
    started: dict[str, Any] = {
        **body,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 1},
    }
    events: list[Mapping[str, Any]] = [{"type": "message_start", "message": started}, {"type": "ping"}]
    for index, block in enumerate(content):
        begun, deltas = _parts(block)
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
    stopped = {"stop_reason": body["stop_reason"], "stop_sequence": None}
    totals = {"output_tokens": usage["output_tokens"]}
    return [*events, {"type": "message_delta", "delta": stopped, "usage": totals}, {"type": "message_stop"}]


def _parts(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """How a block begins, and what is added to it; text and JSON come in halves."""
    if block["type"] == "text":
        halves = _halves(block["text"])
        return {**block, "text": ""}, [{"type": "text_delta", "text": half} for half in halves]
    if block["type"] == "tool_use":
        halves = ["", *_halves(json.dumps(block["input"]))]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]
    return block, []


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def message(*content: Mapping[str, Any], stop_reason: str = "end_turn", **fields: Any) -> Reply:
    """A message of the assistant: 100 tokens in, 20 out, 1,000 written to the cache, 500 read from it."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 500,
    }
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return Reply(body={**body, **fields})


def text(words: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words}


def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A tool_use block."""
    return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": dict(arguments)}


def tool_use(name: str, arguments: Mapping[str, Any], *, last: bool = False) -> Reply:
    """A message that calls one tool; with `last`, one that says that nothing is left to do after it."""
    said = [text(LAST_CALL)] if last else []
    return message(*said, call(name, arguments), stop_reason="tool_use")


def says(words: str) -> Reply:
    """A message that calls no tool."""
    return message(text(words))


def error(status: int, kind: str, words: str, **headers: str) -> Reply:
    """An API error; `retry_after="1"` becomes the header `retry-after: 1`."""
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_01"}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


class AnthropicServer:
    """Answers with one scripted reply after the other; the last one is given again and again."""

    def __init__(self, *script: Scripted) -> None:
        self._script = list(script)
        self._lock = Lock()
        self._stopping = Event()
        self.requests: list[Received] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"scripted": self}))
        self._http.daemon_threads = True
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait(self, seconds: float | None = None) -> None:
        """Let time pass, but not after the server stops."""
        self._stopping.wait(seconds)

    def answer(self, received: Received) -> Reply | Stream | None:
        """The reply to `received`; None when there is none before the server stops."""
        with self._lock:
            self.requests.append(received)
            scripted = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        reply = scripted(received) if callable(scripted) else scripted
        if isinstance(reply, Stream):
            return reply
        if reply.hangs:
            self.wait()
            return None
        is_message = reply.body.get("type") == "message" and not reply.never_streams
        return Stream(events_of(reply)) if is_message and received.body.get("stream") else reply


class _Handler(BaseHTTPRequestHandler):
    scripted: AnthropicServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.scripted.answer(Received(self.path, headers, body))
        try:
            if isinstance(reply, Reply):
                self._reply(reply)
            elif reply:
                self._stream(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has had enough
        self.close_connection = self.close_connection or reply is None

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {"content-type": "application/json", "content-length": str(len(reply.content))}
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.content)

    def _stream(self, stream: Stream) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in stream.events:
            self.scripted.wait(stream.pause) if stream.pause else None
            self._chunk(event if isinstance(event, bytes) else _sse(event))
        if stream.ending == "hangs":
            self.scripted.wait()
        if stream.ending == "complete":
            self._chunk(b"")
        else:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
        """Say nothing: a test's output is its own."""


def _sse(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
