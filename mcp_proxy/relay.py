"""What travels between one upstream and the clients beside its results: questions, log entries, changes.

Whose is it? An upstream's session is shared by all clients, and its requests and notifications do not name
the call that caused them. The rule:

1. Over streamable HTTP it comes on the response stream of that call, which names the client.
2. Else it belongs to the newest of the calls in flight whose client can take it. With one client, or one
   call at a time, that is no guess.
3. With no such call, a question goes to the one connected client that can answer it, if there is only one;
   a log entry to every connected client that wants it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol

import anyio
import structlog
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LOG_LEVEL_META_KEY,
    METHOD_NOT_FOUND,
    LoggingLevel,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.callers import CALLER, LEVELS, Caller, declares
from mcp_proxy.hops import forwarded, relayed
from mcp_proxy.wire import send_raw

_ROUNDS = 10
"""How often a stateless upstream may ask for input before it is given up; the SDKs' own clients agree."""

_STATE_ONLY_PAUSE = 0.1
"""Seconds before a request is repeated that its upstream answered with nothing but a state."""

_TIMEOUT = 10.0
"""Seconds an upstream has to take note of a level or a subscription."""

_REOPENED_AFTER = 5.0
"""Seconds from the end of a stream of changes to the next."""

_MOST_TELLING = 1000
"""Notifications that may wait for clients to read them; an upstream that sends more does so in vain."""

_RETRY_KEYS = ("inputResponses", "requestState")

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[Message]]

log = structlog.stdlib.get_logger()


class Audience(Protocol):
    """The clients that are connected, whatever they are doing."""

    def sole(self, method: str, params: Mapping[str, Any]) -> Caller | None:
        """The client that answers such a request, if exactly one does."""
        ...

    async def tell(self, method: str, params: Message) -> None:
        """Pass on a notification to the clients it concerns."""
        ...


class Relay:
    """One upstream's part in it, from one connection to the next."""

    def __init__(self, upstream: str, on_gap: Callable[[], None]) -> None:
        """The relay of an upstream; `on_gap` is called when changes may have gone unheard."""
        self.audience: Audience | None = None
        self._on_gap = on_gap
        self._upstream = upstream
        self._client: Client | None = None
        self._in_flight: dict[object, Caller] = {}
        self.level: LoggingLevel | None = None
        """The most verbose level that any client has asked for."""
        self._watched: set[str] = set()
        self._watched_changed = anyio.Event()
        self._telling = 0
        self._is_flooded = False

    def lacks(self, capability: str) -> bool:
        """Whether the upstream is connected and has not declared a capability of servers."""
        return self._client is not None and getattr(self._client.server_capabilities, capability) is None

    @contextmanager
    def carrying(self, caller: Caller | None) -> Generator[None]:
        """While a request is in flight for `caller`."""
        flight = object()
        if caller is not None:
            self._in_flight[flight] = caller
        try:
            yield
        finally:
            self._in_flight.pop(flight, None)

    async def on_behalf_of(self, caller: Caller | None, params: Mapping[str, Any]) -> Message:
        """`params` with what the upstream may know of the client: that it can be asked, and its log level.

        Raises:
            MCPError: they continue a conversation that this upstream cannot have begun.
        """
        if self._client is None or not _is_modern(self._client):
            if any(key in params for key in _RETRY_KEYS):
                raise MCPError(INVALID_PARAMS, "requestState is not known here; call again without it")
            if caller and caller.log_level:
                await self._raise_level(caller.log_level)
            return dict(params)
        meta: Message = {**params.get("_meta", {}), CLIENT_CAPABILITIES_META_KEY: {}}
        if caller:
            meta[CLIENT_CAPABILITIES_META_KEY] = relayed(caller.capabilities)
            if caller.log_level:
                meta[LOG_LEVEL_META_KEY] = caller.log_level
        return {**params, "_meta": meta}

    async def completed(self, result: Message, caller: Caller | None, params: Message, send: Send) -> Message:
        """The result itself, once the client has answered what a stateless upstream asks before it gives one.

        Raises:
            MCPError: there is nobody to ask, the answer is an error, or the upstream never has enough.
        """
        rounds = 0
        while result.get("resultType") == "input_required" and not (caller and caller.repeats_request):
            if caller is None:
                raise MCPError(
                    INVALID_REQUEST, f"{self._upstream} asks for input, and no client is there to ask"
                )
            if rounds == _ROUNDS:
                raise MCPError(
                    INVALID_REQUEST, f"{self._upstream} asked for input {_ROUNDS} times and wants more"
                )
            rounds += 1
            again = {key: value for key, value in params.items() if key not in _RETRY_KEYS}
            if "requestState" in result:
                again["requestState"] = result["requestState"]
            if answers := await self._answers(result.get("inputRequests") or {}, caller):
                again["inputResponses"] = answers
            else:
                await anyio.sleep(_STATE_ONLY_PAUSE)
            result = await send(again)
        return result

    async def answer(self, method: str, params: Message) -> Message:
        """The answer to a request of the upstream, from the client it concerns.

        Raises:
            MCPError: there is none that could answer, or it answered with an error.
        """
        onward = forwarded(params)
        caller = self._cause(lambda caller: declares(caller.capabilities, method, onward))
        if caller is None and not self._in_flight and self.audience:
            caller = self.audience.sole(method, onward)
        if caller is None:
            raise MCPError(
                INVALID_REQUEST, f"No client in front of Switchboard can be asked {method} for this call"
            )
        return await caller.ask(method, onward)

    async def hear(self, method: str, params: Message) -> None:
        """Pass on a notification of the upstream, unless too many wait already."""
        if self._telling >= _MOST_TELLING:
            if not self._is_flooded:
                log.warning("upstream.floods", upstream=self._upstream, method=method, waiting=self._telling)
            self._is_flooded = True
            return
        self._telling += 1
        try:
            await self._pass_on(method, params)
        finally:
            self._telling -= 1
            self._is_flooded = self._is_flooded and self._telling > 0

    async def _pass_on(self, method: str, params: Message) -> None:
        if method == "notifications/message":
            level = params.get("level")
            if caller := self._cause(lambda caller: caller.takes_log(level)):
                await caller.notify(method, params)
                return
            if self._in_flight:
                return
        if self.audience:
            await self.audience.tell(method, params)

    async def set_level(self, level: LoggingLevel) -> None:
        """Have the upstream log from `level` on, now and whenever it is connected to."""
        self.level = level
        client = self._client
        if client and not _is_modern(client) and client.server_capabilities.logging:
            await self._try_tell(client, "logging/setLevel", {"level": level})

    async def watch(self, uri: str) -> None:
        """Have the upstream tell when a resource changes, now and whenever it is connected to.

        Raises:
            MCPError: it refuses.
        """
        self._watched.add(uri)
        try:
            await self._watch_now("resources/subscribe", uri)
        except MCPError:
            self._watched.discard(uri)
            raise

    async def unwatch(self, uri: str) -> None:
        """Have the upstream no longer tell.

        Raises:
            MCPError: it refuses.
        """
        self._watched.discard(uri)
        await self._watch_now("resources/unsubscribe", uri)

    @asynccontextmanager
    async def connected(self, client: Client) -> AsyncGenerator[None]:
        """While `client` is the connection: bring it up to date, and follow changes."""
        self._client = client
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen if _is_modern(client) else self._catch_up, client)
                yield
                tasks.cancel_scope.cancel()
        finally:
            self._client = None

    async def notify(self, method: str) -> None:
        """Tell an upstream of the handshake era something that has no params."""
        if self._client and not _is_modern(self._client):
            await self._client.session._dispatcher.notify(method, None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def _answers(self, asked: Mapping[str, Message], caller: Caller) -> Message:
        return {
            key: await caller.ask(request["method"], request.get("params") or {})
            for key, request in asked.items()
        }

    def _cause(self, fits: Callable[[Caller], bool]) -> Caller | None:
        """The client whose call caused what just came, by the first two parts of the rule."""
        if sure := CALLER.get():
            return sure if fits(sure) else None
        return next((caller for caller in reversed(self._in_flight.values()) if fits(caller)), None)

    async def _raise_level(self, level: LoggingLevel) -> None:
        if self.level is None or LEVELS.index(level) < LEVELS.index(self.level):
            await self.set_level(level)

    async def _watch_now(self, method: str, uri: str) -> None:
        self._watched_changed.set()
        if self._client and not _is_modern(self._client):
            await send_raw(self._client.session, method, {"uri": uri}, timeout=_TIMEOUT)

    async def _catch_up(self, client: Client) -> None:
        """Repeat to a new connection what the last one had been told."""
        if self.level:
            await self.set_level(self.level)
        for uri in sorted(self._watched):
            await self._try_tell(client, "resources/subscribe", {"uri": uri})

    async def _try_tell(self, client: Client, method: str, params: Message) -> None:
        try:
            await send_raw(client.session, method, params, timeout=_TIMEOUT)
        except MCPError as error:
            if error.code != METHOD_NOT_FOUND:
                log.info("upstream.refused", upstream=self._upstream, method=method, reason=error.message)

    async def _listen(self, client: Client) -> None:
        """Follow changes in the stateless era, where a client has to ask for them.

        What comes reaches `hear` like any other notification; a change of what is watched takes a new stream.
        """
        while True:
            self._watched_changed = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen_once, client, sorted(self._watched))
                await self._watched_changed.wait()
                tasks.cancel_scope.cancel()

    async def _listen_once(self, client: Client, uris: list[str]) -> None:
        """Keep a stream open; one that ends is opened again, as long as the upstream agrees to it."""
        while True:
            try:
                async with client.listen(
                    tools_list_changed=True,
                    prompts_list_changed=True,
                    resources_list_changed=True,
                    resource_subscriptions=uris,
                ) as events:
                    with suppress(SubscriptionLost):
                        async for _ in events:
                            pass
            except Exception as error:  # noqa: BLE001  not hearing of changes is no reason to lose the upstream
                log.info("upstream.listen_unavailable", upstream=self._upstream, reason=str(error))
                return
            await anyio.sleep(_REOPENED_AFTER)
            self._on_gap()


def _is_modern(client: Client) -> bool:
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS
