"""What travels between one upstream and the clients beside its results: questions, log entries, changes.

Whose it is, is decided in `attribution`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
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
    ServerCapabilities,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.attribution import Attribution
from mcp_proxy.callers import LEVELS, Caller, declares
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

_WHOSE = (
    "Switchboard cannot tell for which of several clients' calls of {upstream} this {method} is, and asks nobody "
    'rather than the wrong one; session = "per_client" for {upstream} in its configuration gives every client '
    "that has a session a connection of its own"
)

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
        self._capabilities: ServerCapabilities | None = None
        self.attribution = Attribution()
        """Knows the calls in flight."""
        self.level: LoggingLevel | None = None
        """The most verbose level that any client has asked for."""
        self._watched: set[str] = set()
        self._watched_changed = anyio.Event()
        self._telling = 0
        self._is_flooded = False

    def lacks(self, capability: str) -> bool:
        """Whether the upstream was connected to and has not declared a capability of servers."""
        return self._capabilities is not None and getattr(self._capabilities, capability) is None

    async def on_behalf_of(self, caller: Caller | None, params: Mapping[str, Any]) -> Message:
        """`params` with what the upstream may know of the client: that it can be asked, and its log level.

        Raises:
            MCPError: they continue a conversation that this upstream cannot have begun.
        """
        if self._is_stateless:
            return _with_client(caller, params)
        if any(key in params for key in _RETRY_KEYS):
            raise MCPError(INVALID_PARAMS, "requestState is not known here; call again without it")
        if caller and caller.log_level and self._is_too_quiet_for(caller.log_level):
            await self.set_level(caller.log_level)
        return dict(params)

    def on_behalf_now(self, caller: Caller, params: Message) -> Message | None:
        """As `on_behalf_of`, or None where the upstream has to be told something first, or they are refused."""
        if self._is_stateless:
            return _with_client(caller, params)
        if any(key in params for key in _RETRY_KEYS):
            return None
        if caller.log_level and self._is_too_quiet_for(caller.log_level):
            return None
        return params

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
        if self.attribution.may_be_of_several():
            raise MCPError(INVALID_REQUEST, _WHOSE.format(upstream=self._upstream, method=method))
        caller = self.attribution.cause(lambda caller: declares(caller.capabilities, method, onward))
        if caller is None and not self.attribution.is_calling:
            caller = self._bystander(method, onward)
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
            if caller := self.attribution.cause(lambda caller: caller.takes_log(level)):
                await caller.notify(method, params)
                return
            if self.attribution.is_calling:
                return
        if self.audience:
            await self.audience.tell(method, params)

    def hear_now(self, params: Message) -> bool:
        """As `hear` for a log entry, without waiting; False, with nothing told, where that cannot be."""
        level = params.get("level")
        caller = self.attribution.cause(lambda caller: caller.takes_log(level))
        return caller is not None and caller.notify_now("notifications/message", params)

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
        self._capabilities = client.server_capabilities
        self.attribution.renew()
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

    def _bystander(self, method: str, params: Message) -> Caller | None:
        """The client to ask while no call is in flight, if it is the only one that may be meant."""
        one = self.audience.sole(method, params) if self.audience else None
        # The list of roots is no secret to guard from a client: it is the client's own.
        return one if one and (method == "roots/list" or self.attribution.has_served_only(one)) else None

    @property
    def _is_stateless(self) -> bool:
        return self._client is not None and _is_modern(self._client)

    def _is_too_quiet_for(self, level: LoggingLevel) -> bool:
        return self.level is None or LEVELS.index(level) < LEVELS.index(self.level)

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


def _with_client(caller: Caller | None, params: Mapping[str, Any]) -> Message:
    """`params` as a stateless upstream takes them: with what the client can be asked, and its log level."""
    meta: Message = {**params.get("_meta", {}), CLIENT_CAPABILITIES_META_KEY: {}}
    if caller:
        meta[CLIENT_CAPABILITIES_META_KEY] = relayed(caller.capabilities)
        if caller.log_level:
            meta[LOG_LEVEL_META_KEY] = caller.log_level
    return {**params, "_meta": meta}


def _is_modern(client: Client) -> bool:
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS
