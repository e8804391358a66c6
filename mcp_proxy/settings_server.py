"""How clients reach Switchboard: the tables `[server]` and `[server.oauth]`."""

from typing import Literal

from pydantic import ByteSize, Field, SecretStr, model_validator

from mcp_proxy.profile_settings import ExposingTable
from mcp_proxy.settings_fields import BearerToken, Bytes, HttpAddress, Seconds, Table, Text, refusal


class OAuthSettings(Table):
    """Access tokens of an OAuth 2.1 authorization server, for which Switchboard is the protected resource."""

    issuer: HttpAddress
    """Who issues the tokens: the `iss` they carry, letter for letter."""
    resource_url: HttpAddress
    """Where clients reach Switchboard, /mcp included: the `aud` their tokens must carry."""
    required_scopes: tuple[Text, ...] = ()
    """Scopes a token must have, all of them."""
    jwks_url: HttpAddress | None = None
    """The issuer's keys, for tokens that are JWTs."""
    introspection_url: HttpAddress | None = None
    """The issuer's introspection endpoint, for tokens that only it can read."""
    client_id: str = ""
    """How Switchboard introduces itself to the introspection endpoint."""
    client_secret: SecretStr = SecretStr("")
    """And the secret that belongs to the client_id."""

    @model_validator(mode="after")
    def _verifies_one_way(self) -> "OAuthSettings":
        if (self.jwks_url is None) == (self.introspection_url is None):
            message = "needs either a jwks_url or an introspection_url"
            raise refusal(message, "give jwks_url if the issuer's tokens are JWTs, else introspection_url")
        return self


class ServerSettings(ExposingTable):
    """How clients reach Switchboard."""

    name: Text = "switchboard"
    """The name it gives itself to clients."""
    profile: str = ""
    """The profile of clients that have no other, by path or token; empty for none."""
    transport: Literal["stdio", "http"] = "stdio"
    """How it is served unless the command line says otherwise."""
    host: Text = "127.0.0.1"
    """Address to listen on over HTTP; 0.0.0.0 for every one of this machine's."""
    port: int = Field(default=8765, ge=0, le=65535)
    """0 takes any free port."""
    startup_wait: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Seconds the first tools/list waits for upstreams to start."""
    tokens: tuple[BearerToken, ...] = ()
    """Bearer tokens, any of which lets a client in over HTTP."""
    oauth: OAuthSettings | None = None
    allow_anonymous: bool = False
    """Let other machines in without a token."""
    allowed_hosts: tuple[Text, ...] = ()
    """Names clients may call this server by, beside `host` and those of this machine."""
    allowed_origins: tuple[Text, ...] = ()
    """Origins whose web pages may call this server, such as https://app.example.com, beside this machine's."""
    stateless: bool = False
    """Serve handshake clients over HTTP without sessions: nothing reaches them outside of a request."""
    json_response: bool = False
    """Answer with plain JSON instead of an event stream: no progress over HTTP."""
    sse: bool = True
    """Serve clients of the older HTTP+SSE transport too, at /sse."""
    max_body: Bytes = ByteSize(4 * 1024 * 1024)
    """Largest request over HTTP, in bytes or as in "4 MiB"."""
    max_sessions: int = Field(default=1000, ge=1)
    """Sessions open at once, for streamable HTTP and for SSE each."""
    session_idle: Seconds = 1800.0
    """Seconds without a request after which a streamable HTTP session ends."""
