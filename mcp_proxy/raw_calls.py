"""Requests to an upstream that travel beside the SDK's session, over the same pipe, as plain messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from mcp_types.methods import SERVER_NOTIFICATIONS

from mcp_proxy.pipes import Message, Pipe

_FIRST_ID = 1_000_000_000
"""Far above any id the SDK's session counts up to, and still an int of 32 bits."""

_NOTIFICATIONS = frozenset(method for method, _ in SERVER_NOTIFICATIONS)

OnAnswer = Callable[[Message | None], None]
"""Takes the response message, or None when the upstream went away without one."""

OnProgress = Callable[[Mapping[str, Any]], None]
"""Takes the params of a progress notification."""


OnLog = Callable[[dict[str, Any]], bool]
"""Takes the params of a log entry, or returns False to leave it to the SDK."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    on_answer: OnAnswer
    on_progress: OnProgress | None


class RawCalls:
    """The requests in flight to one connection of one upstream."""

    def __init__(self) -> None:
        self._ids = count(_FIRST_ID)
        self._waiting: dict[int, _Waiting] = {}
        self.pipe = Pipe(self._take, self._lost)
        self.on_log: OnLog = lambda _: False
        """Asked first about every log entry: an answer that comes after one must not overtake it."""
        self.on_message: Callable[[], None] = lambda: None
        """Told of every message, whosesoever it is."""

    def send(
        self, method: str, params: dict[str, Any], on_answer: OnAnswer, on_progress: OnProgress | None = None
    ) -> int:
        """Send a request and return its id. Needs a pipe that `is_clear`; owns `params` from here on."""
        number = next(self._ids)
        if on_progress is not None:
            params["_meta"] = {**params.get("_meta", {}), "progressToken": number}
        self._waiting[number] = _Waiting(on_answer, on_progress)
        self.pipe.write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def cancel(self, number: int, reason: str) -> None:
        """Stop waiting for a request, and tell the upstream so. Its `on_answer` is not called."""
        if self._waiting.pop(number, None):
            params = {"requestId": number, "reason": reason}
            self.pipe.write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def _take(self, message: Message) -> bool:
        """Whether a message from the upstream belongs to one of these requests; if so, deal with it."""
        self.on_message()
        if "method" not in message:
            number = message.get("id")
            if not isinstance(number, int) or number < _FIRST_ID:
                return False
            if waiting := self._waiting.pop(number, None):
                waiting.on_answer(message)
            return True  # an answer to a cancelled request is nobody's
        params: Any = message.get("params")
        if message["method"] == "notifications/message":
            return isinstance(params, dict) and self.on_log(cast("Message", params))
        if message["method"] != "notifications/progress":
            # One that no protocol version knows is nobody's, and may be one of very many.
            method = message["method"]
            return "id" not in message and isinstance(method, str) and method not in _NOTIFICATIONS
        token = cast("Message", params).get("progressToken") if isinstance(params, dict) else None
        if not isinstance(token, int) or token < _FIRST_ID:
            return False
        waiting = self._waiting.get(token)
        if waiting and waiting.on_progress:
            waiting.on_progress(cast("Message", params))
        return True

    def _lost(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.on_answer(None)
