"""Escalation: a task the local planners are not sure of goes to Claude, which proposes the call.

This file knows the Messages API and nothing of upstreams; what comes back is validated and gated by
the pipeline like any local plan. Nothing is sent, or even imported, before the first `propose`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError, model_validator

from local_llm import NoPlan, Task
from mcp_proxy.claude_messages import Reply, TokenCounts, offer, outcome_of, request_body
from mcp_proxy.proposals import ErrorKind, Proposal, ProposalError, Usage
from mcp_proxy.redaction import REDACTED, redact_text
from tool_registry import Candidate

if TYPE_CHECKING:
    from anthropic import APIRequest, AsyncAnthropic, AsyncCallNext
    from anthropic._response import AsyncAPIResponse

MOST_CANDIDATES = 20
"""How many candidates are offered to Claude; more of them cost tokens and blur the choice."""

_DETAIL_LIMIT = 300
_CONNECT_TIMEOUT = 5.0


class Prices(BaseModel):
    """Dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    """For what the model reads."""
    output: float = Field(ge=0)
    """For what it writes."""
    cache_write: float = Field(ge=0)
    """For what is put into the prompt cache."""
    cache_read: float = Field(ge=0)
    """For what is taken from the prompt cache."""

    def cost(self, usage: Usage) -> float:
        """What `usage` costs, in dollars."""
        millionths = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_write_tokens * self.cache_write
            + usage.cache_read_tokens * self.cache_read
        )
        return millionths / 1e6


class Budget(BaseModel):
    """What escalation may spend. Who keeps the count asks `exhausted` before each escalation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_calls_per_day: int | None = Field(default=None, ge=0)
    """Escalations a day; left out, any number."""
    max_dollars_per_day: float | None = Field(default=None, ge=0)
    """Dollars a day, by `prices`; left out, any amount."""

    def exhausted(self, calls: int, dollars: float) -> str | None:
        """Why nothing more may be spent after today's `calls` and `dollars`; None when something may."""
        if self.max_calls_per_day is not None and calls >= self.max_calls_per_day:
            return f"today's {self.max_calls_per_day} escalations are used up"
        if self.max_dollars_per_day is not None and dollars >= self.max_dollars_per_day:
            return f"today's ${self.max_dollars_per_day:.2f} for escalation are spent"
        return None


class ClaudeSettings(BaseModel):
    """How to reach Claude."""

    # The input is hidden in validation errors: it holds the key.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str = Field(min_length=1, examples=["claude-haiku-5-5"])
    """The model's name with its provider."""
    api_key: SecretStr = Field(examples=["${ANTHROPIC_API_KEY}"])
    """The key, best as an environment variable."""
    base_url: str | None = None
    """None leaves the choice to the SDK: `ANTHROPIC_BASE_URL`, else the public API."""
    max_tokens: int = Field(default=1024, gt=0)
    """Longest answer."""
    timeout: float = Field(default=30, gt=0)
    """Seconds for a whole escalation, retries and the waits between them included."""
    max_retries: int = Field(default=2, ge=0)
    """How often a request that failed for a passing reason is sent again."""
    prices: Prices | None = None
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        key = self.api_key.get_secret_value()
        if not key or not all("!" <= character <= "~" for character in key):
            raise ValueError("api_key is empty or holds spaces or characters no key has; copy it again")
        if self.budget.max_dollars_per_day is not None and self.prices is None:
            raise ValueError("max_dollars_per_day needs prices: without them no cost is known")
        if self.base_url is not None:
            HttpUrl(self.base_url)
        return self


class ClaudeEscalator:
    """Claude as the escalator. `aclose` ends its connections."""

    def __init__(self, settings: ClaudeSettings) -> None:
        self._settings = settings
        self._client: AsyncAnthropic | None = None
        self._connecting = anyio.Lock()

    @property
    def name(self) -> str:
        return "claude"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """One request to Claude; see `Proposer.propose`.

        A `Plan` has confidence 1.0, which here means "not measured". Any reply is paid for, so one
        without a usable call (none fits, declined, cut off) is a `NoPlan` with its usage, not an error.
        """
        if not candidates:
            return Proposal(NoPlan(self.name, "there is no tool to choose from"), Usage(cost=0.0))
        settings = self._settings
        offered = tuple(offer(candidate) for candidate in candidates[:MOST_CANDIDATES])
        reply = await self._send(request_body(settings.model, settings.max_tokens, task, offered, reason))
        return Proposal(outcome_of(reply, offered, self.name), _usage(reply.usage, settings.prices))

    async def aclose(self) -> None:
        """Close the connections; a later `propose` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(self, body: dict[str, Any]) -> Reply:
        client = await self._connected()
        import anthropic  # noqa: PLC0415  (takes over a second; loaded by then, in a thread)

        host, timeout = client.base_url.host, self._settings.timeout
        # `from None` throughout: the SDK's exceptions hold the request, and with it the key.
        try:
            with anyio.fail_after(timeout):
                # Raw, because the SDK's own parsing lets malformed replies through; Any, as its overloads want literals.
                response = await cast("Any", client.messages.with_raw_response).create(**body)
                return Reply.model_validate_json(await response.read())
        except anthropic.APIStatusError as error:
            wait = _seconds(error.response.headers.get("retry-after"))
            raise _rejected(error.status_code, wait, self._public(error.api_message)) from None
        except (TimeoutError, anthropic.APITimeoutError):
            message = f"no answer within {timeout:g} s; try again, or raise the timeout"
            raise ProposalError("timeout", message) from None
        except ValidationError:
            message = f"what {host} answered is no reply of the Messages API; check base_url"
            raise ProposalError("reply", message) from None
        except anthropic.AnthropicError:
            message = f"{host} cannot be reached; check the network, its proxy settings and base_url"
            raise ProposalError("unavailable", message) from None

    async def _connected(self) -> "AsyncAnthropic":
        async with self._connecting:
            if self._client is None:
                self._client = await anyio.to_thread.run_sync(self._connect)
            return self._client

    def _connect(self) -> "AsyncAnthropic":
        from anthropic import AsyncAnthropic, Timeout  # noqa: PLC0415  (see _send)

        settings = self._settings
        return AsyncAnthropic(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            timeout=Timeout(settings.timeout, connect=_CONNECT_TIMEOUT),
            max_retries=settings.max_retries,
            middleware=[_no_wait_past_the_deadline],
            open_telemetry=False,
        )

    def _public(self, text: str | None) -> str:
        """What the other side said, fit to be shown: servers have been seen to quote the key they reject."""
        key = self._settings.api_key.get_secret_value()
        return redact_text((text or "").replace(key, REDACTED))[:_DETAIL_LIMIT]


async def _no_wait_past_the_deadline(
    request: "APIRequest", call_next: "AsyncCallNext"
) -> "AsyncAPIResponse[Any]":
    """Middleware, run for each attempt: the SDK waits as long as `retry-after` says, be it an hour."""
    response = await call_next(request)
    wait = _seconds(response.headers.get("retry-after"))
    if response.http_response.is_success or wait is None:
        return response
    if anyio.current_time() + wait < anyio.current_effective_deadline():
        return response
    raise _rejected(response.status_code, wait)


_REJECTIONS: Mapping[int, tuple[ErrorKind, str]] = {
    401: ("authentication", "the API key was rejected; check api_key, or create a new key"),
    402: ("billing", "the account cannot pay for the request; check its billing"),
    403: ("authentication", "the API key may not do this; check its workspace and permissions"),
    404: ("model", "the model or the address is unknown; check model and base_url"),
    429: ("rate_limit", "the account's rate limit is reached; try again later, or raise the limit"),
    503: ("overloaded", "the API is overloaded; try again later"),
    529: ("overloaded", "the API is overloaded; try again later"),
}
_SERVER_ERROR = 500


def _rejected(status: int, retry_after: float | None, detail: str = "") -> ProposalError:
    other: tuple[ErrorKind, str] = ("request", "the request was rejected; check the part it names")
    if status >= _SERVER_ERROR:
        other = ("unavailable", "the API failed; try again later")
    kind, remedy = _REJECTIONS.get(status, other)
    waiting = f" It asks to wait {retry_after:g} s." if retry_after is not None else ""
    said = f" It said: {detail}" if detail else ""
    return ProposalError(kind, f"HTTP {status}: {remedy}.{waiting}{said}", retry_after=retry_after)


def _seconds(header: str | None) -> float | None:
    """`retry-after` in seconds; None when it is absent, or a date."""
    try:
        return float(header) if header else None
    except ValueError:
        return None


def _usage(tokens: TokenCounts, prices: Prices | None) -> Usage:
    usage = Usage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cache_write_tokens=tokens.cache_creation_input_tokens or 0,
        cache_read_tokens=tokens.cache_read_input_tokens or 0,
    )
    return replace(usage, cost=prices.cost(usage)) if prices else usage
