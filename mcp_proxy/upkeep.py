"""Keeps one upstream connected: connects, lists, follows changes, reconnects, and lets it sleep when nobody asks.

A connection is entered and left by the task that runs `Upkeep.run`, and by no other. What is asked over it
is the business of `upstreams`.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

import anyio
import structlog

from mcp_proxy.backoff import STILL_TRYING, Backoff
from mcp_proxy.config import HttpUpstream, StdioUpstream, over_sse
from mcp_proxy.connection import Connection, News, connected
from mcp_proxy.demand import Demand
from mcp_proxy.dial import OlderTransportError, why_failed, why_unmet
from mcp_proxy.era import over_handshake
from mcp_proxy.relay import Relay
from mcp_proxy.settings_fields import nearest
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.stdout_noise import StdoutNoise
from mcp_proxy.upstream_status import Standing, State, Status
from mcp_proxy.watchdog import Watchdog
from tool_registry import Offer
from tool_registry.visibility import names_of, unmatched, visible

_LASTING = 2.0
"""Seconds of being ready after which a connection counts as having lasted, and is made again at once."""

_SILENCE = 5.0
"""Seconds without a sign of life, a ping's answer included, after which a server that owes an answer counts as hung."""

_CLOSED = "the connection closed"

_REFUSALS, _POLL = 1.0, 0.02
"""Seconds that requests in a lost session have to be refused, and between looks whether they were."""

OnOffer = Callable[[Offer], Awaitable[None]]

log = structlog.stdlib.get_logger()


class Upkeep:
    """The connection of one upstream, and the one after it."""

    def __init__(
        self,
        standing: Standing,
        settings: StdioUpstream | HttpUpstream,
        demand: Demand,
        *,
        on_offer: OnOffer,
        watchdog: Watchdog,
    ) -> None:
        """The upkeep of the upstream that `standing` is about; see `run`."""
        self.settings = settings
        self.connection: Connection | None = None
        """The connection requests go over; None while there is none, or it is about to be closed."""
        self.relay = Relay(standing.status.upstream, on_gap=self._list_again)
        """What travels between this upstream and the clients beside its results."""
        self._name = standing.status.upstream
        self._standing = standing
        self._demand = demand
        self._on_offer = on_offer
        self._watchdog = watchdog
        self._news = News()
        self._scope = anyio.CancelScope()
        self._is_stopped = False
        self._ended = anyio.Event()
        self._opened = self._ready_at = 0.0
        self._lost_at = -math.inf

    @property
    def status(self) -> Status:
        """How the upstream is at this moment."""
        return self._standing.status

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
        self.settings = settings
        self._demand.forget()
        self._disconnect(Status(self._name, State.CONNECTING, connects=self.status.connects))
        self._scope.cancel()

    def doubt(self) -> None:
        """A request was not answered in time."""
        self._news.unanswered()

    async def stop(self, reason: str) -> None:
        """End `run`, and return when it has ended. Calls fail for `reason` from now on."""
        self._is_stopped = True
        self._disconnect(replace(self.status, state=State.DOWN, reason=reason, outlook=""))
        self._scope.cancel()
        await self._ended.wait()

    async def _keep_connected(self) -> NoReturn:
        become = self._standing.become
        if unmet := why_unmet(self.settings):
            become(Status(self._name, State.DOWN, unmet))
            log.warning("upstream.unmet", upstream=self._name, reason=unmet)
            await anyio.sleep_forever()
        backoff = Backoff(self.settings.max_restarts, self.settings.retry_pause)
        while True:
            if self.status.state is State.IDLE:
                await self._demand.arisen.wait()
            become(replace(self.status, state=State.CONNECTING, outlook=STILL_TRYING))
            reason = await self._one_connection()
            if self.status.state is State.IDLE:
                backoff.succeeded()
                continue
            pause = self._pause(backoff)
            become(replace(self.status, state=State.DOWN, reason=reason, outlook=backoff.outlook(pause)))
            log.warning("upstream.down", upstream=self._name, reason=reason, retry_in_seconds=round(pause, 1))
            await anyio.sleep(pause)

    def _pause(self, backoff: Backoff) -> float:
        """Seconds from the end of a connection to the next attempt: none, if it had lasted and did not hang."""
        if anyio.current_time() - self._ready_at > _LASTING and self._ready_at > self._opened:
            backoff.succeeded()
            if self.status.state is State.READY:
                return 0.0
        return backoff.failed()

    async def _one_connection(self) -> str:
        """Connect, serve until the connection ends, and say why it ended."""
        limit = self.settings.start_timeout
        stderr, noise = StderrTail(self._name), StdoutNoise(self._name)
        self._opened = anyio.current_time()
        reason = _CLOSED
        try:
            # The scope spans the whole connection, because task groups entered within it outlive the
            # start; only its deadline is lifted once the upstream has started.
            with anyio.CancelScope(deadline=self._opened + limit) as scope:
                reason = await self._connect_and_follow(stderr, noise, scope)
            if scope.cancelled_caught:
                reason = f"did not start within {limit:g} s (start_timeout)"
                if noise.first_line:
                    reason += f"; it writes what is no JSON-RPC to stdout: {noise.first_line!r}"
        except OlderTransportError:
            self.settings = over_sse(self.settings)
            return await self._one_connection()
        except Exception as error:  # noqa: BLE001  whatever an upstream does costs only that upstream
            reason = why_failed(error, self.settings)
        return f"{reason} (its last words: {stderr.last_words})" if stderr.last_words else reason

    async def _connect_and_follow(
        self, stderr: StderrTail, noise: StdoutNoise, scope: anyio.CancelScope
    ) -> str:
        """Connect, serve until the connection is to end, and say why it is."""
        self._news = news = News()
        async with connected(
            self._name, self.settings, self.relay, news, stderr=stderr, noise=noise, watchdog=self._watchdog
        ) as connection:
            try:
                await self._publish(connection)
                scope.deadline = math.inf
                return await self._follow(connection, news)
            finally:
                # Here, and not once all is closed: a session that is being left takes no requests.
                self.connection = None

    async def _follow(self, connection: Connection, news: News) -> str:
        """Publish every change until the connection ends or hangs, or nothing has been asked for long enough."""
        while not news.has_ended:
            patience = self._demand.ends_in(self._patience)
            # Nobody tells when the last request in flight has ended.
            with anyio.move_on_after(min(patience, _POLL) if news.is_wrong_era else patience):
                await news.wait()
            if news.has_ended:
                break
            if news.has_lost_session:
                await self._leave_lost_session(connection)
                break
            if news.is_doubtful:
                news.is_doubtful = False
                if await self._hangs(connection, news):
                    return self._give_up_hung()
            if news.is_wrong_era and not connection.in_flight:
                log.info("upstream.handshake", upstream=self._name, reason="it asks in the midst of calls")
                self.restart(over_handshake(self.settings))
                break
            if news.has_changed:
                news.has_changed = False
                await self._publish(connection)
            elif not self._demand.ends_in(self._patience):
                self._demand.forget()
                self._disconnect(replace(self.status, state=State.IDLE))
                break
        return _CLOSED

    async def _hangs(self, connection: Connection, news: News) -> bool:
        """Whether a server that has not answered in time does not answer at all any more.

        As long as it may be busy with other requests, whose time is not up, it is given the benefit of the doubt.
        """
        others = frozenset(connection.in_flight)
        while not await connection.shows_life(_SILENCE):
            if news.has_ended:
                return False
            if not others & connection.in_flight:
                return True
        return False

    def _give_up_hung(self) -> str:
        limit = self.settings.call_timeout
        reason = f"it hangs: no answer to a call within {limit:g} s (call_timeout), nor to a ping in {_SILENCE:g} s"
        self._disconnect(replace(self.status, state=State.DOWN, reason=reason, outlook=STILL_TRYING))
        return reason

    async def _leave_lost_session(self, connection: Connection) -> None:
        """Have no more requests begin, and see those on their way refused: each hears it itself, and begins anew."""
        before, self._lost_at = self._lost_at, anyio.current_time()
        self.connection = None
        if self._lost_at - before < _LASTING:
            return  # as any connection that does not last: with a pause before the next
        self._standing.become(replace(self.status, state=State.CONNECTING))
        with anyio.move_on_after(_REFUSALS):
            while connection.in_flight:  # noqa: ASYNC110  what is in flight tells nobody but its caller
                await anyio.sleep(_POLL)
        self.restart(self.settings)

    @property
    def _patience(self) -> float:
        """Seconds without a request after which the connection is closed."""
        if self.settings.lazy and not self._demand.arisen.is_set():
            return 0.0
        return self.settings.idle_stop or math.inf

    async def _publish(self, connection: Connection) -> None:
        """List what the upstream offers and hand it on."""
        settings = self.settings
        whole, left_out = await connection.list()
        offer = visible(whole, settings.allow, settings.deny)
        self.connection = connection
        status = self.status
        if status.state is State.CONNECTING:
            status = self._newly_ready()
            for pattern in unmatched(whole, (*settings.allow, *settings.deny)):
                near = next(iter(nearest(pattern, names_of(whole))), "")
                log.warning("upstream.pattern_unmatched", upstream=self._name, pattern=pattern, near=near)
        # Before it counts as ready: whoever waits for that will look for its tools.
        await self._on_offer(offer)
        self._standing.become(
            replace(
                status,
                state=State.READY,
                server=connection.server,
                protocol=connection.protocol,
                tools=len(offer.tools),
                left_out=left_out,
            )
        )

    def _newly_ready(self) -> Status:
        """Take note of a start that has succeeded."""
        self._ready_at = anyio.current_time()
        self._demand.renew()
        return replace(
            self.status,
            reason="",
            outlook="",
            connects=self.status.connects + 1,
            start_ms=round((self._ready_at - self._opened) * 1000, 1),
        )

    def _disconnect(self, status: Status) -> None:
        """Let no request begin on the connection, which is about to be closed."""
        self.connection = None
        self._standing.become(status)

    def _list_again(self) -> None:
        self._news.changed()
