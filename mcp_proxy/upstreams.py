"""Upstream servers: what is asked of them, and who keeps each connected.

A connection is made and given up in `upkeep`, by a task of its own; requests use it from any task.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

import anyio
from mcp.shared.dispatcher import ProgressFnT
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.callers import CALLER, Caller
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.connection import Connection
from mcp_proxy.demand import Demand
from mcp_proxy.dial import NESTING
from mcp_proxy.pipes import Message
from mcp_proxy.raw_calls import OnAnswer, OnProgress
from mcp_proxy.upkeep import OnOffer, Upkeep
from mcp_proxy.upstream_status import (
    NoAnswerError,
    SessionLostError,
    Standing,
    State,
    Status,
    UpstreamUnavailableError,
)
from mcp_proxy.watchdog import Watchdog
from tool_registry import Offer

__all__ = ["NESTING", "NoAnswerError", "State", "Status", "Upstream", "UpstreamUnavailableError"]

_RECONNECT_GRACE = 5.0
"""Seconds a call waits for a connection that is being made at that moment."""


class Upstream:
    """One upstream server, from one connection to the next."""

    def __init__(
        self,
        name: str,
        settings: StdioUpstream | HttpUpstream,
        on_offer: OnOffer,
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
        sleeps = settings.lazy and known is not None
        state = State.IDLE if sleeps else State.CONNECTING
        self._name = name
        self._demand = Demand()
        self._watched: set[str] = set()
        self._standing = Standing(Status(name, state, tools=len(known.tools) if known else 0))
        self._upkeep = Upkeep(self._standing, settings, self._demand, on_offer=on_offer, watchdog=watchdog)
        self.relay = self._upkeep.relay
        """What travels between this upstream and the clients beside its results."""

    @property
    def status(self) -> Status:
        """How it is at this moment."""
        return self._standing.status

    @property
    def validation(self) -> Literal["enforce", "warn", "off"]:
        """What becomes of calls whose arguments do not fit."""
        return self._upkeep.settings.validation

    @property
    def repairs(self) -> bool:
        """Whether arguments that only one reading fits are put right."""
        return self._upkeep.settings.repair

    @property
    def check_output(self) -> Literal["enforce", "warn", "off"]:
        """What becomes of results that do not fit."""
        return self._upkeep.settings.check_output

    @property
    def result_budget(self) -> int | None:
        """Tokens a result may have, if that is configured for this upstream."""
        return self._upkeep.settings.result_budget

    @property
    def call_timeout(self) -> float:
        """Seconds a request may take."""
        return self._upkeep.settings.call_timeout

    @property
    def is_modern(self) -> bool:
        """Whether the connection is of the stateless era."""
        return self.status.protocol in MODERN_PROTOCOL_VERSIONS

    async def run(self) -> None:
        """Keep it connected. Ends when stopped, or by cancellation."""
        await self._upkeep.run()

    def restart(self, settings: StdioUpstream | HttpUpstream) -> None:
        """Close the connection and make one as `settings` say; calls wait for it."""
        self._upkeep.restart(settings)

    def doubt(self) -> None:
        """A raw request was not answered in time: have it looked at whether it still runs."""
        self._upkeep.doubt()

    async def stop(self, reason: str) -> None:
        """End `run`, and return when it has ended. Calls fail for `reason` from now on."""
        await self._upkeep.stop(reason)

    async def wait_started(self) -> None:
        """Have it run, and return when the first attempt to connect has succeeded or failed."""
        self._demand.arisen.set()
        await self._standing.started.wait()

    async def wait_listed(self) -> None:
        """As `wait_started`, but one that is lazy is not started for it, nor kept running."""
        await self._standing.started.wait()

    def try_send(
        self,
        method: str,
        params: dict[str, Any],
        caller: Caller,
        on_answer: OnAnswer,
        on_progress: OnProgress | None,
    ) -> Callable[[str], None] | None:
        """Send a request for `caller` as a raw message if that is possible at once, else return None.

        Returns:
            A callable that cancels the request, for a reason.
        """
        connection, demand, attribution = self._upkeep.connection, self._demand, self.relay.attribution
        onward = self.relay.on_behalf_now(caller, params)
        if connection is None or onward is None:
            return None

        def answered(message: Message | None) -> None:
            demand.end()
            attribution.end(flight)
            on_answer(message)

        cancel = connection.try_send(method, onward, answered, on_progress)
        if cancel is None:
            return None
        demand.begin()
        flight = attribution.begin(caller)

        def cancelled(reason: str) -> None:
            demand.end()
            attribution.give_up(flight)
            cancel(reason)

        return cancelled

    async def request(
        self,
        method: str,
        params: Mapping[str, Any],
        on_progress: ProgressFnT | None = None,
        *,
        first: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request and return its result as it came.

        Cancelling the caller cancels the request upstream. What the upstream asks in the meantime, the
        client whose request is being served is asked; see `relay`. `first` is what it has answered already,
        when the request has been sent before.

        Raises:
            UpstreamUnavailableError: there is no connection, it ended, or the time limit passed.
            MCPError: the upstream answered with an error, or asked for what nobody could answer.
        """
        with self._demand.lasting():
            try:
                return await self._request(method, params, on_progress, first)
            except SessionLostError:
                # It was refused unread, so that it can be made again.
                return await self._request(method, params, on_progress, None)

    async def _request(
        self,
        method: str,
        params: Mapping[str, Any],
        on_progress: ProgressFnT | None,
        first: dict[str, Any] | None,
    ) -> dict[str, Any]:
        connection = await self._connected()
        caller = CALLER.get()
        onward = await self.relay.on_behalf_of(caller, params)

        async def send(params: dict[str, Any]) -> dict[str, Any]:
            return await connection.send(method, params, on_progress)

        with self.relay.attribution.carrying(caller):
            return await self.relay.completed(first or await send(onward), caller, onward, send)

    async def watch(self, uri: str) -> None:
        """Have it tell when a resource changes, and keep it running for that until `unwatch`.

        Raises:
            MCPError: it refuses.
        """
        if uri in self._watched:
            return
        self._watched.add(uri)
        self._demand.begin()
        try:
            with suppress(UpstreamUnavailableError):  # it is told once it is there
                await self._connected()
            await self.relay.watch(uri)
        except BaseException:
            self._end_watch(uri)
            raise

    async def unwatch(self, uri: str) -> None:
        """Have it no longer tell.

        Raises:
            MCPError: it refuses.
        """
        if uri in self._watched:
            self._end_watch(uri)
            await self.relay.unwatch(uri)

    def _end_watch(self, uri: str) -> None:
        if uri in self._watched:
            self._watched.remove(uri)
            self._demand.end()

    async def _connected(self) -> Connection:
        """The connection, waited for while it is being made."""
        if self.status.state in (State.CONNECTING, State.IDLE):
            # After a failure the caller is better served by an answer soon. Else there is every reason to wait.
            limit = _RECONNECT_GRACE if self.status.reason else self._upkeep.settings.start_timeout
            with anyio.move_on_after(limit):
                await self._standing.settled.wait()
        if self._upkeep.connection is None:
            unknown = "the connection closed" if self.status.state is State.READY else "it is still starting"
            said = (self.status.reason or unknown, self.status.outlook)
            raise UpstreamUnavailableError(self._name, "; ".join(filter(None, said)))
        return self._upkeep.connection
