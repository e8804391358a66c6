"""What Switchboard can be configured to do: the frozen model `Settings` and its tables.

Secrets are `SecretStr`; what may carry one after expansion (arguments, URLs) stays out of reprs.
Validates values; where they were read from is known only as the folder relative paths start at.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    SecretStr,
    Tag,
    model_validator,
)

from mcp_proxy.config_file import ConfigProblem
from mcp_proxy.escalation_settings import EscalationSettings
from mcp_proxy.profile_settings import ProfileTable
from mcp_proxy.redaction import is_secret_name
from mcp_proxy.settings_fields import (
    NOT_HTTP,
    FilePath,
    Seconds,
    Table,
    Text,
    command_path,
    is_http,
    nearest,
    refusal,
)
from mcp_proxy.settings_kept import CatalogSettings, JournalSettings, PinSettings, SearchSettings
from mcp_proxy.settings_planner import PlannerSettings
from mcp_proxy.settings_results import PrivacySettings, ResultSettings, TokenBudget
from mcp_proxy.settings_server import ServerSettings
from tool_registry.naming import prefix_of

_SHORTEST_SECRET = 8

_ORDINARY_HEADERS = frozenset({"accept", "content-type", "user-agent", "origin", "host"})


class _UpstreamTable(Table):
    enabled: bool = True
    """false keeps it in the file without running it."""
    prefix: str = Field(pattern=r"^[A-Za-z0-9_-]*$")
    """Stands before the names of its tools and prompts; empty for none. By default its name, made legal."""
    protocol: Literal["auto", "legacy", "2026-07-28"] = "auto"
    """Era to speak: "legacy" opens with a handshake, a version is stateless, "auto" finds out, even later on: a server
    that turns out to ask in the midst of calls, as the stateless era does not let it, is restarted with a handshake."""
    start_timeout: Seconds = 30.0
    """Seconds it may take until it has listed what it offers."""
    call_timeout: Seconds = 300.0
    """Seconds a call may take."""
    lazy: bool = False
    """Have it run from its first call on only; one whose tools are not known yet is started once, to list them."""
    idle_stop: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Seconds without a call after which it is stopped until the next one; 0 for never."""
    session: Literal["shared", "per_client"] = "shared"
    """Whether all clients share one connection, or each has its own: a process, or an HTTP session, of its own.

    With "per_client", a client's connection is made with the first request that needs it and ends with the
    client. What is listed is listed over a connection of no client's, closed again once that is done. Only a
    client with a session can have one: a handshake client over HTTP or SSE (over stdio there is but one client,
    whose the one connection is). Clients of the stateless era, and all if the server is `stateless`, share.
    """
    max_clients: int = Field(default=100, ge=1)
    """Clients that may have a connection of their own at once; more are refused, in words."""
    max_restarts: int = Field(default=5, ge=1)
    """Starts in a row that may fail before it is given up for a while, instead of being tried ever more slowly."""
    retry_pause: Seconds = 60.0
    """Seconds, at most, until one that was given up is tried again."""
    allow: tuple[Text, ...] = Field(default=("*",), examples=[["read_*", "list_*"]])
    """Which of its tools there are: patterns (`*`, `?`, `[a-z]`) for the names it gives them itself."""
    deny: tuple[Text, ...] = Field(default=(), examples=[["delete_*"]])
    """Which of those there are not."""
    validation: Literal["enforce", "warn", "off"] = "enforce"
    """What becomes of a call whose arguments do not fit the tool's schema: "warn" logs it and passes it on."""
    on_new: Literal["allow", "ask"] | None = None
    """As in [pins], for this upstream alone."""
    on_changed: Literal["quarantine", "warn"] | None = None
    """As in [pins], for this upstream alone."""
    on_flagged: Literal["allow", "ask"] | None = None
    """As in [pins], for this upstream alone."""
    repair: bool = True
    """Put arguments right that only one reading fits ("5" where a number is wanted), and say so in the result."""
    check_output: Literal["enforce", "warn", "off"] = "warn"
    """What becomes of a result that does not fit the tool's outputSchema: "warn" logs it and passes it on."""
    result_budget: TokenBudget | None = None
    """Tokens a result of its tools may have, instead of `[results] budget`; 0 for no limit."""
    _unmet: tuple[ConfigProblem, ...] = PrivateAttr(default=())

    @property
    def unmet(self) -> tuple[ConfigProblem, ...]:
        """Why it cannot be started as it is configured: variables that are not set. Usually empty."""
        return self._unmet

    def lacking(self, unmet: Iterable[ConfigProblem]) -> Self:
        """The same, but not to be started."""
        lacking = self.model_copy()
        lacking._unmet = tuple(unmet)  # noqa: SLF001  its own class
        return lacking


class StdioUpstream(_UpstreamTable):
    """An upstream that runs as a child process and speaks over its standard streams."""

    transport: Literal["stdio"] = "stdio"
    """How it is reached; for one with a command there is no other way."""
    command: Annotated[Text, AfterValidator(command_path)] = Field(examples=["npx", "uvx", "./bin/server"])
    """The program: a name to be found on PATH, or a path; a relative one starts at the file's folder."""
    args: tuple[str, ...] = Field(
        default=(), repr=False, examples=[["-y", "@modelcontextprotocol/server-filesystem", "."]]
    )
    """Its arguments."""
    env: Mapping[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Added to the few variables a child process is given anyway (HOME, PATH, …)."""
    cwd: FilePath | None = None
    """Working directory; left out, Switchboard's own: the folder it was started in, by a client wherever that runs."""
    keep_detached: bool = False
    """Leave processes alone that have left its process group (`setsid`), such as programs it opens for you: else, on
    Linux, they end with it."""


class HttpUpstream(_UpstreamTable):
    """An upstream reached at an address, by streamable HTTP or the older HTTP+SSE."""

    transport: Literal["auto", "http", "sse"] = "auto"
    """Streamable HTTP ("http") or HTTP+SSE ("sse"); "auto" takes an address that ends in /sse for the latter,
    and else finds out."""
    url: Text = Field(
        repr=False, examples=["https://api.githubcopilot.com/mcp/", "http://127.0.0.1:3000/sse"]
    )
    """Its address."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Sent with every request, such as Authorization = "Bearer ${TOKEN}"."""

    @model_validator(mode="before")
    @classmethod
    def _of_the_older_transport(cls, table: object) -> object:
        """HTTP+SSE exists in the handshake era alone, so that nothing need be found out about the protocol."""
        if not isinstance(table, dict):
            return table
        values = cast("dict[str, object]", table)
        if values.get("transport", "auto") == "auto" and ends_in_sse(values.get("url")):
            values = {**values, "transport": "sse"}
        if values.get("transport") == "sse" and values.get("protocol", "auto") == "auto":
            values = {**values, "protocol": "legacy"}
        return values

    @model_validator(mode="after")
    def _is_reachable(self) -> "HttpUpstream":
        """An address may still hold variables that are not set; see `unmet`."""
        if self.enabled and "${" not in self.url and not is_http(self.url):
            raise refusal(*NOT_HTTP, "url")
        if self.transport == "sse" and self.protocol != "legacy":
            raise refusal("is not spoken over HTTP+SSE", 'leave it out, or write "legacy"', "protocol")
        return self


def ends_in_sse(url: object) -> bool:
    """Whether an address is one of HTTP+SSE by what clients that guess the transport go by."""
    return isinstance(url, str) and url.partition("?")[0].rstrip("/").endswith("/sse")


def over_sse(upstream: "StdioUpstream | HttpUpstream") -> "StdioUpstream | HttpUpstream":
    """The upstream as one that was found to speak HTTP+SSE."""
    return upstream.model_copy(update={"transport": "sse", "protocol": "legacy"})


_WAYS = {"command": "stdio", "url": "http"}
"""The keys upstreams are reached by, and the tags of their models."""


def _transport_of(upstream: object) -> str:
    """The tag of the model an upstream belongs to: that of the key it is reached by, or is most likely meant to be."""
    if not isinstance(upstream, dict):
        return "stdio" if isinstance(upstream, StdioUpstream) else "http"
    table = cast("dict[str, object]", upstream)
    if given := [tag for way, tag in _WAYS.items() if way in table]:
        return given[0]
    unknown = table.keys() - StdioUpstream.model_fields.keys() - HttpUpstream.model_fields.keys()
    if meant := [_WAYS[way] for key in sorted(unknown) for way in nearest(key, _WAYS)]:
        return meant[0]
    return "http" if "headers" in table or table.get("transport") in ("http", "sse") else "stdio"


def _one_way_in(upstream: object) -> object:
    """Refuse an upstream that gives both `command` and `url`, or a transport of the other."""
    if not isinstance(upstream, dict):
        return upstream
    table = cast("dict[str, object]", upstream)
    if _WAYS.keys() <= table.keys():
        raise refusal(
            "stands beside a command, and there is one way in", "keep the one it is reached by", "url"
        )
    for way in _WAYS.keys() & table.keys():
        _check_transport(way, table.get("transport"))
    return table


def _check_transport(way: str, transport: object) -> None:
    """Refuse a transport that goes with the other way in; what is no transport at all, the models refuse."""
    if transport == "stdio" and way != "command":
        raise refusal(
            "is for an upstream with a command", 'write "http" or "sse", or leave it out', "transport"
        )
    if transport in ("auto", "http", "sse") and way != "url":
        raise refusal("is for an upstream with a url", 'write "stdio", or leave it out', "transport")


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
            raise refusal(message, "give it a prefix", name, "prefix")
        if prefix in owners:
            message = f"is the prefix of {owners[prefix]!r} too"
            raise refusal(message, "give one of them another prefix", name, "prefix")
        owners[prefix] = name
    return upstreams


FOLLOWED = ("upstreams", "profiles")
"""The tables whose edits take effect while Switchboard runs."""


class Settings(Table):
    """Everything Switchboard is configured to do."""

    upstreams: Annotated[
        Mapping[str, Upstream],
        BeforeValidator(_with_prefixes),
        Field(min_length=1),
        AfterValidator(_told_apart),
    ]
    """By name, in the order they were written."""
    server: ServerSettings = ServerSettings()
    profiles: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ProfileTable] = Field(
        default_factory=dict[str, ProfileTable]
    )
    """What certain clients see and may do, by name."""
    planner: PlannerSettings = PlannerSettings()
    escalation: EscalationSettings | None = None
    """None is off: nothing leaves the machine."""
    journal: JournalSettings = Field(default_factory=JournalSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    pins: PinSettings = Field(default_factory=PinSettings)
    results: ResultSettings = Field(default_factory=ResultSettings)
    privacy: PrivacySettings = PrivacySettings()
    search: SearchSettings = Field(default_factory=SearchSettings)

    @model_validator(mode="after")
    def _knows_its_profile(self) -> "Settings":
        if self.server.profile and self.server.profile not in self.profiles:
            message = f"there is no profile {self.server.profile!r}"
            near = nearest(self.server.profile, self.profiles)
            remedy = f'did you mean "{near[0]}"?' if near else "add a [profiles.…] table of that name"
            raise refusal(message, remedy, "server", "profile")
        return self

    def following(self, edited: "Settings") -> "Settings":
        """These settings, once `edited` ones have taken effect as far as they do without a new start."""
        return self.model_copy(update={table: getattr(edited, table) for table in FOLLOWED})

    @model_validator(mode="after")
    def _can_count_dollars(self) -> "Settings":
        """A profile's dollars are counted by the prices of the one escalation there is."""
        for name, profile in self.profiles.items():
            if profile.budget.counts_dollars and self.escalation and self.escalation.prices is None:
                remedy = "add [escalation] prices"
                message = "limits dollars, and without prices no cost is known"
                raise refusal(message, remedy, "profiles", name, "budget")
        return self

    @property
    def enabled_upstreams(self) -> Mapping[str, StdioUpstream | HttpUpstream]:
        return {name: upstream for name, upstream in self.upstreams.items() if upstream.enabled}

    @property
    def tokens(self) -> tuple[tuple[SecretStr, str], ...]:
        """Every bearer token that lets in, and the profile it is bound to; empty for none."""
        bound = ((token, name) for name, profile in self.profiles.items() for token in profile.tokens)
        return (*((token, "") for token in self.server.tokens), *bound)

    @property
    def secrets(self) -> frozenset[str]:
        """The credentials in it, as far as they are long enough to be told from other words."""
        values = [token for token, _ in self.tokens]
        if self.server.oauth:
            values.append(self.server.oauth.client_secret)
        if self.escalation and self.escalation.api_key:
            values.append(self.escalation.api_key)
        for upstream in self.upstreams.values():
            if isinstance(upstream, HttpUpstream):
                values += (
                    value
                    for name, value in upstream.headers.items()
                    if name.casefold() not in _ORDINARY_HEADERS
                )
            else:
                values += (value for name, value in upstream.env.items() if is_secret_name(name))
        # "Bearer abc": the scheme is no secret, and the rest may stand elsewhere without it.
        words = (word for value in values for word in value.get_secret_value().split())
        return frozenset(word for word in words if len(word) >= _SHORTEST_SECRET)
