"""Keeping greetings: what the server answers to the first requests is recorded, and compared with what was greeted."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCResponse

from mcp_proxy.greeting import GREETED, Greeter, GreetingFile, Greetings, asker_of, settled_as

_ASKERS = 16
"""Kinds of clients that are remembered, the latest ones; a client may have a new name every day."""

Message = dict[str, Any]

log = structlog.stdlib.get_logger()


class GreetingRecord:
    """The greetings of one stdio client."""

    def __init__(
        self,
        file: GreetingFile,
        configuration: Message,
        greeter: Greeter | None,
        announce: Callable[[], None],
    ) -> None:
        """A record that is empty but for what was given.

        Args:
            file: where greetings are kept.
            configuration: fingerprint of what the settings were read from, as it was then: later edits are none of
                theirs, so that greetings are not kept for them.
            greeter: who has greeted already.
            announce: tells the client that the list it got is not the list any more.
        """
        self._file = file
        self._configuration = configuration
        self._given = greeter.answered if greeter else {}
        self._announce = announce
        self._asked: dict[int | str, tuple[str, str]] = {}
        self._greetings: Greetings = file.load() or {}
        self._settled = greeter.settled if greeter else ""

    def asked(self, message: Message) -> None:
        """Note a client's request, if it is one that is greeted."""
        method, number = message.get("method"), message.get("id")
        if method in GREETED and isinstance(number, int | str):
            asker = asker_of(message, self._settled)
            if asker is not None:
                self._asked[number] = (method, asker)

    def keeps_back(self, message: JSONRPCMessage) -> bool:
        """Record an answer on its way out; True when the client has had it already."""
        if not isinstance(message, JSONRPCResponse | JSONRPCError) or message.id is None:
            return False
        given = self._given.pop(message.id, None)
        method, asker = self._asked.pop(message.id, ("", ""))
        if isinstance(message, JSONRPCResponse) and method:
            if method == "initialize":
                self._settled = settled_as(asker, message.result)
            self._keep(method, asker, message.result)
            if given is not None and given != message.result:
                self._differs(method)
        return given is not None

    def _keep(self, method: str, asker: str, result: Message) -> None:
        known = self._greetings.setdefault(method, {})
        if known.get(asker) != result:
            known.pop(asker, None)
            if len(known) >= _ASKERS:
                del known[next(iter(known))]
            known[asker] = result
            snapshot = {method: dict(results) for method, results in self._greetings.items()}
            asyncio.get_running_loop().run_in_executor(None, self._save, snapshot)

    def _save(self, greetings: Greetings) -> None:
        try:
            self._file.save(self._configuration, greetings)
        except OSError as error:
            log.warning("greeting.not_kept", path=self._file.path, reason=str(error))

    def _differs(self, method: str) -> None:
        if method == "tools/list":
            self._announce()
        else:
            log.warning(
                "greeting.differs", method=method, remedy="restart the client to have it see the difference"
            )
