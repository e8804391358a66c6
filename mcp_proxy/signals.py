"""The signals that end a serving process."""

import signal

import anyio
import structlog

log = structlog.stdlib.get_logger()


async def until_signalled() -> None:
    """Return at the first SIGTERM or SIGINT; until then neither ends the process."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("server.stopping", signal=number.name)
            return
