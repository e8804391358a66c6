"""What changes in a message from one hop to the next, and nothing else does. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from mcp_types import CLIENT_CAPABILITIES_META_KEY, LOG_LEVEL_META_KEY, SERVER_INFO_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_HOP_META = "io.modelcontextprotocol/"
"""Prefix of the `_meta` keys that a session sets for itself."""

OF_THE_CLIENT = (CLIENT_CAPABILITIES_META_KEY, LOG_LEVEL_META_KEY)
"""Those of them that are the client's own all the way: what it can be asked, and which log entries it wants."""

_RELAYED = ("elicitation", "sampling", "roots")
"""The capabilities of clients that Switchboard passes on the use of. An extension's messages it would not know."""


def forwarded(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """A client's params for the upstream: as they came, less the `_meta` that belongs to the client's hop."""
    onward = dict(params or {})
    given: Mapping[str, Any] = onward.pop("_meta", None) or {}
    meta = {
        key: value
        for key, value in given.items()
        if key in OF_THE_CLIENT or (key != "progressToken" and not key.startswith(_HOP_META))
    }
    if isinstance(declared := meta.get(CLIENT_CAPABILITIES_META_KEY), Mapping):
        meta[CLIENT_CAPABILITIES_META_KEY] = relayed(cast("Mapping[str, Any]", declared))
    return {**onward, "_meta": meta} if meta else onward


def relayed(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a client's capabilities that an upstream may use through Switchboard."""
    return {name: capabilities[name] for name in _RELAYED if name in capabilities}


def as_ours(result: Mapping[str, Any]) -> dict[str, Any]:
    """An upstream's result as Switchboard's own: complete where its era has no word for it, under our name."""
    given: Mapping[str, Any] = result.get("_meta") or {}
    meta = {key: value for key, value in given.items() if key != SERVER_INFO_META_KEY}
    rest = {key: value for key, value in result.items() if key != "_meta"}
    return {"resultType": "complete", **rest, **({"_meta": meta} if meta else {})}


def in_era(result: Mapping[str, Any], version: str, server_info: Mapping[str, Any]) -> dict[str, Any]:
    """`as_ours` as it goes on the wire at protocol `version`; the SDK does this for results that go through it."""
    ours = as_ours(result)
    if version in MODERN_PROTOCOL_VERSIONS:
        return {**ours, "_meta": {**ours.get("_meta", {}), SERVER_INFO_META_KEY: server_info}}
    del ours["resultType"]
    return ours
