"""Logging: structured lines on stderr, never on stdout, which belongs to the protocol."""

import logging
import sys

import structlog

from mcp_proxy.redaction import redact_event, redact_text

_NOISY = ("mcp.", "httpx2.", "httpcore2.", "anthropic.", "uvicorn.access.")
"""Libraries whose warnings tell a user nothing that our own events do not."""


def configure(level: str = "warning") -> None:
    """Send our events and the libraries' warnings to stderr, from `level` on, without secrets."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The handler sifts, not the loggers: libraries set the levels of their own as they are loaded.
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(max(threshold, logging.WARNING))
    handler.addFilter(_is_worth_telling)
    handler.setFormatter(_Discreet())
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)


class _Discreet(logging.Formatter):
    """The libraries' own lines, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(redact_text, super().format(record).split("\n")))


def _is_worth_telling(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL or not f"{record.name}.".startswith(_NOISY)
