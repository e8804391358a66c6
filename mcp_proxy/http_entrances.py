"""The ways in over HTTP, one for each profile and one for those who name none: opened and closed as configured.

Who is let in has been decided in `http_auth` by then; what is answered, is known in `server`.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_proxy.clients import Clients
from mcp_proxy.config import ServerSettings
from mcp_proxy.desk import Desk
from mcp_proxy.http_auth import Admission, profile_of
from mcp_proxy.http_ending import OpenRequests
from mcp_proxy.server import Front, clients_of
from mcp_proxy.switchboard import Switchboard

_MESSAGES = "/messages/"


class Entrances:
    """The entrances there are at this moment, by the profile they are for."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._clients = clients_of(board)
        self._open: dict[str, _Entrance] = {}
        self._tasks: TaskGroup

    @asynccontextmanager
    async def open(self, _: Starlette) -> AsyncGenerator[None]:
        """Keep an entrance open for each profile that is configured, for as long as it is."""
        async with anyio.create_task_group() as self._tasks:
            await self._follow()
            self._board.on_change(self._follow)
            try:
                yield
            finally:
                self._board.forget(self._follow)
                self._tasks.cancel_scope.cancel()

    def end(self, those: Callable[[Scope], bool]) -> None:
        """End the open requests that `those` holds of."""
        for entrance in self._open.values():
            entrance.requests.end(those)

    def routes(self, door: Admission) -> Iterator[BaseRoute]:
        """Each way in: for clients of any profile by their token, and of one by its name."""
        kinds: dict[str, Callable[[_Entrance], ASGIApp]] = {"/mcp": lambda each: each.streamable}
        if self._board.settings.server.sse:
            kinds["/sse"] = lambda each: each.streams
            kinds[_MESSAGES] = lambda each: each.streams.transport.handle_post_message
        for path, kind in kinds.items():
            app = door.guarding(_ByProfile(self._open, kind))
            yield Route(path, app)
            yield Route(f"{path.removesuffix('/')}/{{profile}}", app)

    async def _follow(self) -> None:
        """Open the entrances of new profiles, and close those of removed ones, with all that goes on there."""
        wanted = {"", *self._board.settings.profiles}
        for name in self._open.keys() - wanted:
            self._open.pop(name).close()
        for name in sorted(wanted - self._open.keys()):
            entrance = self._open[name] = _Entrance(self._board, name, self._clients)
            await self._tasks.start(entrance.run)


class _Entrance:
    """Where clients of one profile come in; those who name none get the server's."""

    def __init__(self, board: Switchboard, profile: str, clients: Clients) -> None:
        server = board.settings.server
        self._front = Front(Desk(board, profile or server.profile), clients=clients)
        self._closed = anyio.Event()
        self._sessions = StreamableHTTPSessionManager(
            self._front.server,
            stateless=server.stateless,
            json_response=server.json_response,
            max_request_body_size=server.max_body,
            max_sessions=server.max_sessions,
            session_idle_timeout=server.session_idle,
        )
        self.requests = OpenRequests()
        self.streamable = StreamableHTTPASGIApp(self._sessions)
        self.streams = _EventStreams(self._front, server, profile)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Have sessions there until it is closed; then they end."""
        async with self._sessions.run():
            task_status.started()
            try:
                await self._closed.wait()
            finally:
                self._front.close()

    def close(self) -> None:
        """End every request and session there."""
        self.requests.end(lambda _: True)
        self._closed.set()


@dataclass(frozen=True, slots=True)
class _ByProfile:
    """The application of the profile that a request's path names, or else its token."""

    entrances: dict[str, _Entrance]
    kind: Callable[[_Entrance], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named: str = scope["path_params"].get("profile", "")
        bound = profile_of(scope)
        entrance = self.entrances.get(named or bound)
        if bound and named not in {"", bound}:
            refusal = PlainTextResponse(f"This token is for the profile {bound}, at /mcp/{bound}\n", 403)
            await refusal(scope, receive, send)
        elif entrance is None:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
        else:
            await entrance.requests.serve(self.kind(entrance), scope, receive, send)


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
