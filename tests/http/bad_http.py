"""An MCP server over HTTP that goes wrong in every way HTTP allows: each tool is one, named for what it does.

Spoken by hand on a socket, for no framework would send most of it. Of the handshake era.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

Message = dict[str, Any]

JSON = b"application/json"


def response(
    status: bytes, body: bytes = b"", kind: bytes = JSON, *headers: bytes, length: int | None = None
) -> bytes:
    """A whole response, after which the connection is closed; `length` if it lies about its own."""
    head = (
        b"HTTP/1.1 " + status,
        b"content-type: " + kind,
        b"content-length: %d" % (len(body) if length is None else length),
        b"connection: close",
        *headers,
    )
    return b"\r\n".join((*head, b"", body))


def stream(*parts: bytes) -> bytes:
    """An event stream that ends with the connection."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return head + b"".join(parts)


def event(data: bytes) -> bytes:
    return b"event: message\ndata: " + data + b"\n\n"


def said(number: Any, text: str = "fine") -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": text}]}}
    ).encode()


def deep(number: Any) -> bytes:
    return said(number)[:-2] + b',"structuredContent":{"a":%s%s}}}' % (b"[" * 5000, b"]" * 5000)


ANSWERS: dict[str, Callable[[Any], bytes]] = {
    "fine": lambda number: response(b"200 OK", said(number)),
    "fine_stream": lambda number: stream(event(said(number))),
    "invalid_utf8": lambda number: response(b"200 OK", said(number, "caf?").replace(b"?", b"\xe9")),
    "deep": lambda number: response(b"200 OK", deep(number)),
    "truncated": lambda number: response(b"200 OK", said(number)[:20], length=1000),
    "stream_ends_in_an_event": lambda number: stream(event(said(number))[:30]),
    "stream_twice": lambda number: stream(event(said(number)), event(said(number, "again"))),
}

SAME: dict[str, bytes] = {
    "wrong_type": response(b"200 OK", b"<html>a captive portal</html>", b"text/html"),
    "no_json": response(b"200 OK", b"{"),
    "not_a_message": response(b"200 OK", b"[1]"),
    "another_id": response(b"200 OK", said(987654)),
    "accepted": response(b"202 Accepted"),
    "empty": response(b"200 OK"),
    "hangs_up": b"",
    "no_http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "stream_without_events": stream(),
    "stream_without_json": stream(event(b"{")),
    "stream_of_another_id": stream(event(said(987654))),
    "fault": response(b"500 Internal Server Error", b"Traceback", b"text/plain"),
    "unavailable": response(b"503 Service Unavailable", b"", JSON, b"retry-after: 3600"),
    "unauthorized": response(b"401 Unauthorized"),
    "too_many": response(b"429 Too Many Requests"),
    "redirects_for_ever": response(b"307 Temporary Redirect", b"", JSON, b"location: /mcp"),
}
"""Whatever the id."""

SILENT = "silent"
"""The tool whose call gets no response at all, on a connection that stays open."""
FORGETS = "forgets"
"""The tool whose call makes the server forget the session."""

NAMES = (*ANSWERS, *SAME, SILENT, FORGETS)


@dataclass
class BadHttp:
    """The server, and the sessions it has given."""

    url: str = ""
    sessions: list[str] = field(default_factory=list[str])
    forgotten: set[str] = field(default_factory=set[str])

    async def serve(self, connection: SocketStream) -> None:
        """Answer the one request of a connection."""
        async with connection:
            try:
                received = BufferedByteReceiveStream(connection)
                head = (await received.receive_until(b"\r\n\r\n", 1 << 16)).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:])
                }
                body = await received.receive_exactly(int(headers.get("content-length", 0)))
                answer = self._answer(head[0].split()[0], headers.get("mcp-session-id", ""), body)
                if answer is None:
                    await anyio.sleep_forever()
                else:
                    await connection.send(answer)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    def _answer(self, method: str, session: str, body: bytes) -> bytes | None:
        message: Message = json.loads(body) if method == "POST" else {}
        if not message:
            return response(b"405 Method Not Allowed")
        if session in self.forgotten:
            return response(b"404 Not Found")
        return self._answer_message(message, session) if "id" in message else response(b"202 Accepted")

    def _answer_message(self, message: Message, session: str) -> bytes | None:
        match message["method"]:
            case "initialize":
                return self._initialized(message)
            case "tools/list":
                schema = {"type": "object"}
                return _result(message, {"tools": [{"name": name, "inputSchema": schema} for name in NAMES]})
            case "tools/call":
                return self._called(message, session)
            case _:
                error = {"code": -32601, "message": "no such method"}
                answer = {"jsonrpc": "2.0", "id": message["id"], "error": error}
                return response(b"200 OK", json.dumps(answer).encode())

    def _initialized(self, message: Message) -> bytes:
        self.sessions.append(f"session-{len(self.sessions)}")
        about: Message = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "bad-http", "version": "1"},
        }
        return _result(message, about, b"mcp-session-id: " + self.sessions[-1].encode())

    def _called(self, message: Message, session: str) -> bytes | None:
        name = message["params"]["name"]
        if name == FORGETS:
            self.forgotten.add(session)
            return response(b"404 Not Found")
        if name == SILENT:
            return None
        return SAME[name] if name in SAME else ANSWERS[name](message["id"])


def _result(message: Message, result: Message, *headers: bytes) -> bytes:
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
    return response(b"200 OK", json.dumps(answer).encode(), JSON, *headers)


@asynccontextmanager
async def bad_http() -> AsyncGenerator[BadHttp]:
    """The server, listening on any free port."""
    server = BadHttp()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  this is not Django
        server.url = f"http://127.0.0.1:{port}/mcp"
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()
