"""Upstream servers: one owner task each, which connects, lists, watches and reconnects.

A session is entered and left by its owner task alone; calls use it from any task.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NoReturn

import anyio
import structlog
from mcp import Client, ClientSession, MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy import __version__
from mcp_proxy.backoff import STILL_TRYING, Backoff
from mcp_proxy.callers import CALLER
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.demand import Demand
from mcp_proxy.dial import NESTING, dial, why_failed
from mcp_proxy.listing import list_offer
from mcp_proxy.pipes import Message
from mcp_proxy.raw_calls import OnAnswer, OnProgress, RawCalls
from mcp_proxy.raw_client import RawClient
from mcp_proxy.relay import Relay
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.upstream_status import State, Status, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from mcp_proxy.wire import send_raw, stamped, telling_its_end
from tool_registry import Offer
from tool_registry.visibility import unmatched, visible

__all__ = ["NESTING", "State", "Status", "Upstream", "UpstreamUnavailableError"]

_LASTING = 2.0
"""Seconds of being ready after which a connection counts as having lasted, and is made again at once."""

_RECONNECT_GRACE = 5.0
"""Seconds a call waits for a connection that is being made at that moment."""

_CLIENT = Implementation(name="switchboard", version=__version__)

log = structlog.stdlib.get_logger()


class Upstream:
    """One upstream server and its connection."""

    def __init__(
        self,
        name: str,
        settings: StdioUpstream | HttpUpstream,
        on_offer: Callable[[Offer], Awaitable[None]],
        watchdog: Watchdog,
        known: Offer | None = None,
    ) -> None:
        """An upstream that is not running yet.

        Args:
            name: its name in the configuration.
            settings: how it is reached, and its options.
            on_offer: takes what it offers, whenever that may have changed.
            watchdog: ends its process should Switchboard die.
            known: what it offered last, as far as that is known.
        """
        self.relay = Relay(name, on_gap=self._list_again)
        """What travels between this upstream and the clients beside its results."""
        self._name = name
        self._settings = settings
        self._on_offer = on_offer
        self._watchdog = watchdog
        self._client: Client | None = None
        self._raw: RawCalls | None = None
        self._demand = Demand()
        self._scope = anyio.CancelScope()
        self._is_stopped = False
        self._opened = self._ready_at = 0.0
        self._changed = anyio.Event()
        self._settled = anyio.Event()
        self._started = anyio.Event()
        self._ended = anyio.Event()
        sleeps = settings.lazy and known is not None
        self.status = Status(
            name, State.IDLE if sleeps else State.CONNECTING, tools=len(known.tools) if known else 0
        )

    async def run(self) -> None:
        """Own the connection: connect, list, follow changes, reconnect. Ends when stopped, or by cancellation."""
        try:
            while not self._is_stopped:
                with anyio.CancelScope() as self._scope:
                    await self._keep_connected()
        finally:
            self._ended.set()

    def restart(self, settings: StdioUpstream | HttpUpstream) -> None:
        """Close the connection and make one as `settings` say; calls wait for it."""
        self._settings = settings
        self._demand.forget()
        self._disconnect(Status(self._name, State.CONNECTING, connects=self.status.connects))
        self._scope.cancel()

    async def stop(self, reason: str) -> None:
        """End `run`, and return when it has ended. Calls fail for `reason` from now on."""
        self._is_stopped = True
        self._disconnect(replace(self.status, state=State.DOWN, reason=reason, outlook=""))
        self._scope.cancel()
        await self._ended.wait()

    async def wait_started(self) -> None:
        """Have it run, and return when the first attempt to connect has succeeded or failed."""
        self._demand.arisen.set()
        await self._started.wait()

    async def wait_listed(self) -> None:
        """As `wait_started`, but one that is lazy is not started for it, nor kept running."""
        await self._started.wait()

    @property
    def validation(self) -> Literal["enforce", "warn", "off"]:
        """What becomes of calls whose arguments do not fit."""
        return self._settings.validation

    @property
    def check_output(self) -> Literal["enforce", "warn", "off"]:
        """What becomes of results that do not fit."""
        return self._settings.check_output

    @property
    def result_budget(self) -> int | None:
        """Tokens a result may have, if that is configured for this upstream."""
        return self._settings.result_budget

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
        raw, demand = self._raw, self._demand

        def answered(message: Message | None) -> None:
            demand.end()
            on_answer(message)

        def cancel(reason: str) -> None:
            demand.end()
            raw.cancel(number, reason)

        demand.begin()
        number = raw.send(method, stamped(self._client.session, method, params), answered, on_progress)
        return cancel

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
        with self._demand.lasting():
            session = await self._connected_session()
            caller = CALLER.get()
            params = await self.relay.on_behalf_of(caller, params)

            async def send(params: dict[str, Any]) -> dict[str, Any]:
                return await self._send(session, method, params, on_progress)

            with self.relay.carrying(caller):
                return await self.relay.completed(await send(params), caller, params, send)

    async def _send(
        self, session: ClientSession, method: str, params: dict[str, Any], on_progress: ProgressFnT | None
    ) -> dict[str, Any]:
        timeout = self._settings.call_timeout
        try:
            return await send_raw(session, method, params, timeout=timeout, on_progress=on_progress)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise UpstreamUnavailableError(self._name, "the connection closed", in_flight=True) from error
            if error.code == REQUEST_TIMEOUT:
                reason = f"no answer within {timeout:g} s (call_timeout)"
                raise UpstreamUnavailableError(self._name, reason, in_flight=True) from error
            raise

    async def _connected_session(self) -> ClientSession:
        if self.status.state in (State.CONNECTING, State.IDLE):
            # After a failure the caller is better served by an answer soon. Else there is every reason to wait.
            limit = _RECONNECT_GRACE if self.status.reason else self._settings.start_timeout
            with anyio.move_on_after(limit):
                await self._settled.wait()
        if self._client is None:
            unknown = "the connection closed" if self.status.state is State.READY else "it is still starting"
            said = (self.status.reason or unknown, self.status.outlook)
            raise UpstreamUnavailableError(self._name, "; ".join(filter(None, said)))
        return self._client.session

    async def _keep_connected(self) -> NoReturn:
        backoff = Backoff(self._settings.max_restarts, self._settings.retry_pause)
        while True:
            if self.status.state is State.IDLE:
                await self._demand.arisen.wait()
            self._become(replace(self.status, state=State.CONNECTING, outlook=STILL_TRYING))
            reason = await self._one_connection()
            if self.status.state is State.IDLE:
                backoff.succeeded()
                continue
            pause = self._pause(backoff)
            self._become(
                replace(self.status, state=State.DOWN, reason=reason, outlook=backoff.outlook(pause))
            )
            log.warning("upstream.down", upstream=self._name, reason=reason, retry_in_seconds=round(pause, 1))
            await anyio.sleep(pause)

    def _pause(self, backoff: Backoff) -> float:
        """Seconds from the end of a connection to the next attempt: none, if it had lasted."""
        if self.status.state is State.READY and anyio.current_time() - self._ready_at > _LASTING:
            backoff.succeeded()
            return 0.0
        return backoff.failed()

    async def _one_connection(self) -> str:
        """Connect, serve until the connection ends, and say why it ended."""
        limit = self._settings.start_timeout
        stderr = StderrTail(self._name)
        self._changed = anyio.Event()
        self._opened = anyio.current_time()
        reason = "the connection closed"
        try:
            # The scope spans the whole connection, because task groups entered within it outlive the
            # start; only its deadline is lifted once the upstream has started.
            with anyio.CancelScope(deadline=anyio.current_time() + limit) as scope:
                await self._connect_and_follow(stderr, scope)
            if scope.cancelled_caught:
                reason = f"did not start within {limit:g} s (start_timeout)"
        except Exception as error:  # noqa: BLE001  whatever an upstream does costs only that upstream
            reason = why_failed(error, self._settings)
        return f"{reason} (its last words: {stderr.last_words})" if stderr.last_words else reason

    async def _connect_and_follow(self, stderr: StderrTail, scope: anyio.CancelScope) -> None:
        ended = anyio.Event()

        def on_end() -> None:
            ended.set()
            self._changed.set()

        async with (
            dial(self._settings, stderr, self._watchdog) as (transport, raw),
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
            try:
                self._raw = raw
                await self._publish(client)
                scope.deadline = math.inf
                await self._follow(client, ended)
            finally:
                # Here, and not once all is closed: a session that is being left takes no requests.
                self._client = self._raw = None

    async def _follow(self, client: RawClient, ended: anyio.Event) -> None:
        """Publish every change until the connection ends, or nothing has been asked for long enough."""
        while not ended.is_set():
            with anyio.move_on_after(self._demand.ends_in(self._patience)):
                await self._changed.wait()
            if ended.is_set():
                return
            if self._changed.is_set():
                self._changed = anyio.Event()
                await self._publish(client)
            elif not self._demand.ends_in(self._patience):
                self._demand.forget()
                self._disconnect(replace(self.status, state=State.IDLE))
                return

    @property
    def _patience(self) -> float:
        """Seconds without a request after which the connection is closed."""
        if self._settings.lazy and not self._demand.arisen.is_set():
            return 0.0
        return self._settings.idle_stop or math.inf

    async def _publish(self, client: RawClient) -> None:
        """List what the upstream offers and hand it on."""
        settings = self._settings
        whole = await list_offer(client, self._name, settings.prefix)
        client.know_tools(whole.tools)
        offer = visible(whole, settings.allow, settings.deny)
        self._client = client
        if self.status.state is State.CONNECTING:
            self._begin_service()
            for pattern in unmatched(whole, (*settings.allow, *settings.deny)):
                log.warning("upstream.pattern_unmatched", upstream=self._name, pattern=pattern)
        about = client.server_info
        self._become(
            replace(
                self.status,
                state=State.READY,
                server=f"{about.name} {about.version}".strip() if about else "",
                protocol=client.protocol_version,
                tools=len(offer.tools),
            )
        )
        await self._on_offer(offer)

    def _begin_service(self) -> None:
        """Take note of a start that has succeeded."""
        self._ready_at = anyio.current_time()
        self._demand.renew()
        self.status = replace(
            self.status,
            reason="",
            outlook="",
            connects=self.status.connects + 1,
            start_ms=round((self._ready_at - self._opened) * 1000, 1),
        )

    def _disconnect(self, status: Status) -> None:
        """Let no request begin on the connection, which is about to be closed."""
        self._client = self._raw = None
        self._become(status)

    def _list_again(self) -> None:
        self._changed.set()

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
        if status.state in (State.READY, State.DOWN):
            self._settled.set()
            self._started.set()
        elif self._settled.is_set():
            self._settled = anyio.Event()
        log.info("upstream.state", upstream=self._name, state=status.state.value, tools=status.tools)
