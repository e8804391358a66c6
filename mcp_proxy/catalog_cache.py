"""The last known offer of every upstream, kept on disk, so that a client's first list need not wait for any.

One file per upstream and the way it is started: a changed configuration starts with nothing known.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import orjson
import structlog

from mcp_proxy.config import HttpUpstream, StdioUpstream
from tool_registry import Offer

_VERSION = 1
_BESIDE_THE_POINT = {
    *("env", "headers"),  # they hold secrets, and seldom decide what is offered
    *(
        "enabled",
        "transport",
        "lazy",
        "idle_stop",
        "session",
        "max_clients",
        "validation",
        "repair",
        "on_new",
        "on_changed",
        "on_flagged",
        "check_output",
        "result_budget",
        "max_restarts",
        "retry_pause",
        "start_timeout",
        "call_timeout",
        "keep_detached",
    ),
}
_KINDS = ("tools", "prompts", "resources", "templates")

log = structlog.stdlib.get_logger()


class CatalogCache:
    """Offers on disk, in `folder`; nothing is kept when that is None. Never raises because of the disk."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, name: str, settings: StdioUpstream | HttpUpstream) -> Offer | None:
        """What the upstream offered last, or None."""
        if self._folder is None:
            return None
        try:
            kept = orjson.loads(self._path(self._folder, name, settings).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        if not isinstance(kept, dict) or cast("dict[str, Any]", kept).get("version") != _VERSION:
            return None
        return _offer(name, settings.prefix, cast("dict[str, Any]", kept))

    async def save(self, offer: Offer, settings: StdioUpstream | HttpUpstream) -> None:
        """Keep an offer for the next start."""
        if self._folder is None:
            return
        path = self._path(self._folder, offer.upstream, settings)
        kept = {"version": _VERSION, **{kind: getattr(offer, kind) for kind in _KINDS}}
        try:
            # A command that only wanted to know ends at once; what it learnt is kept all the same.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_replace, path, orjson.dumps(kept))
        except OSError as error:
            log.warning("catalog.not_kept", upstream=offer.upstream, path=str(path), reason=str(error))

    @staticmethod
    def _path(folder: Path, name: str, settings: StdioUpstream | HttpUpstream) -> Path:
        how = settings.model_dump(mode="json", exclude=_BESIDE_THE_POINT)
        digest = hashlib.sha256(orjson.dumps([name, how], option=orjson.OPT_SORT_KEYS)).hexdigest()
        return folder / f"{digest[:32]}.json"


def _offer(name: str, prefix: str, kept: Mapping[str, Any]) -> Offer | None:
    lists = [kept.get(kind) for kind in _KINDS]
    if not all(isinstance(each, list) and all(isinstance(item, dict) for item in each) for each in lists):  # pyright: ignore[reportUnknownVariableType]
        return None
    tools, prompts, resources, templates = (tuple(cast("list[dict[str, Any]]", each)) for each in lists)
    return Offer(name, prefix, tools, prompts, resources, templates)


def _replace(path: Path, data: bytes) -> None:
    """Write the file as a whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
