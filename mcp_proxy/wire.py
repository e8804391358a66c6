"""The seam with the SDK's client: raw requests over its sessions, and streams that say when they end.

Requests travel as plain dicts, because the typed layer drops fields it does not know. Nothing here
knows what the messages mean.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp import ClientSession
from mcp.client._transport import Transport, TransportStreams
from mcp.shared.dispatcher import CallOptions, ProgressFnT
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_proxy.hops import OF_THE_CLIENT
from mcp_proxy.streams import TappedStream


async def send_raw(
    session: ClientSession,
    method: str,
    params: Mapping[str, Any],
    *,
    timeout: float | None = None,  # noqa: ASYNC109  the dispatcher has to know it, to cancel upstream
    on_progress: ProgressFnT | None = None,
) -> dict[str, Any]:
    """Send a request as it stands and return the result as it came, both as JSON objects.

    The session adds what its protocol version wants on every request (`_meta`, HTTP headers). The two
    private members used here are the only way past its typed layer.

    Args:
        session: an entered, negotiated session.
        method: the JSON-RPC method.
        params: its params; not modified.
        timeout: seconds to wait for the result; None waits for ever.
        on_progress: receives progress notifications; without it the server is not asked for any.

    Raises:
        MCPError: the server answered with an error, or the connection closed, or time ran out.
    """
    options: CallOptions = {}
    onward = stamped(session, method, params, options)
    if timeout is not None:
        options["timeout"] = timeout
    if on_progress is not None:
        options["on_progress"] = on_progress
    dispatcher = session._dispatcher  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return await dispatcher.send_raw_request(method, onward, options)


def stamped(
    session: ClientSession, method: str, params: Mapping[str, Any], options: CallOptions | None = None
) -> dict[str, Any]:
    """A copy of `params` with what the session's protocol version wants on every request; its `options` likewise.

    The client on whose behalf it is sent speaks for itself, where the protocol has words for that.
    """
    given: Mapping[str, Any] = params.get("_meta") or {}
    of_client = {key: given[key] for key in OF_THE_CLIENT if key in given}
    data: dict[str, Any] = {"method": method, "params": {**params}}
    if given:
        data["params"]["_meta"] = {key: value for key, value in given.items() if key not in of_client}
    session._stamp(data, {} if options is None else options)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if session.protocol_version in MODERN_PROTOCOL_VERSIONS:
        data["params"]["_meta"].update(of_client)
    return data["params"]


def tapped(
    transport: AbstractAsyncContextManager[TransportStreams],
    *,
    on_message: Callable[[], None],
    on_end: Callable[[], None],
) -> Transport:
    """`transport`, calling `on_message` for whatever comes, and `on_end` when the other side closes the connection."""

    @asynccontextmanager
    async def watched() -> AsyncGenerator[TransportStreams]:
        async with transport as (read, write):
            yield TappedStream(read, on_taken=on_message, on_end=on_end), write

    return watched()
