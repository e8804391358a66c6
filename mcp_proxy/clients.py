"""The connected clients of the handshake era, and which resources any client watches."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from mcp import MCPError
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp_types import LoggingLevel

from mcp_proxy.callers import LEVELS, Context, HandshakeCaller, Message, connection_of, declares, is_stateless
from mcp_proxy.upstreams import Upstream

_FAREWELL = 5.0
"""Seconds an upstream has to be told that a client who left watches no longer."""

log = structlog.stdlib.get_logger()

OwnerOf = Callable[[str], Upstream | None]
"""Finds the upstream that answers for a resource, by its URI."""


class OneClient:
    """An `Audience` of one client: for the upstream connections that are its own."""

    def __init__(self, caller: HandshakeCaller) -> None:
        self._caller = caller

    def sole(self, method: str, params: Mapping[str, Any]) -> HandshakeCaller | None:
        return self._caller if declares(self._caller.capabilities, method, params) else None

    async def tell(self, method: str, params: Message) -> None:
        if method != "notifications/message" or self._caller.takes_log(params.get("level")):
            await self._caller.connection.notify(method, params)


class Clients:
    """Who is connected, and what they want to be told without asking again. An `Audience` for relays."""

    def __init__(self, owner_of: OwnerOf) -> None:
        self._buses: list[InMemorySubscriptionBus] = []
        self._owner_of = owner_of
        self._connected: dict[Connection, HandshakeCaller] = {}
        self._entrances: dict[Connection, object] = {}
        self._watchers: dict[str, set[object]] = {}

    def publish_on(self, bus: InMemorySubscriptionBus) -> None:
        """Have updated resources be told on `bus` too, which clients of the stateless era listen to."""
        self._buses.append(bus)

    def publish_no_more_on(self, bus: InMemorySubscriptionBus) -> None:
        """Leave a bus alone that nobody listens to any more."""
        self._buses.remove(bus)

    def remember(self, ctx: Context, entrance: object) -> None:
        """Count the client of a message among the connected, once it has shaken hands, until its connection ends.

        `entrance` stands for where it came in: what lists it is told to be changed.
        """
        connection = connection_of(ctx)
        is_settled = ctx.method != "initialize" and not is_stateless(ctx)
        if is_settled and connection not in self._connected:
            self._connected[connection] = HandshakeCaller(connection)
            self._entrances[connection] = entrance
            connection.exit_stack.push_async_callback(self._forget, connection)

    def sole(self, method: str, params: Mapping[str, Any]) -> HandshakeCaller | None:
        able = [one for one in self._connected.values() if declares(one.capabilities, method, params)]
        return able[0] if len(able) == 1 else None

    async def tell(self, method: str, params: Message) -> None:
        match method:
            case "notifications/resources/updated":
                await self._tell_updated(params)
            case "notifications/message":
                await self._tell_all(method, params, lambda one: one.takes_log(params.get("level")))
            case _:
                # Who is told of a completed elicitation has to know its id, which only the one asked does.
                await self._tell_all(method, params, lambda one: "elicitation" in one.capabilities)

    async def tell_changed(self, methods: Iterable[str], entrance: object) -> None:
        """Announce changed lists to those who came in there."""
        for method in methods:
            await self._tell_all(method, None, lambda one: self._entrances.get(one.connection) is entrance)

    def set_level(self, connection: Connection, level: LoggingLevel) -> LoggingLevel:
        """Note the level a client wants, and return the most verbose that any does."""
        self._connected[connection].log_level = level
        wanted = {one.log_level for one in self._connected.values()}
        return next(level for level in LEVELS if level in wanted)

    async def watch(self, watcher: object, uri: str) -> None:
        """Have `watcher`, a connection or any other token, count as watching a resource.

        Raises:
            MCPError: the upstream refuses.
        """
        watchers = self._watchers.setdefault(uri, set())
        owner = self._owner_of(uri)
        is_first = not watchers
        watchers.add(watcher)
        if is_first and owner:
            try:
                await owner.watch(uri)
            except BaseException:
                self._drop(watcher, uri)
                raise

    async def unwatch(self, watcher: object, uri: str) -> None:
        """Have `watcher` no longer watch a resource.

        Raises:
            MCPError: the upstream refuses.
        """
        if self._drop(watcher, uri) and (owner := self._owner_of(uri)):
            await owner.unwatch(uri)

    @asynccontextmanager
    async def watching(self, uris: Iterable[str]) -> AsyncGenerator[None]:
        """While a stream that follows these resources is open."""
        stream, watched = object(), list(uris)
        try:
            for uri in watched:
                try:
                    await self.watch(stream, uri)
                except MCPError as error:
                    # As with a resource that never changes: the stream is open, and silent about it.
                    log.info("client.watch_refused", uri=uri, reason=error.message)
            yield
        finally:
            await self._leave(stream, watched)

    async def _forget(self, connection: Connection) -> None:
        self._connected.pop(connection, None)
        self._entrances.pop(connection, None)
        await self._leave(connection, [uri for uri, who in self._watchers.items() if connection in who])

    async def _leave(self, watcher: object, uris: Iterable[str]) -> None:
        with anyio.move_on_after(_FAREWELL, shield=True):
            for uri in uris:
                try:
                    await self.unwatch(watcher, uri)
                except MCPError as error:
                    log.info("client.unwatch_refused", uri=uri, reason=error.message)

    def _drop(self, watcher: object, uri: str) -> bool:
        """Remove a watcher; whether it was the last one."""
        watchers = self._watchers.get(uri, set())
        if watcher not in watchers:
            return False
        watchers.remove(watcher)
        if not watchers:
            del self._watchers[uri]
        return not watchers

    async def _tell_updated(self, params: Message) -> None:
        uri = params.get("uri")
        if isinstance(uri, str):
            # What changed may be a part of what is watched.
            watched = [
                each for each in self._watchers if uri == each or uri.startswith(f"{each.rstrip('/')}/")
            ]
            watchers = {who for each in watched for who in self._watchers[each]}
            await self._tell_all(
                "notifications/resources/updated", params, lambda one: one.connection in watchers
            )
            for bus in self._buses:
                await bus.publish(ResourceUpdated(uri))

    async def _tell_all(
        self, method: str, params: Message | None, wants: Callable[[HandshakeCaller], bool]
    ) -> None:
        for one in list(self._connected.values()):
            if wants(one):
                await one.connection.notify(method, params)
