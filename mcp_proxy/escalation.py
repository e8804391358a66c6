"""Escalation: a task the local planners are not sure of goes to Claude, which proposes the next call.

This file knows the Messages API and nothing of upstreams; what comes back is validated and gated by
the pipeline like any local plan. Nothing is sent, or even imported, before the first `propose`.
"""

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import to_thread

from local_llm import NoPlan, Task
from mcp_proxy.claude_errors import given_up, rejected, seconds
from mcp_proxy.claude_messages import Reply, TokenCounts, request_body
from mcp_proxy.claude_stream import StreamedReply, StreamError
from mcp_proxy.escalation_settings import Amount, ClaudeSettings, Prices
from mcp_proxy.model_answers import outcome_of
from mcp_proxy.offered import Offered, offer
from mcp_proxy.proposals import Proposal, ProposalError, Usage
from mcp_proxy.redaction import REDACTED, redact_text
from tool_registry import Candidate
from tool_registry.tokens import estimate_tokens

if TYPE_CHECKING:
    from anthropic import APIRequest, AsyncAnthropic, AsyncCallNext
    from anthropic._response import AsyncAPIResponse

_DETAIL_LIMIT = 300
_CONNECT_TIMEOUT = 5.0

_PATIENCE_FOR_COUNTS = 0.5
"""Seconds to wait for what a reply took, once the call in it is whole."""

_ESTIMATE_MARGIN = 1.6
"""What an estimate of tokens is multiplied by to be a bound: by benchmarks/tokens.py it is 35 % off at worst."""

_ADDED_TOKENS = 700
"""What the API itself puts before a request that has tools."""


class ClaudeEscalator:
    """Claude as the escalator. `aclose` ends its connections."""

    def __init__(self, settings: ClaudeSettings) -> None:
        self._settings = settings
        self._client: AsyncAnthropic | None = None
        self._connecting = anyio.Lock()

    @property
    def name(self) -> str:
        return "claude"

    async def at_most(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Amount:
        """What a `propose` of the same can take: the tokens of the request, estimated amply, and the longest answer."""
        if not candidates:
            return Amount()
        settings = self._settings
        body = self._body(task, await to_thread.run_sync(offer, task, candidates), reason)
        estimate = estimate_tokens(json.dumps(body, ensure_ascii=False))
        read = round(estimate * _ESTIMATE_MARGIN) + _ADDED_TOKENS
        dollars = settings.prices.at_most(read, settings.max_tokens) if settings.prices else 0.0
        return Amount(1, read + settings.max_tokens, dollars)

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """One request to Claude; see `Proposer.propose`.

        A `Plan` has confidence 1.0, which here means "not measured". Any reply is paid for, so one
        without a usable call (none fits, declined, cut off) is a `NoPlan` with its usage, not an error.
        """
        if not candidates:
            return Proposal(NoPlan(self.name, "there is no tool to choose from"), Usage(cost=0.0))
        offered = await to_thread.run_sync(offer, task, candidates)
        reply = await self._send(self._body(task, offered, reason))
        outcome = outcome_of(reply.answer, offered, task, self.name)
        return Proposal(outcome, _usage(reply.usage, self._settings.prices))

    async def aclose(self) -> None:
        """Close the connections; a later `propose` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _body(self, task: Task, offered: Offered, reason: str) -> dict[str, Any]:
        return request_body(self._settings.model, self._settings.max_tokens, task, offered, reason)

    async def _send(self, body: dict[str, Any]) -> Reply:
        client = await self._connected()
        import anthropic  # noqa: PLC0415  (takes over a second; loaded by then, in a thread)

        host, timeout = client.base_url.host, self._settings.timeout
        # `from None` throughout: the SDK's exceptions hold the request, and with it the key.
        try:
            with anyio.fail_after(timeout):
                return await self._answered(client, body)
        except anthropic.APIStatusError as error:
            wait = seconds(error.response.headers.get("retry-after"))
            raise rejected(error.status_code, wait, self._public(error.api_message)) from None
        except StreamError as error:
            raise given_up(error.kind, self._public(error.said)) from None
        except (TimeoutError, anthropic.APITimeoutError) as error:
            message = f"no answer within {timeout:g} s; try again, or raise the timeout"
            raise ProposalError("timeout", message, may_be_billed=_was_sent(error)) from None
        except (ValueError, RecursionError):
            message = f"what {host} answered is no reply of the Messages API; check base_url"
            raise ProposalError("reply", message, may_be_billed=True) from None
        except anthropic.AnthropicError as error:
            message = f"{host} cannot be reached; check the network, its proxy settings and base_url"
            raise ProposalError("unavailable", message, may_be_billed=_was_sent(error)) from None

    async def _answered(self, client: "AsyncAnthropic", body: dict[str, Any]) -> Reply:
        """The reply to a request, once it is whole; of one that breaks off after its call, as much as is needed."""
        # The SDK's own reading lets malformed replies through, hence raw; Any, as its overloads want literals.
        create = cast("Any", client.messages.with_streaming_response).create
        async with create(**body, stream=True) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                return Reply.model_validate_json(await response.read())
            streamed = StreamedReply()
            await self._receive(response.http_response, streamed)
            return streamed.reply

    async def _receive(self, response: Any, streamed: StreamedReply) -> None:
        import httpx2  # noqa: PLC0415  (see _send)
        from anthropic import AsyncStream  # noqa: PLC0415

        try:
            async with aclosing(cast("Any", AsyncStream.raw_events(response))) as events:
                while not streamed.is_over:
                    has_call = streamed.has_call
                    with anyio.fail_after(_PATIENCE_FOR_COUNTS if has_call else self._settings.stall_timeout):
                        event = await anext(events, None)
                    if event is None:
                        break
                    if event.data:
                        streamed.take(event.data)
        except TimeoutError:
            if not streamed.has_call:
                raise self._stalled() from None
        except httpx2.HTTPError:
            if not streamed.has_call:
                message = "the connection broke off in the middle of the answer; try again"
                raise ProposalError("unavailable", message, may_be_billed=True) from None
        if not (streamed.is_over or streamed.has_call):
            raise ProposalError("reply", "the answer ended in the middle; try again", may_be_billed=True)

    def _stalled(self) -> ProposalError:
        waited = f"{self._settings.stall_timeout:g} s"
        message = f"the answer began and then nothing came for {waited}; try again, or raise stall_timeout"
        return ProposalError("timeout", message, may_be_billed=True)

    async def _connected(self) -> "AsyncAnthropic":
        async with self._connecting:
            if self._client is None:
                self._client = await to_thread.run_sync(self._connect)
            return self._client

    def _connect(self) -> "AsyncAnthropic":
        from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient, Timeout  # noqa: PLC0415  (see _send)

        settings = self._settings
        return AsyncAnthropic(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            timeout=Timeout(settings.timeout, connect=_CONNECT_TIMEOUT),
            max_retries=settings.max_retries,
            # The API redirects nobody, and a task is for the host that is configured.
            http_client=DefaultAsyncHttpxClient(follow_redirects=False),
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
    wait = seconds(response.headers.get("retry-after"))
    if response.http_response.is_success or wait is None:
        return response
    if anyio.current_time() + wait < anyio.current_effective_deadline():
        return response
    raise rejected(response.status_code, wait)


def _was_sent(error: Exception) -> bool:
    """Whether a request may have arrived that came to nothing."""
    import httpx2  # noqa: PLC0415

    return not isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout))


def _usage(tokens: TokenCounts, prices: Prices | None) -> Usage:
    usage = Usage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cache_write_tokens=tokens.cache_creation_input_tokens or 0,
        cache_read_tokens=tokens.cache_read_input_tokens or 0,
    )
    return replace(usage, cost=prices.cost(usage)) if prices else usage
