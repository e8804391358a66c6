"""A read stream of the SDK's, with somebody told of what happens on it."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.client._transport import ReadStream
from mcp.shared.message import SessionMessage

Incoming = SessionMessage | Exception


def _nothing() -> None:
    """Nobody wants to know."""


class TappedStream:
    """`stream`, calling `on_taken` after each message, and `on_end` once it has delivered its last."""

    def __init__(
        self,
        stream: ReadStream[Incoming],
        *,
        on_taken: Callable[[], None] = _nothing,
        on_end: Callable[[], None] = _nothing,
    ) -> None:
        self._stream = stream
        self._on_taken = on_taken
        self._on_end = on_end

    async def receive(self) -> Incoming:
        return await self.__anext__()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        try:
            item = await self._stream.__anext__()
        except (StopAsyncIteration, anyio.ClosedResourceError):
            self._on_end()
            raise
        self._on_taken()
        return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)

    @property
    def last_context(self) -> Any:
        """The context of the last message's sender, which the SDK's dispatcher looks for."""
        return getattr(self._stream, "last_context", None)
