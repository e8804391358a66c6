"""How requests over HTTP end when the server does: in order, so that clients see an end and not a broken line."""

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class OpenRequests:
    """An application whose requests can be ended from outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: dict[anyio.CancelScope, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(send)
        with anyio.CancelScope() as request:
            self._open[request] = scope["method"]
            try:
                await self._app(scope, receive, response.send)
            finally:
                del self._open[request]
        if request.cancelled_caught:
            await response.end(scope, receive)

    async def end(self, grace: float) -> None:
        """End them: streams that wait for news at once, the others after `grace` seconds."""
        for request, method in list(self._open.items()):
            if method == "GET":
                request.cancel()
        await anyio.sleep(grace)
        for request in list(self._open):
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
