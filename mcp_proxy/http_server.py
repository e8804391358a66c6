"""Serving any number of clients over HTTP, on one port: streamable HTTP, HTTP+SSE, and how the server is.

Who is let in is decided in `http_auth`; what is answered, in `server`.
"""

import socket
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
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
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_proxy.clients import Clients
from mcp_proxy.config import ConfigError, ConfigProblem, ServerSettings, Settings
from mcp_proxy.desk import Desk
from mcp_proxy.http_auth import Admission, admission, profile_of, require_protection
from mcp_proxy.http_ending import OpenRequests
from mcp_proxy.running import running
from mcp_proxy.server import Front, clients_of
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
    require_protection(settings)
    with listening_on(settings.server) as listener:
        async with (
            anyio.create_task_group() as tasks,
            running(settings, watch=configuration, many_clients=True) as board,
            admission(settings) as door,
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
    clients = clients_of(board)
    doors = {name: _Entrance(board, name, clients) for name in ("", *board.settings.profiles)}
    routes = [
        *_routes(doors, door, board.settings.server),
        Route("/healthz", _alive),
        Route("/readyz", _Readiness(board, door).answer),
        *door.routes(),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for entrance in doors.values():
                await stack.enter_async_context(entrance.sessions.run())
            yield

    return Starlette(routes=routes, middleware=door.middleware(), lifespan=lifespan)


class _Entrance:
    """Where clients of one profile come in; those who name none get the server's."""

    def __init__(self, board: Switchboard, profile: str, clients: Clients) -> None:
        server = board.settings.server
        front = Front(Desk(board, profile or server.profile), clients=clients)
        self.sessions = StreamableHTTPSessionManager(
            front.server,
            stateless=server.stateless,
            json_response=server.json_response,
            max_request_body_size=server.max_body,
            max_sessions=server.max_sessions,
            session_idle_timeout=server.session_idle,
        )
        self.streamable = StreamableHTTPASGIApp(self.sessions)
        self.streams = _EventStreams(front, server, profile)


def _routes(
    entrances: Mapping[str, _Entrance], door: Admission, server: ServerSettings
) -> Iterator[BaseRoute]:
    """Each way in: for clients of any profile by their token, and of one by its name."""
    for profile in entrances:
        end = f"/{profile}" if profile else ""
        kinds: dict[str, Callable[[_Entrance], ASGIApp]] = {f"/mcp{end}": lambda each: each.streamable}
        if server.sse:
            kinds[f"/sse{end}"] = lambda each: each.streams
            kinds[f"{_MESSAGES}{end.removeprefix('/')}"] = lambda each: (
                each.streams.transport.handle_post_message
            )
        for path, app in kinds.items():
            apps = {name: app(entrance) for name, entrance in entrances.items()}
            yield Route(path, door.guarding(_ByProfile(apps, profile)))


@dataclass(frozen=True, slots=True)
class _ByProfile:
    """The application of the profile that a request's path names, or else its token."""

    apps: Mapping[str, ASGIApp]
    named: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bound = profile_of(scope)
        if bound and self.named not in {"", bound}:
            refusal = PlainTextResponse(f"This token is for the profile {bound}, at /mcp/{bound}\n", 403)
            await refusal(scope, receive, send)
        else:
            await self.apps[self.named or bound](scope, receive, send)


class _EventStreams:
    """HTTP+SSE, the transport of 2024-11-05: one stream for all that goes to a client, and posts from it."""

    def __init__(self, front: Front, server: ServerSettings, profile: str) -> None:
        self.transport = SseServerTransport(f"{_MESSAGES}{profile}", max_request_body_size=server.max_body)
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
