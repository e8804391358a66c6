"""Connections to upstreams that belong to one client each, for those configured with `session = "per_client"`.

Made with the client's first request that needs one, ended with the client. Each is an `Upstream` of its own,
with an owner task, a process or HTTP session, and retries of its own; what it asks and tells goes to its
client alone. What is listed over it is of no consequence: the catalog is one for all.
"""

from collections.abc import Iterable
from functools import partial
from itertools import count

import structlog
from anyio.abc import TaskGroup
from mcp.server.connection import Connection as ClientConnection

from mcp_proxy.callers import CALLER, HandshakeCaller
from mcp_proxy.clients import OneClient
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.upkeep import OnOffer
from mcp_proxy.upstreams import Upstream, UpstreamUnavailableError
from mcp_proxy.watchdog import Watchdog
from tool_registry import Offer

_LEFT = "its client has left"

log = structlog.stdlib.get_logger()


class ClientSessions:
    """The connections that clients have of their own."""

    def __init__(self, tasks: TaskGroup, watchdog: Watchdog, on_first_offer: OnOffer) -> None:
        """None yet; `on_first_offer` takes what is listed when such a connection is made."""
        self._tasks = tasks
        self._watchdog = watchdog
        self._on_first_offer = on_first_offer
        self._own: dict[ClientConnection, dict[str, Upstream]] = {}
        self._numbers = count(1)

    def of(self, client: ClientConnection, name: str, settings: StdioUpstream | HttpUpstream) -> Upstream:
        """The client's own connection to an upstream, made if there is none yet.

        Raises:
            UpstreamUnavailableError: as many clients have one as may.
        """
        own = self._own.get(client, {})
        if name not in own:
            if self.number_of(name) >= settings.max_clients:
                reason = (
                    f"of the clients that may have a connection of their own to it ({settings.max_clients}) "
                    "there are as many already; end one of them, or raise its max_clients"
                )
                raise UpstreamUnavailableError(name, reason)
            if client not in self._own:
                self._own[client] = own
                client.exit_stack.callback(self._end, client)
            own[name] = self._start(client, name, settings)
        return own[name]

    def all_of(self, client: ClientConnection) -> Iterable[Upstream]:
        """The connections a client has by now."""
        return list(self._own.get(client, {}).values())

    def number_of(self, name: str) -> int:
        """How many clients have a connection of their own to an upstream."""
        return sum(name in own for own in self._own.values())

    def restart(self, name: str, settings: StdioUpstream | HttpUpstream) -> None:
        """Have all connections to an upstream be as `settings` say."""
        for own in self._own.values():
            if name in own:
                own[name].restart(settings)

    def withdraw(self, name: str) -> list[Upstream]:
        """The clients' connections to an upstream that is to have none any more, for the caller to stop."""
        return [own.pop(name) for own in self._own.values() if name in own]

    def _start(self, client: ClientConnection, name: str, settings: StdioUpstream | HttpUpstream) -> Upstream:
        caller = HandshakeCaller(client)
        upstream = Upstream(name, settings, _only_once(self._on_first_offer), self._watchdog)
        upstream.relay.audience = OneClient(caller)
        upstream.relay.level = caller.log_level
        self._tasks.start_soon(_run, upstream, next(self._numbers))
        return upstream

    def _end(self, client: ClientConnection) -> None:
        """The client has left. Its connections end by themselves, lest anybody wait for their processes."""
        for upstream in self._own.pop(client).values():
            self._tasks.start_soon(partial(upstream.stop, _LEFT))


async def _run(upstream: Upstream, number: int) -> None:
    """Keep a client's connection, with `number` to tell it in the log from those of others."""
    # The task is started by the client's first request, but that is not the cause of all that ever comes.
    CALLER.set(None)
    structlog.contextvars.bind_contextvars(client_session=number)
    await upstream.run()


def _only_once(take: OnOffer) -> OnOffer:
    """`take` for the first offer and nothing for those after it, which the client's doings may have changed."""
    pending = [take]

    async def taken(offer: Offer) -> None:
        while pending:
            await pending.pop()(offer)

    return taken
