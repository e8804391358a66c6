"""A client that answers what it is asked and keeps what it is told."""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    Root,
    ServerNotification,
    TextContent,
)
from pydantic import FileUrl

ASKER = Path(__file__).parent / "asker.py"


def asker(protocol: str, *options: str, **more: Any) -> dict[str, Any]:
    """The configuration of the server that asks, spoken to in one era."""
    return {"command": sys.executable, "args": [str(ASKER), *options], "protocol": protocol, **more}


@dataclass
class Person:
    """Whoever sits before a client: what they were asked and told, and the callbacks that note it."""

    name: str = "Ada"
    asked: list[str] = field(default_factory=list[str])
    told: list[ServerNotification] = field(default_factory=list[ServerNotification])
    logged: list[Any] = field(default_factory=list[Any])
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def fill_in(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        content: dict[str, Any] | None = {"name": self.name} if params.mode == "form" else None
        return ElicitResult(action="accept", content=cast("Any", content))

    async def sample(self, _: ClientRequestContext, __: CreateMessageRequestParams) -> CreateMessageResult:
        self.asked.append("sampling")
        content = TextContent(type="text", text=f"a poem by {self.name}")
        return CreateMessageResult(role="assistant", content=content, model="poet")

    async def roots(self, _: ClientRequestContext) -> ListRootsResult:
        self.asked.append("roots")
        return ListRootsResult(roots=[Root(uri=FileUrl(f"file:///home/{self.name}"))])

    async def read_log(self, params: LoggingMessageNotificationParams) -> None:
        self.logged.append(params.data)
        self._news.set()

    async def hear(self, message: object) -> None:
        if isinstance(message, ServerNotification):
            self.told.append(message)
            self._news.set()

    def callbacks(self) -> dict[str, Any]:
        """Everything a `Client` can be given."""
        return {
            "elicitation_callback": self.fill_in,
            "sampling_callback": self.sample,
            "list_roots_callback": self.roots,
            "logging_callback": self.read_log,
            "message_handler": self.hear,
        }

    def methods(self) -> set[str]:
        """The methods of the notifications so far."""
        return {message.method for message in self.told}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when something that was told has made `condition` true."""
        with anyio.fail_after(20):
            while not condition():
                self._news = anyio.Event()
                await self._news.wait()


@asynccontextmanager
async def begun(client: Client, tool: str, arguments: dict[str, Any]) -> AsyncGenerator[list[Any]]:
    """A call that has begun when the block does and has ended after it; its result is then in the list."""
    started, results = anyio.Event(), list[Any]()

    async def begin(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001  the SDK's shape
        started.set()

    async def call() -> None:
        results.append(await client.call_tool(tool, arguments, progress_callback=begin))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await started.wait()
            yield results
