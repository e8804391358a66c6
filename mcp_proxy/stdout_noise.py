"""What an upstream writes to its stdout that is no message: logged, the first line kept to explain why it does not start."""

import structlog

from mcp_proxy.redaction import redact_text

_SHOWN = 200
"""Characters of a line that are told."""

_LONGEST = 2000
"""Bytes of a line that are looked at."""

log = structlog.stdlib.get_logger()


class StdoutNoise:
    """The lines of one process that are no JSON-RPC."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.first_line = ""
        """The first of them, without secrets and cut short; empty as long as there is none."""

    def take(self, line: bytes) -> None:
        """Take note of a line."""
        text = redact_text(line[:_LONGEST].decode("utf-8", "replace").strip())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        self.first_line = self.first_line or shown
        log.debug("upstream.noise", upstream=self._upstream, line=shown)
