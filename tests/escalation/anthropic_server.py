"""A local HTTP server that speaks the Anthropic Messages API by script, for tests that must not reach the real one.

with AnthropicServer(tool_use("echo", {"text": "hi"})) as server:
    ClaudeSettings(base_url=server.url, …)
    …
server.requests[0].body["tools"]
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Self

MODEL = "claude-test"


@dataclass(frozen=True)
class Received:
    """A request the server got; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the server answers: JSON, or `raw` as it is. `hangs` answers nothing until the server stops."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: bytes | None = None
    hangs: bool = False

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


Scripted = Reply | Callable[[Received], Reply]


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


def tool_use(name: str, arguments: Mapping[str, Any]) -> Reply:
    """A message that calls one tool."""
    return message(call(name, arguments), stop_reason="tool_use")


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
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
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

    def answer(self, received: Received) -> Reply | None:
        """The reply to `received`; None when there is none before the server stops."""
        with self._lock:
            self.requests.append(received)
            scripted = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        reply = scripted(received) if callable(scripted) else scripted
        if reply.hangs:
            self._stopping.wait()
            return None
        return reply


def _handler(server: AnthropicServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if (reply := server.answer(Received(self.path, headers, body))) is None:
                return
            self.send_response(reply.status)
            headers = {"content-type": "application/json", "content-length": str(len(reply.content))}
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
            """Say nothing: a test's output is its own."""

    return Handler
