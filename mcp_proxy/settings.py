"""What Switchboard can be configured to do: the frozen model `Settings` and its tables.

Secrets are `SecretStr`; what may carry one after expansion (arguments, URLs) stays out of reprs.
Validates values; where they were read from is known only as the folder relative paths start at.
"""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mcp_proxy.config_file import user_folder
from mcp_proxy.escalation import ClaudeSettings
from mcp_proxy.gate import EXECUTE_FROM
from tool_registry.naming import prefix_of

_HTTP_URL = TypeAdapter(HttpUrl)

_SHORTEST_TOKEN = 16

_NOT_HTTP = ("is not an HTTP address", "write one such as http://127.0.0.1:3000/mcp")


def _refusal(message: str, remedy: str, *at: str) -> PydanticCustomError:
    """A validator's verdict, to be told as a ConfigError; `at` leads on from the validated value."""
    return PydanticCustomError("config", "{message}", {"message": message, "remedy": remedy, "at": at})


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    """A path with `~` expanded; a relative one starts at the configuration file's folder."""
    try:
        path = path.expanduser()
    except RuntimeError:
        raise _refusal("names a home folder that is not known", "write the path out") from None
    return cast("Path", info.context) / path if info.context else path


def _command(command: str, info: ValidationInfo) -> str:
    """A bare name is looked up on PATH when it is started; anything else is a path."""
    return str(_beside_file(Path(command), info)) if {"/", os.sep} & set(command) else command


def _is_http(url: str) -> bool:
    try:
        _HTTP_URL.validate_python(url)
    except ValidationError:
        return False
    return True


def _http_url(url: str) -> str:
    if not _is_http(url):
        raise _refusal(*_NOT_HTTP)
    return url


def _none_if_empty(path: object) -> object:
    return None if path == "" else path


FilePath = Annotated[Path, AfterValidator(_beside_file)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def nearest(unknown: str, known: Iterable[str]) -> list[str]:
    """The known key that `unknown` is most likely meant to be; empty when none is near."""
    return get_close_matches(unknown, list(known), n=1, cutoff=0.6)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _UpstreamTable(_Table):
    enabled: bool = True
    prefix: str = Field(pattern=r"^[A-Za-z0-9_-]*$")
    """Stands before the names of its tools and prompts; empty for none. By default its name, made legal."""
    protocol: Literal["auto", "legacy", "2026-07-28"] = "auto"
    """Era to speak: "legacy" opens with a handshake, a version is stateless, "auto" finds out."""
    start_timeout: Seconds = 30.0
    call_timeout: Seconds = 300.0
    lazy: bool = False
    """Have it run from its first call on only; one whose tools are not known yet is started once, to list them."""
    idle_stop: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Seconds without a call after which it is stopped until the next one; 0 for never."""
    max_restarts: int = Field(default=5, ge=1)
    """Starts in a row that may fail before it is given up for a while, instead of being tried ever more slowly."""
    retry_pause: Seconds = 60.0
    """Seconds, at most, until one that was given up is tried again."""
    allow: tuple[Text, ...] = ("*",)
    """Which of its tools there are: patterns (`*`, `?`, `[a-z]`) for the names it gives them itself."""
    deny: tuple[Text, ...] = ()
    """Which of those there are not."""
    validation: Literal["enforce", "warn", "off"] = "enforce"
    """What becomes of a call whose arguments do not fit the tool's schema: "warn" logs it and passes it on."""


class StdioUpstream(_UpstreamTable):
    """An upstream that runs as a child process and speaks over its standard streams."""

    command: Annotated[Text, AfterValidator(_command)]
    args: tuple[str, ...] = Field(default=(), repr=False)
    env: Mapping[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Added to the few variables a child process is given anyway (HOME, PATH, …)."""
    cwd: FilePath | None = None
    """Working directory; None for Switchboard's own."""


class HttpUpstream(_UpstreamTable):
    """An upstream reached by streamable HTTP."""

    url: Text = Field(repr=False)
    headers: Mapping[str, SecretStr] = Field(default_factory=dict[str, SecretStr])

    @model_validator(mode="after")
    def _is_reachable(self) -> "HttpUpstream":
        """A disabled upstream's address may still hold variables that are not set."""
        if self.enabled and not _is_http(self.url):
            raise _refusal(*_NOT_HTTP, "url")
        return self


def _transport_of(upstream: object) -> str:
    """The tag of the model an upstream belongs to: that of the key it is reached by."""
    stdio = "command" in upstream if isinstance(upstream, dict) else isinstance(upstream, StdioUpstream)
    return "stdio" if stdio else "http"


def _one_way_in(upstream: object) -> object:
    """Refuse an upstream that gives both `command` and `url`, or neither."""
    if not isinstance(upstream, dict):
        return upstream
    ways = ("command", "url")
    table = cast("dict[str, object]", upstream)
    match [way for way in ways if way in table]:
        case [_]:
            return table
        case []:
            unknown = table.keys() - StdioUpstream.model_fields.keys() - HttpUpstream.model_fields.keys()
            meant = [f'did you mean "{way}"?' for key in sorted(unknown) for way in nearest(key, ways)]
            raise _refusal("has neither a command nor a url", (*meant, "add the one it is reached by")[0])
        case _:
            raise _refusal("has both a command and a url", "keep the one it is reached by")


Upstream = Annotated[
    Annotated[StdioUpstream, Tag("stdio")] | Annotated[HttpUpstream, Tag("http")],
    Discriminator(_transport_of),
    BeforeValidator(_one_way_in),
]


def _with_prefixes(upstreams: object) -> object:
    """Every upstream written without a prefix gets the one its name makes."""
    if not isinstance(upstreams, dict):
        return upstreams
    return {
        name: {"prefix": prefix_of(name), **cast("dict[str, object]", upstream)}
        if isinstance(upstream, dict)
        else upstream
        for name, upstream in cast("dict[str, object]", upstreams).items()
    }


def _told_apart(
    upstreams: Mapping[str, StdioUpstream | HttpUpstream],
) -> Mapping[str, StdioUpstream | HttpUpstream]:
    """Refuse enabled upstreams whose names would meet: one prefix twice, or none beside others."""
    owners: dict[str, str] = {}
    enabled = {name: upstream.prefix for name, upstream in upstreams.items() if upstream.enabled}
    for name, prefix in enabled.items():
        if not prefix and len(enabled) > 1:
            message = "may be empty only for a single enabled upstream"
            raise _refusal(message, "give it a prefix", name, "prefix")
        if prefix in owners:
            message = f"is the prefix of {owners[prefix]!r} too"
            raise _refusal(message, "give one of them another prefix", name, "prefix")
        owners[prefix] = name
    return upstreams


def _bearer_token(token: SecretStr) -> SecretStr:
    value = token.get_secret_value()
    if len(value) < _SHORTEST_TOKEN:
        remedy = "make one with: openssl rand -hex 32"
        raise _refusal(f"is shorter than {_SHORTEST_TOKEN} characters, and could be guessed", remedy)
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise _refusal("cannot stand in a header", "use letters, digits and -._~+/= only")
    return token


def _some_bytes(size: ByteSize) -> ByteSize:
    if size < 1:
        raise _refusal("lets nothing in", "give it a size such as 4 MiB")
    return size


class OAuthSettings(_Table):
    """Access tokens of an OAuth 2.1 authorization server, for which Switchboard is the protected resource."""

    issuer: Annotated[str, AfterValidator(_http_url)]
    """Who issues the tokens: the `iss` they carry, letter for letter."""
    resource_url: Annotated[str, AfterValidator(_http_url)]
    """Where clients reach Switchboard, /mcp included: the `aud` their tokens must carry."""
    required_scopes: tuple[Text, ...] = ()
    jwks_url: Annotated[str, AfterValidator(_http_url)] | None = None
    """The issuer's keys, for tokens that are JWTs."""
    introspection_url: Annotated[str, AfterValidator(_http_url)] | None = None
    """The issuer's introspection endpoint, for tokens that only it can read."""
    client_id: str = ""
    """How Switchboard introduces itself to the introspection endpoint."""
    client_secret: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _verifies_one_way(self) -> "OAuthSettings":
        if (self.jwks_url is None) == (self.introspection_url is None):
            message = "needs either a jwks_url or an introspection_url"
            raise _refusal(message, "give jwks_url if the issuer's tokens are JWTs, else introspection_url")
        return self


class ServerSettings(_Table):
    """How clients reach Switchboard."""

    name: Text = "switchboard"
    transport: Literal["stdio", "http"] = "stdio"
    host: Text = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    """0 takes any free port."""
    startup_wait: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Seconds the first tools/list waits for upstreams to start."""
    tokens: tuple[Annotated[SecretStr, AfterValidator(_bearer_token)], ...] = ()
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
    max_body: Annotated[ByteSize, AfterValidator(_some_bytes)] = ByteSize(4 * 1024 * 1024)
    """Largest request over HTTP, in bytes or as in "4 MiB"."""
    max_sessions: int = Field(default=1000, ge=1)
    """Sessions open at once, for streamable HTTP and for SSE each."""
    session_idle: Seconds = 1800.0
    """Seconds without a request after which a streamable HTTP session ends."""


class PlannerSettings(_Table):
    """When a plan is good enough, and what it may choose from."""

    threshold: float = Field(default=EXECUTE_FROM, ge=0, le=1)
    """Confidence in [0, 1] from which a valid plan is carried out."""
    candidates: int = Field(default=20, ge=1)
    """How many retrieved tools the planner chooses among."""


class EscalationSettings(ClaudeSettings):
    """Who is asked when the local planners are not sure. Without this table nobody is."""

    provider: Literal["claude"] = "claude"
    base_url: Annotated[str, AfterValidator(_http_url)] | None = None


class _KeptOnDisk(_Table):
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _empty_path_is_off(cls, table: object) -> object:
        values = cast("dict[str, object]", table) if isinstance(table, dict) else {}
        if values.get("path") != "":
            return cast("object", table)
        return {key: value for key, value in values.items() if key != "path"} | {"enabled": False}


class JournalSettings(_KeptOnDisk):
    """Where plans and calls are recorded."""

    path: FilePath = Field(default_factory=lambda: user_folder("state") / "journal.sqlite")


class CatalogSettings(_KeptOnDisk):
    """Where the last known offers of the upstreams are kept, so that the first list need not wait for them."""

    path: FilePath = Field(default_factory=lambda: user_folder("state") / "catalogs")


class SearchSettings(_Table):
    """How tools are found, by `do`, `plan` and `switchboard tools QUERY`."""

    meaning: bool = True
    """Compare meanings as well as words, with the encoder that ships in the package."""
    vectors: Annotated[FilePath | None, BeforeValidator(_none_if_empty)] = Field(
        default_factory=lambda: user_folder("state") / "vectors.sqlite"
    )
    """Where the meanings of tools are kept, so that none is worked out twice; empty for nowhere."""


class Settings(_Table):
    """Everything Switchboard is configured to do."""

    upstreams: Annotated[
        Mapping[str, Upstream],
        BeforeValidator(_with_prefixes),
        Field(min_length=1),
        AfterValidator(_told_apart),
    ]
    """By name, in the order they were written."""
    server: ServerSettings = ServerSettings()
    planner: PlannerSettings = PlannerSettings()
    escalation: EscalationSettings | None = None
    """None is off: nothing leaves the machine."""
    journal: JournalSettings = Field(default_factory=JournalSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    search: SearchSettings = Field(default_factory=SearchSettings)

    @property
    def enabled_upstreams(self) -> Mapping[str, StdioUpstream | HttpUpstream]:
        return {name: upstream for name, upstream in self.upstreams.items() if upstream.enabled}
