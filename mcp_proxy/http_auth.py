"""Who is let in over HTTP: by the address they call, and by the bearer token they carry.

Knows the headers of a request, never what is asked for. Tokens are neither kept with a request nor logged.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import structlog
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl, SecretStr
from starlette.authentication import AuthenticationError
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_proxy.config import ConfigError, ConfigProblem, ServerSettings, Settings
from mcp_proxy.http_oauth import oauth_verifier

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_FOR_PAGES: Mapping[str, Any] = {
    "allow_methods": ("GET", "POST", "DELETE"),
    "allow_headers": ("*",),
    "expose_headers": ("Mcp-Session-Id", "WWW-Authenticate"),
}
"""What pages of an allowed origin may send and see."""

log = structlog.stdlib.get_logger()


def require_protection(settings: Settings) -> None:
    """Refuse to let other machines call tools without anybody having said who may.

    Raises:
        ConfigError: it listens beyond this machine, for anyone, and that is not what was asked for.
    """
    server = settings.server
    if not (is_loopback(server.host) or settings.tokens or server.oauth or server.allow_anonymous):
        raise ConfigError(
            ConfigProblem(
                None,
                "server.host",
                f"{server.host} lets other machines call every tool, and there are no tokens",
                'set [server] tokens = ["${SWITCHBOARD_TOKEN}"] or a [server.oauth] table, '
                "listen on 127.0.0.1, or set allow_anonymous = true if anyone may",
            )
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`. Pure: names are not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def admission(settings: Settings) -> AsyncGenerator["Admission"]:
    """Who is let in by these settings; open for as long as anybody may come."""
    server = settings.server
    scopes = server.oauth.required_scopes if server.oauth else ()
    known = KnownTokens(settings.tokens, scopes)
    async with AsyncExitStack() as stack:
        issued = await stack.enter_async_context(oauth_verifier(server.oauth)) if server.oauth else None
        yield Admission(server, known, issued)


class Admission:
    """The checks before any request is looked at."""

    def __init__(self, server: ServerSettings, known: "KnownTokens", issued: TokenVerifier | None) -> None:
        """By these settings.

        Args:
            server: the addresses and pages that are let in.
            known: the configured tokens. As long as there never were any, everyone is let in who calls a name of ours.
            issued: knows the tokens that others issue.
        """
        self._security = TransportSecurityMiddleware(_addresses(server))
        self._known = known
        self._verifier = FirstOf((known, issued)) if issued else known
        self._asks = issued is not None or not known.is_empty
        self._pages = server.allowed_origins
        self._oauth = server.oauth
        self._scopes = list(server.oauth.required_scopes) if server.oauth else []

    def adopt(self, settings: Settings) -> None:
        """Let in by the tokens of edited settings from now on.

        Where tokens were asked for once, they go on being asked for, even if none is left: nobody who edits a profile
        means to open the door to everyone. That takes a new start.
        """
        self._known.become(settings.tokens)
        if self._asks and self._known.is_empty and not self._oauth:
            log.warning("server.nobody_let_in", reason="no token is left", remedy="add one, or restart")
        self._asks = self._asks or not self._known.is_empty

    def turns_away(self, scope: Scope) -> bool:
        """Whether a request that was let in would not be any more."""
        user = scope.get("user")
        if not self._asks:
            return False
        return not isinstance(user, AuthenticatedUser) or not self._known.still_lets_in(user.access_token)

    def guarding(self, app: ASGIApp) -> ASGIApp:
        """`app`, for requests that are let in; the others are answered 401, 403 or 421."""
        metadata = build_resource_metadata_url(AnyHttpUrl(self._oauth.resource_url)) if self._oauth else None
        asking = RequireAuthMiddleware(app, self._scopes, metadata)

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            await (asking if self._asks else app)(scope, receive, send)

        return _CalledByName(self._security, guarded)

    async def admits(self, request: Request) -> bool:
        """Whether `guarding` would let this request in."""
        if await self._security.validate_request(request) is not None:
            return False
        user = request.scope.get("user")
        return not self._asks or (
            isinstance(user, AuthenticatedUser) and set(self._scopes) <= set(user.scopes)
        )

    def middleware(self) -> Sequence[Middleware]:
        """What browsers are told in advance, and what reads tokens, for the whole application."""
        layers: list[Middleware] = []
        if self._pages:
            # Before the tokens: a browser asks whether a page may call without showing the page's token.
            layers.append(Middleware(CORSMiddleware, allow_origin_regex=_origins(self._pages), **_FOR_PAGES))
        backend = BearerAuthBackend(self._verifier)
        layers.append(Middleware(AuthenticationMiddleware, backend=backend, on_error=_cannot_verify))
        layers.append(Middleware(AuthContextMiddleware))
        return layers

    def routes(self) -> Sequence[Route]:
        """Where clients learn who issues the tokens: the protected resource metadata of RFC 9728."""
        if self._oauth is None:
            return ()
        return create_protected_resource_routes(
            AnyHttpUrl(self._oauth.resource_url), [AnyHttpUrl(self._oauth.issuer)], self._scopes or None
        )


def _addresses(server: ServerSettings) -> TransportSecuritySettings:
    """The Host and Origin headers that are let in: a foreign page must not reach us through a name of its own."""
    own = f"[{server.host}]" if ":" in server.host else server.host
    local = dict.fromkeys((*_LOOPBACK, own))
    return TransportSecuritySettings(
        allowed_hosts=_at_any_port((*local, *server.allowed_hosts)),
        allowed_origins=[*_at_any_port(f"http://{host}" for host in local), *server.allowed_origins],
    )


def _at_any_port(hosts: Iterable[str]) -> list[str]:
    return [form for host in hosts for form in (host, f"{host}:*")]


def _origins(allowed: Iterable[str]) -> str:
    """A pattern of these origins, each as it stands or, written with `:*`, at any port."""
    forms = (re.escape(each.removesuffix(":*")) + r":\d+" * each.endswith(":*") for each in allowed)
    return "|".join(forms)


def _cannot_verify(_: HTTPConnection, error: AuthenticationError) -> Response:
    return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "5"})


@dataclass(frozen=True, slots=True)
class _CalledByName:
    """An application for requests that call this server by a name it goes by."""

    security: TransportSecurityMiddleware
    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refusal = await self.security.validate_request(request)
        if refusal is not None:
            host, origin = request.headers.get("host"), request.headers.get("origin")
            remedy = "if it is yours, add it to [server] allowed_hosts or allowed_origins"
            log.warning(
                "request.refused", status=refusal.status_code, host=host, origin=origin, remedy=remedy
            )
        await (refusal or self.app)(scope, receive, send)


class ProfiledToken(AccessToken):
    """A token that lets in with one profile alone, if that is not empty."""

    profile: str = ""


def profile_of(scope: Scope) -> str:
    """The profile that the token of a request is bound to; empty when it is bound to none."""
    user = scope.get("user")
    token = user.access_token if isinstance(user, AuthenticatedUser) else None
    return token.profile if isinstance(token, ProfiledToken) else ""


class KnownTokens(TokenVerifier):
    """The tokens of the configuration. Comparing takes the same time whatever was sent."""

    def __init__(self, tokens: Iterable[tuple[SecretStr, str]], scopes: Iterable[str]) -> None:
        """`tokens` let in with `scopes`, each with its profile; empty for whichever the client asks for."""
        self._scopes = list(scopes)
        self._numbers: dict[bytes, int] = {}
        """Of every token there ever was, so that none comes to own the sessions and results of another."""
        self._profiles: Mapping[bytes, str] = {}
        self.become(tokens)

    def become(self, tokens: Iterable[tuple[SecretStr, str]]) -> None:
        """Know these tokens instead."""
        known = [(_digest(token.get_secret_value()), profile) for token, profile in tokens]
        # Of a token that stands there twice, the first counts.
        self._profiles = dict(reversed(known))
        for digest, _ in known:
            self._numbers.setdefault(digest, len(self._numbers))

    @property
    def is_empty(self) -> bool:
        return not self._profiles

    def still_lets_in(self, token: AccessToken) -> bool:
        """Whether a token that was verified here would be again; true of those that others have issued."""
        now = {(self._client(digest), profile) for digest, profile in self._profiles.items()}
        return not isinstance(token, ProfiledToken) or (token.client_id, token.profile) in now

    async def verify_token(self, token: str) -> AccessToken | None:
        given = _digest(token)
        found = [known for known in self._profiles if hmac.compare_digest(given, known)]
        if not found:
            return None
        # Sessions belong to the token that opened them.
        return ProfiledToken(
            token="",
            client_id=self._client(found[0]),
            scopes=self._scopes,
            profile=self._profiles[found[0]],
        )

    def _client(self, digest: bytes) -> str:
        return f"token-{self._numbers[digest]}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class FirstOf(TokenVerifier):
    """Several verifiers, of which any may know a token."""

    def __init__(self, verifiers: Iterable[TokenVerifier]) -> None:
        self._verifiers = tuple(verifiers)

    async def verify_token(self, token: str) -> AccessToken | None:
        for verifier in self._verifiers:
            if found := await verifier.verify_token(token):
                return found
        return None
