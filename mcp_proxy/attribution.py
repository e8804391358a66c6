"""Whose is it, what an upstream asks or tells? It does not name the call that caused it.

Neither the protocol nor any SDK puts that on the wire, save that over streamable HTTP it comes on the response
stream of the call. The rule, which never guesses between two clients:

1. Over streamable HTTP it belongs to the call on whose response stream it comes.
2. Else, if all the calls it may belong to are of one client, it is that client's: the newest of its calls
   that can take it. Calls that were given up count for a while, since the upstream may not have noticed.
3. Else, if those calls are of several clients, it is nobody's: a question is refused, a log entry dropped.
   Where every client has a connection of its own (`session = "per_client"`), this does not arise.
4. With no call at all, a question may go to a client that is merely connected, unless another has called; a
   log entry to every connected client that wants it.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
from mcp import MCPError

from mcp_proxy.callers import CALLER, Caller

_GIVEN_UP_FOR = 60.0
"""Seconds after a call was given up in which the upstream may still ask something because of it."""

_SEVERAL = 2


class Attribution:
    """The calls of one connection, as far as something may belong to them."""

    def __init__(self) -> None:
        self._in_flight: dict[object, Caller] = {}
        self._given_up: dict[object, float] = {}
        """Clients that gave a call up, and when they last did; the latest at the end."""
        self._served: list[object] = []
        """The first two clients that have called."""

    def renew(self) -> None:
        """Begin anew: the next connection knows nothing of the calls of the last."""
        self._given_up, self._served = {}, []

    @property
    def is_calling(self) -> bool:
        """Whether a call is in flight."""
        return bool(self._in_flight)

    @contextmanager
    def carrying(self, caller: Caller | None) -> Generator[None]:
        """While a request is in flight for `caller`."""
        if caller is None:
            yield
            return
        flight = self.begin(caller)
        try:
            yield
        except MCPError:
            raise  # an answer too
        except BaseException:
            self.give_up(flight)
            raise
        finally:
            self.end(flight)

    def begin(self, caller: Caller) -> object:
        """Take note that a request is in flight for `caller`; what is returned stands for it."""
        flight = object()
        self._in_flight[flight] = caller
        if len(self._served) < _SEVERAL and caller.client not in self._served:
            self._served.append(caller.client)
        return flight

    def end(self, flight: object) -> None:
        """A request was answered, or given up."""
        self._in_flight.pop(flight, None)

    def give_up(self, flight: object) -> None:
        """A request in flight will not be waited for any longer."""
        if caller := self._in_flight.pop(flight, None):
            self._forget_given_up()
            self._given_up.pop(caller.client, None)
            self._given_up[caller.client] = anyio.current_time()

    def cause(self, fits: Callable[[Caller], bool]) -> Caller | None:
        """The caller, among those that fit, to whose call belongs what has just come; None if that is not sure."""
        if sure := CALLER.get():
            return sure if fits(sure) else None
        if self.may_be_of_several():
            return None
        return next((caller for caller in reversed(self._in_flight.values()) if fits(caller)), None)

    def may_be_of_several(self) -> bool:
        """Whether what has just come may belong to the call of one client or of another."""
        if CALLER.get():
            return False
        self._forget_given_up()
        clients = [*(caller.client for caller in self._in_flight.values()), *self._given_up]
        return any(client != clients[0] for client in clients)

    def has_served_only(self, caller: Caller) -> bool:
        """Whether no other client has called over this connection."""
        return all(client == caller.client for client in self._served)

    def _forget_given_up(self) -> None:
        since = anyio.current_time() - _GIVEN_UP_FOR
        while self._given_up and self._given_up[oldest := next(iter(self._given_up))] < since:
            del self._given_up[oldest]
