"""A client whose server asks and tells in plain objects: the SDK's typed layer would drop what it does not know."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

from mcp import Client, ClientSession
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map
from mcp.shared.transport_context import TransportContext
from mcp_types import ClientCapabilities, DiscoverResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Message = dict[str, Any]
Answer = Callable[[str, Message], Awaitable[Message]]
Hear = Callable[[str, Message], Awaitable[None]]

_REQUESTS = frozenset({"elicitation/create", "sampling/createMessage", "roots/list"})

_NOTIFICATIONS = frozenset(
    {
        "notifications/message",
        "notifications/elicitation/complete",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
    }
)

_CAPABILITIES: Mapping[str, Any] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"context": {}, "tools": {}},
    "roots": {"listChanged": True},
}
"""All there are: in the handshake era they are settled before it is known which client will call."""


@dataclass
class RawClient(Client):
    """The SDK's `Client`, which hands on what its server asks and tells, as it comes."""

    _: KW_ONLY
    answer: Answer
    """Answers a request, method and params, with a result; raises MCPError for an error."""
    hear: Hear
    """Takes a notification, method and params."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def _build_session(self, exit_stack: AsyncExitStack) -> ClientSession:
        dispatcher = await self._connect(exit_stack, self.mode, self.raise_exceptions)
        return _RawSession(
            self.answer,
            self.hear,
            dispatcher=dispatcher,
            client_info=self.client_info,
            message_handler=self.message_handler,
        )

    async def discover(self) -> None:
        """Learn what the server can do, where its protocol version is given: the SDK then assumes nothing.

        Raises:
            MCPError: it does not speak that version.
        """
        if self.mode in MODERN_PROTOCOL_VERSIONS:
            self.session.adopt(DiscoverResult.model_validate(await self.session.send_discover(self.mode)))

    def know_tools(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """Learn which arguments the server's tools want as HTTP headers too: the session sends them."""
        if isinstance(self.session, _RawSession):
            self.session.know_tools(tools)


class _RawSession(ClientSession):
    def __init__(self, answer: Answer, hear: Hear, **session: Any) -> None:
        super().__init__(**session)
        self._answer = answer
        self._hear = hear

    def know_tools(self, tools: Iterable[Mapping[str, Any]]) -> None:
        self._x_mcp_header_maps = {
            tool["name"]: x_mcp_header_map(tool["inputSchema"])
            for tool in tools
            if find_invalid_x_mcp_header(tool["inputSchema"]) is None
        }

    def _build_capabilities(self, version: str) -> ClientCapabilities:  # noqa: ARG002  the same in every version
        return ClientCapabilities.model_validate(_CAPABILITIES)

    async def _on_request(
        self, dctx: DispatchContext[TransportContext], method: str, params: Mapping[str, Any] | None
    ) -> Message:
        if method in _REQUESTS and self.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._answer(method, dict(params or {}))
        return await super()._on_request(dctx, method, params)

    async def _on_notify(
        self,
        dctx: DispatchContext[TransportContext],  # noqa: ARG002  the SDK's signature
        method: str,
        params: Mapping[str, Any] | None,
    ) -> None:
        # Progress and cancellations the dispatcher has dealt with by now; others concern nobody.
        if method in _NOTIFICATIONS:
            await self._hear(method, dict(params or {}))
