"""The older HTTP+SSE transport to an upstream: what it says comes on one event stream, what it is told goes as POSTs.

Protocol: the specification of 2024-11-05, "HTTP with SSE". The SDK's `sse_client` leaves a call without an answer
when its POST fails, waits for ever at a foreign endpoint, drops a stream that is silent for five minutes and one
that brings a message over 1 MiB, and sends nothing while a POST is held; hence this one. Knows nothing of settings.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import cast

import anyio
import httpx2
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared._httpx_utils import request_within_origin, sse_within_origin
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

TIMEOUT = httpx2.Timeout(30.0, read=None)
"""What the HTTP client should have: an event stream may be silent for as long as it likes, and a POST be held."""

LARGEST_EVENT = 64 * 1024 * 1024
"""Bytes of one message."""

_IN_ORDER = 1.0
"""Seconds a message waits for the one before it to be taken. Longer would keep a cancellation from a held POST."""

_STREAM_LOST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Answers to a POST that mean that the server knows nothing of its event stream any more."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

Incoming = SessionMessage | Exception
Events = AsyncGenerator[httpx2.ServerSentEvent]

log = structlog.stdlib.get_logger()


class RefusedError(Exception):
    """An HTTP server that does not take part in MCP at this address; without the address, which may hold a secret."""

    def __init__(self, status: int, method: str) -> None:
        self.status = status
        self.method = method
        super().__init__(f"it answered {method} with {status} {_PHRASES.get(status, '')}".rstrip())


class EndpointError(Exception):
    """An event stream that does not say properly where messages are to go."""


@asynccontextmanager
async def sse_streams(url: str, http: httpx2.AsyncClient) -> AsyncGenerator[TransportStreams]:
    """Open the event stream and give the SDK its streams; the read stream ends when either direction has.

    Args:
        url: where the event stream is.
        http: a client with `TIMEOUT` and the headers that belong on every request.

    Raises:
        RefusedError: the server answers with something other than a stream.
        EndpointError: the stream ends before it names an endpoint, or that is of another origin.
        httpx2.TransportError: the server cannot be reached.
    """
    async with sse_within_origin(http, url, max_event_size=LARGEST_EVENT) as source:
        if not source.response.is_success:
            raise RefusedError(source.response.status_code, "GET")
        async with aclosing(cast("Events", source.__aiter__())) as events:
            endpoint = await _endpoint(events, source.response.url)
            to_session, read = anyio.create_memory_object_stream[Incoming]()
            write, from_session = anyio.create_memory_object_stream[SessionMessage]()
            async with to_session, read, write, from_session, anyio.create_task_group() as tasks:
                line = _Line(http, endpoint, to_session)
                tasks.start_soon(line.receive, events)
                tasks.start_soon(line.send, from_session)
                yield read, write
                tasks.cancel_scope.cancel()


async def opens_stream(url: str, http: httpx2.AsyncClient) -> bool:
    """Whether a GET of the address opens an event stream, as a server of this transport has it."""
    try:
        async with sse_within_origin(http, url) as source:
            kind = source.response.headers.get("content-type", "")
            return source.response.is_success and kind.startswith("text/event-stream")
    except httpx2.HTTPError:
        return False


async def _endpoint(events: Events, here: httpx2.URL) -> httpx2.URL:
    """Where messages are to be posted: what the first `endpoint` event says, if that is where the stream is."""
    async for event in events:
        if event.event != "endpoint":
            continue
        try:
            endpoint = here.join(event.data)
        except httpx2.InvalidURL:
            raise EndpointError("its event stream names an endpoint that is no address") from None
        if (here.scheme, here.host, here.port) != (endpoint.scheme, endpoint.host, endpoint.port):
            raise EndpointError(
                f"its event stream wants messages sent to another server, {endpoint.scheme}://{endpoint.host}; "
                "nothing is sent there"
            )
        return endpoint.copy_with(userinfo=here.userinfo)
    raise EndpointError("its event stream ended before it said where messages are to go")


class _Line:
    """Both directions of one connection."""

    def __init__(
        self, http: httpx2.AsyncClient, endpoint: httpx2.URL, to_session: MemoryObjectSendStream[Incoming]
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._to_session = to_session
        self._receiving = anyio.CancelScope()

    async def receive(self, events: Events) -> None:
        """Hand on what comes; the session's stream ends with this."""
        with self._to_session, self._receiving:
            try:
                async for event in events:
                    if event.event == "message" and event.data:
                        await self._to_session.send(_parsed(event.data))
            except httpx2.HTTPError as error:
                log.info("upstream.stream_broken", problem=type(error).__name__)
            except anyio.BrokenResourceError:
                """The session has been left."""

    async def send(self, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Post what the session sends, one after the other as far as the server lets."""
        async with anyio.create_task_group() as posts:
            async for message in messages:
                taken = anyio.Event()
                posts.start_soon(self._post, message, taken)
                with anyio.move_on_after(_IN_ORDER):
                    await taken.wait()

    async def _post(self, outgoing: SessionMessage, taken: anyio.Event) -> None:
        message = outgoing.message
        data = message.model_dump(by_alias=True, mode="json", exclude_unset=True)
        try:
            answer = await request_within_origin(self._http, "POST", self._endpoint, json=data)
        except httpx2.HTTPError as error:
            log.info("upstream.post_failed", problem=type(error).__name__)
            self._receiving.cancel()
            return
        finally:
            taken.set()
        if answer.is_success:
            return
        if answer.status_code in _STREAM_LOST:
            self._receiving.cancel()
        elif isinstance(message, JSONRPCRequest):
            refusal = ErrorData(code=INTERNAL_ERROR, message=str(RefusedError(answer.status_code, "POST")))
            await self._answer(JSONRPCError(jsonrpc="2.0", id=message.id, error=refusal))

    async def _answer(self, error: JSONRPCError) -> None:
        try:
            await self._to_session.send(SessionMessage(error))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            """Nobody waits for it any more."""


def _parsed(data: str) -> Incoming:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(data, by_name=False))
    except ValidationError as error:
        return error
