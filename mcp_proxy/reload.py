"""Live reload: what its configuration file says of upstreams and profiles takes effect once it is saved."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import anyio
import structlog

from mcp_proxy.config import FOLLOWED, ConfigError, Settings, load
from mcp_proxy.greeting import fingerprint

_LOOK_EVERY = 0.5
"""Seconds between looks at the file. It counts as saved once two looks find it the same."""

Adopt = Callable[[Settings], Awaitable[None]]
"""Takes the settings of an edited file. Raises ConfigError, before anything is changed, if they must not take effect."""

log = structlog.stdlib.get_logger()


async def follow(path: Path, adopt: Adopt) -> NoReturn:
    """Hand what the file says to `adopt`, now and whenever it has been edited.

    A file that cannot be used is logged and changes nothing; so are changes of tables that are not `FOLLOWED`.
    """
    read = seen = None
    settings: Settings | None = None
    while True:
        now = fingerprint(str(path))
        if now == seen and now != read:
            read = now
            settings = await _reload(path, settings, adopt)
        seen = now
        await anyio.sleep(_LOOK_EVERY)


async def _reload(path: Path, before: Settings | None, adopt: Adopt) -> Settings | None:
    """Adopt what the file says; returns its settings, or those of `before` if it cannot be used."""
    try:
        settings = load(path)
        await adopt(settings)
    except ConfigError as error:
        log.warning("config.not_reloaded", problem=str(error), until_mended="the last good one stays")
        return before
    if before:
        for table in Settings.model_fields.keys() - set(FOLLOWED):
            if getattr(settings, table) != getattr(before, table):
                log.warning("config.needs_restart", table=table)
    return settings
