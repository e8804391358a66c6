"""Upstream servers: one owner task each, which connects, lists, watches and reconnects.

A session is entered and left by its owner task alone; calls use it from any task.
"""

import os
import random
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import Any, NoReturn, cast

import anyio
import structlog
from mcp import Client, MCPError, StdioServerParameters
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy import __version__
from mcp_proxy.callers import CALLER
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.listing import list_offer
from mcp_proxy.process import Program, process_streams
from mcp_proxy.raw_calls import OnAnswer, OnProgress, RawCalls
from mcp_proxy.raw_client import RawClient
from mcp_proxy.relay import Relay
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.watchdog import Watchdog
from mcp_proxy.wire import send_raw, stamped, telling_its_end
from tool_registry import Offer

_LASTING = 2.0
"""Seconds from which a connection counts as having lasted, so that its end is a first failure."""

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 60.0
"""Seconds between attempts to connect: doubling between these."""

_RECONNECT_GRACE = 5.0
"""Seconds a call waits for a connection that is being made at that moment."""

NESTING = "SWITCHBOARD_NESTING"
"""Environment variable that counts how many switchboards a process stands behind."""

_CLIENT = Implementation(name="switchboard", version=__version__)

log = structlog.stdlib.get_logger()


class State(StrEnum):
    """Where an upstream stands."""

    CONNECTING = "connecting"
    READY = "ready"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an upstream at this moment."""

    upstream: str
    state: State
    reason: str = ""
    """Why it is down, in words for the user; empty otherwise."""
    server: str = ""
    """Name and version the server gives itself."""
    protocol: str = ""
    """Negotiated protocol version."""
    tools: int = 0
    connects: int = 0
    """How many times a connection was made; more than one means it was lost and made again."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class UpstreamUnavailableError(Exception):
    """An upstream could not be reached, or went away before it answered. Nothing is known of the call's effect."""

    def __init__(self, upstream: str, reason: str, *, in_flight: bool = False) -> None:
        self.upstream = upstream
        self.reason = reason
        self.in_flight = in_flight
        """Whether the request had been sent, so that it may have had an effect."""
        detail = (
            "stopped before it answered; the call may or may not have taken effect"
            if in_flight
            else "is not available"
        )
        super().__init__(f"upstream {upstream!r} {detail}: {reason}")


class Upstream:
    """One upstream server and its connection."""

    def __init__(
        self,
        name: str,
        settings: StdioUpstream | HttpUpstream,
        on_offer: Callable[[Offer], Awaitable[None]],
        watchdog: Watchdog,
    ) -> None:
        self.status = Status(name, State.CONNECTING)
        self.relay = Relay(name)
        """What travels between this upstream and the clients beside its results."""
        self._name = name
        self._settings = settings
        self._on_offer = on_offer
        self._watchdog = watchdog
        self._client: Client | None = None
        self._raw: RawCalls | None = None
        self._changed = anyio.Event()
        self._settled = anyio.Event()
        self._started = anyio.Event()

    async def run(self) -> NoReturn:
        """Own the connection: connect, list, follow changes, reconnect. Ends only by cancellation."""
        delays: Iterator[float] = _delays()
        while True:
            opened = anyio.current_time()
            reason = await self._one_connection()
            if self.status.state is State.READY and anyio.current_time() - opened > _LASTING:
                # A connection that had lasted is made again at once.
                delays = chain([0.0], _delays())
            self._become(replace(self.status, state=State.DOWN, reason=reason))
            delay = next(delays)
            log.warning("upstream.down", upstream=self._name, reason=reason, retry_in_seconds=round(delay, 1))
            await anyio.sleep(delay)
            self._become(replace(self.status, state=State.CONNECTING))

    async def wait_started(self) -> None:
        """Return when the first attempt to connect has succeeded or failed."""
        await self._started.wait()

    @property
    def call_timeout(self) -> float:
        """Seconds a request may take."""
        return self._settings.call_timeout

    @property
    def is_modern(self) -> bool:
        """Whether the connection is of the stateless era."""
        return self.status.protocol in MODERN_PROTOCOL_VERSIONS

    def try_send(
        self, method: str, params: dict[str, Any], on_answer: OnAnswer, on_progress: OnProgress | None
    ) -> Callable[[str], None] | None:
        """Send a request as a raw message if that is possible at once, else return None.

        Returns:
            A callable that cancels the request, for a reason.
        """
        if self._raw is None or self._client is None or not self._raw.pipe.is_clear:
            return None
        number = self._raw.send(method, stamped(self._client.session, method, params), on_answer, on_progress)
        return partial(self._raw.cancel, number)

    async def request(
        self, method: str, params: Mapping[str, Any], on_progress: ProgressFnT | None = None
    ) -> dict[str, Any]:
        """Send a request and return its result as it came.

        Cancelling the caller cancels the request upstream. What the upstream asks in the meantime, the
        client whose request is being served is asked; see `relay`.

        Raises:
            UpstreamUnavailableError: there is no connection, it ended, or the time limit passed.
            MCPError: the upstream answered with an error, or asked for what nobody could answer.
        """
        client = await self._connected_client()
        caller = CALLER.get()
        params = await self.relay.on_behalf_of(caller, params)

        async def send(params: dict[str, Any]) -> dict[str, Any]:
            return await self._send(client, method, params, on_progress)

        with self.relay.carrying(caller):
            return await self.relay.completed(await send(params), caller, params, send)

    async def _send(
        self, client: Client, method: str, params: dict[str, Any], on_progress: ProgressFnT | None
    ) -> dict[str, Any]:
        timeout = self._settings.call_timeout
        try:
            return await send_raw(client.session, method, params, timeout=timeout, on_progress=on_progress)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise UpstreamUnavailableError(self._name, "the connection closed", in_flight=True) from error
            if error.code == REQUEST_TIMEOUT:
                reason = f"no answer within {timeout:g} s (call_timeout)"
                raise UpstreamUnavailableError(self._name, reason, in_flight=True) from error
            raise

    async def _connected_client(self) -> Client:
        if self.status.state is State.CONNECTING:
            # The first time, the client may know the tools from an earlier run, and has every reason to wait.
            first = not self._started.is_set()
            with anyio.move_on_after(self._settings.start_timeout if first else _RECONNECT_GRACE):
                await self._settled.wait()
        if self._client is None:
            reason = self.status.reason or "it is still starting"
            raise UpstreamUnavailableError(self._name, f"{reason}; Switchboard keeps trying to reconnect")
        return self._client

    async def _one_connection(self) -> str:
        """Connect, serve until the connection ends, and say why it ended."""
        limit = self._settings.start_timeout
        stderr = StderrTail(self._name)
        self._changed = anyio.Event()
        reason = "the connection closed"
        try:
            # The scope spans the whole connection, because task groups entered within it outlive the
            # start; only its deadline is lifted once the upstream has started.
            with anyio.CancelScope(deadline=anyio.current_time() + limit) as scope:
                await self._connect_and_follow(stderr, scope)
            if scope.cancelled_caught:
                reason = f"did not start within {limit:g} s (start_timeout)"
        except Exception as error:  # noqa: BLE001  whatever an upstream does costs only that upstream
            reason = _why(error, self._settings)
        finally:
            self._client = self._raw = None
        return f"{reason} (its last words: {stderr.last_words})" if stderr.last_words else reason

    async def _connect_and_follow(self, stderr: StderrTail, scope: anyio.CancelScope) -> None:
        ended = anyio.Event()

        def on_end() -> None:
            ended.set()
            self._changed.set()

        async with (
            self._transport(stderr) as transport,
            RawClient(
                telling_its_end(transport, on_end),
                mode=self._settings.protocol,
                client_info=_CLIENT,
                answer=self.relay.answer,
                hear=self._hear,
                message_handler=self._on_message,
                cache=None,
            ) as client,
            self.relay.connected(client),
        ):
            await client.discover()
            await self._publish(client)
            scope.deadline = float("inf")
            while not ended.is_set():
                await self._changed.wait()
                self._changed = anyio.Event()
                if not ended.is_set():
                    await self._publish(client)

    @asynccontextmanager
    async def _transport(
        self, stderr: StderrTail
    ) -> AsyncGenerator[AbstractAsyncContextManager[TransportStreams]]:
        """The SDK's transport for this upstream, not yet entered."""
        settings = self._settings
        if isinstance(settings, HttpUpstream):
            headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
            async with create_mcp_http_client(headers=headers) as http:
                yield streamable_http_client(settings.url, http_client=http)
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
                yield stdio_client(parameters, errlog=errlog)
                return
            self._raw = RawCalls()
            program = Program(settings.command, settings.args, env, settings.cwd)
            yield process_streams(program, self._raw.pipe, errlog, self._watchdog)

    async def _publish(self, client: RawClient) -> None:
        """List what the upstream offers and hand it on."""
        offer = await list_offer(client, self._name, self._settings.prefix)
        client.know_tools(offer.tools)
        self._client = client
        about = client.server_info
        self._become(
            Status(
                self._name,
                State.READY,
                server=f"{about.name} {about.version}".strip() if about else "",
                protocol=client.protocol_version,
                tools=len(offer.tools),
                connects=self.status.connects + (self.status.state is State.CONNECTING),
            )
        )
        await self._on_offer(offer)

    async def _hear(self, method: str, params: dict[str, Any]) -> None:
        if method.endswith("/list_changed"):
            self._changed.set()
        else:
            await self.relay.hear(method, params)

    async def _on_message(self, message: object) -> None:
        if isinstance(message, Exception):
            log.debug("upstream.noise", upstream=self._name, problem=type(message).__name__)

    def _become(self, status: Status) -> None:
        self.status = status
        if status.state is State.CONNECTING:
            self._settled = anyio.Event()
        else:
            self._settled.set()
            self._started.set()
        log.info("upstream.state", upstream=self._name, state=status.state.value, tools=status.tools)


def _delays() -> Iterator[float]:
    """Seconds to wait before each attempt: doubling, with jitter so that upstreams do not retry in step."""
    delay = _FIRST_DELAY
    while True:
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
        delay = min(delay * 2, _LONGEST_DELAY)


def _why(error: BaseException, settings: StdioUpstream | HttpUpstream) -> str:
    """A failed connection in words for the user."""
    if isinstance(error, BaseExceptionGroup):
        return _why(cast("BaseExceptionGroup[BaseException]", error).exceptions[0], settings)
    if isinstance(settings, StdioUpstream):
        if isinstance(error, FileNotFoundError):
            missing = (
                settings.cwd
                if error.filename and str(error.filename) == str(settings.cwd)
                else settings.command
            )
            return f"{missing!r} was not found; check the path, or that it is installed and on PATH"
        if isinstance(error, PermissionError):
            return f"{settings.command!r} may not be executed; check its permissions"
    if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
        return "it exited or closed the connection while starting"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
