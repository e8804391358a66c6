"""One connection to an upstream, from dialling to its end: listing, requests, and news of changes.

Whether there is another one afterwards is decided in `upstreams`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import structlog
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy import __version__
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.dial import dial
from mcp_proxy.era import remedy, wants_to_ask, with_remedy
from mcp_proxy.listing import list_offer
from mcp_proxy.pipes import Message
from mcp_proxy.raw_calls import OnAnswer, OnProgress, RawCalls
from mcp_proxy.raw_client import RawClient
from mcp_proxy.relay import Relay
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.stdout_noise import StdoutNoise
from mcp_proxy.upstream_status import LeftOut, NoAnswerError, SessionLostError, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from mcp_proxy.wire import send_raw, stamped, tapped
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
        self.in_flight: set[object] = set()
        """What stands for the requests that are on their way."""
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
            NoAnswerError: the time limit passed.
            UpstreamUnavailableError: the connection ended.
            MCPError: the upstream answered with an error.
        """
        timeout = self._settings.call_timeout
        self.in_flight.add(flight := object())
        try:
            result = await send_raw(
                self._client.session, method, params, timeout=timeout, on_progress=on_progress
            )
            return self._explained({"result": result})["result"]
        except MCPError as error:
            if self._news.has_lost_session and error.code != CONNECTION_CLOSED:
                raise SessionLostError(self._name, "it forgets the sessions it gives") from error
            if error.code == CONNECTION_CLOSED:
                raise UpstreamUnavailableError(self._name, "the connection closed", in_flight=True) from error
            if error.code == REQUEST_TIMEOUT:
                self._news.unanswered()
                raise NoAnswerError(self._name, timeout) from error
            told = self._explained({"error": {"message": error.message}})["error"]["message"]
            raise MCPError(error.code, told, error.data) from error
        finally:
            self.in_flight.discard(flight)

    async def shows_life(self, within: float) -> bool:
        """Whether the server sends anything within so many seconds: if nothing else, an answer to a ping.

        An error is an answer too: not every server knows ping, and the stateless era has none.
        """
        before = self._news.heard
        with anyio.move_on_after(within), suppress(MCPError):
            await send_raw(self._client.session, "ping", {})
        return self._news.heard > before

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
        self.in_flight.add(flight := object())

        def answered(message: Message | None) -> None:
            self.in_flight.discard(flight)
            on_answer(message and self._explained(message))

        def cancel(reason: str) -> None:
            self.in_flight.discard(flight)
            raw.cancel(number, reason)

        number = raw.send(method, stamped(self._client.session, method, params), answered, on_progress)
        return cancel

    def _explained(self, answer: Message) -> Message:
        """An answer as it came, unless it says that the server cannot ask in this era: then what is done about it, too."""
        if self.protocol not in MODERN_PROTOCOL_VERSIONS or not wants_to_ask(answer):
            return answer
        if self._settings.protocol == "auto":
            self._news.wrong_era()
        return with_remedy(answer, remedy(self._name, self._settings))


class News:
    """What one connection has to tell its owner, as it comes."""

    def __init__(self) -> None:
        self.has_ended = False
        self.has_lost_session = False
        self.has_changed = False
        self.is_doubtful = False
        self.is_wrong_era = False
        self.heard = 0
        """How often the other side has sent something."""
        self._arrived = anyio.Event()

    def hear(self) -> None:
        """The other side has sent something. Nobody is woken for it."""
        self.heard += 1

    def changed(self) -> None:
        """What is offered may have changed."""
        self.has_changed = True
        self._arrived.set()

    def unanswered(self) -> None:
        """A request was not answered in time."""
        self.is_doubtful = True
        self._arrived.set()

    def ended(self) -> None:
        """The other side has closed the connection."""
        self.has_ended = True
        self._arrived.set()

    def lost_session(self) -> None:
        """The server has refused a request because it has forgotten the session."""
        self.has_lost_session = True
        self._arrived.set()

    def wrong_era(self) -> None:
        """The server cannot do in this era of the protocol what it wants to."""
        self.is_wrong_era = True
        self._arrived.set()

    async def wait(self) -> None:
        """Return once anything has been told since the last time."""
        await self._arrived.wait()
        self._arrived = anyio.Event()


@asynccontextmanager
async def connected(
    name: str,
    settings: StdioUpstream | HttpUpstream,
    relay: Relay,
    news: News,
    *,
    stderr: StderrTail,
    noise: StdoutNoise,
    watchdog: Watchdog,
) -> AsyncGenerator[Connection]:
    """A connection as `settings` say, past its negotiation; closed when the block ends.

    Args:
        name: the upstream's name in the configuration.
        settings: how it is reached, and its options.
        relay: takes what the upstream asks and tells.
        news: is told what its owner has to know.
        stderr: takes what a child process says there.
        noise: takes what it says on stdout that is no message.
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
        if isinstance(message, Exception) and isinstance(settings, HttpUpstream):
            log.debug("upstream.noise", upstream=name, problem=type(message).__name__)

    async with (
        dial(settings, stderr, noise, watchdog, news.lost_session) as (transport, raw),
        RawClient(
            tapped(transport, on_message=news.hear, on_end=news.ended),
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
            raw.on_message = news.hear
        yield Connection(name, settings, client, raw, news)
