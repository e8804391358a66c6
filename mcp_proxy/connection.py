"""One connection to an upstream, from dialling to its end: listing, requests, and news of changes.

Whether there is another one afterwards is decided in `upstreams`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation

from mcp_proxy import __version__
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.dial import dial
from mcp_proxy.listing import list_offer
from mcp_proxy.raw_calls import OnAnswer, OnProgress, RawCalls
from mcp_proxy.raw_client import RawClient
from mcp_proxy.relay import Relay
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.upstream_status import LeftOut, SessionLostError, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from mcp_proxy.wire import send_raw, stamped, telling_its_end
from tool_registry import Offer

_CLIENT = Implementation(name="switchboard", version=__version__)

log = structlog.stdlib.get_logger()


class Connection:
    """A connection that stands. Made by `connected`."""

    def __init__(
        self,
        name: str,
        settings: StdioUpstream | HttpUpstream,
        client: RawClient,
        raw: RawCalls | None,
        news: "News",
    ) -> None:
        self.sending = 0
        """How many requests are on their way through the SDK."""
        self._news = news
        self._name = name
        self._settings = settings
        self._client = client
        self._raw = raw

    @property
    def server(self) -> str:
        """Name and version the server gives itself."""
        about = self._client.server_info
        return f"{about.name} {about.version}".strip() if about else ""

    @property
    def protocol(self) -> str:
        """The protocol version that was negotiated."""
        return self._client.protocol_version

    async def list(self) -> tuple[Offer, tuple[LeftOut, ...]]:
        """Everything the server offers, and what of its lists was left out.

        Raises:
            MCPError: it has tools but cannot list them.
        """
        offer, left_out = await list_offer(self._client, self._name, self._settings.prefix)
        self._client.know_tools(offer.tools)
        return offer, left_out

    async def send(
        self, method: str, params: Mapping[str, Any], on_progress: ProgressFnT | None = None
    ) -> dict[str, Any]:
        """Send a request and return its result as it came.

        Raises:
            SessionLostError: the server has forgotten the session; nothing was done.
            UpstreamUnavailableError: the connection ended, or the time limit passed.
            MCPError: the upstream answered with an error.
        """
        timeout = self._settings.call_timeout
        self.sending += 1
        try:
            return await send_raw(
                self._client.session, method, params, timeout=timeout, on_progress=on_progress
            )
        except MCPError as error:
            if self._news.has_lost_session and error.code != CONNECTION_CLOSED:
                raise SessionLostError(self._name, "it forgets the sessions it gives") from error
            if error.code == CONNECTION_CLOSED:
                raise UpstreamUnavailableError(self._name, "the connection closed", in_flight=True) from error
            if error.code == REQUEST_TIMEOUT:
                reason = f"no answer within {timeout:g} s (call_timeout)"
                raise UpstreamUnavailableError(self._name, reason, in_flight=True) from error
            raise
        finally:
            self.sending -= 1

    def try_send(
        self, method: str, params: dict[str, Any], on_answer: OnAnswer, on_progress: OnProgress | None
    ) -> Callable[[str], None] | None:
        """Send a request as a raw message if that is possible at once, else return None.

        Returns:
            A callable that cancels the request, for a reason.
        """
        raw = self._raw
        if raw is None or not raw.pipe.is_clear:
            return None
        number = raw.send(method, stamped(self._client.session, method, params), on_answer, on_progress)
        return lambda reason: raw.cancel(number, reason)


class News:
    """What one connection has to tell its owner: that what is offered has changed, that it has ended or is lost."""

    def __init__(self) -> None:
        self.has_ended = False
        self.has_lost_session = False
        self._arrived = anyio.Event()

    def changed(self) -> None:
        """What is offered may have changed."""
        self._arrived.set()

    def ended(self) -> None:
        """The other side has closed the connection."""
        self.has_ended = True
        self._arrived.set()

    def lost_session(self) -> None:
        """The server has refused a request because it has forgotten the session."""
        self.has_lost_session = True
        self._arrived.set()

    @property
    def is_there(self) -> bool:
        """Whether anything has been told since `take`."""
        return self._arrived.is_set()

    def take(self) -> None:
        """Wait for the next from now on."""
        self._arrived = anyio.Event()

    async def wait(self) -> None:
        """Return once anything has been told."""
        await self._arrived.wait()


@asynccontextmanager
async def connected(
    name: str,
    settings: StdioUpstream | HttpUpstream,
    relay: Relay,
    news: News,
    *,
    stderr: StderrTail,
    watchdog: Watchdog,
) -> AsyncGenerator[Connection]:
    """A connection as `settings` say, past its negotiation; closed when the block ends.

    Args:
        name: the upstream's name in the configuration.
        settings: how it is reached, and its options.
        relay: takes what the upstream asks and tells.
        news: is told what its owner has to know.
        stderr: takes what a child process says there.
        watchdog: ends a child process should Switchboard die.

    Raises:
        Exception: it cannot be reached, as an error that `dial.why_failed` has the words for.
    """

    async def hear(method: str, params: dict[str, Any]) -> None:
        if method.endswith("/list_changed"):
            news.changed()
        else:
            await relay.hear(method, params)

    async def on_message(message: object) -> None:
        if isinstance(message, Exception):
            log.debug("upstream.noise", upstream=name, problem=type(message).__name__)

    async with (
        dial(settings, stderr, watchdog, news.lost_session) as (transport, raw),
        RawClient(
            telling_its_end(transport, news.ended),
            mode=settings.protocol,
            client_info=_CLIENT,
            answer=relay.answer,
            hear=hear,
            message_handler=on_message,
            cache=None,
        ) as client,
        relay.connected(client),
    ):
        await client.discover()
        if raw:
            raw.on_log = relay.hear_now
        yield Connection(name, settings, client, raw, news)
