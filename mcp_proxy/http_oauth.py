"""Access tokens of an OAuth 2.1 issuer: JWTs verified with its keys, others by asking it (RFC 7662).

Either way a token counts only if it was issued for this server: its audience is the resource's URL.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import httpx2
import jwt
import structlog
from mcp.server.auth.provider import AccessToken, TokenVerifier
from pydantic import ValidationError
from starlette.authentication import AuthenticationError

from mcp_proxy.settings_server import OAuthSettings

_ALGORITHMS = frozenset("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA".split())
"""Signatures with a public key only: with the others, whoever verifies could sign."""

_KEYS_LAST = 300.0
"""Seconds after which the keys are fetched anew, so that a withdrawn one stops working."""

_FETCH_AGAIN = 5.0
"""Seconds between two fetches: tokens that name made-up keys must not make us call the issuer each time."""

_ISSUER_ANSWERS = 5.0
"""Seconds the issuer has to answer, while a client waits."""

_CLOCKS_APART = 10
"""Seconds the issuer's clock may be ahead."""

log = structlog.stdlib.get_logger()


class IssuerUnavailableError(AuthenticationError):
    """Nobody can say whether a token is good: the issuer is to blame, not the client."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__("the issuer of access tokens cannot be reached; try again later")


@asynccontextmanager
async def oauth_verifier(oauth: OAuthSettings) -> AsyncGenerator[TokenVerifier]:
    """What verifies tokens by these settings, and the connections to the issuer that it needs."""
    own = (oauth.client_id, oauth.client_secret.get_secret_value()) if oauth.client_id else None
    async with httpx2.AsyncClient(timeout=_ISSUER_ANSWERS, auth=own) as http:
        if oauth.jwks_url:
            yield JwtVerifier(oauth, IssuerKeys(oauth.jwks_url, http))
        else:
            yield IntrospectionVerifier(oauth, http)


class IssuerKeys:
    """The keys an issuer signs with, fetched when they are needed and not known."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._lock = anyio.Lock()

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of that id.

        Raises:
            IssuerUnavailableError: no keys are known, and they cannot be fetched.
        """
        async with self._lock:
            age = anyio.current_time() - self._tried_at
            if age > _KEYS_LAST or (key_id not in self._keys and age > _FETCH_AGAIN):
                await self._fetch()
        if not self._keys:
            raise IssuerUnavailableError(self._url, "its keys are not known")
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        """Replace the keys by the issuer's present ones; if they cannot be had, keep those known."""
        self._tried_at = anyio.current_time()
        try:
            response = await self._http.get(self._url)
            found = jwt.PyJWKSet.from_dict(response.raise_for_status().json()).keys
        except (httpx2.HTTPError, jwt.PyJWTError, ValueError, AttributeError, TypeError) as error:
            log.warning("oauth.keys_unavailable", url=self._url, reason=f"{type(error).__name__}: {error}")
            return
        self._keys = {key.key_id: key for key in found if key.public_key_use in {None, "sig"}}


class JwtVerifier(TokenVerifier):
    """Verifies signed tokens by themselves."""

    def __init__(self, oauth: OAuthSettings, keys: IssuerKeys) -> None:
        self._oauth = oauth
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None or key.algorithm_name not in _ALGORITHMS:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._oauth.resource_url,
                issuer=self._oauth.issuer,
                leeway=_CLOCKS_APART,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            log.info("oauth.token_refused", reason=type(error).__name__)
            return None
        return _access(claims)


class IntrospectionVerifier(TokenVerifier):
    """Asks the issuer what a token is worth, once for every request: a revoked token stops working at once."""

    def __init__(self, oauth: OAuthSettings, http: httpx2.AsyncClient) -> None:
        self._oauth = oauth
        self._http = http

    async def verify_token(self, token: str) -> AccessToken | None:
        claims = await self._ask(token)
        audience = claims.get("aud")
        audiences = cast("list[object]", audience) if isinstance(audience, list) else [audience]
        is_ours = self._oauth.resource_url in audiences and claims.get("iss") in {None, self._oauth.issuer}
        if claims.get("active") is not True or not is_ours:
            log.info(
                "oauth.token_refused",
                reason="active, for another resource" if claims.get("active") else "inactive",
            )
            return None
        return _access({**claims, "iss": self._oauth.issuer})

    async def _ask(self, token: str) -> Mapping[str, Any]:
        url = self._oauth.introspection_url or ""
        try:
            answer = await self._http.post(url, data={"token": token, "token_type_hint": "access_token"})
            claims = answer.raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("oauth.introspection_failed", url=url, reason=f"{type(error).__name__}: {error}")
            raise IssuerUnavailableError(url, str(error)) from error
        return cast("Mapping[str, Any]", claims) if isinstance(claims, dict) else {}


def _access(claims: Mapping[str, Any]) -> AccessToken | None:
    """What claims that were verified grant; None if they are not of the kinds the standards say."""
    scope = claims.get("scope", claims.get("scp", ()))
    client = claims.get("client_id", claims.get("azp", claims.get("sub")))
    try:
        return AccessToken(
            token="",  # nothing needs it again
            client_id=client,  # pyright: ignore[reportArgumentType]  validated here
            scopes=scope.split() if isinstance(scope, str) else list(scope),
            expires_at=claims.get("exp"),
            subject=claims.get("sub"),
            claims={"iss": claims.get("iss")},
        )
    except (ValidationError, TypeError) as error:
        log.info("oauth.token_refused", reason=f"unusable claims: {type(error).__name__}")
        return None
