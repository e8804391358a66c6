"""Newline-delimited JSON-RPC over pipes, handled in the callback that brings it: no task is woken on the way.

A `Pipe` gives every message first to whoever has a faster way for it (`take`), and the rest to the SDK's
streams. It knows nothing of what messages mean.
"""

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, cast

import anyio
import orjson
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from mcp_proxy.heap import LARGE, give_back_soon
from mcp_proxy.reading import Unreadable, read
from mcp_proxy.streams import Incoming, TappedStream

Message = dict[str, Any]
Take = Callable[[Message], bool]
"""Handles a message and returns True, or leaves it to the SDK and returns False. Must not raise."""

LONGEST_LINE = 256 * 1024 * 1024
"""Bytes. A peer whose line grows longer is cut off, rather than let it fill the memory."""

_READ_AHEAD = 256
"""Messages that may wait for the SDK before reading pauses."""


class Watcher(Protocol):
    """Whoever is told of the messages that go through a pipe by way of the SDK."""

    def asked(self, message: Message) -> None:
        """A message has come in."""
        ...

    def keeps_back(self, message: JSONRPCMessage) -> bool:
        """Whether a message on its way out is not to be sent."""
        ...


class Lines:
    """Bytes in, complete lines out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends.

        Raises:
            OverflowError: a line is longer than `LONGEST_LINE`.
        """
        *lines, rest = data.split(b"\n")
        if lines and self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts, self._size = [], 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > LONGEST_LINE:
                self._parts, self._size = [], 0
                raise OverflowError(f"a line of more than {LONGEST_LINE} bytes")
        return lines


class Pipe:
    """One peer: its incoming lines, sorted into `take` and the SDK's read stream, and its outgoing ones."""

    def __init__(self, take: Take, on_end: Callable[[], None]) -> None:
        self._take = take
        self._on_end = on_end
        self._has_ended = False
        self._lines = Lines()
        self._to_sdk, from_sdk = anyio.create_memory_object_stream[Incoming](math.inf)
        self.read_stream = TappedStream(from_sdk, on_taken=self._resume_reading)
        self.write_stream = _WriteStream(self)
        self._reader: asyncio.ReadTransport | None = None
        self._writer: asyncio.WriteTransport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading_paused = False
        self.watcher: Watcher | None = None
        self.on_noise: Callable[[bytes], None] = lambda _: None
        """Told of the lines that are no messages, and answer no request."""

    def watch(self, watcher: Watcher) -> None:
        """Have `watcher` told of what the SDK is given and gives."""
        self.watcher = watcher

    @property
    def is_clear(self) -> bool:
        """Whether a line can be written now, to a peer that is still there, without piling up behind others."""
        # What is written after the end is answered by nobody, though the writing end may still be open.
        return (
            not self._has_ended
            and self._writer is not None
            and self._writable.is_set()
            and not self._writer.is_closing()
        )

    def opened(self, reader: asyncio.ReadTransport, writer: asyncio.WriteTransport) -> None:
        self._reader, self._writer = reader, writer

    def received(self, data: bytes) -> None:
        """Handle bytes as they come; after the end there are none."""
        if self._has_ended:
            return
        try:
            lines = self._lines.feed(data)
        except OverflowError as error:
            give_back_soon()
            self._to_sdk.send_nowait(error)
            self.ended()
            return
        for line in lines:
            if len(line) >= LARGE:
                give_back_soon()
            if line and not line.isspace():
                self._handle(line)

    def ended(self) -> None:
        """The peer has closed its end."""
        if not self._has_ended:
            self._has_ended = True
            self._to_sdk.close()
            self._on_end()

    def write(self, message: Message) -> None:
        """Send a message without waiting; check `is_clear` first."""
        self.write_line(orjson.dumps(message))

    def write_line(self, line: bytes) -> None:
        """Send a message that is JSON already; see `write`."""
        if self._writer is not None:
            self._writer.write(line + b"\n")

    async def send(self, line: bytes) -> None:
        """Send a line, waiting while the peer does not read.

        Raises:
            anyio.ClosedResourceError: the pipe is closed.
        """
        await self._writable.wait()
        if self._writer is None or self._writer.is_closing():
            raise anyio.ClosedResourceError
        self._writer.write(line)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def close(self) -> None:
        """Give up both directions; whoever waits to write is let go."""
        self.ended()
        if self._writer is not None:
            self._writer.close()
        self._writable.set()

    def _handle(self, line: bytes) -> None:
        message = read(line)
        if isinstance(message, Unreadable):
            if message.number is None:
                self.on_noise(line)
            self._reject(message)
            return
        if not isinstance(message, dict) or not self._take(cast("Message", message)):
            if self.watcher and isinstance(message, dict):
                self.watcher.asked(cast("Message", message))
            item = _for_sdk(cast("object", message))
            if isinstance(item, Exception):
                self.on_noise(line)
            self._hand_over(item)

    def _reject(self, line: Unreadable) -> None:
        """Give whoever waits for an answer an error instead: the peer for one to its request, or our own side."""
        if line.number is None:
            self._hand_over(ValueError(line.why))
        elif line.is_request:
            why = f"the request cannot be read: {line.why}"
            self.write({"jsonrpc": "2.0", "id": line.number, "error": {"code": PARSE_ERROR, "message": why}})
        else:
            error = {"code": INTERNAL_ERROR, "message": f"the answer cannot be read: {line.why}"}
            answer = {"jsonrpc": "2.0", "id": line.number, "error": error}
            if not self._take(answer):
                self._hand_over(_for_sdk(answer))

    def pass_on(self, message: Message) -> None:
        """Give the SDK a message that `take` had kept back."""
        self._hand_over(_for_sdk(message))

    def _hand_over(self, item: Incoming) -> None:
        try:
            self._to_sdk.send_nowait(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        if self._waiting > _READ_AHEAD and self._reader is not None:
            self._reader.pause_reading()
            self._reading_paused = True

    @property
    def _waiting(self) -> int:
        """How many messages the SDK has yet to take."""
        return self._to_sdk.statistics().current_buffer_used

    def _resume_reading(self) -> None:
        # Not after every message taken: one read may bring thousands.
        if not self._reading_paused or self._waiting > _READ_AHEAD // 2:
            return
        if self._reader is not None and not self._reader.is_closing():
            self._reading_paused = False
            self._reader.resume_reading()


def _for_sdk(message: object) -> Incoming:
    """A message as the SDK takes it. A malformed answer becomes an error answer, lest its request wait for ever."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False))
    except ValidationError as error:
        number = (
            cast("Message", message).get("id")
            if isinstance(message, dict) and "method" not in message
            else None
        )
        if not isinstance(number, int | str):
            return error
        told = ErrorData(code=INTERNAL_ERROR, message="the answer is not a valid JSON-RPC response")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=told))


class _WriteStream:
    """The SDK's way out: its messages and the raw ones share the pipe, a line at a time."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def send(self, item: SessionMessage, /) -> None:
        if self._pipe.watcher and self._pipe.watcher.keeps_back(item.message):
            return
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        await self._pipe.send(line.encode("utf-8", "replace") + b"\n")

    async def aclose(self) -> None:
        """Nothing: the pipe outlives the SDK's use of it, and is closed by its owner."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        return None
