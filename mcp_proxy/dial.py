"""Reaching an upstream: the transport its settings ask for, and why it failed, in words for the user."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

from mcp import MCPError, StdioServerParameters
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CONNECTION_CLOSED

from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.process import Program, process_streams
from mcp_proxy.raw_calls import RawCalls
from mcp_proxy.redaction import redact_text
from mcp_proxy.stderr_tail import StderrTail
from mcp_proxy.watchdog import Watchdog

NESTING = "SWITCHBOARD_NESTING"
"""Environment variable that counts how many switchboards a process stands behind."""


@asynccontextmanager
async def dial(
    settings: StdioUpstream | HttpUpstream, stderr: StderrTail, watchdog: Watchdog
) -> AsyncGenerator[tuple[AbstractAsyncContextManager[TransportStreams], RawCalls | None]]:
    """The SDK's transport to an upstream, not yet entered, and the raw calls beside it where there are any."""
    if isinstance(settings, HttpUpstream):
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        async with create_mcp_http_client(headers=headers) as http:
            yield streamable_http_client(settings.url, http_client=http), None
        return
    own = {name: value.get_secret_value() for name, value in settings.env.items()}
    nesting = str(int(os.environ.get(NESTING, "0")) + 1)
    env = {**get_default_environment(), **own, NESTING: nesting}
    async with stderr.collecting() as errlog:
        if sys.platform == "win32":
            # The pipes below are POSIX only; the SDK knows how to end a process tree on Windows.
            parameters = StdioServerParameters(
                command=settings.command, args=list(settings.args), env=env, cwd=settings.cwd
            )
            yield stdio_client(parameters, errlog=errlog), None
            return
        raw = RawCalls()
        program = Program(settings.command, settings.args, env, settings.cwd)
        async with raw.pipe.read_stream:
            try:
                yield process_streams(program, raw.pipe, errlog, watchdog), raw
            finally:
                raw.pipe.close()  # it may never have been opened


def why_failed(error: BaseException, settings: StdioUpstream | HttpUpstream) -> str:
    """A failed connection in words for the user."""
    if isinstance(error, BaseExceptionGroup):
        return why_failed(cast("BaseExceptionGroup[BaseException]", error).exceptions[0], settings)
    if isinstance(settings, StdioUpstream):
        if isinstance(error, FileNotFoundError):
            missing = (
                settings.cwd
                if error.filename and str(error.filename) == str(settings.cwd)
                else settings.command
            )
            return f"{missing!r} was not found; check the path, or that it is installed and on PATH"
        if isinstance(error, PermissionError):
            return f"{settings.command!r} may not be executed; check its permissions"
    if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
        return "it exited or closed the connection while starting"
    return f"{type(error).__name__}: {redact_text(str(error))}" if str(error) else type(error).__name__
