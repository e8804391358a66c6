"""How requests over HTTP are ended: in order, so that clients see an end and not a broken line."""

from collections.abc import Callable

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class OpenRequests:
    """The requests that are being answered, which can be ended from outside."""

    def __init__(self) -> None:
        self._open: dict[anyio.CancelScope, Scope] = {}

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have `app` answer a request."""
        response = _Response(send)
        with anyio.CancelScope() as request:
            self._open[request] = scope
            try:
                await app(scope, receive, response.send)
            finally:
                del self._open[request]
        if request.cancelled_caught:
            await response.end(scope, receive)

    def end(self, those: Callable[[Scope], bool]) -> None:
        """End those that `those` holds of."""
        for request, scope in list(self._open.items()):
            if those(scope):
                request.cancel()


class _Response:
    """How far the answer to a request has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = self._complete = False

    async def send(self, message: Message) -> None:
        self._started = True
        if message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def end(self, scope: Scope, receive: Receive) -> None:
        if not self._started:
            await PlainTextResponse("Stopping", 503)(scope, receive, self._send)
        elif not self._complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
