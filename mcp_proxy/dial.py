"""Reaching an upstream: the transport its settings ask for, and why it failed, in words for the user."""

import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httpx2
from mcp import MCPError, StdioServerParameters
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CONNECTION_CLOSED, METHOD_NOT_FOUND

from mcp_proxy import sse
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.process import Program, process_streams
from mcp_proxy.raw_calls import RawCalls
from mcp_proxy.redaction import redact_text
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.stdout_noise import StdoutNoise
from mcp_proxy.watchdog import Watchdog

_SESSION_ID = "mcp-session-id"

NESTING = "SWITCHBOARD_NESTING"
"""Environment variable that counts how many switchboards a process stands behind."""

_BEFORE_STREAMABLE_HTTP = frozenset({400, 404, 405})
"""How a server of HTTP+SSE answers a POST to its address, by "Backwards compatibility" in the specification."""

_ADVICE = {
    401: "check its credentials: headers, or the token in its url",
    403: "check its credentials, and that it lets this machine in",
    404: "check its url",
    405: 'check its url and transport: "http" is streamable HTTP, "sse" the older HTTP+SSE',
}


class OlderTransportError(Exception):
    """The server speaks HTTP+SSE rather than streamable HTTP."""


@asynccontextmanager
async def dial(
    settings: StdioUpstream | HttpUpstream,
    stderr: StderrTail,
    noise: StdoutNoise,
    watchdog: Watchdog,
    on_session_lost: Callable[[], None],
) -> AsyncGenerator[tuple[AbstractAsyncContextManager[TransportStreams], RawCalls | None]]:
    """The SDK's transport to an upstream, not yet entered, and the raw calls beside it where there are any.

    Calls `on_session_lost` whenever a request over HTTP is refused because the server has forgotten the session.
    """
    if isinstance(settings, HttpUpstream):
        async with _http_transport(settings, on_session_lost) as transport:
            yield transport, None
        return
    own = {name: value.get_secret_value() for name, value in settings.env.items()}
    nesting = str(int(os.environ.get(NESTING, "0")) + 1)
    env = {**get_default_environment(), **own, NESTING: nesting}
    async with stderr.collecting() as errlog:
        if sys.platform == "win32":
            # The pipes below are POSIX only; the SDK knows how to end a process tree on Windows.
            parameters = StdioServerParameters(
                command=settings.command, args=list(settings.args), env=env, cwd=settings.cwd
            )
            yield stdio_client(parameters, errlog=errlog), None
            return
        raw = RawCalls()
        raw.pipe.on_noise = noise.take
        program = Program(settings.command, settings.args, env, settings.cwd, settings.keep_detached)
        async with raw.pipe.read_stream:
            try:
                yield process_streams(program, raw.pipe, errlog, watchdog), raw
            finally:
                raw.pipe.close()  # it may never have been opened


@asynccontextmanager
async def _http_transport(
    settings: HttpUpstream, on_session_lost: Callable[[], None]
) -> AsyncGenerator[AbstractAsyncContextManager[TransportStreams]]:
    """The transport to an address, not yet entered.

    Raises:
        OlderTransportError: on leaving, when no message was accepted and the server speaks HTTP+SSE instead.
        RefusedError: on leaving, when no message was accepted.
    """
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    if settings.transport == "sse":
        async with create_mcp_http_client(headers=headers, timeout=sse.TIMEOUT) as http:
            yield sse.sse_streams(settings.url, http)
        return
    async with create_mcp_http_client(headers=headers) as http:
        reception = _Reception()
        http.event_hooks = {"response": [reception.note, _telling_of_a_lost_session(on_session_lost)]}
        try:
            yield streamable_http_client(settings.url, http_client=http, max_sse_event_size=sse.LARGEST_EVENT)
        except Exception as error:
            if reception.refusal is None:
                raise
            is_open = settings.transport == "auto" and reception.refusal.status in _BEFORE_STREAMABLE_HTTP
            if is_open and await sse.opens_stream(settings.url, http):
                raise OlderTransportError from None
            raise reception.refusal from error


@dataclass(slots=True)
class _Reception:
    """How a server receives what is posted to it."""

    accepted: bool = False
    refusal: sse.RefusedError | None = None
    """Its answer to the last message, as long as it has accepted none."""

    async def note(self, response: httpx2.Response) -> None:
        if response.request.method != "POST":
            return
        self.accepted = self.accepted or response.is_success
        refused = response.is_error or response.is_redirect
        self.refusal = (
            sse.RefusedError(response.status_code, "POST") if refused and not self.accepted else None
        )


def why_unmet(settings: StdioUpstream | HttpUpstream) -> str:
    """Why an upstream cannot be started as it is configured, in words for the user; usually empty."""
    return "; ".join(f"{problem.message} ({problem.key}); {problem.remedy}" for problem in settings.unmet)


def _telling_of_a_lost_session(
    on_session_lost: Callable[[], None],
) -> Callable[[httpx2.Response], Awaitable[None]]:
    """A hook for responses: 404 to a request with a session id says that the session is gone.

    Streamable HTTP, Session Management, 2025-11-25: the client must then begin a new one. The status is all
    there is to go by, and the SDK's client keeps it to itself.
    """

    async def look_at(response: httpx2.Response) -> None:
        is_refusal = response.status_code == HTTPStatus.NOT_FOUND and _SESSION_ID in response.request.headers
        # Some say in the same way that a method is not found.
        if is_refusal and str(METHOD_NOT_FOUND).encode() not in await response.aread():
            on_session_lost()

    return look_at


def why_failed(error: BaseException, settings: StdioUpstream | HttpUpstream) -> str:
    """A failed connection in words for the user."""
    if isinstance(error, BaseExceptionGroup):
        return why_failed(cast("BaseExceptionGroup[BaseException]", error).exceptions[0], settings)
    if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
        return "it exited or closed the connection while starting"
    if isinstance(settings, StdioUpstream):
        reason = _why_not_started(error, settings)
    else:
        reason = _why_not_reached(error)
    told = _without_secrets(str(error), settings)
    return reason or (f"{type(error).__name__}: {told}" if told else type(error).__name__)


def _why_not_started(error: BaseException, settings: StdioUpstream) -> str:
    if isinstance(error, FileNotFoundError):
        missing = (
            settings.cwd if error.filename and str(error.filename) == str(settings.cwd) else settings.command
        )
        return f"{missing!r} was not found; check the path, or that it is installed and on PATH"
    if isinstance(error, PermissionError):
        return f"{settings.command!r} may not be executed; check its permissions"
    return ""


def _why_not_reached(error: BaseException) -> str:
    match error:
        case sse.EndpointError():
            return f"{error}; check its url"
        case sse.RefusedError():
            return f"{error}; {_ADVICE.get(error.status, 'see to the server')}"
        case httpx2.ConnectError():
            return f"nothing answers at its url ({error}); check that the server runs, and its host and port"
        case httpx2.SSEError():
            return "what answers at its url is no event stream; check its url and transport"
        case _:
            return ""


def _without_secrets(text: str, settings: StdioUpstream | HttpUpstream) -> str:
    """A library's message without the address and the values that may be secret."""
    if isinstance(settings, StdioUpstream):
        hidden = [value.get_secret_value() for value in settings.env.values()]
    else:
        hidden = [settings.url, *(value.get_secret_value() for value in settings.headers.values())]
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(secret, "…")
    return redact_text(text)
