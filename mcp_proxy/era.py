"""Which protocol era is spoken to an upstream that could speak either, and how it is found out that it was the wrong one.

`protocol = "auto"` opens as the specification wants it: with the stateless era, and the handshake where there is
none. That era is the better one to stand in the middle of: what an upstream asks comes as the answer to the very
call it belongs to (`input_required`), so that it reaches the right client of several, and nothing is lost when a
connection is. But a server may have tools of the older kind, which ask in the midst of a call (`ctx.elicit` of the
Python SDK). The same SDK offers both eras for them, and then fails the call for want of a way back. Nothing says
beforehand of which kind a server is; so the first such failure does: from then on the handshake is used.

The call itself is not made again by us: it has run as far as its question, and nobody knows what it did on the way.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from mcp_proxy.config import HttpUpstream, StdioUpstream

_ASKING = re.compile(r"elicitation/create|sampling/createMessage|roots/list")
_NO_WAY = re.compile(r"back-?\s?channel|server[- ](?:initiated|to[- ]client) request", re.IGNORECASE)
"""Together, what a server says that would ask and cannot. The SDK's words hold both: "Cannot send 'elicitation/create':
this transport context has no back-channel for server-initiated requests." Other servers pass them on in theirs."""

_LONGEST = 4000
"""Characters of a text that are looked at."""


def wants_to_ask(answer: Mapping[str, Any]) -> bool:
    """Whether an answer, `error` or `result`, says that the call failed for want of a way to ask the client."""
    return any(_ASKING.search(text) and _NO_WAY.search(text) for text in _failures(answer))


def remedy(upstream: str, settings: StdioUpstream | HttpUpstream) -> str:
    """What is done about it, or can be, in words for the user."""
    if settings.protocol == "auto":
        return (
            f"upstream {upstream!r} can ask in the handshake era alone, for which it is now restarted: call again "
            f'(with protocol = "legacy" in [upstreams.{upstream}] it is spoken from the start)'
        )
    return (
        f"upstream {upstream!r} can ask in the handshake era alone; "
        f'set protocol = "legacy" in [upstreams.{upstream}]'
    )


def with_remedy(answer: Mapping[str, Any], said: str) -> dict[str, Any]:
    """The same answer, with `said` added to what it tells."""
    if "error" in answer:
        error = answer["error"]
        return {**answer, "error": {**error, "message": f"{error['message']}; {said}"}}
    result = answer["result"]
    return {**answer, "result": {**result, "content": [*result["content"], {"type": "text", "text": said}]}}


def over_handshake(settings: StdioUpstream | HttpUpstream) -> StdioUpstream | HttpUpstream:
    """The upstream as one that is spoken to in the handshake era."""
    return settings.model_copy(update={"protocol": "legacy"})


def _failures(answer: Mapping[str, Any]) -> list[str]:
    """The texts in which an answer tells of a failure."""
    error, result = answer.get("error"), answer.get("result")
    if isinstance(error, dict):
        return _texts([cast("dict[str, Any]", error).get("message")])
    if not isinstance(result, dict) or cast("dict[str, Any]", result).get("isError") is not True:
        return []
    content = cast("dict[str, Any]", result).get("content")
    blocks = cast("list[object]", content) if isinstance(content, list) else []
    return _texts([cast("dict[str, Any]", block).get("text") for block in blocks if isinstance(block, dict)])


def _texts(values: list[object]) -> list[str]:
    return [value[:_LONGEST] for value in values if isinstance(value, str)]
