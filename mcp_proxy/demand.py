"""Whether anything is wanted of an upstream: requests in flight, resources watched, and how long ago the last ended."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

_LOOK_AGAIN = 1.0
"""Seconds after which something in flight is looked at again."""


class Demand:
    """The requests and watches of one upstream, counted."""

    def __init__(self) -> None:
        self.arisen = anyio.Event()
        """Set once something has been asked, until `forget`."""
        self._in_flight = 0
        self._last = anyio.current_time()

    def begin(self) -> None:
        self.arisen.set()
        self._in_flight += 1

    def end(self) -> None:
        self._in_flight -= 1
        self._last = anyio.current_time()

    @contextmanager
    def lasting(self) -> Generator[None]:
        """While a request is in flight."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def renew(self) -> None:
        """Have the time without requests begin now."""
        self._last = anyio.current_time()

    def forget(self) -> None:
        """Wait for the next to arise, unless something is in flight."""
        if not self._in_flight:
            self.arisen = anyio.Event()

    def ends_in(self, limit: float) -> float:
        """Seconds until nothing will have been asked for `limit` seconds, should nothing more be; 0 if that is so."""
        if self._in_flight:
            return max(limit, _LOOK_AGAIN)
        return max(0.0, self._last + limit - anyio.current_time())
