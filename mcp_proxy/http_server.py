"""Serving any number of clients over HTTP, on one port: streamable HTTP, HTTP+SSE, and how the server is.

Who is let in is decided in `http_auth`; what is answered, in `server`.
"""

import socket
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import structlog
import uvicorn
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mcp_proxy.config import ConfigError, ConfigProblem, ServerSettings, Settings
from mcp_proxy.desk import Desk
from mcp_proxy.http_auth import Admission, admission, require_protection
from mcp_proxy.http_ending import OpenRequests
from mcp_proxy.running import running
from mcp_proxy.server import Front
from mcp_proxy.signals import until_signalled
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.upstreams import State, Status

_GRACE = 2
"""Seconds that open requests have to finish at the end."""

_MESSAGES = "/messages/"

log = structlog.stdlib.get_logger()


async def serve_http(settings: Settings, configuration: Path | None = None) -> None:
    """Serve at `http://host:port/mcp`, and by default at `/sse`, until a signal comes.

    Args:
        settings: what to serve.
        configuration: the file they came from, whose edits are followed; None follows none.

    Raises:
        ConfigError: the address cannot be listened on, or others could reach it without a token.
    """
    require_protection(settings.server)
    with listening_on(settings.server) as listener:
        async with (
            anyio.create_task_group() as tasks,
            running(settings, watch=configuration, many_clients=True) as board,
            admission(settings.server) as door,
        ):
            requests = OpenRequests(http_app(board, door))
            config = uvicorn.Config(
                requests,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE + 1,
            )
            server = _Server(config)
            tasks.start_soon(_stop_on_signal, server, requests)
            await server.serve([listener])
            tasks.cancel_scope.cancel()


def http_app(board: Switchboard, door: Admission) -> Starlette:
    """The application: what is served where, and to whom."""
    server, front = board.settings.server, Front(Desk(board, board.settings.server.profile))
    sessions = StreamableHTTPSessionManager(
        front.server,
        stateless=server.stateless,
        json_response=server.json_response,
        max_request_body_size=server.max_body,
        max_sessions=server.max_sessions,
        session_idle_timeout=server.session_idle,
    )
    routes = [
        Route("/mcp", door.guarding(StreamableHTTPASGIApp(sessions))),
        Route("/healthz", _alive),
        Route("/readyz", _Readiness(board, door).answer),
        *door.routes(),
    ]
    if server.sse:
        streams = _EventStreams(front, server)
        routes.append(Route("/sse", door.guarding(streams)))
        routes.append(Route(_MESSAGES, door.guarding(streams.transport.handle_post_message)))
    return Starlette(routes=routes, middleware=door.middleware(), lifespan=lambda _: sessions.run())


class _EventStreams:
    """HTTP+SSE, the transport of 2024-11-05: one stream for all that goes to a client, and posts from it."""

    def __init__(self, front: Front, server: ServerSettings) -> None:
        self.transport = SseServerTransport(_MESSAGES, max_request_body_size=server.max_body)
        self._front = front
        self._limit = server.max_sessions
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await PlainTextResponse("Use GET", 405, {"Allow": "GET"})(scope, receive, send)
        elif self._open >= self._limit:
            await PlainTextResponse("Too many open sessions", 503)(scope, receive, send)
        else:
            self._open += 1
            try:
                await self._serve(scope, receive, send)
            finally:
                self._open -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.transport.connect_sse(scope, receive, send) as (read, write):
            # Not Server.run, which would open the server's lifespan once more for each client.
            await serve_loop(
                self._front.server, read, write, lifespan_state={}, init_options=self._front.options
            )


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


class _Readiness:
    """Whether it makes sense to send clients here. Names are for those who may list the tools anyway."""

    def __init__(self, board: Switchboard, door: Admission) -> None:
        self._board = board
        self._door = door

    async def answer(self, request: Request) -> Response:
        statuses = [upstream.status for upstream in self._board.upstreams.values()]
        states = [status.state for status in statuses]
        ready = bool({State.READY, State.IDLE} & set(states)) and all(map(_has_settled, statuses))
        body: dict[str, Any] = {"ready": ready, "upstreams": Counter(states)}
        if await self._door.admits(request):
            body["states"] = {status.upstream: status.state.value for status in statuses}
            if counted := self._board.client_sessions:
                body["client_sessions"] = counted
        return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})


def _has_settled(status: Status) -> bool:
    """Whether it was connected to, or failed, at least once."""
    return status.state is not State.CONNECTING or status.connects > 0 or status.reason != ""


@contextmanager
def listening_on(server: ServerSettings) -> Generator[socket.socket]:
    """A socket bound before anything is started: an address that is taken costs nothing."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        listener = socket.create_server((server.host, server.port), family=family)
    except OSError as error:
        raise ConfigError(
            ConfigProblem(
                None,
                "server.port",
                f"{server.host} port {server.port} cannot be listened on ({error.strerror})",
                "end what listens there, or choose another host or port; port 0 takes any free one",
            )
        ) from error
    with listener:
        # Connections inherit it. asyncio would set it, but not on those of a socket made like this one, and
        # without it an answer in several pieces waits 40 ms for the client's acknowledgement of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


class _Server(uvicorn.Server):
    """uvicorn, but the process outlives its signals, so that the upstreams are stopped too."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            log.info("server.listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp")


async def _stop_on_signal(server: uvicorn.Server, requests: OpenRequests) -> None:
    await until_signalled()
    server.should_exit = True
    await requests.end(_GRACE)
