"""Serving any number of clients over HTTP, on one port, and saying how the server is.

Who is let in is decided in `http_auth`, what they come in by in `http_entrances`, what is answered in `server`.
"""

import socket
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mcp_proxy.config import ConfigError, ConfigProblem, ServerSettings, Settings
from mcp_proxy.http_auth import Admission, admission, require_protection
from mcp_proxy.http_entrances import Entrances
from mcp_proxy.reload import follow
from mcp_proxy.running import running
from mcp_proxy.signals import until_signalled
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.upstreams import State, Status

_GRACE = 2
"""Seconds that open requests have to finish at the end."""

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
            running(settings, many_clients=True) as board,
            admission(settings) as door,
            anyio.create_task_group() as following,
        ):
            entrances = Entrances(board)
            config = uvicorn.Config(
                http_app(board, door, entrances),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE + 1,
            )
            server = _Server(config)
            tasks.start_soon(_stop_on_signal, server, entrances)
            if configuration:
                following.start_soon(follow, configuration, partial(_adopt, board, door, entrances))
            await server.serve([listener])
            following.cancel_scope.cancel()
            tasks.cancel_scope.cancel()


def http_app(board: Switchboard, door: Admission, entrances: Entrances) -> Starlette:
    """The application: what is served where, and to whom."""
    routes = [
        *entrances.routes(door),
        Route("/healthz", _alive),
        Route("/readyz", _Readiness(board, door).answer),
        *door.routes(),
    ]
    return Starlette(routes=routes, middleware=door.middleware(), lifespan=entrances.open)


async def _adopt(board: Switchboard, door: Admission, entrances: Entrances, edited: Settings) -> None:
    """Have edited settings take effect: who is let in first, then what there is.

    Raises:
        ConfigError: others could reach it without a token; nothing is changed.
    """
    after = board.settings.following(edited)
    require_protection(after)
    door.adopt(after)
    entrances.end(door.turns_away)
    await board.adopt(edited)


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
            body["planners"] = {name: str(state) for name, state in self._board.policy.conditions.items()}
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


async def _stop_on_signal(server: uvicorn.Server, entrances: Entrances) -> None:
    await until_signalled()
    server.should_exit = True
    # Streams that wait for news end at once, the others when they had their time.
    entrances.end(lambda scope: scope["method"] == "GET")
    await anyio.sleep(_GRACE)
    entrances.end(lambda _: True)
