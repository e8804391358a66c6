"""A reply of the Messages API put together from its events, as far as they have come. Pure."""

from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, Field
from pydantic_core import from_json

from mcp_proxy.claude_messages import Block, Reply
from mcp_proxy.offered import as_json
from tool_registry.tokens import estimate_tokens

_LONGEST_REPLY = 1_000_000
"""Characters."""


class _Delta(BaseModel):
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Totals(BaseModel):
    """The `usage` of a `message_delta`: sums so far, of which only that of the output is always there."""

    output_tokens: int = Field(ge=0)
    input_tokens: int | None = Field(default=None, ge=0)
    cache_creation_input_tokens: int | None = Field(default=None, ge=0)
    cache_read_input_tokens: int | None = Field(default=None, ge=0)


class _Failure(BaseModel):
    type: str = ""
    message: str = ""


class _Event(BaseModel):
    """An event of a streamed reply. Which parts it has goes by its type."""

    type: str
    index: int = -1
    message: Reply | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: _Totals | None = None
    error: _Failure | None = None


class StreamError(Exception):
    """The API gave up on a reply it had begun."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind
        """The API's own type of error."""
        self.said = said


@dataclass(slots=True)
class StreamedReply:
    """A reply as far as it has come."""

    _message: Reply | None = None
    _open: dict[int, Block] = field(default_factory=dict[int, Block])
    _parts: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    _closed: dict[int, Block] = field(default_factory=dict[int, Block])
    _size: int = 0
    _is_counted: bool = False
    """Whether the API has said how much it has written."""
    is_over: bool = False

    @property
    def has_call(self) -> bool:
        """Whether a call has come in whole: what is still to come are the counts."""
        return any(block.type == "tool_use" for block in self._closed.values())

    @property
    def reply(self) -> Reply:
        """The reply, of blocks that are whole.

        Raises:
            ValueError: it has not even begun.
        """
        if self._message is None:
            raise ValueError("the reply ended before it began")
        blocks = tuple(block for _, block in sorted(self._closed.items()))
        usage = self._message.usage
        if not self._is_counted:
            written = estimate_tokens(
                "".join(f"{block.text}{block.name}{as_json(block.input)}" for block in blocks)
            )
            usage = usage.model_copy(update={"output_tokens": max(usage.output_tokens, written)})
        return self._message.model_copy(update={"content": blocks, "usage": usage})

    def take(self, data: str) -> None:
        """Take in the data of the next event.

        Raises:
            ValueError: it is no event of the Messages API, or none that can come here (so is a ValidationError).
            StreamError: the API gives up.
        """
        self._size += len(data)
        if self._size > _LONGEST_REPLY:
            raise ValueError(f"the reply is longer than {_LONGEST_REPLY:,} characters")
        event = _Event.model_validate_json(data)
        match event:
            case _Event(type="error"):
                failure = event.error or _Failure()
                raise StreamError(failure.type, failure.message)
            case _Event(type="message_start", message=Reply() as message):
                self._message = message
            case _Event(type="content_block_start", content_block=Block() as block):
                self._open[event.index], self._parts[event.index] = block, []
            case _Event(type="content_block_delta", delta=_Delta() as delta) if event.index in self._open:
                self._parts[event.index].append(delta.partial_json or delta.text)
            case _Event(type="content_block_stop") if event.index in self._open:
                self._close(event.index)
            case _Event(type="message_delta", delta=_Delta() as delta) if self._message:
                self._message = _with_totals(self._message, delta.stop_reason, event.usage)
                self._is_counted = event.usage is not None
            case _Event(type="message_stop"):
                self.is_over = True
            case _Event(
                type="message_start" | "content_block_start" | "content_block_delta" | "message_delta"
            ):
                raise ValueError(f"an event {event.type} that does not belong here")
            case _:
                pass  # a ping, or what the API will have tomorrow

    def _close(self, index: int) -> None:
        block, text = self._open.pop(index), "".join(self._parts.pop(index))
        if block.type == "text":
            self._closed[index] = block.model_copy(update={"text": block.text + text})
        elif block.type == "tool_use" and (arguments := _object(text)) is not None:
            self._closed[index] = block.model_copy(update={"input": arguments} if text else {})


def _object(text: str) -> dict[str, Any] | None:
    """The object that a call's arguments are; None for a call that was cut off within them."""
    try:
        value = from_json(text or "{}", allow_inf_nan=False)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _with_totals(message: Reply, stop_reason: str | None, totals: _Totals | None) -> Reply:
    told = totals.model_dump(exclude_none=True) if totals else {}
    usage = message.usage.model_copy(update=told)
    return message.model_copy(update={"stop_reason": stop_reason, "usage": usage})
