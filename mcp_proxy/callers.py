"""Clients as an upstream may reach them: asked for input, told of log entries. One class for each era.

A `Caller` stands for the client behind one request. `CALLER` holds the one being served, so that what
travels upstream can be sent on its behalf, and what comes back meanwhile finds its way.
"""

import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol, cast, get_args

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.connection import Connection
from mcp.shared.dispatcher import Outbound
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    INVALID_REQUEST,
    LOG_LEVEL_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    ClientCapabilities,
    LoggingLevel,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context = ServerRequestContext[Any, Any]
Message = dict[str, Any]

LEVELS: tuple[LoggingLevel, ...] = get_args(LoggingLevel)
"""Log levels, the most verbose first."""

ENVELOPE = (PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY)
"""The `_meta` that a stateless client says who it is with, on every request; a handshake-era client has none."""

PATIENCE = 600.0
"""Seconds a question waits for its answer."""

_LEVEL = "switchboard.log_level"
"""Where a connection's state keeps the level its client has set."""


class Caller(Protocol):
    """The client behind a request, or behind a connection."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client has declared, as ClientCapabilities in JSON."""
        ...

    @property
    def client(self) -> object:
        """What tells this client from others: two callers of one client have equal ones, as far as that is known."""
        ...

    @property
    def session(self) -> Connection | None:
        """What lasts from one request of the client to the next; None if nothing does."""
        ...

    @property
    def log_level(self) -> LoggingLevel | None:
        """The least severe level the client has asked for; None when it has asked for none."""
        ...

    @property
    def repeats_request(self) -> bool:
        """Whether the client itself answers an `input_required` result, by repeating this very request."""
        ...

    def takes_log(self, level: object) -> bool:
        """Whether the client wants log entries of `level`."""
        ...

    async def ask(self, method: str, params: Message) -> Message:
        """The client's answer to a request of an upstream.

        Raises:
            MCPError: it cannot or will not answer.
        """
        ...

    async def notify(self, method: str, params: Message) -> None:
        """Tell the client something that belongs to its request."""
        ...

    def notify_now(self, method: str, params: Message) -> bool:
        """As `notify` without waiting; False, with nothing told, where that cannot be."""
        ...


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The client whose request is being served.

An upstream over streamable HTTP sends what belongs to a request on that request's own response stream, and
the SDK handles it in the context the request was sent in: there, this names the cause beyond doubt.
"""


class HandshakeCaller:
    """A client of the handshake era: asked by a request of its own while its call waits."""

    repeats_request = False

    def __init__(self, connection: Connection, outbound: Outbound | None = None) -> None:
        """A client reached over `outbound`: that of a request, or by default the connection's own."""
        self.connection = connection
        self._outbound = outbound or connection

    @property
    def capabilities(self) -> Mapping[str, Any]:
        declared = self.connection.client_capabilities or ClientCapabilities()
        return declared.model_dump(by_alias=True, mode="json", exclude_none=True)

    @property
    def client(self) -> object:
        return self.connection

    @property
    def session(self) -> Connection | None:
        # Over stateless HTTP a connection is made for each request, and has no way back of its own.
        return self.connection if self.connection.has_standalone_channel else None

    @property
    def log_level(self) -> LoggingLevel | None:
        return self.connection.state.get(_LEVEL)

    @log_level.setter
    def log_level(self, level: LoggingLevel) -> None:
        self.connection.state[_LEVEL] = level

    def takes_log(self, level: object) -> bool:
        # A handshake client that has set no level leaves it to the server what to send.
        return self.log_level is None or is_at_least(level, self.log_level)

    async def ask(self, method: str, params: Message) -> Message:
        require(self, method, params)
        if params.get("mode") == "url":
            # Of the handshake era alone, and required there: what a stateless upstream asks has none.
            params = {"elicitationId": secrets.token_urlsafe(16), **params}
        return await self._outbound.send_raw_request(method, params, {"timeout": PATIENCE})

    async def notify(self, method: str, params: Message) -> None:
        await self._outbound.notify(method, params)

    def notify_now(self, method: str, params: Message) -> bool:  # noqa: ARG002  the SDK's way has to be waited for
        return False


def connection_of(ctx: Context) -> Connection:
    """The connection a request came over, which the SDK hands out per request only."""
    return ctx.session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def name_of(ctx: Context) -> str:
    """Name and version of a request's client; empty when it has not given them."""
    params = ctx.session.client_params
    return f"{params.client_info.name} {params.client_info.version}" if params else ""


def client_of(ctx: Context) -> str:
    """The name of a request's client; empty when it has not given one."""
    params = ctx.session.client_params
    return params.client_info.name if params else ""


def outbound_of(ctx: Context) -> Outbound:
    """The way back that belongs to a request: on HTTP, the stream of its response."""
    return ctx.session._request_outbound  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def is_stateless(ctx: Context) -> bool:
    """Whether a request is of the stateless era."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def envelope_of(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The envelope of a stateless client's request."""
    meta = _meta(params)
    return {key: meta.get(key) for key in ENVELOPE}


def declared_with(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The capabilities a stateless client declares with a request."""
    return _object(_meta(params).get(CLIENT_CAPABILITIES_META_KEY))


def level_asked_with(params: Mapping[str, Any] | None) -> LoggingLevel | None:
    """The log level a stateless client asks for with a request."""
    level = _meta(params).get(LOG_LEVEL_META_KEY)
    return level if level in LEVELS else None


def is_at_least(level: object, least: LoggingLevel) -> bool:
    """Whether `level` is as severe as `least`, or more."""
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(least)


def require(caller: Caller, method: str, params: Mapping[str, Any]) -> None:
    """Refuse a request that the client has not declared it could answer.

    Raises:
        MCPError: it has not.
    """
    if not declares(caller.capabilities, method, params):
        raise MCPError(INVALID_REQUEST, f"The client whose call this is does not answer {method}")


def declares(capabilities: Mapping[str, Any], method: str, params: Mapping[str, Any]) -> bool:
    """Whether a client with these capabilities answers such a request. Pure."""
    match method:
        case "elicitation/create":
            mode = params.get("mode", "form")
            ways = capabilities.get("elicitation")
            # An elicitation capability that names no mode means forms.
            return isinstance(ways, Mapping) and (mode in ways or (mode == "form" and "url" not in ways))
        case "sampling/createMessage":
            sampling = capabilities.get("sampling")
            return isinstance(sampling, Mapping) and ("tools" in sampling or "tools" not in params)
        case "roots/list":
            return "roots" in capabilities
        case _:
            return False


def _meta(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return _object((params or {}).get("_meta"))


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
